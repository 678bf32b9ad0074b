package gatewaytest

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/gateway"
	"zebu/mvcc"
)

// watches is a stream. All but ready is guarded by the node's lock.
type watches struct {
	node    *Node
	id      mvcc.StreamID
	queue   []mvcc.Delivery
	taken   []mvcc.Delivery // what Next returned last
	blocked bool
	ended   error
	ready   chan struct{} // Next looks again
}

// OpenWatches implements gateway.Node.
func (n *Node) OpenWatches() gateway.Watches {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	w := &watches{node: n, id: n.last, ready: make(chan struct{}, 1), ended: n.failure}
	n.streams[w.id] = w
	return w
}

// deliver queues deliveries; a stream that has too many is blocked. It is called with mu locked.
func (n *Node) deliver(list []mvcc.Delivery) {
	for _, d := range list {
		w := n.streams[d.Stream]
		if w == nil {
			continue
		}
		w.queue = append(w.queue, d)
		if len(w.queue) >= maxQueue && !w.blocked {
			w.blocked = true
			n.hub.Block(w.id)
		}
		w.poke()
	}
}

// catchUp lets watches that lag go on until all that can are up to date. It is called with mu locked.
func (n *Node) catchUp() error {
	for n.hub.Lagging() > 0 {
		list, job, err := n.hub.StartCatchUp(n.store)
		n.deliver(list)
		if err != nil || job == nil {
			return err
		}
		view := n.storage.View()
		err = job.Read(view)
		view.Close()
		if err != nil {
			return err
		}
		list, err = n.hub.FinishCatchUp(job, n.store)
		n.deliver(list)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *watches) poke() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

func (w *watches) end(why error) {
	w.ended = why
	w.poke()
}

// do calls f under the node's lock, delivers what it returns, and lets watches catch up.
func (w *watches) do(f func(*mvcc.Hub) []mvcc.Delivery) {
	n := w.node
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deliver(f(n.hub))
	if err := n.catchUp(); err != nil {
		n.failure = err
	}
}

// Create implements gateway.Watches.
func (w *watches) Create(r *pb.WatchCreateRequest) {
	w.do(func(h *mvcc.Hub) []mvcc.Delivery { return []mvcc.Delivery{h.Create(w.id, r)} })
}

// Cancel implements gateway.Watches.
func (w *watches) Cancel(watch int64) {
	w.do(func(h *mvcc.Hub) []mvcc.Delivery { return h.Cancel(w.id, watch) })
}

// Progress implements gateway.Watches.
func (w *watches) Progress() {
	w.do(func(h *mvcc.Hub) []mvcc.Delivery { return h.Progress(w.id) })
}

// Next implements gateway.Watches.
func (w *watches) Next(ctx context.Context) ([]mvcc.Delivery, error) {
	for {
		if list, err := w.take(); len(list) > 0 || err != nil {
			return list, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-w.ready:
		}
	}
}

func (w *watches) take() ([]mvcc.Delivery, error) {
	n := w.node
	n.mu.Lock()
	defer n.mu.Unlock()
	if w.ended != nil {
		return nil, w.ended
	}
	clear(w.taken)
	w.taken, w.queue = w.queue, w.taken[:0]
	if !w.blocked {
		return w.taken, nil
	}
	w.blocked = false
	n.hub.Unblock(w.id)
	return w.taken, n.catchUp()
}

// Close implements gateway.Watches.
func (w *watches) Close() {
	n := w.node
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hub.CloseStream(w.id)
	delete(n.streams, w.id)
}
