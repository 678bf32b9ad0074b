package mvcc

import (
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// How much one round of catching up does.
const (
	maxRound          = 512      // watches
	maxRoundRevisions = 1000     // revisions
	maxRoundWork      = 64 << 10 // revisions times watches: nothing else is done meanwhile
	maxRoundBytes     = 16 << 20 // of values
)

// CatchUp is one round of catching up: some watches that lag, and the revisions to be read for them.
type CatchUp struct {
	from, to int64
	watchers []*watcher
	history  []Changes
}

// StartCatchUp begins a round. Watches that need what is compacted end; those that lag only a little are told from memory and are
// synced; for the rest [CatchUp.Read] reads history, which needs neither Hub nor Store, and [Hub.FinishCatchUp] tells
// it. The CatchUp is nil if nothing is to be read: then all that lag belong to blocked streams, or wait for what is not stored.
func (h *Hub) StartCatchUp(s *Store) ([]Delivery, *CatchUp, error) {
	var out []Delivery
	job := &CatchUp{from: s.stored + 1}
	prev := prevCache{previous: s}
	left := h.lagging[:0]
	taken := 0
	for _, w := range h.lagging {
		if w.gone {
			continue
		}
		if w.stream.blocked || taken >= maxRound {
			left = append(left, w)
			continue
		}
		taken++
		switch {
		case w.next < s.meta.Scheduled:
			out = append(out, Delivery{Stream: w.stream.id, Watch: w.id, Canceled: true, CompactRevision: s.meta.Scheduled})
			h.drop(w)
		case w.next > h.revision:
			w.sync()
		case len(h.recent) > 0 && h.recent[0].Revision <= w.next:
			d, err := w.replay(h.recent, h.revision, h.revision, &prev)
			if err != nil {
				return nil, nil, err
			}
			out = append(out, d...)
			w.sync()
		default:
			left = append(left, w)
			job.watchers = append(job.watchers, w)
			job.from = min(job.from, w.next)
		}
	}
	clear(h.lagging[len(left):])
	h.lagging = left
	job.to = min(s.stored, job.from+min(maxRoundRevisions, int64(maxRoundWork/max(1, len(job.watchers))))-1)
	if job.from > job.to {
		return out, nil, nil
	}
	return out, job, nil
}

// Read reads what the round is about from a view that was taken after the round began.
func (c *CatchUp) Read(view View) (err error) {
	if c.history, c.to, err = readHistory(view, c.from, c.to, maxRoundBytes); err != nil {
		return err
	}
	chain := chainAfter(c.from - 1)
	for _, changes := range c.history {
		if err := chain.add(Revision{Main: changes.Revision}); err != nil {
			return err
		}
	}
	return chain.end(c.to)
}

// FinishCatchUp tells the watches of a round. They are synced if nothing was published since it began; else they go into the
// next round, behind the others.
func (h *Hub) FinishCatchUp(c *CatchUp, s *Store) ([]Delivery, error) {
	var out []Delivery
	prev := prevCache{previous: s}
	for _, w := range c.watchers {
		// Compacted since: what was read may have gaps.
		if w.gone || w.stream.blocked || w.next > c.to || w.next < s.meta.Scheduled {
			continue
		}
		d, err := w.replay(c.history, c.to, h.revision, &prev)
		if err != nil {
			return nil, err
		}
		out = append(out, d...)
		if w.next > h.revision {
			w.sync()
		}
	}
	h.rotate(c)
	return out, nil
}

// rotate takes those out of the lagging that are gone or synced, and puts the rest of a round behind the others.
func (h *Hub) rotate(c *CatchUp) {
	served := make(map[*watcher]bool, len(c.watchers))
	for _, w := range c.watchers {
		served[w] = true
	}
	var first, last []*watcher
	for _, w := range h.lagging {
		switch {
		case w.gone || w.place >= 0:
		case served[w]:
			last = append(last, w)
		default:
			first = append(first, w)
		}
	}
	h.lagging = append(first, last...)
}

// replay tells a watch what it missed up to a revision. The header has the current one, as etcd's: it is no bookmark.
func (w *watcher) replay(history []Changes, to, current int64, prev *prevCache) ([]Delivery, error) {
	var events []*mvccpb.Event
	for _, c := range history {
		if c.Revision < w.next || c.Revision > to {
			continue
		}
		for _, e := range c.Events {
			if w.on.keys.contains(string(e.Kv.Key)) {
				events = append(events, e)
			}
		}
	}
	w.next = to + 1
	events, err := prev.selectEvents(w.class, events)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	return []Delivery{w.delivery(current, events, bytesOf(events))}, nil
}
