package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"

	"zebu/internal/vfs"
	"zebu/mvcc"
	"zebu/proto"
	"zebu/quorum"
	"zebu/replica"
	"zebu/storage"
	"zebu/zab"
	"zebu/znode"
)

// wallBase is the wall clock's time at the beginning, in milliseconds.
const wallBase proto.Millis = 1_700_000_000_000

// Host is a server: a machine with a disk, and perhaps a process.
type Host struct {
	w        *World
	id       proto.ServerID
	index    int // among servers
	node     int // in the network
	observer bool

	disk      *vfs.Crashing
	emptied   bool        // the disk was replaced by an empty one: what is on it from then on is not the whole history
	lost      bool        // and has not been filled by a leader yet
	up        bool        // there is a process
	logged    proto.Zxid  // the last transaction on the disk that is certain to be there
	entered   proto.Epoch // the epoch whose beginning is certain to be there
	off       bool        // the machine is off: nobody is told that there is no process
	paused    bool
	suspended Time     // when the clock stopped, 0 if it has not
	frozen    []func() // what the process has missed while paused
	life      int      // counts processes and their ends
	booted    Time
	jump      proto.Millis // of the wall clock
	pace      Time         // of the monotonic clock, in thousandths of the right one
	nextPace  Time         // from the next start of the process on, unless 0
	faulty    bool         // the disk had an error since the process started
	fault     int          // the disk's next error comes after so many operations, if that is more than 0
	faultOp   vfs.Op       // of this kind, "" for any
	full      bool         // the disk is
	corrupt   string       // a file in which a bit has flipped, "" if there is none
	stale     []Time       // until when others look for this server where it was

	config *quorum.Config // in the dynamic configuration file
	seen   *quorum.Config // in that of the next configuration, nil if there is none

	etcd        *etcdSpace // nil before there was one
	staged      *etcdSpace // that came with a snapshot
	stagedStore *mvcc.Store

	store *storage.Store
	rep   *replica.Replica
	m     *replica.Member

	role    proto.PeerState
	term    int   // counts roles
	upward  *link // to the leader
	links   []*link
	strange []*link // have not said who they are
	clients []*clientConn
	unsent  []*proto.Notification
	silent  []*end // connections whose other ends do not know yet that this server was switched off

	writes   []zab.Write
	writing  bool
	current  job
	views    []hostView
	rollNext bool
	snapping *replica.Image
	snapped  proto.Zxid // of the last snapshot begun
	turnDue  bool
	turning  func()       // a turn of the process that runs now, or ran last
	wakeAt   proto.Millis // when the member wants to be told the time, 0 for never
	alarm    proto.Millis // when it is looked at next, 0 if nothing is scheduled
}

func newHost(w *World, index int) *Host {
	h := &Host{w: w, pace: 1000, config: w.config, id: proto.ServerID(index + 1), index: index, node: index, observer: index >= w.o.Voters}
	h.disk = h.newDisk()
	n := w.o.Voters + w.o.Observers
	h.links, h.unsent, h.stale = make([]*link, n), make([]*proto.Notification, n), make([]Time, n)
	return h
}

// newDisk returns an empty disk, whose choices have a source of their own.
func (h *Host) newDisk() *vfs.Crashing {
	return vfs.NewCrashing(rand.New(rand.NewPCG(h.w.rng.Uint64(), uint64(h.id))).IntN)
}

func (h *Host) mono() proto.Millis {
	return proto.Millis((h.w.now - h.booted) * h.pace / 1000 / Millisecond)
}

// until is how long it takes until the server's clock says so.
func (h *Host) until(at proto.Millis) Time {
	return max(0, h.booted+(Time(at)*Millisecond*1000+h.pace-1)/h.pace-h.w.now)
}

// errDevice is what a disk may say at any time.
var errDevice = errors.New("input/output error")

// inject makes one operation on the disk fail.
func (h *Host) inject(op vfs.Op, _ string) *vfs.Fault {
	if h.full && (op == vfs.OpWrite || op == vfs.OpPreallocate || op == vfs.OpCreate) && h.w.chance(2) {
		h.faulty = h.faulty || op != vfs.OpPreallocate // there may be room for less
		h.w.check.count("disk full")
		return &vfs.Fault{Err: syscall.ENOSPC, Short: h.w.intn(1000)}
	}
	if h.faultOp != "" && op != h.faultOp {
		return nil
	}
	h.fault--
	if h.fault != 0 {
		return nil
	}
	h.faulty = true
	h.w.check.count("disk errors")
	return &vfs.Fault{Err: errDevice, Short: h.w.intn(1000)}
}

func (h *Host) clock() replica.Clock {
	return replica.Clock{Mono: h.mono(), Wall: wallBase + proto.Millis(h.w.now/Millisecond) + h.jump}
}

// boot starts the process.
func (h *Host) boot() {
	if h.up {
		return
	}
	w := h.w
	h.life++
	life, turn := h.life, h.turn
	h.turning = func() {
		if h.life == life {
			h.whenRunning(turn)
		}
	}
	h.up, h.off, h.paused = true, false, false
	h.booted, h.faulty = w.now, false
	if h.nextPace != 0 {
		h.pace = h.nextPace
	}
	for _, e := range h.silent {
		e.push(eof{}, 0)
	}
	h.silent = nil
	d, err := h.restore()
	switch {
	case errors.Is(err, vfs.ErrCrashed), h.faulty:
		w.tracef("%d does not come up: %v", h.id, err)
		h.switchOff(errors.Is(err, vfs.ErrCrashed))
		w.after(Time(w.intn(int(Second))), h.boot)
		return
	case err != nil && h.corrupt != "":
		h.replaceDisk(err)
		return
	case err != nil:
		w.failf("server %d does not start: %v", h.id, err)
		h.up = false
		return
	}
	if z := w.check.missing(h, h.rep.Applied()); z != 0 && !h.lost {
		w.failf("server %d had %s, starts at %s, and has lost %s (damaged: %q)", h.id, zx(h.logged), zx(h.rep.Applied()), zx(z), h.corrupt)
		h.up = false
		return
	}
	w.tracef("%d starts at %s, epochs %d and %d", h.id, zx(h.rep.Applied()), d.AcceptedEpoch, d.CurrentEpoch)
	w.mix(uint64(h.id), uint64(h.rep.Applied()))
	w.check.state(h)
	h.m = replica.NewMember(h.memberOptions(), h.rep, d)
	h.snapped, h.logged, h.entered, h.role = h.rep.Applied(), h.rep.Applied(), d.CurrentEpoch, proto.Looking
	h.input(h.m.Start)
}

func (h *Host) replicaOptions() replica.Options {
	return replica.Options{
		ServerID: h.id, QuorumSync: h.w.o.QuorumSync, Tick: h.w.o.Tick, MinSessionTimeout: 100, MaxSessionTimeout: 60000,
		ReapInterval: 300, ReapPerCheck: 100, StrictDigest: true,
		Znode: znode.Options{Reconfig: h.w.o.Reconfigure > 0, ExtendedTypes: h.w.o.Reaping},
		Etcd:  h.w.o.EtcdUsers > 0, LocalSessions: h.w.o.LocalSessions, UpgradeLocal: h.w.o.LocalSessions,
	}
}

func (h *Host) memberOptions() replica.MemberOptions {
	o := &h.w.o
	cache := 0
	if o.ObserverMasters {
		cache = 16 << 10
	}
	syncs := 0
	if o.OneSync {
		syncs = 1
	}
	return replica.MemberOptions{
		ReadOnly: o.ReadOnly, Oracle: o.Oracle, ObserverCache: cache, LastCounter: o.LastCounter, SnapSync: o.SnapSync, EpochWait: o.EpochWait,
		MaxSnapSyncs: syncs, MaxDiffSyncs: syncs,
		ID: h.id, Committed: h.config, LastSeen: h.seen, Reconfig: o.Reconfigure > 0, LogSync: o.LogSync, MaxNotification: o.MaxNotification,
		Timing: zab.Timing{Tick: o.Tick, InitLimit: o.InitLimit, SyncLimit: o.SyncLimit},
	}
}

// restore opens the disk and reads the state.
func (h *Host) restore() (d replica.Disk, err error) {
	opt := storage.DefaultOptions("/data")
	opt.FS, opt.PreallocBytes, opt.LogSizeLimit, opt.MaxRecord = vfs.NewFaulty(h.disk, h.inject), 8<<10, h.w.o.LogSize, 1<<20
	opt.FsyncWarn, opt.AutoCreateDB = 0, !h.emptied
	opt.Compression = h.w.o.Compression
	if h.w.o.OwnLogDir {
		opt.LogDir = "/log"
	}
	if h.store, err = storage.Open(opt); err != nil {
		return d, err
	}
	h.rep = replica.New(h.replicaOptions())
	h.rep.Advance(h.clock())
	d.Log = zab.NewCommitLog(0)
	info, err := h.store.Restore(h.rep.Loader(), func(hdr *proto.TxnHeader, txn, body []byte) error {
		if err := d.Log.Append(zab.Txn{Zxid: hdr.Zxid, Data: slices.Clone(txn)}); err != nil {
			return err
		}
		before := h.rep.Applied()
		err := h.rep.Replay(hdr, body)
		if err == nil {
			h.w.check.applied(h, before)
		}
		return err
	})
	if err != nil {
		return d, err
	}
	if err = h.restoreEtcd(info); err != nil {
		return d, err
	}
	d.Lost = info.LastZxid < 0
	if d.AcceptedEpoch, err = epoch(h.store.AcceptedEpoch); err != nil {
		return d, err
	}
	if d.CurrentEpoch, err = epoch(h.store.CurrentEpoch); err != nil {
		return d, err
	}
	if d.AcceptedEpoch < d.CurrentEpoch {
		return d, fmt.Errorf("accepted epoch %d, current epoch %d", d.AcceptedEpoch, d.CurrentEpoch)
	}
	if !info.HasSnapshot && !d.Lost {
		_, err = h.store.WriteSnapshot(h.rep.Image())
	}
	return d, err
}

func epoch(read func() (proto.Epoch, error)) (proto.Epoch, error) {
	e, err := read()
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return e, err
}

// Crash ends the process. With power, the machine is switched off: what was not synced may be lost, and nobody is told.
func (h *Host) Crash(power bool) {
	if !h.up {
		return
	}
	h.w.tracef("%d crashes, power %t", h.id, power)
	if h.writing && h.w.chance(2) { // some of what is being written gets there
		h.disk.CrashAfter(h.w.intn(8))
		h.takeWrites()
		_ = h.perform()
	}
	h.switchOff(power)
}

func (h *Host) switchOff(power bool) {
	h.life++
	h.up, h.off, h.paused, h.suspended = false, power, false, 0
	if power {
		h.disk.Crash()
	} else {
		h.disk.Kill()
	}
	h.frozen, h.writes, h.writing, h.turnDue, h.wakeAt, h.alarm, h.rollNext, h.snapping = nil, nil, false, false, 0, 0, false, nil
	h.hangUpLinks(power)
	h.hangUpMesh(power)
	for _, c := range h.clients {
		h.hangUp(c.e, power)
	}
	h.clients = nil
	clear(h.unsent)
	h.role = proto.Looking
	h.views = nil
	if h.etcd != nil {
		h.etcd = h.etcd.restart(h.w, power)
	}
	h.m, h.rep, h.store = nil, nil, nil
	h.w.mix(uint64(h.id), uint64(h.life))
}

// hangUp closes a connection, or leaves its other end to find out.
func (h *Host) hangUp(e *end, silent bool) {
	if !e.open {
		return
	}
	if !silent {
		e.close(true)
		return
	}
	e.abandon()
	h.silent = append(h.silent, e)
}

// LoseDisk replaces the disk of a server that is not up by an empty one.
func (h *Host) LoseDisk() {
	h.w.tracef("%d has lost its disk", h.id)
	h.disk, h.emptied, h.lost, h.logged, h.entered, h.corrupt = h.newDisk(), true, true, 0, 0, ""
	h.etcd, h.staged = nil, nil
}

// replaceDisk is what an operator does about a file that is damaged, when the server says so.
func (h *Host) replaceDisk(err error) {
	h.w.tracef("%d does not start: %v", h.id, err)
	if !strings.Contains(err.Error(), "/version-2") {
		h.w.failf("server %d does not say which file is damaged: %v", h.id, err)
	}
	h.w.check.count("damage noticed")
	h.switchOff(true)
	h.LoseDisk()
	h.w.after(Second, h.boot)
}

// damage flips a bit in one of a server's snapshots and logs.
func (h *Host) damage(d dice) {
	files := append(h.files("snapshot."), h.files("log.")...)
	if len(files) == 0 {
		return
	}
	name := files[d.intn(len(files))]
	h.flip(name, d.intn(h.disk.Length(name)))
}

// flip flips a bit.
func (h *Host) flip(name string, at int) {
	if h.disk.Corrupt(name, int64(at)) {
		h.w.tracef("%d: a bit in %s flips", h.id, name)
		h.corrupt = name
	}
}

// files are those on a server's disk whose names begin like that, in order.
func (h *Host) files(prefix string) (files []string) {
	for _, dir := range []string{"/data/version-2/", "/log/version-2/"} {
		for _, name := range h.disk.Files(dir) {
			if strings.HasPrefix(name, prefix) {
				files = append(files, dir+name)
			}
		}
	}
	return files
}

// move gives a server another address, which others find out one by one. Nobody is told of the end of its connections.
func (h *Host) move(d dice) {
	if !h.up || h.paused {
		return
	}
	h.w.tracef("%d has another address", h.id)
	for i := range h.stale {
		h.stale[i] = h.w.now + Time(d.intn(int(3*Second)))
	}
	for _, l := range append([]*link{h.upward}, h.links...) {
		if l != nil {
			l.e.abandon()
			l.gone()
		}
	}
	if h.up {
		h.hangUpMesh(true)
		h.silent = nil
	}
}

// reaches says whether one server finds another where it is.
func (w *World) reaches(from, to *Host) bool { return w.now >= to.stale[from.index] }

// Pause stops the process, as SIGSTOP does, until Resume.
func (h *Host) Pause() {
	if h.up && !h.paused {
		h.w.tracef("%d paused", h.id)
		h.paused = true
	}
}

// Suspend stops the machine, with its monotonic clock, until Resume.
func (h *Host) Suspend() {
	h.Pause()
	h.suspended = h.w.now
}

// Resume lets a paused process go on.
func (h *Host) Resume() {
	if !h.paused {
		return
	}
	if h.suspended != 0 {
		h.booted += h.w.now - h.suspended
		h.suspended = 0
	}
	h.w.tracef("%d resumes", h.id)
	h.paused = false
	missed := h.frozen
	h.frozen = nil
	life := h.life
	for _, do := range missed {
		if h.life == life {
			do()
		}
	}
}

// whenRunning does something in the process now, or when it is no longer paused.
func (h *Host) whenRunning(do func()) {
	if h.paused {
		h.frozen = append(h.frozen, do)
	} else {
		do()
	}
}

// later does something in the process after a while, if that still runs.
func (h *Host) later(d Time, do func()) {
	life := h.life
	h.w.after(d, func() {
		if h.life == life {
			h.whenRunning(do)
		}
	})
}

// input hands the member something, and makes a turn due.
func (h *Host) input(do func()) {
	if h.paused {
		h.frozen = append(h.frozen, func() { h.input(do) })
	} else if h.hears() {
		do()
		h.heard()
	}
}

// hears says whether the process, which is not paused, takes something now; if so it is followed by [Host.heard].
func (h *Host) hears() bool {
	if !h.up || h.m == nil {
		return false
	}
	h.m.Advance(h.clock())
	return true
}

// heard makes a turn due.
func (h *Host) heard() {
	h.flush()
	if !h.turnDue {
		h.turnDue = true
		h.w.after(Time(h.w.intn(int(h.w.o.Turn)+1)), h.turning)
	}
}

// turn does what the member owes, until that is nothing.
func (h *Host) turn() {
	h.turnDue = false
	h.m.Advance(h.clock())
	h.m.Tick()
	h.consult()
	for idle := false; h.up && h.w.failure == ""; {
		r := h.m.Ready()
		if r.Empty() {
			if idle {
				h.wake(r.Wake)
				break
			}
			idle = true
			h.goOn()
			continue
		}
		idle = false
		if h.carryOut(&r); !h.up {
			return
		}
		h.goOn()
	}
	if !h.up || h.w.failure != "" {
		return
	}
	if h.rep.Unsettled() {
		h.rep.Settle()
	}
	h.flush()
	h.write()
	h.w.check.resting(h)
}

// goOn does what the deliveries have led to. Clients are answered before: there servers lock the state, and hand the answers out.
func (h *Host) goOn() {
	before, _ := h.rep.Outputs()
	h.m.Continue()
	if after, _ := h.rep.Outputs(); len(after) > len(before) {
		h.w.failf("server %d: answers that nobody hands out", h.id)
	}
}

// consult asks the oracle, now and again.
func (h *Host) consult() {
	if h.w.o.Oracle && h.m.AsksOracle() {
		h.m.OracleSays(h.w.grants(h))
		h.later(Time(h.w.o.Tick)*Millisecond/2, func() { h.input(func() {}) })
	}
}

// grants is the oracle of an ensemble of two: it lets one server go on alone while the other's machine is off, and knows who has what
// the other one does not.
func (w *World) grants(h *Host) bool {
	for _, o := range w.hosts {
		if o != h && o.up {
			return false
		}
	}
	if w.solo == 0 {
		w.solo = h.id
		w.check.count("oracle's grants")
	}
	return w.solo == h.id
}

// reunited notes that both servers have the same history.
func (w *World) reunited() {
	for _, h := range w.hosts {
		if !h.up || !h.m.Serving() {
			return
		}
	}
	w.solo = 0
	w.check.count("reunions")
}

func (h *Host) carryOut(r *replica.Ready) {
	if r.DeliverFirst && r.Deliver {
		h.deliver()
	}
	h.queue(r.Writes)
	for i := range r.Notifications {
		n := &r.Notifications[i]
		h.notify(n.To, n.Notification)
	}
	for i := range r.Messages {
		h.post(&r.Messages[i])
	}
	if !h.up { // the disk has ended it
		return
	}
	for _, d := range r.Drop {
		h.drop(d.ID, d.Err)
	}
	for _, q := range r.Queries {
		h.look(q)
	}
	if r.Config != nil {
		h.configure(r.Config)
	}
	if r.Role != nil {
		h.assume(r.Role)
	}
	if r.Deliver && !r.DeliverFirst {
		h.deliver()
	}
}

// deliver has the member apply what there is to be applied, one thing after the other under the eyes of the checkers.
func (h *Host) deliver() {
	for more := true; more; {
		before := h.rep.Applied()
		var err error
		if more, err = h.m.Deliver(1); err != nil {
			h.w.failf("server %d: deliver: %v", h.id, err)
			return
		}
		if h.rep.Applied() != before {
			h.w.check.applied(h, before)
			h.w.etcd.state(h)
		}
		h.storeEtcd()
		h.flush()
	}
	if h.w.solo != 0 {
		h.w.reunited()
	}
	h.w.check.serving(h)
	h.lost = h.lost && !h.m.Serving()
	h.snapshot()
}

// wake sees to it that the member is told the time when it wants to.
func (h *Host) wake(at proto.Millis) {
	if h.wakeAt = at; at != 0 && (h.alarm == 0 || at < h.alarm) {
		h.setAlarm()
	}
}

// setAlarm schedules what wake wants. It is put off again and again, so that there is one event for many times.
func (h *Host) setAlarm() {
	at := h.wakeAt
	h.alarm = at
	h.later(h.until(at), func() {
		switch {
		case h.alarm != at: // there has been an earlier one
		case h.wakeAt == 0:
			h.alarm = 0
		case h.mono() < h.wakeAt:
			h.setAlarm()
		default:
			h.alarm = 0
			h.input(func() {})
		}
	})
}

// flush sends what the replica owes to clients.
func (h *Host) flush() {
	outs, buf := h.rep.Outputs()
	for i := range outs {
		o := &outs[i]
		c := o.Conn.Handle.(*clientConn)
		if o.End > o.Start {
			c.e.send(slices.Clone(buf[o.Start:o.End]))
		}
		if o.Close {
			c.close()
		}
	}
	h.rep.LendBuffer(buf[:0])
	h.answerEtcd()
}

// snapshot begins a snapshot when it is time for one.
func (h *Host) snapshot() {
	z := h.rep.Applied()
	if !h.m.Serving() || h.snapping != nil || z.Epoch() == h.snapped.Epoch() && int(z-h.snapped) < h.w.o.SnapshotEvery || z == h.snapped {
		return
	}
	img := h.rep.Image()
	h.snapping, h.snapped, h.rollNext = img, z, !h.w.chance(4)
	h.later(Time(h.w.intn(int(50*Millisecond))), func() {
		if h.snapping == img {
			h.finishSnapshot()
		}
	})
}

func (h *Host) finishSnapshot() {
	img := h.snapping
	h.snapping = nil
	h.syncEtcd()
	_, err := h.store.WriteSnapshot(img)
	if err == nil && h.w.chance(3) {
		err = h.store.Purge(storage.MinRetain)
	}
	h.w.tracef("%d snapshot %s (%v)", h.id, zx(img.Zxid()), err)
	if err != nil && h.faulty && !errors.Is(err, vfs.ErrCrashed) { // the one before stays in force
		return
	}
	h.disksay(err)
}

// disksay ends the process after an error of its disk. It reports whether there was none.
func (h *Host) disksay(err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, vfs.ErrCrashed), h.faulty, h.corrupt != "":
		h.w.tracef("%d ends: %v", h.id, err)
		h.switchOff(errors.Is(err, vfs.ErrCrashed))
		h.w.after(Time(h.w.intn(int(Second))), h.boot)
	default:
		h.w.failf("server %d: %v", h.id, err)
	}
	return false
}

// zx is a zxid that prints its epoch and counter. To print costs more than all else, and mostly nobody reads it.
type zx proto.Zxid

func (z zx) String() string {
	return fmt.Sprintf("%d:%d", proto.Zxid(z).Epoch(), proto.Zxid(z).Counter())
}
