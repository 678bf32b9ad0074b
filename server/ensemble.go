package server

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"go.uber.org/zap"

	"zebu/conf"
	"zebu/election"
	"zebu/proto"
	"zebu/quorum"
	"zebu/replica"
	"zebu/status"
	"zebu/storage"
	"zebu/transport"
	"zebu/zab"
)

// part is a server's part in its ensemble, as reports tell it.
type part struct {
	mode              status.Mode
	serving           bool
	leader            proto.ServerID
	vote              election.Vote
	accepted, current proto.Epoch
	config            *quorum.Config
	self              *quorum.Member
	state             proto.PeerState
	stage             status.Stage
	leads             time.Time // when leadership began
	census            zab.Census
	master            proto.ServerID // whom an observer learns from
	hosts             bool           // serves observers as a follower
}

// linkEvents is how many events of quorum links may wait for the loop; their readers wait beyond that.
const linkEvents = 256

// ensemble is what the loop of a server in an ensemble has to do besides: it drives the member, and carries what that owes
// to disk, mesh and links. All fields are the loop's.
type ensemble struct {
	l     *loop
	s     *Server
	m     *replica.Member
	auth  *transport.Auth
	files conf.DynamicFiles
	mesh  *transport.Mesh
	self  *quorum.Member // as the last configuration has it that this server is in

	role     proto.PeerState // Looking: no links
	listener *transport.Listener
	masters  masters
	dialing  context.CancelFunc // ends the attempt to connect to the leader
	links    map[proto.ServerID]*transport.Link
	peers    map[*transport.Link]proto.ServerID
	events   chan transport.LinkEvent
	dialed   chan dialed
	loaded   chan loaded
	answers  chan answer
	views    []snapshotView // behind SNAP messages that are about to be sent
	shared   []*sharedSpace // of this role's
	staged   *space         // that came with a leader's snapshot, to be installed with it
	closing  sync.WaitGroup // links that are being closed, and whoever has something for the channels above
	ports    sync.WaitGroup // listeners that are being closed

	open   bool // new connections are let through
	timer  *time.Timer
	wakeAt proto.Millis
	outbox map[proto.ServerID][]proto.QuorumPacket // by link, while messages are handed out
	txns   int64                                   // applied when last looked, to tell when a snapshot is due
	logged int64

	syncTook time.Duration // the last append to the log
	stats    *memberStats
}

// dialed is the outcome of connecting to a leader.
type dialed struct {
	leader proto.ServerID
	link   *transport.Link
	err    error
}

// loaded is a snapshot that came in over a link.
type loaded struct {
	link   *transport.Link
	zxid   proto.Zxid
	loader *replica.Loader
	space  *space // the key space of the etcd API that came with it
	err    error
}

// answer is what the logs on disk say.
type answer struct {
	query  zab.LogQuery
	answer zab.LogAnswer
}

func newEnsemble(l *loop, disk replica.Disk) (*ensemble, error) {
	s := l.s
	q := &s.cfg.Quorum
	self := q.Config.Member(q.ServerID)
	if self == nil {
		return nil, fmt.Errorf("%s: myid is %d, and there is no server.%d line", s.cfg.File, q.ServerID, q.ServerID)
	}
	auth, err := quorumAuth(s.cfg)
	if err != nil {
		return nil, err
	}
	e := &ensemble{
		l: l, s: s, auth: auth, self: self, files: s.cfg.DynamicFiles(), role: proto.Looking,
		links: map[proto.ServerID]*transport.Link{}, peers: map[*transport.Link]proto.ServerID{},
		events: make(chan transport.LinkEvent, linkEvents), dialed: make(chan dialed), loaded: make(chan loaded), answers: make(chan answer),
		timer: time.NewTimer(time.Hour), outbox: map[proto.ServerID][]proto.QuorumPacket{}, stats: newMemberStats(s.met, q.ServerID),
	}
	e.m = replica.NewMember(replica.MemberOptions{
		ID: q.ServerID, Committed: &q.Config, LastSeen: q.LastSeen, Reconfig: q.Reconfig, LogSync: q.SnapshotSizeFactor >= 0,
		ReadOnly: s.cfg.ReadOnlyMode, SnapSync: q.ForceSnapshotSync, Oracle: q.OraclePath != "", Rules: rules(q),
		Timing:          zab.Timing{Tick: s.cfg.TickTime, InitLimit: q.InitLimit, SyncLimit: q.SyncLimit},
		MinNotification: millis(q.MinNotification), MaxNotification: millis(q.MaxNotification),
		MaxSnapSyncs: q.MaxConcurrentSnapSyncs, MaxDiffSyncs: q.MaxConcurrentDiffSyncs,
		EpochWait: epochWait(q), ObserverCache: observerCache(q),
	}, s.rep, disk)
	return e, nil
}

func millis(d time.Duration) proto.Millis { return proto.Millis(d.Milliseconds()) }

// start opens the election port and begins the first election.
func (e *ensemble) start(ctx context.Context) error {
	mesh, err := transport.StartMesh(ctx, e.meshOptions())
	if err != nil {
		return &PortError{err}
	}
	e.mesh = mesh
	e.s.rep.LendBuffer(e.l.out[:0])
	e.advance()
	e.stats.assume(proto.Looking)
	e.m.Start()
	return e.settle()
}

// stop closes everything and waits for it.
func (e *ensemble) stop() {
	e.closeLinks(errStopping)
	e.mesh.Close()
	drained := make(chan struct{})
	go func() { // they end only when what they have to say is taken
		e.closing.Wait()
		e.ports.Wait()
		close(drained)
	}()
	for {
		select {
		case <-e.events:
		case d := <-e.dialed:
			if d.link != nil {
				e.close(d.link, errStopping)
			}
		case ld := <-e.loaded:
			e.stage(nil, ld.space)
		case <-e.answers:
		case <-drained:
			return
		}
	}
}

// run is the loop of a server in an ensemble.
func (e *ensemble) run(ctx context.Context, tick <-chan time.Time) error {
	l := e.l
	var relieved <-chan struct{}
	if l.s.etcd != nil {
		relieved = l.s.etcd.relieved
	}
	for {
		events := e.events
		if l.log.full() || l.s.etcd.behind() {
			events = nil // the leader sends faster than the disk takes it
		}
		var job *logJob
		ticked := false
		var event *transport.LinkEvent
		var later func() error
		select {
		case <-ctx.Done():
			return l.drain()
		case <-l.in.wake:
			runtime.Gosched() // under load others have something, too: so it is done for all of them at once
		case j := <-l.fromLog:
			job = &j
		case f := <-l.calls:
			later = f
		case <-tick:
			ticked = true
		case <-e.timer.C:
			e.wakeAt = 0
		case <-e.mesh.Wake():
		case <-relieved: // so that events are looked at again
		case ev := <-events:
			event = &ev
		case d := <-e.dialed:
			later = func() error { e.linked(d); return nil }
		case ld := <-e.loaded:
			later = func() error { e.snapshotLoaded(ld); return nil }
		case a := <-e.answers:
			later = func() error { e.m.LogAnswer(a.query, a.answer); return nil }
		case err := <-l.s.stuck:
			return err
		}
		l.s.rep.LendBuffer(l.out[:0])
		e.advance()
		if err := e.turn(job, event, later, ticked); err != nil {
			return err
		}
	}
}

// turn takes what has come, and does what follows from it.
func (e *ensemble) turn(job *logJob, event *transport.LinkEvent, later func() error, ticked bool) error {
	l := e.l
	if job != nil {
		if err := e.wrote(job); err != nil {
			return err
		}
	}
	if event != nil {
		e.linkEvent(event)
		for range len(e.events) {
			ev := <-e.events
			e.linkEvent(&ev)
		}
	}
	if later != nil {
		if err := later(); err != nil {
			return err
		}
	}
	if ticked {
		l.tick()
	}
	for _, ev := range e.mesh.Events() {
		e.meshEvent(ev)
	}
	if !l.log.full() {
		l.plan(l.in.take())
	}
	if e.m.AsksOracle() {
		e.m.OracleSays(oracleGrants(e.s.cfg.Quorum.OraclePath))
	}
	if err := e.settle(); err != nil {
		return err
	}
	l.settle()
	l.finish()
	return nil
}

// wrote takes back a job that is done.
func (e *ensemble) wrote(job *logJob) error {
	switch {
	case job.err != nil:
		return job.err
	case job.batch == nil:
		e.l.log.back()
		return job.done()
	case job.skipped:
		e.l.log.giveBack(job.batch)
		return nil
	}
	e.syncTook = job.took
	e.m.Synced(job.batch.Last())
	e.logged += int64(job.batch.Bytes())
	e.stats.wrote(job.batch, e.role)
	e.l.log.giveBack(job.batch)
	return nil
}

// settle carries out what the member owes until there is nothing left to do but to wait.
func (e *ensemble) settle() error {
	for {
		rd := e.m.Ready()
		if rd.Empty() {
			e.m.Continue()
			if rd = e.m.Ready(); rd.Empty() {
				if wrote, err := e.writeFew(); wrote || err != nil {
					if err != nil {
						return err
					}
					continue
				}
				e.arm(rd.Wake)
				e.publish()
				return nil
			}
		}
		if err := e.carryOut(&rd); err != nil {
			return err
		}
		e.m.Continue()
	}
}

// writeFew writes what is planned if it is little and the log is idle and quick. Otherwise the log's goroutine does, while others are heard.
func (e *ensemble) writeFew() (wrote bool, err error) {
	n := inlineTxns
	if e.syncTook > quickSync {
		n = 0
	}
	job, ok := e.l.log.few(n)
	if !ok {
		return false, nil
	}
	if e.l.log.skip {
		job.skipped = true
	} else {
		job.err = e.l.append(&job)
	}
	return true, e.wrote(&job)
}

func (e *ensemble) carryOut(rd *replica.Ready) error {
	if rd.DeliverFirst {
		if err := e.deliver(); err != nil {
			return err
		}
	}
	e.write(rd.Writes)
	for i := range rd.Notifications {
		n := &rd.Notifications[i]
		e.mesh.Send(n.To, &n.Notification)
	}
	e.send(rd.Messages)
	for _, d := range rd.Drop {
		e.drop(d.ID, d.Err)
	}
	for _, q := range rd.Queries {
		e.lookUp(q)
	}
	if rd.Config != nil {
		if err := e.configured(rd.Config); err != nil {
			return err
		}
	}
	if rd.Role != nil {
		e.assume(rd.Role)
	}
	if rd.Observers {
		e.listenForObservers()
	}
	if !rd.DeliverFirst && rd.Deliver {
		return e.deliver()
	}
	return nil
}

// deliver lets the member change the state, giving readers a turn now and then.
func (e *ensemble) deliver() error {
	l := e.l
	start := time.Now()
	for more := true; more; {
		var err error
		l.s.state.Lock()
		more, err = e.m.Deliver(applyChunk)
		e.takeViews()
		l.deliver()
		l.s.state.Unlock()
		if err != nil {
			return err
		}
	}
	l.s.alarmOnDigest()
	if n := l.s.rep.Counts().Transactions; n != e.txns && e.m.Serving() {
		e.stats.applied(n-e.txns, l.s.rep.Applied(), start, time.Now(), e.m.State())
		l.sinceSnap += int(n - e.txns)
		l.bytesSinceSnap += e.logged
		e.txns, e.logged = n, 0
		l.maybeSnapshot()
	}
	return nil
}

// arm sets the timer for when the member wants to be woken.
func (e *ensemble) arm(at proto.Millis) {
	if at == e.wakeAt && at != 0 {
		return
	}
	e.wakeAt = at
	wait := time.Hour
	if at != 0 {
		wait = max(time.Millisecond, time.Duration(at-e.s.now())*time.Millisecond)
	}
	e.timer.Reset(wait)
}

// publish tells the rest of the server what this one's part is.
func (e *ensemble) publish() {
	p := part{mode: mode(e.m.State()), serving: e.m.Serving(), leader: e.m.Leader(), vote: e.m.Vote(), config: e.m.Config()}
	p.accepted, p.current = e.m.Epochs()
	e.describe(&p)
	if e.m.ReadOnly() {
		p.mode, p.serving = status.ReadOnly, true
	}
	e.serve(p.serving)
	if old := e.s.part.Load(); old == nil || *old != p {
		now := p // so that p stays where it is when nothing has changed
		e.s.part.Store(&now)
		if old == nil || old.mode != p.mode || old.serving != p.serving || old.leader != p.leader {
			e.s.log.Info("role", zap.String("state", e.m.State().String()), zap.Bool("serving", p.serving), zap.Int64("leader", int64(p.leader)),
				zap.Int64("epoch", int64(p.current)), zap.Stringer("zxid", e.s.rep.Applied()))
		}
	}
}

// serve lets new connections through, or has them wait.
func (e *ensemble) serve(on bool) {
	if e.open != on {
		e.open = on
		e.s.service.set(on)
	}
}

func mode(s proto.PeerState) status.Mode {
	switch s {
	case proto.Leading:
		return status.Leader
	case proto.Following:
		return status.Follower
	case proto.Observing:
		return status.Observer
	}
	return ""
}

// write hands writes to the log's goroutine.
func (e *ensemble) write(writes []zab.Write) {
	if e.role == proto.Leading {
		e.stats.proposed(writes)
	}
	q := e.l.log
	for i := 0; i < len(writes); {
		if writes[i].Kind != zab.AppendTxn {
			e.writeOther(&writes[i])
			i++
			continue
		}
		q.mu.Lock()
		for ; i < len(writes) && writes[i].Kind == zab.AppendTxn; i++ {
			q.planned.Add(writes[i].Txn.Zxid, writes[i].Txn.Data)
		}
		many := q.planned.Len() > inlineTxns
		q.mu.Unlock()
		if many { // see writeFew for the others
			q.wake()
		}
	}
}

// writeOther has something else than transactions made durable.
func (e *ensemble) writeOther(w *zab.Write) {
	store, wrote := e.s.store, func() error { e.m.Wrote(nil); return nil }
	switch w.Kind {
	case zab.AcceptEpoch:
		epoch := w.Epoch
		e.l.log.do(func() error { return store.SetAcceptedEpoch(epoch) }, wrote)
	case zab.EnterEpoch:
		epoch := w.Epoch
		e.l.log.do(func() error { return store.SetCurrentEpoch(epoch) }, wrote)
	case zab.SaveConfig:
		text := w.Config
		e.l.log.do(func() error { return e.files.SaveSeen(text) }, wrote)
	case zab.InstallSnapshot:
		img := e.m.Staged()
		staged, tail := e.staged, e.m.StagedTail()
		e.staged = nil
		e.l.log.do(func() error { return e.install(img, staged, tail) }, func() error { return e.replaced(nil, staged) })
	case zab.Truncate:
		e.truncate(w.Zxid)
	}
}

// install makes the leader's snapshot the history on disk. The key space that came with it is of the same zxid before: so a start finds
// out, if this is cut off, that it belongs to the snapshot.
func (e *ensemble) install(img *replica.Image, staged *space, tail []replica.EtcdTxn) error {
	if staged != nil {
		if err := staged.advance(tail, img.Zxid()); err != nil {
			return fmt.Errorf("the leader's etcd key space: %w", err)
		}
	}
	e.s.snapshotting.Lock() // one of the state before must not be finished later
	defer e.s.snapshotting.Unlock()
	if err := e.s.store.Replacing(img.Zxid()); err != nil {
		return err
	}
	if _, err := e.s.writeSnapshot(img); err != nil {
		return fmt.Errorf("the leader's snapshot: %w", err)
	}
	if err := e.s.store.SetAside(img.Zxid()); err != nil {
		return err
	}
	if staged != nil {
		return e.s.etcd.setCurrent(staged, img.Zxid())
	}
	return nil
}

// replaced tells the member that its new state is durable, or what has been read back.
func (e *ensemble) replaced(state *replica.Replica, staged *space) error {
	e.s.state.Lock()
	defer e.s.state.Unlock()
	e.m.Wrote(state)
	if staged != nil {
		e.s.etcd.replace(staged)
	}
	e.txns = e.s.rep.Counts().Transactions
	return nil
}

// truncate cuts the history and reads the state again.
//
// If the disk has no such point, what the role has had written behind the cut is not written either: it would not follow what is
// there.
func (e *ensemble) truncate(z proto.Zxid) {
	var state *replica.Replica
	q := e.l.log
	q.do(func() error {
		e.s.snapshotting.Lock()
		defer e.s.snapshotting.Unlock()
		err := e.s.store.Truncate(z)
		if errors.Is(err, storage.ErrNoPoint) {
			q.skip = true
			return nil
		}
		if err == nil {
			state = replica.New(replicaOptions(e.s.cfg))
			state.EtcdSeen(z) // the key space stays as it is, with what waits for it
			_, err = e.s.store.Restore(state.Loader(), func(hdr *proto.TxnHeader, _, body []byte) error { return state.Replay(hdr, body) })
		}
		if err == nil {
			err = state.Unproven()
		}
		if err == nil && state.Applied() != z {
			err = fmt.Errorf("truncate to %v: the disk leads to %v", z, state.Applied())
		}
		return err
	}, func() error {
		if state == nil {
			e.m.CannotTruncate()
			q.do(func() error { q.skip = false; return nil }, func() error { return nil })
			return nil
		}
		return e.replaced(state, nil)
	})
}
