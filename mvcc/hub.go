package mvcc

import (
	"bytes"
	"maps"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// StreamID names a stream of watches; the caller chooses it.
type StreamID uint64

// NoWatch is the watch id of what concerns no watch in particular: a refusal, and the progress of a whole stream.
const NoWatch = -1

// The reasons why a watch is refused, as etcd's texts.
const (
	reasonDuplicate = "mvcc: duplicate watch ID provided on the WatchStream"
	reasonEmpty     = "mvcc: watcher range is empty"
)

// Delivery is one message to one stream. What a stream gets must be sent in the order in which the Hub's methods return it.
type Delivery struct {
	Stream          StreamID
	Watch           int64
	Revision        int64 // for the header; 0 for the end of a watch by compaction, as in etcd
	Created         bool
	Canceled        bool
	CompactRevision int64
	Reason          string
	// Events are whole revisions. Deliveries of one call that share the slice follow one another: it need be encoded
	// once only.
	Events   []*mvccpb.Event
	Bytes    int  // about what Events take
	Fragment bool // the client takes a large message in parts
}

// Previous finds what a key was before a revision, nil if nothing: [Store.PrevKV].
type Previous interface {
	PrevKV(key []byte, rev int64) (*mvccpb.KeyValue, error)
}

// Hub decides who is told of which changes. A watch is synced if it has been told of all revisions up to the current one, and
// gets the next with [Hub.Publish]; or it lags and catches up from history ([Hub.StartCatchUp]). Each gets every revision once,
// in order and whole. Like the Store, a Hub has no lock. See spec etcd 1.3.
type Hub struct {
	revision int64
	streams  map[StreamID]*stream
	single   map[string]*interest
	ranges   intervals
	lagging  []*watcher // first come, first served
	recent   []Changes  // the last revisions, for those that lag a little
	sizes    []int      // of each of recent, in bytes
	kept     int        // their sum
	watches  int
}

// stream is a client's watches.
type stream struct {
	id      StreamID
	watches map[int64]*watcher
	next    int64 // the id to give to the next watch
	blocked bool
}

// watcher is one watch.
type watcher struct {
	stream   *stream
	id       int64
	on       *interest
	class    class
	place    int   // among the synced of its class, -1 if it lags
	start    int64 // the first revision that its client asked for, 0 if it took what came
	next     int64 // the first revision that it must still be told of, if it lags or has not begun
	told     bool  // something went out since the last progress tick
	progress bool
	fragment bool
	gone     bool
}

// class is what distinguishes watches of the same keys: what they are not told of, and whether they want the previous value.
type class uint8

const (
	noPut class = 1 << iota
	noDelete
	withPrev
	classes = 1 << iota
)

// wants tells whether an event is for a class.
func (c class) wants(e *mvccpb.Event) bool {
	if e.Type == mvccpb.DELETE {
		return c&noDelete == 0
	}
	return c&noPut == 0
}

// interest is all watches of the same keys.
type interest struct {
	keys    interval
	synced  [classes][]*watcher
	watches int             // lagging ones included
	events  []*mvccpb.Event // of the revision being published
}

// NewHub makes a Hub for a key space that is at a revision.
func NewHub(revision int64) *Hub {
	return &Hub{revision: revision, streams: map[StreamID]*stream{}, single: map[string]*interest{}}
}

// Watches is the number of watches.
func (h *Hub) Watches() int { return h.watches }

// Lagging is the number of watches that are not synced.
func (h *Hub) Lagging() (n int) {
	for _, w := range h.lagging {
		if !w.gone {
			n++
		}
	}
	return n
}

// Create begins a watch, on a stream that need not exist before. The first delivery is the answer to the client.
func (h *Hub) Create(id StreamID, r *pb.WatchCreateRequest) Delivery {
	s := h.streams[id]
	if s == nil {
		s = &stream{id: id, watches: map[int64]*watcher{}}
		h.streams[id] = s
	}
	key := r.Key
	if len(key) == 0 {
		key = []byte{0}
	}
	keys := makeInterval(key, r.RangeEnd)
	refused := Delivery{Stream: id, Watch: NoWatch, Revision: h.revision, Created: true, Canceled: true}
	switch _, taken := s.watches[r.WatchId]; {
	case r.StartRevision < 0:
		refused.Reason = rpctypes.ErrCompacted.Error()
		return refused
	case !keys.single && !keys.open && bytes.Compare(key, r.RangeEnd) >= 0:
		refused.Reason = reasonEmpty
		return refused
	case r.WatchId != 0 && taken:
		refused.Reason = reasonDuplicate
		return refused
	}
	w := &watcher{stream: s, id: r.WatchId, start: r.StartRevision, next: r.StartRevision, progress: r.ProgressNotify, fragment: r.Fragment, place: -1}
	if w.id == 0 {
		for s.watches[s.next] != nil {
			s.next++
		}
		w.id = s.next
		s.next++
	}
	for _, f := range r.Filters {
		switch f {
		case pb.WatchCreateRequest_NOPUT:
			w.class |= noPut
		case pb.WatchCreateRequest_NODELETE:
			w.class |= noDelete
		}
	}
	if r.PrevKv {
		w.class |= withPrev
	}
	s.watches[w.id] = w
	h.watches++
	h.join(w, keys)
	if w.next == 0 || w.next > h.revision {
		w.sync()
	} else {
		h.lagging = append(h.lagging, w)
	}
	return Delivery{Stream: id, Watch: w.id, Revision: h.revision, Created: true}
}

// join makes a watch one of those interested in some keys.
func (h *Hub) join(w *watcher, keys interval) {
	on := h.single[keys.key]
	if !keys.single {
		on = h.ranges.find(keys)
	}
	if on == nil {
		on = &interest{keys: keys}
		if keys.single {
			h.single[keys.key] = on
		} else {
			h.ranges.insert(on)
		}
	}
	on.watches++
	w.on = on
}

func (w *watcher) sync() {
	list := &w.on.synced[w.class]
	w.place = len(*list)
	*list = append(*list, w)
}

func (w *watcher) unsync() {
	list := w.on.synced[w.class]
	last := len(list) - 1
	list[w.place] = list[last]
	list[w.place].place = w.place
	list[last] = nil
	w.on.synced[w.class] = list[:last]
	w.place = -1
}

// lag makes a synced watch catch up from a revision on.
func (h *Hub) lag(w *watcher, next int64) {
	w.unsync()
	w.next = max(w.next, next)
	h.lagging = append(h.lagging, w)
}

// Cancel ends a watch at its client's wish. An unknown one gives no answer.
func (h *Hub) Cancel(id StreamID, watch int64) []Delivery {
	s := h.streams[id]
	if s == nil || s.watches[watch] == nil {
		return nil
	}
	h.drop(s.watches[watch])
	return []Delivery{{Stream: id, Watch: watch, Revision: h.revision, Canceled: true}}
}

// drop forgets a watch, but for its place among the lagging, where the next round finds it gone.
func (h *Hub) drop(w *watcher) {
	if w.place >= 0 {
		w.unsync()
	}
	w.gone = true
	delete(w.stream.watches, w.id)
	h.watches--
	if w.on.watches--; w.on.watches > 0 {
		return
	}
	if w.on.keys.single {
		delete(h.single, w.on.keys.key)
	} else {
		h.ranges.remove(w.on.keys)
	}
}

// CloseStream ends all watches of a stream; there is nobody to tell.
func (h *Hub) CloseStream(id StreamID) {
	s := h.streams[id]
	if s == nil {
		return
	}
	for _, w := range s.inOrder() {
		h.drop(w)
	}
	delete(h.streams, id)
}

func (s *stream) inOrder() []*watcher {
	list := make([]*watcher, 0, len(s.watches))
	for _, id := range slices.Sorted(maps.Keys(s.watches)) {
		list = append(list, s.watches[id])
	}
	return list
}

// Block tells that a stream cannot take more: watches of it for which there is something will lag until [Hub.Unblock].
func (h *Hub) Block(id StreamID) {
	if s := h.streams[id]; s != nil {
		s.blocked = true
	}
}

// Unblock tells that a stream takes deliveries again.
func (h *Hub) Unblock(id StreamID) {
	if s := h.streams[id]; s != nil {
		s.blocked = false
	}
}

// Reset tells that the key space was replaced by one that is at a revision, as after a snapshot of another server: all
// watches go on from where each is.
func (h *Hub) Reset(revision int64) {
	seen := h.revision
	h.revision, h.recent, h.sizes, h.kept = revision, nil, nil, 0
	for _, id := range slices.Sorted(maps.Keys(h.streams)) {
		for _, w := range h.streams[id].inOrder() {
			if w.place >= 0 {
				h.lag(w, seen+1)
			}
		}
	}
}

// Progress answers a client's question how far its stream is: if all its watches are synced and have begun, they have been told of
// everything up to the current revision. Otherwise, and without a watch, there is no answer.
func (h *Hub) Progress(id StreamID) []Delivery {
	s := h.streams[id]
	if s == nil || len(s.watches) == 0 {
		return nil
	}
	for _, w := range s.watches {
		if !h.uptodate(w) {
			return nil
		}
	}
	return []Delivery{{Stream: id, Watch: NoWatch, Revision: h.revision}}
}

// uptodate tells whether a watch has been told of everything it asked for up to the current revision, which it has reached.
func (h *Hub) uptodate(w *watcher) bool { return w.place >= 0 && w.start <= h.revision }

// ProgressTick is to be called once per interval: it tells those watches how far they are that asked for it and were told
// of nothing since the last call.
func (h *Hub) ProgressTick() (out []Delivery) {
	for _, id := range slices.Sorted(maps.Keys(h.streams)) {
		s := h.streams[id]
		for _, w := range s.inOrder() {
			if w.progress && !w.told && !s.blocked && h.uptodate(w) {
				out = append(out, Delivery{Stream: id, Watch: w.id, Revision: h.revision})
			}
			w.told = false
		}
	}
	return out
}
