package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"zebu/conf"
	"zebu/internal/audit"
	"zebu/internal/metrics"
	"zebu/internal/vfs"
	"zebu/mvcc"
	"zebu/proto"
	"zebu/replica"
	"zebu/status"
	"zebu/storage"
	"zebu/zab"
	"zebu/znode"
)

// standaloneID is the server id in a standalone server's session ids (spec 1.5).
const standaloneID proto.ServerID = 1

// Options are what a server is made of.
type Options struct {
	Config  *conf.Config
	Log     *zap.Logger
	Metrics *metrics.Server // nil for private ones
	Version status.Version
	FS      vfs.FS // nil for the operating system's
	// Authority is that of [mvcc.Options], for the etcd API; nil: no users.
	Authority func(*mvcc.Store) (mvcc.Authority, error)
}

// Server is one server, standalone or of an ensemble.
type Server struct {
	cfg   *conf.Config
	log   *zap.Logger
	met   *metrics.Server
	start time.Time // origin of the monotonic clock

	store *storage.Store
	etcd  *etcd      // nil without the etcd API
	stuck chan error // why the etcd key space cannot go on
	loop  *loop
	auth  authenticator
	users saslUsers
	audit *audit.Logger // nil: no audit log

	auditUser string

	state    sync.RWMutex
	rep      *replica.Replica
	watching sync.Mutex

	part    atomic.Pointer[part] // in an ensemble; nil on a standalone server
	service *service

	mismatches int64 // digest mismatches reported; the loop's

	listening sync.Mutex // for listener
	listener  net.Listener
	moving    sync.Mutex // held while the listener is replaced
	wanted    atomic.Pointer[proto.HostPort]
	addrs     *addressLimit
	throttle  *connThrottle
	report    *status.Report
	enforce   bool // enforce.auth.enabled

	batchLimit int           // requests that a connection hands to the loop at once
	closeGrace time.Duration // how long a connection that is to be closed may take to accept its last replies

	inflight    atomic.Int64
	largeBytes  atomic.Int64 // of large requests in flight
	authFailed  atomic.Int64
	roomMu      sync.Mutex
	room        sync.Cond
	roomWaiters atomic.Int64

	connMu sync.Mutex
	conns  map[*conn]struct{}
	past   tally // of closed connections

	tasks        sync.WaitGroup
	snapshotting sync.Mutex // held while a snapshot is written
	ending       atomic.Bool
	stopped      chan struct{}
}

// PortError says that the client port or the election port could not be opened.
type PortError struct{ Err error }

func (e *PortError) Error() string { return e.Err.Error() }

// Unwrap returns the system's error.
func (e *PortError) Unwrap() error { return e.Err }

// New opens the data directory, restores its state and opens the client port. Nothing is served before Run.
func New(opt Options) (*Server, error) {
	s := &Server{
		cfg: opt.Config, log: opt.Log, met: opt.Metrics, start: time.Now(), conns: map[*conn]struct{}{}, past: newTally(),
		auth: newAuthenticator(&opt.Config.Auth), enforce: opt.Config.Auth.Enforce, stopped: make(chan struct{}),
		addrs: newAddressLimit(opt.Config.Limits), batchLimit: batchLimit(opt.Config), closeGrace: 5 * time.Second,
	}
	s.room.L = &s.roomMu
	if s.met == nil {
		s.met = metrics.New()
	}
	s.throttle = newConnThrottle(s.cfg.Throttle, s.met)
	s.registerQuotas()
	if s.cfg.Audit {
		s.audit, s.auditUser = audit.New(s.log.Named("audit")), auditUser()
	}
	s.report = status.NewReport(s, reportOptions(opt, s.met))
	var err error
	if s.users, err = loadSASL(&s.cfg.Auth, s.log); err != nil {
		return nil, err
	}
	if s.cfg.Etcd.Addr.IsSet() {
		s.etcd = newEtcd(s, opt.Authority)
		s.stuck = s.etcd.failed
	}
	disk, err := s.restore(opt.FS)
	if err != nil {
		return nil, err
	}
	s.loop = newLoop(s)
	s.service = newService(!s.cfg.Distributed())
	if s.cfg.Distributed() {
		if s.loop.e, err = newEnsemble(s.loop, disk); err != nil {
			return nil, errors.Join(err, s.store.Close())
		}
		s.part.Store(&part{leader: proto.NoServer})
	}
	if s.listener, err = listen(context.Background(), s.cfg.Client); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	return s, nil
}

// Addr is the client port's address.
func (s *Server) Addr() net.Addr {
	s.listening.Lock()
	defer s.listening.Unlock()
	return s.listener.Addr()
}

// moveTo has the server listen for clients at another address, which a reconfiguration has given it. To find out what a name stands for may
// take long, and the loop has other things to do.
func (s *Server) moveTo(addr proto.HostPort) {
	s.wanted.Store(&addr)
	s.tasks.Go(func() {
		s.moving.Lock()
		defer s.moving.Unlock()
		if last := s.wanted.Load(); last != nil {
			s.move(*last)
			s.wanted.CompareAndSwap(last, nil)
		}
	})
}

// move listens at another address. Connections stay. If that cannot be done, clients are served where they were: an ensemble must not
// lose a server to an address that somebody mistyped.
func (s *Server) move(addr proto.HostPort) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.tasks.Go(func() {
		select {
		case <-s.stopped:
			cancel()
		case <-ctx.Done():
		}
	})
	c := s.cfg.Client
	c.Addr = conf.Address(addr.Host, addr.Port)
	s.listening.Lock()
	old := s.listener
	s.listening.Unlock()
	before, _ := old.Addr().(*net.TCPAddr)
	same := before != nil && before.Port == addr.Port
	if same {
		old.Close() // the new one may stand for the same
	}
	ln, err := listen(ctx, c)
	if err != nil {
		s.log.Error("cannot serve clients where the ensemble's configuration says", zap.Error(err))
		if !same {
			return
		}
		c.Addr = conf.Address(before.IP.String(), before.Port)
		if ln, err = listen(ctx, c); err != nil {
			s.log.Error("cannot serve new clients", zap.Error(err))
			return
		}
	} else if !same {
		old.Close()
	}
	s.listening.Lock()
	defer s.listening.Unlock()
	if s.ending.Load() {
		ln.Close()
		return
	}
	s.listener = ln
	s.tasks.Go(func() { s.accept(ln) })
	s.log.Info("listening for clients", zap.Stringer("address", ln.Addr()))
}

// now is the server's monotonic clock in milliseconds.
func (s *Server) now() proto.Millis { return proto.Millis(time.Since(s.start) / time.Millisecond) }

func (s *Server) clock() replica.Clock {
	t := time.Now()
	return replica.Clock{Mono: proto.Millis(t.Sub(s.start) / time.Millisecond), Wall: proto.Millis(t.UnixMilli())}
}

func storageOptions(cfg *conf.Config, log *zap.Logger, met *metrics.Server) storage.Options {
	opt := storage.DefaultOptions(cfg.DataDir)
	opt.LogDir = cfg.DataLogDir
	opt.FS = vfs.OS
	opt.Log = log
	opt.PreallocBytes = cfg.Log.PreAlloc
	opt.LogSizeLimit = max(0, cfg.Log.SizeLimit)
	opt.NoSync = !cfg.Log.ForceSync
	opt.FsyncWarn = cfg.Log.FsyncWarn
	opt.OnFsync = func(d time.Duration) { met.FsyncTime.Observe(d.Milliseconds()) }
	opt.Compression = cfg.Snapshot.Compression
	opt.WriteDigest = cfg.Tree.Digest
	opt.WriteLastZxid = cfg.Snapshot.LastZxid
	opt.TrustEmpty = cfg.Snapshot.TrustEmpty
	opt.AutoCreateDir = cfg.Log.AutoCreateDirs
	opt.AutoCreateDB = cfg.Log.AutoCreateDB
	return opt
}

func replicaOptions(cfg *conf.Config) replica.Options {
	id := standaloneID
	if cfg.Distributed() {
		id = cfg.Quorum.ServerID
	}
	return replica.Options{
		Audit:             cfg.Audit,
		ServerID:          id,
		LocalSessions:     cfg.Distributed() && cfg.Quorum.LocalSessions,
		UpgradeLocal:      cfg.Quorum.LocalSessionsUpgrading,
		Tick:              cfg.TickTime,
		MinSessionTimeout: int32(cfg.Session.MinTimeout),
		MaxSessionTimeout: int32(cfg.Session.MaxTimeout),
		MaxNeverUsed:      proto.Millis(cfg.Tree.ContainerMaxNeverUsed.Milliseconds()),
		ReapInterval:      proto.Millis(cfg.Tree.ContainerCheck.Milliseconds()),
		ReapPerCheck:      cfg.Tree.ContainerPerMinute,
		QuorumSync:        cfg.Quorum.SyncQuorum,
		Etcd:              cfg.Etcd.Addr.IsSet(),
		SyncLimit:         cfg.Quorum.SyncLimit,
		Compact:           replica.Compaction{Period: millis(cfg.Etcd.Period), Keep: cfg.Etcd.Keep},
		Znode: znode.Options{
			ExtendedTypes: cfg.Tree.ExtendedTypes, Emulate353TTL: cfg.Tree.Emulate353TTL, NoDigest: !cfg.Tree.Digest,
			SkipACL: cfg.Tree.SkipACL, Reconfig: cfg.Quorum.Reconfig, EnforceQuota: cfg.Tree.EnforceQuota, EmptyCloseSession: !cfg.Session.CloseTxn,
			SASL: slices.Contains(cfg.Auth.Schemes, "sasl"), LetAnySASLUser: cfg.Auth.LetAnySASLUser, X509SuperUser: cfg.Auth.X509SuperUser,
		},
	}
}

// restore opens the store and brings the replica to the last transaction in the log.
func (s *Server) restore(fsys vfs.FS) (disk replica.Disk, err error) {
	start := time.Now()
	opt := storageOptions(s.cfg, s.log, s.met)
	if fsys != nil {
		opt.FS = fsys
	}
	if s.store, err = storage.Open(opt); err != nil {
		return disk, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.etcd.notRestored(), s.store.Close())
		}
	}()
	s.rep = replica.New(replicaOptions(s.cfg))
	s.rep.Advance(s.clock())
	if s.etcd != nil {
		s.rep.EtcdSeen(s.etcd.seen())
	}
	disk.Log = zab.NewCommitLog(s.cfg.Quorum.CommitLogCount)
	member := s.cfg.Distributed()
	info, err := s.store.Restore(s.rep.Loader(), func(hdr *proto.TxnHeader, txn, body []byte) error {
		if member {
			if err := disk.Log.Append(zab.Txn{Zxid: hdr.Zxid, Data: slices.Clone(txn)}); err != nil {
				return err
			}
		}
		return s.rep.Replay(hdr, body)
	})
	if err == nil {
		err = s.rep.Unproven()
	}
	if err != nil {
		return disk, err
	}
	lost, err := s.restoreEtcd(info)
	if err != nil {
		return disk, err
	}
	if member {
		if disk.AcceptedEpoch, disk.CurrentEpoch, err = readEpochs(s.store, s.cfg.DataDir, s.rep.Applied().Epoch()); err != nil {
			return disk, err
		}
		disk.Lost = lost || info.LastZxid < 0
	} else if err := s.rep.Lead(); err != nil {
		return disk, err
	}
	// What waits to be confirmed is in the log alone: a snapshot must not take its place.
	if s.rep.EtcdWaiting() == 0 && !info.HasSnapshot && info.LastZxid >= 0 || s.rep.Counts().Orphans > 0 {
		// A log without a snapshot is refused at the next start: it might be what is left of a lost directory. And the log
		// to come is about a state without orphans.
		if _, err := s.store.WriteSnapshot(s.rep.Image()); err != nil {
			return disk, err
		}
	}
	s.met.DBInitTime.Observe(time.Since(start).Milliseconds())
	if info.Txns > 0 {
		s.met.StartupTxnsLoaded.Observe(int64(info.Txns))
	}
	s.alarmOnDigest()
	s.log.Info("state restored", zap.Stringer("zxid", s.rep.Applied()), zap.Stringer("snapshot", info.SnapshotZxid),
		zap.Int("transactions", info.Txns), zap.Int("znodes", s.rep.Tree().NodeCount()),
		zap.Int("sessions", s.rep.Sessions().Len()), zap.Duration("took", time.Since(start)))
	return disk, nil
}

// restoreEtcd brings the key space of the etcd API to the same transaction, if there is one. A member that finds it lost gets
// it from the leader.
func (s *Server) restoreEtcd(info storage.Restored) (lost bool, err error) {
	if s.etcd == nil {
		return false, nil
	}
	err = s.etcd.restore(info)
	switch {
	case errors.Is(err, errSpaceLost) && s.cfg.Distributed():
		s.log.Error("this server takes no part in votes until the leader has sent it its state", zap.Error(err))
		return true, nil
	case errors.Is(err, errSpaceLost):
		return false, fmt.Errorf("%w (put a copy of %s back that is not older than the oldest log; or, to begin with an empty key space, remove it and %s)", err, s.etcd.root, s.etcd.begunFile())
	case err != nil || s.cfg.Distributed():
		return false, err
	}
	return false, s.etcd.confirmAll()
}

// readEpochs reads the epoch files. Without them, the epochs are that of the last transaction (spec 8.7).
func readEpochs(store *storage.Store, dataDir string, last proto.Epoch) (accepted, current proto.Epoch, err error) {
	if accepted, err = orEpoch(store.AcceptedEpoch, last); err != nil {
		return 0, 0, err
	}
	if current, err = orEpoch(store.CurrentEpoch, last); err != nil {
		return 0, 0, err
	}
	// The history of an epoch becomes durable before the epoch does.
	current = max(current, last)
	if accepted < current {
		return 0, 0, fmt.Errorf("%s: acceptedEpoch is %d and currentEpoch %d: it cannot be less; the directory is damaged, or was put together from several servers' files",
			versionDir(dataDir), accepted, current)
	}
	return accepted, current, nil
}

func orEpoch(read func() (proto.Epoch, error), otherwise proto.Epoch) (proto.Epoch, error) {
	e, err := read()
	if errors.Is(err, fs.ErrNotExist) {
		return otherwise, nil
	}
	return e, err
}

// alarmOnDigest reports transactions after which the tree was not what they say it should be. ZooKeeper goes on then, and so
// does zebu: the digest tells that replicas, or software versions, disagree, but not who is right.
func (s *Server) alarmOnDigest() {
	n := s.rep.Counts().DigestMismatches - s.mismatches
	if n == 0 {
		return
	}
	s.mismatches += n
	s.met.DigestMismatchesCount.Add(n)
	s.log.Error("the tree's digest differs from what transactions say; see docs/operations.md", zap.Int64("transactions", n),
		zap.Stringer("zxid", s.rep.Applied()))
}

// Run serves until ctx ends, or until the server must stop because its log or its state can no longer be trusted.
func (s *Server) Run(ctx context.Context) error {
	s.auditSelf(audit.ServerStart, audit.Success)
	defer s.auditSelf(audit.ServerStop, audit.Invoked)
	var logDone sync.WaitGroup
	logDone.Go(s.loop.runLog)
	s.tasks.Go(func() { s.accept(s.listener) })
	s.tasks.Go(s.purge)
	if s.etcd != nil {
		s.etcd.run()
	}
	err := s.loop.run(ctx)
	s.stop()
	logDone.Wait()
	s.tasks.Wait()
	return errors.Join(err, s.closeEtcd(), s.store.Close())
}

// Close releases what New opened, for a server that is not to be run.
func (s *Server) Close() error {
	return errors.Join(s.listener.Close(), s.closeEtcd(), s.store.Close())
}

func (s *Server) closeEtcd() error {
	if s.etcd == nil {
		return nil
	}
	return s.etcd.close()
}

// Stopped is closed when Run has ended service. Then it waits for all who still look at the etcd key space.
func (s *Server) Stopped() <-chan struct{} { return s.stopped }

// stop ends every connection and every goroutine but the log's.
func (s *Server) stop() {
	s.ending.Store(true)
	close(s.stopped)
	s.listening.Lock()
	s.listener.Close()
	s.listening.Unlock()
	s.roomMu.Lock()
	s.room.Broadcast()
	s.roomMu.Unlock()
	s.connMu.Lock()
	defer s.connMu.Unlock()
	for c := range s.conns {
		c.abort()
	}
}

func (s *Server) accept(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.log.Warn("accept failed", zap.Error(err))
			select { // out of descriptors, most likely: let some go first
			case <-time.After(50 * time.Millisecond):
			case <-s.stopped:
				return
			}
			continue
		}
		s.admit(nc)
	}
}

// admit starts a connection, or closes it if there are too many.
func (s *Server) admit(nc net.Conn) {
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetKeepAlive(s.cfg.Client.KeepAlive)
	}
	c := newConn(s, nc)
	if !s.addrs.enter(c.remote.Addr()) {
		s.met.ConnectionRejected.Inc()
		s.log.Warn("connection refused: maxClientCnxns or maxCnxns reached", zap.Stringer("client", c.remote))
		nc.Close()
		return
	}
	s.connMu.Lock()
	defer s.connMu.Unlock()
	if s.ending.Load() {
		nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.tasks.Go(c.serve)
}

// forget removes a connection whose reader has ended.
func (s *Server) forget(c *conn) {
	s.connMu.Lock()
	delete(s.conns, c)
	c.mu.Lock()
	s.past.add(&c.total)
	if !c.word {
		s.met.ConnectionDropCount.Inc()
	}
	c.mu.Unlock()
	s.connMu.Unlock()
	s.addrs.leave(c.remote.Addr())
}

var _ storage.Builder = (*replica.Loader)(nil)

var _ storage.Image = (*replica.Image)(nil)
