package server

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"go.uber.org/zap"

	"zebu/internal/audit"
	"zebu/proto"
	"zebu/replica"
	"zebu/storage"
)

// applyChunk is how many transactions are applied before readers get a turn at the state.
const applyChunk = 256

// inlineTxns is how many transactions the loop writes to an idle log itself: under light load two hand-overs between
// goroutines would cost more than planning the next batch meanwhile could gain.
const inlineTxns = 4

// quickSync is how long the last append may have taken if the loop of a server in an ensemble is to do the next one itself: on a disk that is slow,
// or stands still, the others are heard meanwhile.
const quickSync = 2 * time.Millisecond

// maxBatchBytes bounds what is planned while the log is busy; the inbox fills meanwhile, and readers wait.
const maxBatchBytes = 8 << 20

// loop is the replica's single writer: it plans requests into log batches, and applies and answers what is durable.
type loop struct {
	s       *Server
	e       *ensemble // nil on a standalone server
	in      *inbox
	log     *logQueue
	fromLog chan logJob // holds all batches that there are: the log's goroutine never waits for the loop
	calls   chan func() error

	out     []byte
	touched []*conn
	audited []audit.Event // to be logged when no lock is held

	broken error // what made the server unable to go on during a restore

	sinceSnap      int   // transactions since the last snapshot
	bytesSinceSnap int64 // and their bytes in the log
	snapAt         snapTrigger
}

func newLoop(s *Server) *loop {
	l := &loop{
		s: s, in: newInbox(), log: newLogQueue(), fromLog: make(chan logJob, batches), calls: make(chan func() error),
	}
	l.snapAt = s.nextSnapTrigger()
	return l
}

// runLog appends batches until the queue is closed or one fails.
func (l *loop) runLog() {
	defer close(l.fromLog)
	for {
		job, ok := l.log.await()
		if !ok {
			return
		}
		switch {
		case job.work != nil:
			job.err = job.work()
		case l.log.skip:
			job.skipped = true
		default:
			job.err = l.append(&job)
		}
		l.fromLog <- job
		if job.err != nil {
			return
		}
	}
}

// append makes a batch durable. The log's goroutine calls it, or the loop while that one is idle.
func (l *loop) append(job *logJob) error {
	log, met := l.s.store.Log(), l.s.met
	if job.roll {
		log.Roll()
	}
	start := time.Now()
	met.BatchSize.Observe(int64(job.batch.Len()))
	met.SyncProcessorQueueSize.Observe(int64(job.batch.Len()))
	met.SyncProcessorQueued.Add(int64(job.batch.Len()))
	if err := log.Append(job.batch); err != nil {
		return logError(err)
	}
	took := time.Since(start)
	job.took = took
	met.SyncProcessTime.Observe(took.Milliseconds())
	met.SyncProcessorFlushTime.Observe(took.Milliseconds())
	met.StageLog.Observe(took.Microseconds())
	return nil
}

// logError says what to do about a log that could not be written. Nothing of the batch was acknowledged.
func logError(err error) error {
	advice := "check the disk of dataLogDir, then start again: all that was acknowledged is on it"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		advice = "make room in dataLogDir, then start again: all that was acknowledged is there"
	}
	return fmt.Errorf("transaction log: %w (%s)", err, advice)
}

// run serves until ctx ends or the server cannot go on; then nothing is acknowledged any more.
func (l *loop) run(ctx context.Context) error {
	defer l.log.close()
	defer l.in.close()
	tick := time.NewTicker(tickInterval(l.s.cfg.TickTime))
	defer tick.Stop()
	if l.e != nil {
		if err := l.e.start(ctx); err != nil {
			return err
		}
		defer l.e.stop()
		return l.e.run(ctx, tick.C)
	}
	for {
		var done *logJob
		select {
		case <-ctx.Done():
			return l.drain()
		case <-l.in.wake:
		case job := <-l.fromLog:
			done = &job
		case f := <-l.calls:
			if err := f(); err != nil {
				return err
			}
		case <-tick.C:
			l.tick()
		case err := <-l.s.stuck:
			return err
		}
		if err := l.turn(done); err != nil {
			return err
		}
	}
}

// tickInterval is how often expiry is looked at: often enough that sessions expire within their bucket.
func tickInterval(tick proto.Millis) time.Duration {
	return time.Duration(min(max(tick/4, 10), 500)) * time.Millisecond
}

// turn plans what has arrived, then applies what the log has made durable: in this order, so that the log has something to
// write while the last batch is applied and answered.
func (l *loop) turn(done *logJob) error {
	var durable *storage.Batch
	if done != nil {
		if done.err != nil {
			return done.err
		}
		durable = done.batch
	}
	l.s.rep.LendBuffer(l.out[:0])
	if !l.log.full() {
		l.plan(l.in.take())
	}
	if job, ok := l.log.few(inlineTxns); ok {
		if err := l.append(&job); err != nil {
			return err
		}
		durable = job.batch
	}
	if durable != nil {
		if err := l.apply(durable); err != nil {
			return err
		}
	}
	l.settle()
	l.finish()
	return nil
}

func (l *loop) plan(items []item) {
	rep, met := l.s.rep, l.s.met
	rep.Advance(l.s.clock())
	if len(items) == 0 {
		return
	}
	if l.e == nil {
		l.log.mu.Lock()
		defer l.log.mu.Unlock()
		rep.LendLog(l.log.planned)
	}
	start := time.Now()
	defer func() {
		took := time.Since(start)
		met.PrepProcessTime.Observe(took.Milliseconds())
		met.StagePlan.Observe(took.Microseconds())
	}()
	met.PrepProcessorQueued.Add(int64(len(items)))
	met.PrepProcessorQueueSize.Observe(int64(len(items)))
	for i := range items {
		it := &items[i]
		switch it.kind {
		case itemRequest:
			if l.s.stale(&it.req) {
				it.req.Refuse = proto.ErrThrottledOp
				l.s.met.ThrottledOps.Inc()
			}
			if l.e != nil {
				l.e.m.Submit(&it.c.rc, &it.req)
			} else {
				rep.Submit(&it.c.rc, &it.req)
			}
		case itemConnect:
			l.connect(it)
		case itemGone:
			l.s.state.Lock()
			rep.Disconnect(&it.c.rc)
			l.s.state.Unlock()
			it.c.settle()
		case itemCall:
			if l.e != nil {
				l.e.m.Call(&it.call.Call)
			} else {
				rep.Call(&it.call.Call)
			}
		}
	}
}

// connect hands a connection's first frame to the replica. A frame that cannot be decoded ends the connection.
func (l *loop) connect(it *item) {
	var req proto.ConnectRequest
	d := proto.NewDecoder(it.req.Body)
	req.Decode(&d)
	if d.Err() != nil || l.e != nil && l.e.role == proto.Leading && !l.s.cfg.Quorum.LeaderServes {
		it.c.abort()
		it.c.connected <- false
		return
	}
	l.s.met.ConnectionRequestCount.Inc()
	if req.SessionID != 0 {
		l.s.met.ConnectionRevalidateCount.Inc()
	}
	l.s.state.Lock()
	l.s.rep.Connect(&it.c.rc, &req, it.req.At)
	l.deliver()
	l.s.state.Unlock()
}

// apply carries out a durable batch and hands the answers out.
func (l *loop) apply(b *storage.Batch) error {
	var err error
	n := 0
	start := time.Now()
	l.s.state.Lock()
	for _, txn := range b.Txns {
		if n++; n%applyChunk == 0 {
			l.deliver()
			l.s.state.Unlock()
			l.s.state.Lock()
		}
		if err = l.s.rep.Apply(txn); err != nil {
			break
		}
	}
	l.deliver()
	l.s.state.Unlock()
	l.s.met.StageApply.Observe(time.Since(start).Microseconds())
	l.sinceSnap += b.Len()
	l.bytesSinceSnap += int64(b.Bytes())
	l.log.giveBack(b)
	if err == nil {
		l.s.alarmOnDigest()
		l.maybeSnapshot()
	}
	return err
}

// settle answers what needs no transaction.
func (l *loop) settle() {
	if !l.s.rep.Unsettled() {
		return
	}
	l.s.state.Lock()
	l.s.rep.Settle()
	l.deliver()
	l.s.state.Unlock()
}

// deliver moves the replica's outputs to the connections' outboxes. The caller holds the state lock: that puts a reply
// before the events of the watch it set, and an event before newer data.
func (l *loop) deliver() {
	outs, buf := l.s.rep.Outputs()
	l.s.auditEnded()
	l.s.countFired()
	if e := l.s.etcd; e != nil && e.space != nil {
		if out := l.s.rep.TakeEtcdDeliveries(); len(out) > 0 {
			e.deliver(l.s.rep.EtcdHub(), out)
		}
		e.take()
	}
	if len(outs) == 0 {
		return
	}
	now := l.s.now()
	for i := range outs {
		o := &outs[i]
		c := o.Conn.Handle.(*conn)
		if c.take(o, buf, now) {
			l.touched = append(l.touched, c)
		}
	}
	l.out = buf[:0]
	if cap(l.out) > 4<<20 {
		l.out = nil
	}
	l.s.rep.LendBuffer(l.out)
}

// finish sends what deliver left in outboxes. Writes that would block go on in a goroutine of their own.
func (l *loop) finish() {
	if len(l.touched) > 0 {
		start := time.Now()
		for i, c := range l.touched {
			c.flushSoon()
			l.touched[i] = nil
		}
		l.touched = l.touched[:0]
		l.s.met.StageReply.Observe(time.Since(start).Microseconds())
	}
	for i := range l.audited {
		l.s.audit.Log(l.audited[i])
	}
	clear(l.audited)
	l.audited = l.audited[:0]
	l.s.answerCalls()
	l.s.signalRoom()
}

// tick notes which clients gave signs of life and lets sessions expire.
func (l *loop) tick() {
	rep := l.s.rep
	rep.Advance(l.s.clock())
	if l.e == nil {
		l.log.mu.Lock()
		defer l.log.mu.Unlock()
		rep.LendLog(l.log.planned)
	}
	for rc := range rep.Conns {
		c := rc.Handle.(*conn)
		if seen := c.seen(); seen != c.touchedAt {
			c.touchedAt = seen
			rep.Touch(rc, proto.Millis(seen))
		}
	}
	if l.e == nil {
		rep.Tick()
		return
	}
	l.s.state.Lock() // local sessions end at once
	l.e.m.Tick()
	l.deliver()
	l.s.state.Unlock()
}

// quiesce waits until everything planned is durable and applied.
func (l *loop) quiesce() error {
	for !l.log.idle() {
		l.log.work.Signal()
		job, ok := <-l.fromLog
		if !ok {
			return errors.New("the transaction log has ended")
		}
		if job.err != nil {
			return job.err
		}
		if err := l.apply(job.batch); err != nil {
			return err
		}
	}
	return nil
}

// drain waits for the batch at the log, so that its writes are on disk, and ends.
func (l *loop) drain() error {
	l.log.close()
	for job := range l.fromLog {
		if job.err != nil {
			return job.err
		}
	}
	return nil
}

// do runs f on the loop, between turns, and waits for it. It reports false if the loop has ended. An error of f stops the
// server.
func (l *loop) do(f func() error) bool {
	done := make(chan struct{})
	select {
	case l.calls <- func() error { defer close(done); return f() }:
		<-done
		return true
	case <-l.s.stopped:
		return false
	}
}

// maybeSnapshot starts a snapshot if enough has been written since the last.
func (l *loop) maybeSnapshot() {
	if !l.snapAt.due(l.sinceSnap, l.bytesSinceSnap) {
		return
	}
	if !l.s.snapshotting.TryLock() {
		return
	}
	img := l.s.rep.Image()
	l.log.rollNext()
	l.sinceSnap, l.bytesSinceSnap = 0, 0
	l.snapAt = l.s.nextSnapTrigger()
	l.s.tasks.Go(func() {
		defer l.s.snapshotting.Unlock()
		stepBack()
		if _, err := l.s.writeSnapshot(img); err != nil {
			l.s.log.Error("snapshot failed; the one before stays in force", zap.Stringer("zxid", img.Zxid()), zap.Error(err))
		}
	})
}

var _ replica.Log = (*storage.Batch)(nil)
