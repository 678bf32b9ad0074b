package mvcc

import (
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// The last revisions are kept for watches that lag a little: as many, of as many bytes at most.
const (
	maxRecent     = 1000
	maxRecentSize = 4 << 20
)

// Publish tells the synced watches of a new revision, what [Store.Apply] returned. A failure of the storage is the only
// error.
func (h *Hub) Publish(revision int64, events []*mvccpb.Event, previous Previous) ([]Delivery, error) {
	if len(events) == 0 {
		return nil, nil
	}
	h.revision = revision
	h.remember(Changes{Revision: revision, Events: events})
	touched := h.match(events)
	prev := prevCache{previous: previous}
	var out []Delivery
	for _, on := range touched {
		list := on.events
		on.events = nil
		for c := range on.synced {
			if len(on.synced[c]) == 0 {
				continue
			}
			selected, err := prev.selectEvents(class(c), list)
			if err != nil {
				return nil, err
			}
			if len(selected) > 0 {
				out = h.tell(out, on.synced[c], selected)
			}
		}
	}
	return out, nil
}

// match hands each event to the interests that its key is of, and returns these.
func (h *Hub) match(events []*mvccpb.Event) (touched []*interest) {
	for _, e := range events {
		add := func(on *interest) {
			if on.events == nil {
				touched = append(touched, on)
			}
			on.events = append(on.events, e)
		}
		key := string(e.Kv.Key)
		if on := h.single[key]; on != nil {
			add(on)
		}
		h.ranges.stab(key, add)
	}
	return touched
}

// tell delivers events of the current revision to synced watches; those of a blocked stream begin to lag.
func (h *Hub) tell(out []Delivery, synced []*watcher, events []*mvccpb.Event) []Delivery {
	size := bytesOf(events)
	for i := len(synced) - 1; i >= 0; i-- { // from the end, for lag takes from the list
		w := synced[i]
		switch {
		case w.next > h.revision:
		case w.stream.blocked:
			h.lag(w, h.revision)
		default:
			out = append(out, w.delivery(h.revision, events, size))
		}
	}
	return out
}

func (w *watcher) delivery(revision int64, events []*mvccpb.Event, size int) Delivery {
	w.told = true
	return Delivery{Stream: w.stream.id, Watch: w.id, Revision: revision, Events: events, Bytes: size, Fragment: w.fragment}
}

// eventBytes is about what an event takes besides its keys and values.
const eventBytes = 200

func bytesOf(events []*mvccpb.Event) (size int) {
	for _, e := range events {
		size += eventBytes + len(e.Kv.Key) + len(e.Kv.Value)
		if e.PrevKv != nil {
			size += len(e.PrevKv.Key) + len(e.PrevKv.Value)
		}
	}
	return size
}

// remember keeps a revision for those that lag a little.
func (h *Hub) remember(c Changes) {
	size := 0
	for _, e := range c.Events {
		size += e.Size()
	}
	h.recent, h.sizes, h.kept = append(h.recent, c), append(h.sizes, size), h.kept+size
	drop := 0
	for h.kept > maxRecentSize || len(h.recent)-drop > maxRecent {
		h.kept -= h.sizes[drop]
		h.recent[drop] = Changes{}
		drop++
	}
	h.recent, h.sizes = h.recent[drop:], h.sizes[drop:]
}

// prevCache looks previous values up once per event, however many watches want them.
type prevCache struct {
	previous Previous
	found    map[*mvccpb.Event]*mvccpb.Event
}

// selectEvents gives the events that a class wants, as it wants them.
func (p *prevCache) selectEvents(c class, events []*mvccpb.Event) ([]*mvccpb.Event, error) {
	if c == 0 {
		return events, nil
	}
	var selected []*mvccpb.Event
	for _, e := range events {
		if !c.wants(e) {
			continue
		}
		if c&withPrev != 0 {
			var err error
			if e, err = p.with(e); err != nil {
				return nil, err
			}
		}
		selected = append(selected, e)
	}
	return selected, nil
}

func (p *prevCache) with(e *mvccpb.Event) (*mvccpb.Event, error) {
	if e.Type == mvccpb.PUT && e.Kv.CreateRevision == e.Kv.ModRevision {
		return e, nil // there was nothing
	}
	if known, ok := p.found[e]; ok {
		return known, nil
	}
	prev, err := p.previous.PrevKV(e.Kv.Key, e.Kv.ModRevision)
	if err != nil {
		return nil, err
	}
	full := &mvccpb.Event{Type: e.Type, Kv: e.Kv, PrevKv: prev}
	if p.found == nil {
		p.found = map[*mvccpb.Event]*mvccpb.Event{}
	}
	p.found[e] = full
	return full, nil
}
