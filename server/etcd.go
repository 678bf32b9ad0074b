package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"zebu/backend"
	"zebu/internal/vfs"
	"zebu/mvcc"
	"zebu/proto"
	"zebu/storage"
)

// etcd is the key space of the etcd API: where it is stored, and what its watches and callers wait for. The state itself,
// [replica.Replica.Etcd], is guarded by the server's state lock.
//
// In version-2/etcd of dataDir each state that ever began has a directory of its own: the first one, and one for each snapshot
// that came from a leader. The file CURRENT names the one that belongs to the snapshots and logs beside it.
type etcd struct {
	s    *Server
	root string
	opt  mvcc.Options

	opened  *space // while the server starts: what may become the one in use
	space   *space // in use; the loop's, and others' under the state lock
	closing bool   // nobody may look at it any more

	mu      sync.Mutex // guards the rest
	work    sync.Cond
	jobs    []etcdJob
	writing bool // the committer works on one
	pausing bool // the committer lets changes gather
	paused  bool // and has done so
	closed  bool

	streams map[mvcc.StreamID]*watchStream
	lastID  mvcc.StreamID

	tasks   sync.WaitGroup // the committer, and spaces that are being closed
	ended   chan struct{}  // closed when the committer has ended
	catchUp chan struct{}  // hold a token while there is something to do
	compact chan struct{}
	lagging atomic.Bool // some watches wait for what is not stored yet
	failed  chan error  // holds why the key space cannot go on

	backlog  atomic.Int64        // bytes that the committer has been handed and not written
	relieved chan struct{}       // holds a token when the backlog is not too large any more
	underway *semaphore.Weighted // bytes of mutations that are proposed, see enter
	queued   atomic.Int64        // bytes of those that wait to be
}

// space is an open directory and the state in it.
type space struct {
	dir     string
	backend *backend.Backend
	store   *mvcc.Store
	views   sync.WaitGroup // that are open
	recent  recentValues

	mu     sync.Mutex  // guards the rest
	latest *sharedView // with all batches; nil if nobody has looked since the last
}

// sharedView is what all look at who came between two batches: to open a view of Badger takes two messages to a goroutine.
type sharedView struct {
	mvcc.View
	users int // guarded by the space
}

// View implements [mvcc.Storage].
func (p *space) View() mvcc.View {
	p.views.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest == nil {
		p.latest = &sharedView{View: p.backend.View(), users: 1}
	}
	p.latest.users++
	return &viewUser{p.latest, p}
}

// leave ends a use of a view.
func (p *space) leave(v *sharedView) {
	p.mu.Lock()
	v.users--
	last := v.users == 0
	p.mu.Unlock()
	if last {
		v.Close()
	}
}

// write commits a batch: views from now on have it.
func (p *space) write(b *mvcc.Batch) error {
	err := p.backend.Commit(b)
	p.renew()
	return err
}

// renew has the next view opened anew.
func (p *space) renew() {
	p.mu.Lock()
	v := p.latest
	p.latest = nil
	p.mu.Unlock()
	if v != nil {
		p.leave(v)
	}
}

// viewUser is one who looks at a shared view. It says when it is closed, which may be done twice.
type viewUser struct {
	*sharedView
	space *space
}

// Get implements [mvcc.View].
func (v *viewUser) Get(key []byte, visit func([]byte) error) (bool, error) {
	slot, number := v.space.recent.slot(key)
	if slot == nil {
		return v.sharedView.Get(key, visit)
	}
	if value, found := slot.get(key); found {
		return true, visit(value)
	}
	return v.sharedView.Get(key, func(value []byte) error {
		slot.offer(number, key, value)
		return visit(value)
	})
}

// Close implements [mvcc.View].
func (v *viewUser) Close() {
	if v.space != nil {
		v.space.leave(v.sharedView)
		v.space.views.Done()
		v.space = nil
	}
}

// close closes the directory once nobody reads from it.
func (p *space) close() error {
	p.renew()
	p.views.Wait()
	return p.backend.Close()
}

// etcdJob is something for the committer: a batch, or what is to be done behind those before it.
type etcdJob struct {
	space *space
	batch *mvcc.Batch
	then  func()
}

func (j *etcdJob) bytes() int64 {
	if j.batch == nil {
		return 0
	}
	return int64(j.batch.Bytes)
}

const currentName = "CURRENT"

// begunName is a file beside the key space which stays when that is lost. A server that has never had one is not like one that has lost it:
// the former has missed nothing.
const begunName = "etcdBegun"

// errSpaceLost says that the key space of a server is gone or damaged, or misses transactions that are no longer in the log.
var errSpaceLost = errors.New("the etcd key space is not whole")

func newEtcd(s *Server, authority func(*mvcc.Store) (mvcc.Authority, error)) *etcd {
	e := &etcd{
		s: s, root: filepath.Join(versionDir(s.cfg.DataDir), "etcd"), opt: mvcc.Options{Quota: s.cfg.Etcd.Quota, Authority: authority},
		streams: map[mvcc.StreamID]*watchStream{}, catchUp: make(chan struct{}, 1), compact: make(chan struct{}, 1), failed: make(chan error, 1),
		ended: make(chan struct{}), relieved: make(chan struct{}, 1), underway: semaphore.NewWeighted(maxUnderway),
	}
	e.work.L = &e.mu
	return e
}

// open opens a directory.
func (e *etcd) open(dir string) (*space, error) {
	p := &space{dir: dir}
	var err error
	if p.backend, err = backend.Open(dir, e.s.log.Named("etcd")); err != nil {
		return nil, err
	}
	if p.store, err = mvcc.Open(p, e.opt); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// seen opens the current key space and says up to where it has seen the log; 0 if that is not known. See restore about what is wrong with it.
func (e *etcd) seen() proto.Zxid {
	dir, _, err := e.current()
	if err == nil {
		e.opened, err = e.openOld(dir)
	}
	if err != nil {
		return 0
	}
	return e.opened.store.Applied()
}

// notRestored lets go of what seen has opened.
func (e *etcd) notRestored() error {
	if e == nil || e.opened == nil {
		return nil
	}
	defer func() { e.opened = nil }()
	return e.opened.close()
}

// restore opens the key space that belongs to the snapshots and logs, and gives it to the replica. It is synced before each
// snapshot, so that the logs behind the snapshot have all that it may miss. The error wraps errSpaceLost if it has
// less than it had.
func (e *etcd) restore(info storage.Restored) error {
	current, synced, err := e.current()
	var p *space
	switch {
	case errors.Is(err, os.ErrNotExist) && e.begun():
		err = fmt.Errorf("%w: %w", errSpaceLost, err)
	case errors.Is(err, os.ErrNotExist):
		p, err = e.first(info)
	case err == nil:
		p, err = e.find(current, synced, info.SnapshotZxid)
	}
	if err != nil {
		return err
	}
	if applied := p.store.Applied(); applied > e.s.rep.Applied() && !e.s.cfg.Distributed() {
		err = fmt.Errorf("%s has seen %v, and the log ends at %v: transactions are missing from the log", p.dir, applied, e.s.rep.Applied())
		return errors.Join(err, p.close())
	}
	e.s.rep.AttachEtcd(p.store)
	e.space = p
	return errors.Join(e.setBegun(), e.removeOthers())
}

func (e *etcd) begunFile() string { return filepath.Join(filepath.Dir(e.root), begunName) }

// begun says whether the server has had a key space.
func (e *etcd) begun() bool {
	_, err := os.Lstat(e.begunFile())
	return err == nil
}

// setBegun makes a note that there is a key space.
func (e *etcd) setBegun() error {
	if e.begun() {
		return nil
	}
	if err := os.WriteFile(e.begunFile(), nil, 0o644); err != nil {
		return err
	}
	return vfs.OS.SyncDir(filepath.Dir(e.root))
}

// current reads which directory is in use, and up to which zxid it was synced.
func (e *etcd) current() (dir string, synced proto.Zxid, err error) {
	path := filepath.Join(e.root, currentName)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", 0, err
	}
	var name string
	if _, err := fmt.Sscanf(string(text), "%s %x", &name, &synced); err != nil || filepath.Base(name) != name {
		return "", 0, fmt.Errorf("%s: %q: expected the name of a directory and a zxid", path, text)
	}
	return filepath.Join(e.root, name), synced, nil
}

// first begins with an empty key space: no server without one has ever taken an etcd transaction.
func (e *etcd) first(info storage.Restored) (*space, error) {
	if err := backend.Remove(e.root); err != nil { // of one that never began
		return nil, err
	}
	p, err := e.open(filepath.Join(e.root, "0"))
	if err != nil {
		return nil, err
	}
	p.store.Advance(max(0, info.SnapshotZxid))
	if err := e.begin(p); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// find opens the current key space. A snapshot that it has not seen was written by a server without one, who can have taken no etcd
// transactions; or it came from a leader, and this server ended before it had made the key space that came along the current
// one: that has seen exactly the snapshot.
func (e *etcd) find(current string, synced, snapshot proto.Zxid) (*space, error) {
	p, err := e.openOld(current)
	if err == nil && p.store.Applied() < synced {
		err = fmt.Errorf("%w: %s ends at %v, and was synced at %v", errSpaceLost, current, p.store.Applied(), synced)
		err = errors.Join(err, p.close())
	}
	if err == nil && p.store.Applied() >= snapshot || err != nil && !errors.Is(err, errSpaceLost) {
		return p, err
	}
	dirs, _ := filepath.Glob(filepath.Join(e.root, "*"))
	for _, dir := range dirs {
		if began, ok := beganAt(dir); !ok || began > snapshot || dir == current {
			continue
		}
		if other, otherErr := e.openOld(dir); otherErr == nil && other.store.Applied() == snapshot {
			if err == nil {
				otherErr = p.close()
			}
			return other, errors.Join(otherErr, e.setCurrent(other, snapshot))
		} else if otherErr == nil {
			err = errors.Join(err, other.close())
		}
	}
	if err == nil {
		p.store.Advance(snapshot)
	}
	return p, err
}

// beganAt is the zxid that a directory of [etcd.create] has its name from: that of the image that came with a snapshot, which may have
// got more before it was installed.
func beganAt(dir string) (proto.Zxid, bool) {
	name, _, _ := strings.Cut(filepath.Base(dir), ".")
	z, err := strconv.ParseInt(name, 16, 64)
	return proto.Zxid(z), err == nil
}

// openOld opens a directory that is there. The error wraps errSpaceLost if it is not, or is damaged.
func (e *etcd) openOld(dir string) (*space, error) {
	if p := e.opened; p != nil && p.dir == dir {
		e.opened = nil
		return p, nil
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("%w: %w", errSpaceLost, err)
	}
	p, err := e.open(dir)
	if errors.Is(err, mvcc.ErrDamaged) {
		return nil, fmt.Errorf("%w: %w", errSpaceLost, err)
	}
	return p, err
}

// begin makes a new key space the current one.
func (e *etcd) begin(p *space) error {
	if err := p.sync(); err != nil {
		return err
	}
	return e.setCurrent(p, p.store.Applied())
}

// sync makes all durable. Nobody else uses the space.
func (p *space) sync() error {
	if err := p.commit(p.store.TakeMark); err != nil {
		return err
	}
	_, err := p.backend.Sync()
	return err
}

// setCurrent makes a directory the one in use, as it was synced.
func (e *etcd) setCurrent(p *space, synced proto.Zxid) error {
	path := filepath.Join(e.root, currentName)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %x\n", filepath.Base(p.dir), uint64(synced))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return vfs.OS.SyncDir(e.root)
}

// removeOthers removes the directories of states that are not in use.
func (e *etcd) removeOthers() error {
	entries, err := os.ReadDir(e.root)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() && entry.Name() != filepath.Base(e.space.dir) {
			if err := backend.Remove(filepath.Join(e.root, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// confirmAll applies all that waits, as of a history that is known to be committed, before anything is served.
func (e *etcd) confirmAll() error {
	const chunk = 1000
	for more := true; more; more = e.s.rep.EtcdWaiting() > 0 {
		if err := e.s.rep.ConfirmEtcd(chunk); err != nil {
			return err
		}
		if err := e.space.commit(e.space.store.Take); err != nil {
			return err
		}
	}
	return e.begin(e.space) // a snapshot may follow
}

// create makes an empty directory for the state at a zxid, beside the others.
func (e *etcd) create(z proto.Zxid) (string, error) {
	if err := os.MkdirAll(e.root, 0o755); err != nil { // it may be lost
		return "", err
	}
	for n := 0; ; n++ {
		name := strconv.FormatUint(uint64(z), 16)
		if n > 0 {
			name += "." + strconv.Itoa(n)
		}
		dir := filepath.Join(e.root, name)
		err := os.Mkdir(dir, 0o755)
		if !errors.Is(err, os.ErrExist) {
			return dir, err
		}
	}
}

// discard closes a space and removes its directory, in its own time.
func (e *etcd) discard(p *space) {
	e.tasks.Go(func() {
		if err := errors.Join(p.close(), backend.Remove(p.dir)); err != nil {
			e.s.log.Warn("old etcd key space", zap.String("dir", p.dir), zap.Error(err))
		}
	})
}

// replace puts a key space that came with a leader's snapshot into use. The caller holds the state lock.
func (e *etcd) replace(p *space) {
	old := e.space
	e.space = p
	if old != nil {
		e.push(etcdJob{then: func() { e.discard(old) }}) // behind the batches that are under way
	}
	signal(e.catchUp)
}

const (
	// queueLimit is how many batches may wait for the committer before those who propose here have to wait.
	queueLimit = 4
	// maxBacklog is how many bytes may wait for it before a member takes no more from the others.
	maxBacklog = 64 << 20
	// batchBytes is how many bytes gather at most while it is busy.
	batchBytes = 4 << 20
)

// take hands the committer what has changed, if it has nothing to do or much has changed. The caller holds the state lock.
func (e *etcd) take() {
	p := e.space
	if p == nil {
		return
	}
	if p.store.Compacting() {
		signal(e.compact)
	}
	e.mu.Lock()
	idle := !e.writing && !e.pausing && len(e.jobs) == 0
	e.mu.Unlock()
	if n, bytes := p.store.Untaken(); idle || n > 4096 || bytes > batchBytes {
		for b := p.store.Take(); b != nil; b = p.store.Take() {
			e.push(etcdJob{space: p, batch: b})
		}
	}
}

// mark hands the committer all there is, so that what then does sees exactly the present state. The caller holds the state lock.
func (e *etcd) mark(batches []*mvcc.Batch, then func()) {
	for _, b := range batches {
		e.push(etcdJob{space: e.space, batch: b})
	}
	e.push(etcdJob{then: then})
}

// all takes what there is: take is one of the Store's methods.
func all(take func() *mvcc.Batch) (list []*mvcc.Batch) {
	for b := take(); b != nil; b = take() {
		list = append(list, b)
	}
	return list
}

func (e *etcd) push(j etcdJob) {
	e.backlog.Add(j.bytes())
	e.mu.Lock()
	defer e.mu.Unlock()
	e.jobs = append(e.jobs, j)
	e.work.Broadcast()
}

// behind says whether the committer is so far behind that there must be no more for it. There is a token in relieved afterwards.
func (e *etcd) behind() bool { return e != nil && e.backlog.Load() > maxBacklog }

// written notes that a job is done.
func (e *etcd) written(j etcdJob) {
	if n := j.bytes(); n > 0 && e.backlog.Add(-n) <= maxBacklog {
		signal(e.relieved)
	}
}

// commitPause is how long the committer lets changes gather after a batch, unless they are many or somebody needs them stored: a write
// of Badger goes through half a dozen goroutines, which takes more time from the log and from clients than the changes do.
const commitPause = 5 * time.Millisecond

// commitLoop is the committer: the goroutine that writes batches to Badger.
func (e *etcd) commitLoop() {
	defer close(e.ended)
	for {
		j, more := e.nextJob()
		if !more {
			return
		}
		if j.batch != nil {
			if err := e.commit(j); err != nil {
				e.fail(err)
				return
			}
			e.written(j)
		}
		if j.then != nil {
			j.then()
		}
	}
}

// nextJob waits for something to do. When a pause ends, it takes what has gathered.
func (e *etcd) nextJob() (j etcdJob, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.writing = false
	e.work.Broadcast()
	for len(e.jobs) == 0 && !e.closed {
		if !e.paused {
			e.work.Wait()
			continue
		}
		e.paused = false
		e.mu.Unlock() // the state's lock comes first
		e.s.state.Lock()
		e.take()
		e.s.state.Unlock()
		e.mu.Lock()
	}
	if len(e.jobs) == 0 {
		return etcdJob{}, false
	}
	j = e.jobs[0]
	e.jobs[0] = etcdJob{}
	e.jobs = e.jobs[1:]
	e.writing = true
	return j, true
}

// commit writes a batch, and begins a pause.
func (e *etcd) commit(j etcdJob) error {
	if err := j.space.write(j.batch); err != nil {
		return err
	}
	e.s.state.Lock()
	j.space.store.Stored(j.batch)
	e.s.state.Unlock()
	if e.lagging.Load() {
		signal(e.catchUp)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.pausing {
		e.pausing = true
		time.AfterFunc(commitPause, e.endPause)
	}
	return nil
}

// endPause wakes the committer.
func (e *etcd) endPause() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pausing, e.paused = false, true
	e.work.Broadcast()
}

// fail stops the server: it cannot store what it has to.
func (e *etcd) fail(err error) {
	select {
	case e.failed <- fmt.Errorf("etcd key space: %w", err):
	default:
	}
}

// What clients of this server may have under way at a time: bytes of mutations that are proposed, and of those that wait to be. More than
// that is refused.
const (
	maxUnderway = 8 << 20
	maxQueued   = 128 << 20
	// callBytes is about what a call takes besides its request.
	callBytes = 1 << 10
)

// enter waits until the committer is not far behind and there is room for a mutation of n bytes among those under way: what all
// servers have proposed together must fit into the queues of the links between them. Unless there is an error, [etcd.leave] follows.
func (e *etcd) enter(ctx context.Context, n int64) error {
	if e.near() && e.underway.TryAcquire(n) {
		return nil
	}
	defer e.queued.Add(-n)
	if e.queued.Add(n) > maxQueued {
		return rpctypes.ErrGRPCRequestTooManyRequests
	}
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := e.underway.Acquire(bounded, n)
	if err == nil {
		if err = e.room(bounded); err != nil {
			e.underway.Release(n)
		}
	}
	if err != nil && ctx.Err() == nil {
		return rpctypes.ErrGRPCRequestTooManyRequests
	}
	return err
}

func (e *etcd) leave(n int64) { e.underway.Release(n) }

// near says whether the committer is not far behind.
func (e *etcd) near() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.jobs) <= queueLimit || e.closed
}

// room waits until the committer is not far behind.
func (e *etcd) room(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.work.Broadcast()
	})()
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.jobs) > queueLimit && !e.closed && ctx.Err() == nil {
		e.work.Wait()
	}
	return ctx.Err()
}

// sync makes the key space durable as it is, so that the logs until now are not needed for it.
func (e *etcd) sync() error {
	done := make(chan error, 1)
	e.s.state.Lock()
	p := e.space
	if p == nil {
		e.s.state.Unlock()
		return nil
	}
	e.mark(all(p.store.TakeMark), func() {
		synced, err := p.backend.Sync()
		if err == nil {
			err = e.setCurrent(p, synced)
		}
		done <- err
	})
	e.s.state.Unlock()
	select {
	case err := <-done:
		return err
	case <-e.ended: // the committer has failed; it may be the loop that waits here, which would hear of that afterwards
		return errStopping
	case <-e.s.stopped:
		return errStopping
	}
}

// compactLoop deletes what compaction has made superfluous, a little at a time.
func (e *etcd) compactLoop() {
	for {
		select {
		case <-e.compact:
		case <-e.s.stopped:
			return
		}
		for more := true; more; {
			done := make(chan struct{})
			e.s.state.Lock()
			p := e.space
			more = p.store.CompactStep(1000)
			e.mark(all(p.store.Take), func() { close(done) })
			e.s.state.Unlock()
			select {
			case <-done:
			case <-e.ended:
				return
			case <-e.s.stopped:
				return
			}
		}
	}
}

// run starts the goroutines.
func (e *etcd) run() {
	e.tasks.Go(e.commitLoop)
	e.s.tasks.Go(e.compactLoop)
	e.s.tasks.Go(e.catchUpLoop)
}

// close ends everything, once nobody uses it any more, and makes what there is durable.
func (e *etcd) close() error {
	e.mu.Lock()
	e.closed = true
	e.work.Broadcast()
	e.mu.Unlock()
	e.tasks.Wait()
	e.s.state.Lock()
	p := e.space
	e.closing = true
	e.s.state.Unlock()
	if p == nil {
		return nil
	}
	var err error
	select {
	case err = <-e.failed:
	default:
		err = p.commit(p.store.Take)
	}
	return errors.Join(err, p.close())
}

// signal puts a token into a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
