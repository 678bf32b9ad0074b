package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"zebu/conf"
	"zebu/internal/jaas"
	"zebu/proto"
	"zebu/quorum"
	"zebu/replica"
	"zebu/storage"
	"zebu/transport"
	"zebu/zab"
)

// snapshotSignature ends a snapshot on a quorum link (spec 8.4).
const snapshotSignature = "BenWasHere"

func rules(q *conf.Quorum) quorum.Rules {
	return quorum.Rules{Standalone: q.Standalone, MultiAddress: q.MultiAddress}
}

// quorumAuth reads from the JAAS file how servers authenticate each other (spec 7.4).
func quorumAuth(cfg *conf.Config) (*transport.Auth, error) {
	q := &cfg.Quorum
	if !q.SASL {
		return nil, nil
	}
	if cfg.Auth.JAASFile == "" {
		return nil, errors.New("quorum.auth.enableSasl needs -Djava.security.auth.login.config to name a JAAS file")
	}
	text, err := os.ReadFile(cfg.Auth.JAASFile)
	if err != nil {
		return nil, fmt.Errorf("java.security.auth.login.config: %w", err)
	}
	file, err := jaas.Parse(cfg.Auth.JAASFile, text)
	if err != nil {
		return nil, fmt.Errorf("java.security.auth.login.config: %w", err)
	}
	server, ok := file[q.SASLServerSection].Digest()
	if !ok {
		return nil, fmt.Errorf("%s: section %s: expected a DigestLoginModule with user_NAME=\"password\" lines", cfg.Auth.JAASFile, q.SASLServerSection)
	}
	learner, ok := file[q.SASLLearnerSection].Digest()
	if !ok {
		return nil, fmt.Errorf("%s: section %s: expected a DigestLoginModule with username and password", cfg.Auth.JAASFile, q.SASLLearnerSection)
	}
	return &transport.Auth{
		DialerRequired: q.SASLLearnerRequired, User: learner.Options["username"], Password: learner.Options["password"],
		AccepterRequired: q.SASLServerRequired, Users: server.Users(),
	}, nil
}

func quorumAddrs(m *quorum.Member) (addrs []proto.HostPort) {
	for _, a := range m.Addrs {
		addrs = append(addrs, proto.HostPort{Host: a.Host, Port: a.Quorum})
	}
	return addrs
}

func electionAddrs(m *quorum.Member) (addrs []proto.HostPort) {
	for _, a := range m.Addrs {
		addrs = append(addrs, proto.HostPort{Host: a.Host, Port: a.Election})
	}
	return addrs
}

func (e *ensemble) meshOptions() transport.MeshOptions {
	q := &e.s.cfg.Quorum
	handshake := q.HandshakeTimeout
	if handshake < 0 {
		handshake = e.ticks(q.SyncLimit)
	}
	return transport.MeshOptions{
		Net: transport.Net{Auth: e.auth, KeepAlive: q.KeepAlive, Log: e.s.log}, ID: q.ServerID, Addrs: electionAddrs(e.self),
		MultiAddress: q.MultiAddress, ListenAllIPs: q.ListenOnAllIPs, BindTries: q.BindRetries,
		HandshakeTimeout: handshake, ConnectTimeout: q.ConnTimeout,
		Peers: transport.ElectionPeers(e.m.Config(), e.m.LastSeen()),
	}
}

func (e *ensemble) ticks(n int) time.Duration {
	return time.Duration(e.s.cfg.TickTime) * time.Millisecond * time.Duration(n)
}

func (e *ensemble) linkOptions() transport.LinkOptions {
	return transport.LinkOptions{
		Events: e.events, Timeout: e.ticks(e.s.cfg.Quorum.InitLimit),
		MaxPacket: max(transport.DefaultMaxPacket, 2*e.s.cfg.Limits.MaxBuffer, 2*e.s.cfg.Etcd.MaxRequest),
	}
}

func (e *ensemble) meshEvent(ev transport.Event) {
	switch ev := ev.(type) {
	case transport.Received:
		if err := e.m.Notified(ev.From, &ev.Notification); err != nil {
			e.s.log.Warn("notification", zap.Int64("from", int64(ev.From)), zap.Error(err))
		}
	case transport.PeerUp:
		e.m.PeerUp(ev.ID)
	case transport.PeerDown:
		e.m.PeerDown(ev.ID)
	}
}

// assume opens and closes links as the server's role asks for.
func (e *ensemble) assume(r *replica.Role) {
	e.serve(false) // before clients are turned out, who come back at once
	e.role = r.State
	e.closeLinks(r.Err)
	e.stats.assume(r.State)
	switch r.State {
	case proto.Looking:
		if r.Err != nil {
			e.s.log.Warn("role ended", zap.Error(r.Err))
		}
		if errors.Is(r.Err, zab.ErrDisloyal) {
			e.s.met.QuitLeadingDueToDisloyalVoter.Inc()
		}
	case proto.Leading:
		e.listen()
	default:
		if r.State == proto.Observing {
			e.m.DelayElection(millis(upTo(e.s.cfg.Quorum.ObserverElectionDelay)))
		}
		e.dial(r.Leader)
	}
}

// listen opens the quorum port. Without it nobody can follow: the role will end for lack of a quorum, unless this server is one.
func (e *ensemble) listen() {
	q := &e.s.cfg.Quorum
	e.ports.Wait() // the port may be open from an earlier role
	l, err := transport.Listen(context.Background(), transport.ListenOptions{
		Net:   transport.Net{Auth: e.auth, KeepAlive: q.KeepAlive, Nagle: !q.LeaderNoDelay, Log: e.s.log},
		Addrs: quorumAddrs(e.self), ListenAllIPs: q.ListenOnAllIPs, HandshakeTimeout: e.ticks(q.InitLimit), Link: e.linkOptions(),
	})
	if err != nil {
		e.s.log.Error("cannot lead without the quorum port", zap.Error(err))
		return
	}
	e.listener = l
}

// dial connects to the leader.
func (e *ensemble) dial(leader proto.ServerID) {
	q := &e.s.cfg.Quorum
	m := e.m.Config().Member(leader)
	if m == nil && e.m.LastSeen() != nil {
		m = e.m.LastSeen().Member(leader)
	}
	o := transport.DialOptions{
		Net:     transport.Net{Auth: e.auth, KeepAlive: q.KeepAlive, Nagle: !q.FollowerNoDelay, Log: e.s.log},
		Timeout: e.ticks(q.InitLimit), Delay: q.LeaderConnectDelay, Link: e.linkOptions(),
	}
	if q.ConnectToLearnerMaster > 0 {
		o.Timeout = e.ticks(q.ConnectToLearnerMaster)
	}
	if m != nil {
		o.Addrs = quorumAddrs(m)
	}
	wait := time.Duration(0)
	if e.role == proto.Observing {
		o.Addrs, wait = e.learnFrom(leader, o.Addrs)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.dialing = cancel
	e.closing.Go(func() {
		pause(ctx, wait)
		link, err := transport.Dial(ctx, o)
		e.dialed <- dialed{leader, link, err}
	})
}

// linked takes the link to the leader.
func (e *ensemble) linked(d dialed) {
	if e.role == proto.Looking || e.role == proto.Leading || d.leader != e.m.Leader() {
		if d.link != nil {
			e.close(d.link, errors.New("another role"))
		}
		return
	}
	switch {
	case errors.Is(d.err, transport.ErrRefused):
		e.m.LinkDown(d.leader, d.err)
		return
	case d.err != nil:
		e.m.Unreachable(d.leader, d.err)
		return
	}
	e.links[d.leader], e.peers[d.link] = d.link, d.leader
	e.stats.linked(d.leader, false)
	e.m.LinkUp(d.leader)
}

// closeLinks ends everything that a role has opened.
func (e *ensemble) closeLinks(reason error) {
	if e.dialing != nil {
		e.dialing()
		e.dialing = nil
	}
	for _, link := range e.links {
		e.close(link, reason)
	}
	clear(e.links)
	clear(e.peers)
	e.closeShared()
	e.stage(nil, e.staged)
	e.staged = nil
	if l := e.listener; l != nil {
		e.listener = nil
		e.ports.Go(l.Close)
	}
}

func (e *ensemble) close(link *transport.Link, reason error) {
	e.closing.Go(func() {
		start := time.Now()
		link.Close(reason)
		e.s.met.SocketClosingTime.Observe(time.Since(start).Milliseconds())
	})
}

// drop closes one link.
func (e *ensemble) drop(id proto.ServerID, reason error) {
	link := e.links[id]
	if link == nil {
		return
	}
	e.s.log.Warn("link closed", zap.Int64("server", int64(id)), zap.Error(reason))
	delete(e.links, id)
	delete(e.peers, link)
	e.stats.unlinked(id)
	e.close(link, reason)
}

func (e *ensemble) linkEvent(ev *transport.LinkEvent) {
	id, known := e.peers[ev.Link]
	switch {
	case ev.Err != nil:
		if known {
			delete(e.links, id)
			delete(e.peers, ev.Link)
			e.stats.unlinked(id)
			e.m.LinkDown(id, ev.Err)
			if id != e.m.Leader() {
				e.s.log.Info("learner left", zap.Int64("server", int64(id)), zap.Error(ev.Err))
			}
		}
		e.close(ev.Link, ev.Err)
		return
	case !known && e.listener != nil && introduces(ev.Packets):
		if id, known = e.greet(ev.Link, &ev.Packets[0]); !known {
			return
		}
	case !known && e.listener != nil:
		e.close(ev.Link, errors.New("it does not say who it is"))
		return
	case !known:
		return // of a role that is over
	}
	if ev.Sent {
		e.m.SnapshotSent(id)
	}
	e.stats.received(id, ev.Packets, id != e.m.Leader())
	for i := range ev.Packets {
		e.logSync(id, &ev.Packets[i])
		e.m.Recv(id, ev.Packets[i])
	}
	if ev.Snapshot != nil {
		e.load(ev.Link, ev.Snapshot, ev.Packets[len(ev.Packets)-1].Zxid)
	}
}

// introduces says whether packets begin as those of a new link do. Others are of a role that is over: a follower that a
// reconfiguration has made the leader may still hear its old one.
func introduces(packets []proto.QuorumPacket) bool {
	return len(packets) > 0 && (packets[0].Type == proto.PacketFollowerInfo || packets[0].Type == proto.PacketObserverInfo)
}

// greet finds out which learner a new link is from: the first packet says so.
func (e *ensemble) greet(link *transport.Link, first *proto.QuorumPacket) (proto.ServerID, bool) {
	info, err := proto.DecodeLearnerInfo(first.Data)
	if err == nil && info.ServerID == e.m.Leader() && e.role != proto.Leading {
		err = errors.New("it says that it is this server's leader")
	}
	if err == nil && info.ServerID == e.s.cfg.Quorum.ServerID {
		err = fmt.Errorf("it says that it is server %d, as this one is: see myid", info.ServerID)
	}
	if err != nil {
		e.s.log.Warn("learner refused", zap.Stringer("address", link.Peer()), zap.Error(err))
		e.close(link, err)
		return 0, false
	}
	id := info.ServerID
	if old := e.links[id]; old != nil {
		delete(e.peers, old)
		e.close(old, errors.New("the server has connected again"))
	}
	e.links[id], e.peers[link] = link, id
	e.stats.linked(id, first.Type == proto.PacketObserverInfo)
	e.m.LinkUp(id)
	return id, true
}

// load reads a snapshot that comes over a link, beside the state.
func (e *ensemble) load(link *transport.Link, r *bufio.Reader, z proto.Zxid) {
	loader := e.m.NewLoader()
	withEtcd := e.m.SharesEtcd(e.m.Leader())
	e.closing.Go(func() {
		ld := loaded{link: link, zxid: z, loader: loader}
		if ld.err = storage.DecodeSnapshot(r, loader); ld.err == nil {
			ld.err = readSignature(r)
		}
		if ld.err == nil && withEtcd {
			ld.space, ld.err = e.s.etcd.receive(r, z)
		}
		e.loaded <- ld
	})
}

func readSignature(r io.Reader) error {
	b := make([]byte, 4+len(snapshotSignature))
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("end of the snapshot: %w", err)
	}
	d := proto.NewDecoder(b)
	if s := d.Str(); d.Err() != nil || s != snapshotSignature {
		return fmt.Errorf("end of the snapshot: %q, expected %q", b, snapshotSignature)
	}
	return nil
}

func (e *ensemble) snapshotLoaded(ld loaded) {
	id, ok := e.peers[ld.link]
	if !ok {
		e.stage(nil, ld.space) // the link is gone
		return
	}
	if ld.space != nil {
		ld.loader.Etcd = ld.space.store
	}
	if ld.err == nil {
		ld.err = e.m.SnapshotLoaded(ld.loader, ld.zxid)
	}
	if ld.err != nil {
		e.stage(nil, ld.space)
		e.drop(id, ld.err)
		e.m.LinkDown(id, ld.err)
		return
	}
	e.stage(ld.space, nil)
	ld.link.Resume()
}

// send hands messages to links, in their order.
func (e *ensemble) send(messages []zab.Message) {
	views := e.views // none of them is for a later SNAP
	e.views = nil
	e.closeUnsent(views, messages)
	if len(messages) == 0 {
		return
	}
	for i := range messages {
		m := &messages[i]
		link := e.links[m.To]
		if link == nil {
			continue
		}
		if m.LogThrough != 0 {
			e.s.log.Info("learner is sent the log on disk", zap.Int64("server", int64(m.To)), zap.Stringer("after", m.LogAfter), zap.Stringer("through", m.LogThrough))
			e.flush(m.To)
			link.Stream(logStream{e.s.store, m.LogAfter, m.LogThrough})
			continue
		}
		e.outbox[m.To] = append(e.outbox[m.To], m.Packet)
		e.logSync(m.To, &m.Packet)
		switch m.Packet.Type {
		case proto.PacketUpToDate: // learners send neither this nor SNAP
			link.SetTimeout(e.ticks(e.s.cfg.Quorum.SyncLimit))
		case proto.PacketSnap:
			e.flush(m.To)
			link.Stream(snapshotStream{newestView(views, m.To)})
		}
	}
	for id := range e.outbox {
		e.flush(id)
	}
}

// logSync tells how a learner's history becomes the leader's; to both.
func (e *ensemble) logSync(peer proto.ServerID, p *proto.QuorumPacket) {
	switch p.Type {
	case proto.PacketDiff, proto.PacketTrunc, proto.PacketSnap:
		e.s.log.Info("synchronisation", zap.Stringer("by", p.Type), zap.Stringer("zxid", p.Zxid), zap.Int64("server", int64(peer)))
	}
}

func (e *ensemble) flush(id proto.ServerID) {
	packets := e.outbox[id]
	if len(packets) == 0 {
		return
	}
	if link := e.links[id]; link != nil {
		e.stats.sent(id, packets, link, id != e.m.Leader())
		link.Send(packets...)
	}
	clear(packets)
	e.outbox[id] = packets[:0]
}

// snapshotStream writes a snapshot as it goes over a quorum link.
type snapshotStream struct{ view snapshotView }

// WriteTo implements [io.WriterTo].
func (s snapshotStream) WriteTo(w io.Writer) (int64, error) {
	c := countingWriter{w: bufio.NewWriterSize(w, 256<<10)}
	if err := storage.EncodeSnapshot(&c, s.view.Image); err != nil {
		return c.n, err
	}
	if _, err := c.Write(proto.AppendStr(nil, snapshotSignature)); err != nil {
		return c.n, err
	}
	if s.view.etcd != nil {
		if err := s.view.etcd.write(&c); err != nil {
			return c.n, err
		}
	}
	return c.n, c.w.Flush()
}

// logStream writes transactions from the log, each as a PROPOSAL and a COMMIT.
type logStream struct {
	store          *storage.Store
	after, through proto.Zxid
}

// WriteTo implements [io.WriterTo].
func (s logStream) WriteTo(w io.Writer) (int64, error) {
	c := countingWriter{w: bufio.NewWriterSize(w, 256<<10)}
	var buf []byte
	last := s.after
	err := s.store.Logged(s.after, s.through, func(z proto.Zxid, txn []byte) error {
		proposal := proto.QuorumPacket{Type: proto.PacketProposal, Zxid: z, Data: txn}
		commit := proto.QuorumPacket{Type: proto.PacketCommit, Zxid: z}
		buf = commit.Append(proposal.Append(buf[:0]))
		last = z
		_, err := c.Write(buf)
		return err
	})
	if err == nil && last != s.through {
		err = fmt.Errorf("the log ends at %v, and should lead to %v", last, s.through)
	}
	return c.n, errors.Join(err, c.w.Flush())
}

type countingWriter struct {
	w *bufio.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// lookUp answers a question about the log on disk.
func (e *ensemble) lookUp(q zab.LogQuery) {
	limit := int64(0)
	if snap, ok := e.s.store.LastSnapshot(); ok {
		limit = int64(float64(snap.Size) * e.s.cfg.Quorum.SnapshotSizeFactor)
	}
	e.closing.Go(func() {
		span, err := e.s.store.SpanAround(q.Last, q.Max, limit)
		if err != nil {
			e.s.log.Warn("reading old logs for a learner", zap.Int64("server", int64(q.ID)), zap.Error(err))
			span = storage.Span{}
		}
		e.answers <- answer{q, zab.LogAnswer(span)}
	})
}

// configured puts a configuration into force: on disk, for the mesh, and for this server's own ports.
func (e *ensemble) configured(c *quorum.Config) error {
	e.l.log.do(func() error { return e.files.Activate(c) }, func() error { return nil })
	old := e.self
	if m := c.Member(e.s.cfg.Quorum.ServerID); m != nil {
		e.self = m
	}
	if e.self.Client != old.Client && e.self.Client != (proto.HostPort{}) {
		e.s.moveTo(e.self.Client)
	}
	if slices.Equal(electionAddrs(e.self), electionAddrs(old)) {
		e.mesh.SetPeers(transport.ElectionPeers(c, e.m.LastSeen()))
		return nil
	}
	e.mesh.Close()
	mesh, err := transport.StartMesh(context.Background(), e.meshOptions())
	if err != nil {
		return &PortError{err}
	}
	e.mesh = mesh
	return nil
}
