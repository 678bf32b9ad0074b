package lab

import (
	"fmt"
	"slices"

	"zebu/proto"
	"zebu/quorum"
	"zebu/zab"
)

// turnRole does what the role asks for. It reports whether there was anything.
func (n *zabNode) turnRole() bool {
	var r zab.Ready
	switch {
	case n.leader != nil:
		r = n.leader.Ready()
	case n.learner != nil:
		r = n.learner.Ready()
	default:
		n.roleWake = 0
		return false
	}
	n.roleWake = r.Wake
	busy := len(r.Writes)+len(r.Deliver)+len(r.Messages)+len(r.Drop)+len(r.Queries) > 0 || r.Serving || r.Confirmed > 0 || r.Ended != nil
	for i := range r.Writes {
		n.write(&r.Writes[i])
	}
	if r.Serving {
		n.serve(&r)
	}
	for i := range r.Deliver {
		n.deliver(&r.Deliver[i])
	}
	for i := range r.Messages {
		n.post(&r.Messages[i])
	}
	for _, d := range r.Drop {
		if l := n.from[int(d.ID)]; l != nil {
			delete(n.from, int(d.ID))
			l.Close(n.s)
		}
	}
	n.confirmed(r.Confirmed)
	if len(r.Queries) > 0 {
		for _, q := range slices.Clone(r.Queries) {
			n.leader.LogAnswer(q, n.d.around(q))
		}
	}
	if r.Ended != nil {
		n.end(r.Ended)
	}
	n.retire()
	return busy
}

// serve begins service in an epoch that is established: all that a leader has is committed now.
func (n *zabNode) serve(r *zab.Ready) {
	n.serving, n.refetch = true, false
	epoch := n.epoch()
	n.el.Synced(proto.Epoch(epoch))
	c, leader := n.offered, proto.ServerID(n.head)
	role := "following"
	if n.leader != nil {
		c, _ = n.leader.Configs()
		leader, role = r.Leader, "leading"
	}
	n.s.Took(role, n.head, epoch, "")
	n.agree()
	n.s.Serves(n.leader != nil, epoch, int64(last(n.mem).Counter()))
	if n.leader != nil && len(n.mem) > 0 {
		z := last(n.mem)
		n.s.Commits(int64(z.Epoch()), int64(z.Counter()))
	}
	if n.reconfig() && c != nil && c != n.config && c.Version >= n.config.Version {
		n.activation = &zabActivation{c, leader, c.Version}
	}
}

func last(txns []zab.Txn) proto.Zxid {
	if len(txns) == 0 {
		return 0
	}
	return txns[len(txns)-1].Zxid
}

// agree holds what has been applied to what others have.
func (n *zabNode) agree() {
	for ; n.known < len(n.mem); n.known++ {
		t := &n.mem[n.known]
		n.s.Agrees(n.known, commandOf(t.Data), int64(t.Zxid.Epoch()), int64(t.Zxid.Counter()))
	}
}

func (n *zabNode) deliver(d *zab.Delivery) {
	switch d.Kind {
	case zab.View:
		n.views[int(d.From)] = slices.Clip(n.mem)
	case zab.Pass:
		n.passed = append(n.passed, *d)
	case zab.Replay:
		n.mem = append(n.mem, d.Txn)
	case zab.Apply:
		if n.isSnap {
			n.staged = append(n.staged, d.Txn)
			return
		}
		n.mem = append(n.mem, d.Txn)
		if !n.serving {
			return
		}
		z := d.Txn.Zxid
		n.agree()
		n.s.Commits(int64(z.Epoch()), int64(z.Counter()))
		n.answer(commandOf(d.Txn.Data))
		if d.Activate {
			if c, err := quorum.ParseConfig(configOf(d.Txn.Data)); err == nil && n.reconfig() {
				n.activation = &zabActivation{c, d.Leader, z}
			}
		}
	}
}

// answer answers a client of this server's.
func (n *zabNode) answer(cmd int) {
	if at := slices.IndexFunc(n.writes, func(c *Command) bool { return c.ID == cmd }); at >= 0 {
		n.s.Answer(n.writes[at], len(n.mem)-1)
		n.writes = slices.Delete(n.writes, at, at+1)
	}
}

// write hands a write to the disk.
func (n *zabNode) write(wr *zab.Write) {
	n.under++
	w := *wr
	out := Write{Index: -1, Bytes: 8}
	done := func() { n.input(func() { n.wrote(w.Kind) }) }
	switch w.Kind {
	case zab.AppendTxn:
		n.append(w.Txn)
		return
	case zab.AcceptEpoch:
		out.Kind = "epoch"
		out.Persist = func() { n.d.accepted = w.Epoch }
	case zab.EnterEpoch:
		out.Kind = "epoch"
		out.Persist = func() { n.d.current = w.Epoch }
	case zab.SaveConfig:
		c, err := quorum.ParseConfig(string(w.Config))
		out.Kind, out.Lazy, out.Persist = "epoch", true, func() {}
		if err == nil && n.reconfig() {
			n.offered = c
			n.see(c)
		}
	case zab.Truncate:
		out.Kind, out.Index = "truncate", int64(w.Zxid.Counter())
		out.Persist = func() { n.truncate(w.Zxid) }
		done = func() { n.input(n.truncated) }
	case zab.InstallSnapshot:
		out.Kind, out.Index, out.Bytes = "snapshot", int64(w.Zxid.Counter()), snapshotBytes(len(n.mem), n.s.Settings().Size)
		out.Persist = func() { n.install(w.Zxid) }
		done = func() {
			n.mem, n.staged, n.isSnap = n.d.history(), nil, false
			n.known = 0
			n.input(func() { n.wrote(zab.InstallSnapshot) })
		}
	}
	out.Done = func(bool) {
		n.under--
		done()
	}
	n.s.Write(out)
}

// headerBytes is what a transaction has in the log besides its data: length, checksum and header.
const headerBytes = 48

// append logs a transaction.
func (n *zabNode) append(t zab.Txn) {
	if c := configOf(t.Data); c != "" {
		if cfg, err := quorum.ParseConfig(c); err == nil {
			n.see(cfg)
		}
	}
	n.s.Write(Write{
		Kind: "log", Index: int64(t.Zxid.Counter()), Bytes: len(t.Data) + headerBytes,
		Persist: func() {
			if !n.stuck {
				n.d.log = append(n.d.log, t)
				n.s.Logged(commandOf(t.Data), int64(t.Zxid.Epoch()), int64(t.Zxid.Counter()))
			}
		},
		Done: func(more bool) {
			n.under--
			n.durable = t.Zxid
			if !more {
				n.input(n.synced)
			}
		},
	})
}

func (n *zabNode) synced() {
	switch {
	case n.leader != nil:
		n.leader.Synced(n.durable)
	case n.learner != nil:
		n.learner.Synced(n.durable)
	}
	n.snapshot()
}

func (n *zabNode) wrote(k zab.WriteKind) {
	switch {
	case n.leader != nil:
		n.leader.Wrote(k)
	case n.learner != nil:
		n.learner.Wrote(k)
	}
}

// truncate cuts the log.
func (n *zabNode) truncate(z proto.Zxid) {
	at := slices.IndexFunc(n.d.log, func(t zab.Txn) bool { return t.Zxid == z })
	if at < 0 && z != n.d.snapZxid || z < n.d.snapZxid {
		n.stuck = true
		return
	}
	n.lose(n.d.log[at+1:], nil, fmt.Sprintf("TRUNC to %s by server %d, the leader of epoch %d", zx(z), n.head, n.epoch()))
	n.d.log = n.d.log[: at+1 : at+1]
}

func (n *zabNode) truncated() {
	if n.stuck {
		n.learner.CannotTruncate()
		return
	}
	n.mem = n.d.history()
	n.known = min(n.known, len(n.mem))
	n.wrote(zab.Truncate)
}

// install replaces the history by the leader's snapshot.
func (n *zabNode) install(z proto.Zxid) {
	n.lose(n.d.log, n.staged, fmt.Sprintf("the snapshot of server %d, the leader of epoch %d, is without it", n.head, n.epoch()))
	n.d.snap, n.d.snapZxid, n.d.log = slices.Clip(n.staged), z, nil
}

// lose tells of transactions that go, unless they are in what takes their place.
func (n *zabNode) lose(txns, kept []zab.Txn, why string) {
	for _, t := range txns {
		if !slices.ContainsFunc(kept, func(k zab.Txn) bool { return k.Zxid == t.Zxid }) {
			n.s.Removed(commandOf(t.Data), int64(t.Zxid.Epoch()), int64(t.Zxid.Counter()), why)
		}
	}
}

// snapshot writes a snapshot when it is time for one, and purges what the log need not keep.
func (n *zabNode) snapshot() {
	sc := n.s.Settings()
	if !n.serving || n.ended || len(n.mem)-len(n.d.snap) < sc.Snapshot || n.d.last() < last(n.mem) {
		return
	}
	n.d.snap, n.d.snapZxid = slices.Clip(n.mem), last(n.mem)
	at := slices.IndexFunc(n.d.log, func(t zab.Txn) bool { return t.Zxid == n.d.snapZxid })
	if from := at + 1 - sc.Retain; from > 0 {
		n.d.log = slices.Clone(n.d.log[from:])
	}
}

// around looks at the log as a query asks.
func (d *zabDisk) around(q zab.LogQuery) (a zab.LogAnswer) {
	for _, t := range d.log {
		switch {
		case t.Zxid <= q.Last:
			a.Prev, a.Through = t.Zxid, t.Zxid
		case a.Prev == 0 || t.Zxid > q.Max || t.Zxid.Epoch() == a.Through.Epoch() && t.Zxid != a.Through+1:
			return a
		default:
			if a.Next == 0 {
				a.Next = t.Zxid
			}
			a.Through = t.Zxid
		}
	}
	return a
}

// post sends a packet.
func (n *zabNode) post(m *zab.Message) {
	to := int(m.To)
	l := n.from[to]
	if n.learner != nil {
		l = n.up
	}
	if l == nil {
		return
	}
	if m.LogThrough != 0 {
		for _, t := range n.d.log {
			if t.Zxid > m.LogAfter && t.Zxid <= m.LogThrough {
				n.packet(l, proto.QuorumPacket{Type: proto.PacketProposal, Zxid: t.Zxid, Data: t.Data})
				n.packet(l, proto.QuorumPacket{Type: proto.PacketCommit, Zxid: t.Zxid})
			}
		}
		return
	}
	switch m.Packet.Type {
	case proto.PacketDiff, proto.PacketTrunc, proto.PacketSnap:
		z := m.Packet.Zxid
		n.s.Syncs(to, m.Packet.Type.String(), int64(z.Epoch()), int64(z.Counter()), "")
	}
	n.packet(l, m.Packet)
}

func (n *zabNode) packet(l *Link, p proto.QuorumPacket) {
	m := &Message{
		Name: p.Type.String(), Epoch: int64(p.Zxid.Epoch()), Index: int64(p.Zxid.Counter()), Bytes: packetBytes + len(p.Data),
		Body: &zabPacket{QuorumPacket: p},
	}
	switch p.Type {
	case proto.PacketUpToDate, proto.PacketSync, proto.PacketRequest:
		m.Epoch, m.Index = n.epoch(), -1
	case proto.PacketAckEpoch:
		if current, err := proto.DecodeInt32(p.Data); err == nil && n.s.Recording() {
			m.Note = fmt.Sprintf("current epoch %d", current)
		}
	case proto.PacketSnap:
		to := l.Peer(n.s)
		state := n.views[to]
		delete(n.views, to)
		m.Body = &zabPacket{QuorumPacket: p, state: state}
		m.Bytes += snapshotBytes(len(state), n.s.Settings().Size)
		m.Sent = func(bool) {
			n.input(func() {
				if n.leader != nil {
					n.leader.SnapshotSent(proto.ServerID(to))
				}
			})
		}
	}
	l.Send(n.s, m)
}
