package sim

import (
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"zebu/mvcc"
	"zebu/replica"
)

// etcdWatcher watches some keys, at one server after the other. It goes on where it was.
type etcdWatcher struct {
	w       *World
	id      int
	request pb.WatchCreateRequest
	host    *Host
	rep     *replica.Replica // the server's, as long as it lives
	stream  mvcc.StreamID
	next    int64 // the revision to go on from, 0 if it takes what comes
	watches []*etcdWatch
	blocked bool
}

// etcdWatch is what came of one request.
type etcdWatch struct {
	from, prefix string
	revision     int64
	prev         bool
	told         []etcdTold
}

// etcdTold is a message: events, or how far the watch is.
type etcdTold struct {
	events   []*mvccpb.Event
	revision int64
	progress bool
}

func newEtcdWatcher(w *World, id int) *etcdWatcher {
	x := &etcdWatcher{w: w, id: id}
	x.request = pb.WatchCreateRequest{Key: []byte("k"), RangeEnd: []byte("l"), PrevKv: w.chance(2), ProgressNotify: true}
	if w.chance(3) {
		x.request.Key, x.request.RangeEnd = []byte("k0"), nil
	}
	if w.chance(2) {
		x.next = 1
	}
	return x
}

// act moves on to another server, asks how far it is, or stops reading for a while.
func (x *etcdWatcher) act() {
	w := x.w
	if w.failure != "" {
		return
	}
	w.after(Time(w.intn(int(2*Second))), x.act)
	if x.rep == nil || !x.host.up || x.host.rep != x.rep || w.chance(10) {
		x.leave()
		x.open()
		return
	}
	hub := x.rep.EtcdHub()
	switch w.intn(4) {
	case 0:
		w.etcd.tellAll(x.host, hub.Progress(x.stream))
	case 1:
		hub.Block(x.stream)
		x.blocked = true
	case 2:
		w.etcd.tellAll(x.host, hub.ProgressTick())
	}
	if x.blocked && w.chance(2) {
		hub.Unblock(x.stream)
		x.blocked = false
	}
}

// leave ends the watch, if its server still lives.
func (x *etcdWatcher) leave() {
	if x.rep != nil && x.host.up && x.host.rep == x.rep {
		x.rep.EtcdHub().CloseStream(x.stream)
	}
	delete(x.w.etcd.streams, x.stream)
	x.rep, x.blocked = nil, false
}

// open begins a watch at any server.
func (x *etcdWatcher) open() {
	w := x.w
	h := w.hosts[w.intn(len(w.hosts))]
	if !h.up || h.rep == nil || h.rep.EtcdHub() == nil || h.m == nil || !h.m.Serving() {
		return
	}
	x.host, x.rep, x.stream = h, h.rep, mvcc.StreamID(w.etcd.next())
	w.etcd.streams[x.stream] = x
	r := x.request
	r.StartRevision = x.next
	x.watches = append(x.watches, &etcdWatch{from: string(r.Key), prefix: string(r.RangeEnd), revision: r.StartRevision, prev: r.PrevKv})
	w.etcd.told(h, h.rep.EtcdHub().Create(x.stream, &r))
}

func (c *etcdChecker) tellAll(h *Host, list []mvcc.Delivery) {
	for _, d := range list {
		c.told(h, d)
	}
}

// told takes what a stream is told.
func (c *etcdChecker) told(h *Host, d mvcc.Delivery) {
	x := c.streams[d.Stream]
	switch {
	case x == nil || x.host != h || d.Created:
	case d.Canceled && d.CompactRevision == 0:
		h.w.failf("server %d: a watch is canceled: %q", h.id, d.Reason)
	case d.Canceled:
		x.leave()
		x.next = d.CompactRevision
		h.w.check.count("etcd watches compacted")
	case len(d.Events) == 0:
		x.tell(etcdTold{revision: d.Revision, progress: true})
		x.next = d.Revision + 1
	default:
		last := d.Events[len(d.Events)-1].Kv.ModRevision
		x.tell(etcdTold{events: slices.Clone(d.Events), revision: d.Revision})
		x.next = last + 1
		h.w.check.count("etcd events")
	}
}

func (x *etcdWatcher) tell(t etcdTold) {
	now := x.watches[len(x.watches)-1]
	now.told = append(now.told, t)
}

// catchUp tells watches of a server what they have missed. Reading takes a while, in which things go on.
func (h *Host) catchUp() {
	store, hub := h.rep.Etcd(), h.rep.EtcdHub()
	out, round, err := hub.StartCatchUp(store)
	if err != nil {
		h.w.failf("server %d: catch up: %v", h.id, err)
		return
	}
	h.w.etcd.tellAll(h, out)
	if round == nil {
		return
	}
	view := h.etcd.memory.View()
	rep := h.rep
	h.later(Time(h.w.intn(int(10*Millisecond))), func() {
		err := round.Read(view)
		view.Close()
		if h.rep != rep {
			return
		}
		if err == nil {
			out, err = hub.FinishCatchUp(round, rep.Etcd())
		}
		if err != nil {
			h.w.failf("server %d: catch up: %v", h.id, err)
			return
		}
		h.w.etcd.tellAll(h, out)
	})
}

// checkWatch holds what a watch was told to what there has been: everything, in order, once, and whole revisions.
func (w *World) checkWatch(x *etcdWatcher, watch *etcdWatch, changes map[int64][]*mvccpb.Event) {
	next := watch.revision // 0: wherever it begins
	expect := func(to int64) (list []*mvccpb.Event) {
		for ; next <= to; next++ {
			for _, e := range changes[next] {
				if key := string(e.Kv.Key); key == watch.from || watch.prefix != "" && key >= watch.from && key < watch.prefix {
					list = append(list, e)
				}
			}
		}
		return list
	}
	for _, t := range watch.told {
		to := t.revision
		if len(t.events) > 0 {
			to = t.events[len(t.events)-1].Kv.ModRevision
			if next == 0 {
				next = t.events[0].Kv.ModRevision
			}
		}
		if next == 0 {
			next = to + 1
			continue
		}
		from := next
		want := expect(to)
		if !slices.EqualFunc(t.events, want, sameEvent) {
			w.failf("etcd watcher %d from revision %d on: told %v up to revision %d, and there was %v", x.id, from, t.events, to, want)
			return
		}
	}
}

// sameEvent compares but for the value before, which may be compacted.
func sameEvent(a, b *mvccpb.Event) bool {
	return a.Type == b.Type && a.Kv.ModRevision == b.Kv.ModRevision && string(a.Kv.Key) == string(b.Kv.Key) &&
		string(a.Kv.Value) == string(b.Kv.Value) && a.Kv.CreateRevision == b.Kv.CreateRevision && a.Kv.Version == b.Kv.Version
}
