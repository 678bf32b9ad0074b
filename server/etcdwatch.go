package server

import (
	"context"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
)

// A stream that has so many deliveries waiting, or of so many bytes, takes no more: its watches catch up later.
const (
	maxDeliveries    = 1024
	maxDeliveryBytes = 4 << 20
)

// maxKept is for how many deliveries a stream keeps room.
const maxKept = 64

// progressInterval is how often watches that ask for it are told how far they are if nothing else is, as in etcd.
const progressInterval = 10 * time.Minute

// watchStream is a stream of watches on its way to a client.
type watchStream struct {
	e  *etcd
	id mvcc.StreamID

	mu      sync.Mutex
	waiting []mvcc.Delivery
	bytes   int // of those
	given   []mvcc.Delivery
	wake    chan struct{} // holds a token while deliveries wait
	blocked bool          // the hub has been told that it takes no more
	asked   bool          // for its progress, to be answered when it is synced
}

// OpenWatches opens a stream of watches; see gateway.Node.
func (s *Server) OpenWatches() *watchStream {
	e := s.etcd
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lastID++
	w := &watchStream{e: e, id: e.lastID, wake: make(chan struct{}, 1)}
	e.streams[w.id] = w
	return w
}

// hub calls f with the watches for itself.
func (e *etcd) hub(f func(h *mvcc.Hub) []mvcc.Delivery) {
	e.s.state.RLock()
	defer e.s.state.RUnlock()
	e.s.watching.Lock()
	defer e.s.watching.Unlock()
	if h := e.s.rep.EtcdHub(); h != nil {
		e.deliver(h, f(h))
	}
}

// deliver hands deliveries to their streams. The caller holds the state lock, or with others the lock for watches.
func (e *etcd) deliver(h *mvcc.Hub, out []mvcc.Delivery) {
	for i := range out {
		e.mu.Lock()
		w := e.streams[out[i].Stream]
		e.mu.Unlock()
		if w == nil {
			continue
		}
		w.mu.Lock()
		w.waiting = append(w.waiting, out[i])
		w.bytes += out[i].Bytes
		if (len(w.waiting) >= maxDeliveries || w.bytes >= maxDeliveryBytes) && !w.blocked {
			w.blocked = true
			h.Block(w.id)
		}
		w.mu.Unlock()
		signal(w.wake)
	}
}

// Create begins a watch.
func (w *watchStream) Create(r *pb.WatchCreateRequest) {
	w.e.hub(func(h *mvcc.Hub) []mvcc.Delivery { return []mvcc.Delivery{h.Create(w.id, r)} })
	if r.StartRevision > 0 {
		signal(w.e.catchUp)
	}
}

// Cancel ends a watch.
func (w *watchStream) Cancel(watch int64) {
	w.e.hub(func(h *mvcc.Hub) []mvcc.Delivery { return h.Cancel(w.id, watch) })
}

// Progress asks how far the stream is.
func (w *watchStream) Progress() {
	w.e.hub(func(h *mvcc.Hub) []mvcc.Delivery {
		out := h.Progress(w.id)
		w.mu.Lock()
		w.asked = len(out) == 0
		w.mu.Unlock()
		return out
	})
}

// Next waits for deliveries.
func (w *watchStream) Next(ctx context.Context) ([]mvcc.Delivery, error) {
	for {
		w.mu.Lock()
		clear(w.given)
		if cap(w.given) > maxKept {
			w.given = nil
		}
		w.given, w.waiting, w.bytes = w.waiting, w.given[:0], 0
		blocked := w.blocked
		w.mu.Unlock()
		if blocked {
			w.e.hub(w.unblock)
			signal(w.e.catchUp)
		}
		if len(w.given) > 0 {
			return w.given, nil
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-w.e.s.stopped:
			return nil, errStopping
		}
	}
}

// unblock has the hub send more. It has the watches for itself: nobody finds the stream and the hub of two minds about it.
func (w *watchStream) unblock(h *mvcc.Hub) []mvcc.Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blocked = false
	h.Unblock(w.id)
	return nil
}

// Close ends the stream.
func (w *watchStream) Close() {
	w.e.hub(func(h *mvcc.Hub) []mvcc.Delivery { h.CloseStream(w.id); return nil })
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	delete(w.e.streams, w.id)
}

// catchUpLoop tells watches that lag what they have missed, and at intervals those that ask how far they are.
func (e *etcd) catchUpLoop() {
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		select {
		case <-e.catchUp:
			if err := e.catchUpAll(); err != nil {
				e.fail(err)
				return
			}
		case <-tick.C:
			e.hub((*mvcc.Hub).ProgressTick)
		case <-e.s.stopped:
			return
		}
	}
}

// catchUpAll does rounds until there is nothing to read.
func (e *etcd) catchUpAll() error {
	for {
		var round *mvcc.CatchUp
		var view mvcc.View
		var failure error
		e.hub(func(h *mvcc.Hub) (out []mvcc.Delivery) {
			e.lagging.Store(false)
			store := e.s.rep.Etcd()
			if out, round, failure = h.StartCatchUp(store); round != nil {
				view = e.space.View()
			} else if h.Lagging() > 0 {
				e.lagging.Store(true) // what they need is not stored yet, or their streams are blocked
			}
			return out
		})
		if round == nil || failure != nil {
			e.answerProgress()
			return failure
		}
		err := round.Read(view)
		view.Close()
		if err != nil {
			return err
		}
		e.hub(func(h *mvcc.Hub) (out []mvcc.Delivery) {
			out, failure = h.FinishCatchUp(round, e.s.rep.Etcd())
			return out
		})
		if failure != nil {
			return failure
		}
	}
}

// answerProgress answers the streams that asked how far they are, once they are synced.
func (e *etcd) answerProgress() {
	e.mu.Lock()
	var asking []*watchStream
	for _, w := range e.streams {
		w.mu.Lock()
		if w.asked {
			asking = append(asking, w)
		}
		w.mu.Unlock()
	}
	e.mu.Unlock()
	for _, w := range asking {
		w.Progress()
	}
}
