package sim

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"

	"zebu/proto"
	"zebu/replica"
	"zebu/storage"
	"zebu/zab"
)

// link is one side of a quorum link.
type link struct {
	h       *Host
	e       *end
	id      proto.ServerID // of the other side, 0 if it has not said so yet
	loading bool           // a snapshot is being read from it
	held    []any          // what came behind that
}

// snapshot is a SNAP packet with what follows it.
type snapshot struct {
	packet proto.QuorumPacket
	body   []byte
	tail   []replica.EtcdTxn // behind the key space in body
}

var (
	errGone    = errors.New("the link is down")
	errRefused = errors.New("no such leader")
)

// assume gives the server a role.
func (h *Host) assume(r *replica.Role) {
	w := h.w
	w.tracef("%d %v of %d (%v)", h.id, r.State, r.Leader, r.Err)
	w.mix(uint64(h.id), uint64(r.State), uint64(r.Leader))
	h.hangUpLinks(false)
	h.role = r.State
	h.term++
	if r.State == proto.Following || r.State == proto.Observing {
		h.dial(r.Leader, h.term, w.now+Time(int(w.o.Tick)*w.o.InitLimit)*Millisecond)
	}
	if w.hooks.role != nil {
		w.hooks.role(h)
	}
}

func (h *Host) hangUpLinks(silent bool) {
	if h.upward != nil {
		h.hangUp(h.upward.e, silent)
		h.upward = nil
	}
	for i, l := range h.links {
		if l != nil {
			h.hangUp(l.e, silent)
			h.links[i] = nil
		}
	}
	for _, l := range h.strange {
		h.hangUp(l.e, silent)
	}
	h.strange = nil
}

// dial connects to a leader, which may have to find out first that it is one.
func (h *Host) dial(leader proto.ServerID, term int, until Time) {
	w := h.w
	o := w.host(leader)
	if h.role == proto.Observing && w.o.ObserverMasters {
		o = w.hosts[w.intn(len(w.hosts))]
	}
	h.later(w.latency(h.node, o.node), func() {
		switch {
		case h.term != term:
		case o != h && o.takesLearners() && w.reaches(h, o) && w.reaches(o, h):
			h.link(o, leader)
		case w.now >= until && o.up && !w.reaches(h, o):
			h.input(func() { h.m.Unreachable(leader, errRefused) })
		case w.now >= until:
			h.input(func() { h.m.LinkDown(leader, errRefused) })
		default:
			h.later(w.o.Redial, func() { h.dial(leader, term, until) })
		}
	})
}

// takesLearners says whether a server listens for learners.
func (h *Host) takesLearners() bool {
	return h.up && h.m != nil && (h.role == proto.Leading || h.m.ServesObservers())
}

// link connects to a server that leads, or passes on what the leader says.
func (h *Host) link(o *Host, leader proto.ServerID) {
	if o.id != leader {
		h.w.check.count("observer masters")
	}
	here, there := h.w.connect(h.node, o.node)
	l := &link{h: h, e: here, id: leader}
	r := &link{h: o, e: there}
	l.open()
	r.open()
	h.upward = l
	o.strange = append(o.strange, r)
	h.input(func() { h.m.LinkUp(leader) })
}

// open sets up what happens with what arrives.
func (l *link) open() {
	h, life := l.h, l.h.life
	l.e.recv = func(m any) {
		switch {
		case h.life != life:
		case h.paused:
			h.frozen = append(h.frozen, func() { l.take(m) })
		default:
			l.take(m)
		}
	}
	l.e.closed = func() {
		if h.life == life {
			h.whenRunning(l.gone)
		}
	}
}

// gone tells the member that the link is.
func (l *link) gone() {
	h := l.h
	switch {
	case l == h.upward:
		h.upward = nil
	case l.id != 0 && l == h.links[l.id-1]:
		h.links[l.id-1] = nil
	default:
		return
	}
	h.w.tracef("%d notices that the link to %d is down", h.id, l.id)
	h.input(func() { h.m.LinkDown(l.id, errGone) })
}

// take handles what has arrived.
func (l *link) take(m any) {
	if l.loading {
		l.held = append(l.held, m)
		return
	}
	h := l.h
	switch {
	case l.id == 0 && !l.introduce(m):
		return
	case l != h.upward && l != h.links[l.id-1]:
		return
	}
	p, ok := m.(*proto.QuorumPacket)
	if !ok {
		l.load(m.(*snapshot))
		return
	}
	if h.w.trace != nil {
		h.w.tracef("%d<%d %s", h.id, l.id, text{p})
	}
	h.w.mix(uint64(h.id), uint64(l.id), uint64(p.Type), uint64(p.Zxid))
	if h.w.hooks.packet != nil {
		h.w.hooks.packet(h, p)
	}
	if h.hears() {
		h.m.Recv(l.id, *p)
		h.heard()
	}
}

// introduce learns from the first packet who is there.
func (l *link) introduce(m any) bool {
	h := l.h
	at := slices.Index(h.strange, l)
	p, ok := m.(*proto.QuorumPacket)
	if at < 0 || !ok {
		return false
	}
	h.strange = slices.Delete(h.strange, at, at+1)
	info, err := proto.DecodeLearnerInfo(p.Data)
	if err != nil {
		h.w.failf("server %d: first packet: %v", h.id, err)
		return false
	}
	l.id = info.ServerID
	if old := h.links[l.id-1]; old != nil {
		old.e.close(true)
	}
	h.links[l.id-1] = l
	h.input(func() { h.m.LinkUp(l.id) })
	return true
}

// load reads a snapshot, which takes a while.
func (l *link) load(s *snapshot) {
	h, w := l.h, l.h.w
	w.tracef("%d<%d SNAP %s, %d bytes", h.id, l.id, zx(s.packet.Zxid), len(s.body))
	if w.hooks.packet != nil {
		w.hooks.packet(h, &s.packet)
	}
	if !h.up {
		return
	}
	h.input(func() { h.m.Recv(l.id, s.packet) })
	l.loading = true
	h.later(Time(w.intn(int(100*Millisecond))), func() {
		if l != h.upward {
			return
		}
		loader := h.m.NewLoader()
		body := bufio.NewReaderSize(bytes.NewReader(s.body), 64<<10)
		err := storage.DecodeSnapshot(body, loader)
		if err == nil {
			err = h.loadEtcd(l.id, s, body, loader)
		}
		if err != nil {
			w.failf("server %d: snapshot from %d: %v", h.id, l.id, err)
			return
		}
		h.input(func() {
			if err := h.m.SnapshotLoaded(loader, s.packet.Zxid); err != nil {
				w.failf("server %d: snapshot from %d: %v", h.id, l.id, err)
			}
		})
		l.loading = false
		held := l.held
		l.held = nil
		for _, m := range held {
			l.take(m)
		}
	})
}

// post sends a message of the member.
func (h *Host) post(m *zab.Message) {
	l := h.links[m.To-1]
	if h.upward != nil && h.upward.id == m.To {
		l = h.upward
	}
	if l == nil {
		return
	}
	if m.LogThrough != 0 {
		h.stream(l, m)
		return
	}
	p := m.Packet
	if h.w.hooks.sending != nil {
		h.w.hooks.sending(h, &p)
	}
	if p.Type != proto.PacketSnap {
		l.e.send(&p)
		return
	}
	at := len(h.views) - 1 // the newest: an older one may have been for a link that was gone
	for at >= 0 && h.views[at].To != m.To {
		at--
	}
	if at < 0 {
		h.w.failf("server %d: no view for SNAP to %d", h.id, m.To)
		return
	}
	var body bytes.Buffer
	if err := storage.EncodeSnapshot(&body, h.views[at].Image); err != nil {
		h.w.failf("server %d: snapshot for %d: %v", h.id, m.To, err)
		return
	}
	body.Write(h.views[at].image.Bytes())
	tail := h.views[at].Tail
	h.views = slices.DeleteFunc(h.views, func(v hostView) bool { return v.To == m.To })
	took := Time(h.w.intn(int(200 * Millisecond)))
	l.e.push(&snapshot{p, body.Bytes(), tail}, took)
	h.later(took, func() {
		if h.links[l.id-1] == l {
			h.input(func() { h.m.SnapshotSent(l.id) })
		}
	})
}

// stream sends what is in the log.
func (h *Host) stream(l *link, m *zab.Message) {
	last := m.LogAfter
	err := h.store.Logged(m.LogAfter, m.LogThrough, func(z proto.Zxid, txn []byte) error {
		l.e.send(&proto.QuorumPacket{Type: proto.PacketProposal, Zxid: z, Data: slices.Clone(txn)})
		l.e.send(&proto.QuorumPacket{Type: proto.PacketCommit, Zxid: z})
		last = z
		return nil
	})
	h.w.tracef("%d sends %d its log after %s, through %s", h.id, l.id, zx(m.LogAfter), zx(m.LogThrough))
	h.w.check.count("log sync")
	if err == nil && last != m.LogThrough {
		err = fmt.Errorf("the log ends at %v, and should lead to %v", last, m.LogThrough)
	}
	h.disksay(err)
}

// look answers a question about the log.
func (h *Host) look(q zab.LogQuery) {
	limit := int64(1 << 40)
	if h.w.chance(4) {
		limit = 0
	}
	h.later(h.w.o.Fsync, func() {
		span, err := h.store.SpanAround(q.Last, q.Max, limit)
		if !h.disksay(err) {
			return
		}
		h.input(func() { h.m.LogAnswer(q, zab.LogAnswer(span)) })
	})
}

// drop closes a learner's link.
func (h *Host) drop(id proto.ServerID, err error) {
	h.w.tracef("%d drops %d: %v", h.id, id, err)
	if l := h.links[id-1]; l != nil {
		h.links[id-1] = nil
		l.e.close(false)
	}
}

// text is a packet that prints itself.
type text struct{ *proto.QuorumPacket }

func (p text) String() string {
	s := fmt.Sprintf("%v %s", p.Type, zx(p.Zxid))
	if p.Type == proto.PacketAckEpoch {
		current, _ := proto.DecodeInt32(p.Data)
		return fmt.Sprintf("%s current=%d", s, current)
	}
	return s
}
