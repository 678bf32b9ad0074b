// Package gatewaytest is a server for tests of gateways: one that stands alone and keeps everything in memory, but for that a
// complete [gateway.Node].
package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"zebu/gateway"
	"zebu/mvcc"
	"zebu/proto"
	"zebu/quorum"
	"zebu/status"
)

// What a node does like etcd's default.
const (
	minTTL           = 2 // seconds
	progressInterval = 10 * time.Minute
	expiredAtOnce    = 500
	compactAtOnce    = 1000
)

// maxQueue is how many deliveries wait for a stream before it is blocked.
const maxQueue = 1000

// Options of a [Node]. What is zero has etcd's default.
type Options struct {
	ID       proto.ServerID // default 1
	Config   *quorum.Config // of the ensemble that it claims to be of; nil: none
	Mvcc     mvcc.Options
	Progress time.Duration // between progress notifications
}

// Node is a server on [mvcc.Memory]. Everything is done under one lock, in whose order it takes place.
type Node struct {
	options Options
	began   time.Time
	stop    context.CancelFunc
	done    sync.WaitGroup
	wake    chan struct{} // the clock looks again

	mu      sync.RWMutex
	storage *storage
	store   *mvcc.Store
	hub     *mvcc.Hub
	lessor  *mvcc.Lessor
	zxid    proto.Zxid
	leader  proto.ServerID
	lost    bool
	config  *quorum.Config
	streams map[mvcc.StreamID]*watches
	last    mvcc.StreamID
	changed chan struct{} // closed at the next change of leases
	failure error         // why the node is of no use any more
}

var _ gateway.Node = (*Node)(nil)

// storage lets views be taken by several goroutines.
type storage struct {
	mu     sync.Mutex
	memory mvcc.Memory
}

func (s *storage) View() mvcc.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory.View()
}

func (s *storage) commit(b *mvcc.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory.Commit(b)
}

// New makes an empty node, which runs until [Node.Close].
func New(o Options) (*Node, error) {
	if o.ID == 0 {
		o.ID = 1
	}
	if o.Progress == 0 {
		o.Progress = progressInterval
	}
	n := &Node{
		options: o,
		began:   time.Now(),
		wake:    make(chan struct{}, 1),
		storage: &storage{},
		zxid:    1 << 32,
		leader:  o.ID,
		config:  o.Config,
		streams: map[mvcc.StreamID]*watches{},
		changed: make(chan struct{}),
	}
	var err error
	if n.store, err = mvcc.Open(n.storage, o.Mvcc); err != nil {
		return nil, err
	}
	n.hub = mvcc.NewHub(n.store.Revision())
	n.lessor = mvcc.NewLessor(n.now(), nil, 0)
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.done.Go(func() { n.keepTime(ctx) })
	return n, nil
}

// Close ends the node and all its streams.
func (n *Node) Close() {
	n.stop()
	n.done.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.streams {
		w.end(rpctypes.ErrGRPCStopped)
	}
	n.failure = rpctypes.ErrGRPCStopped
}

func (n *Node) now() proto.Millis { return proto.Millis(time.Since(n.began).Milliseconds()) }

// SetLeader says who leads from now on; without a leader, proto.NoServer, nothing is decided.
func (n *Node) SetLeader(id proto.ServerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leader = id
}

// SetLost says whether the node has lost its state and waits for another.
func (n *Node) SetLost(lost bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost = lost
}

// ready says why nothing can be decided.
func (n *Node) ready(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case n.failure != nil:
		return n.failure
	case n.leader == proto.NoServer, n.lost:
		return rpctypes.ErrGRPCNoLeader
	}
	return nil
}

// Propose implements gateway.Node.
func (n *Node) Propose(ctx context.Context, r mvcc.Record) (mvcc.Result, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.ready(ctx); err != nil {
		return mvcc.Result{}, err
	}
	if grant, ok := r.Request.(*pb.LeaseGrantRequest); ok {
		n.store.CompleteGrant(grant, minTTL, rand.Uint64())
	}
	return n.apply(r)
}

// apply does all that a server does for a committed record. It is called with mu locked.
func (n *Node) apply(r mvcc.Record) (mvcc.Result, error) {
	body, err := r.Encode()
	if err != nil {
		return mvcc.Result{}, err
	}
	n.zxid++
	result, err := n.store.Apply(n.zxid, body)
	if err == nil {
		err = n.publish(result)
	}
	if err != nil {
		n.failure = fmt.Errorf("apply: %w", err)
		return mvcc.Result{}, n.failure
	}
	n.noteLease(r, result)
	n.save()
	for n.store.Compacting() {
		n.store.CompactStep(compactAtOnce)
		n.save()
	}
	return result, n.catchUp()
}

func (n *Node) publish(result mvcc.Result) error {
	list, err := n.hub.Publish(result.Revision, result.Events, n.store)
	n.deliver(list)
	return err
}

func (n *Node) save() {
	for b := n.store.Take(); b != nil; b = n.store.Take() {
		n.storage.commit(b)
		n.store.Stored(b)
	}
}

// noteLease tells the clock.
func (n *Node) noteLease(r mvcc.Record, result mvcc.Result) {
	if result.Err != nil {
		return
	}
	switch q := r.Request.(type) {
	case *pb.LeaseGrantRequest:
		n.lessor.Granted(n.now(), mvcc.LeaseID(q.ID), q.TTL)
	case *pb.LeaseRevokeRequest:
		n.lessor.Revoked(mvcc.LeaseID(q.ID))
	case *pb.LeaseCheckpointRequest:
		for _, c := range q.Checkpoints {
			n.lessor.Checkpointed(n.now(), mvcc.LeaseID(c.ID), c.Remaining_TTL)
		}
	default:
		return
	}
	close(n.changed)
	n.changed = make(chan struct{})
	n.poke()
}

func (n *Node) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// keepTime revokes leases whose time is up, and tells watches how far they are.
func (n *Node) keepTime(ctx context.Context) {
	progress := time.NewTicker(n.options.Progress)
	defer progress.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-progress.C:
			n.mu.Lock()
			n.deliver(n.hub.ProgressTick())
			n.mu.Unlock()
		case <-n.wake:
			timer.Reset(n.tick())
		case <-timer.C:
			timer.Reset(n.tick())
		}
	}
}

// tick does what is due and returns how long it is until more is.
func (n *Node) tick() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range n.lessor.Expired(n.now(), expiredAtOnce) {
		r := mvcc.NewRecord(&pb.LeaseRevokeRequest{ID: int64(id)})
		r.Epoch = n.zxid.Epoch()
		if _, err := n.apply(r); err != nil {
			return time.Hour // the node has failed
		}
	}
	if list := n.lessor.Checkpoints(n.now(), expiredAtOnce); len(list) > 0 {
		if _, err := n.apply(mvcc.NewRecord(&pb.LeaseCheckpointRequest{Checkpoints: list})); err != nil {
			return time.Hour
		}
	}
	next, ok := n.lessor.Next()
	if !ok {
		return time.Hour
	}
	return time.Duration(max(1, next-n.now())) * time.Millisecond
}

// ReadPoint implements gateway.Node.
func (n *Node) ReadPoint(ctx context.Context) error {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.ready(ctx)
}

// Read implements gateway.Node.
func (n *Node) Read(f func(*mvcc.Store)) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if !n.lost {
		f(n.store)
	}
}

// Renew implements gateway.Node.
func (n *Node) Renew(ctx context.Context, id mvcc.LeaseID) (int64, error) {
	for {
		n.mu.Lock()
		ttl, outcome := int64(0), mvcc.Missing
		err := n.ready(ctx)
		if err == nil {
			ttl, outcome = n.lessor.Renew(n.now(), id)
		}
		if err == nil && outcome == mvcc.Unchecked {
			_, err = n.apply(mvcc.NewRecord(&pb.LeaseCheckpointRequest{Checkpoints: []*pb.LeaseCheckpoint{{ID: int64(id)}}}))
		}
		changed := n.changed
		n.mu.Unlock()
		switch {
		case err != nil:
			return 0, err
		case outcome == mvcc.Renewed || outcome == mvcc.Missing:
			n.poke()
			return ttl, nil
		case outcome == mvcc.Unchecked:
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Remaining implements gateway.Node.
func (n *Node) Remaining(ctx context.Context, id mvcc.LeaseID) (int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.ready(ctx); err != nil {
		return 0, err
	}
	return n.lessor.Remaining(n.now(), id), nil
}

// Term implements gateway.Node.
func (n *Node) Term() (proto.Epoch, proto.ServerID) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.zxid.Epoch(), n.leader
}

// Status implements gateway.Node.
func (n *Node) Status() status.Etcd {
	n.mu.RLock()
	defer n.mu.RUnlock()
	quota := n.options.Mvcc.Quota
	if quota == 0 {
		quota = mvcc.DefaultQuota
	}
	return status.Etcd{
		ServerID: n.options.ID,
		Leader:   n.leader,
		Serving:  n.leader != proto.NoServer,
		Epoch:    n.zxid.Epoch(),
		Proposed: n.zxid,
		Applied:  n.zxid,
		Config:   n.config,
		Size:     n.store.Size(),
		InUse:    n.store.Size(),
		Quota:    quota,
		Watches:  n.hub.Watches(),
		Leases:   len(n.store.Leases()),
	}
}

// Reconfigure implements gateway.Node: the configuration changes, the ensemble is still this server alone.
func (n *Node) Reconfigure(ctx context.Context, joining, leaving string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.ready(ctx); err != nil {
		return "", err
	}
	if n.config == nil {
		return "", errors.New("this server stands alone")
	}
	r := &proto.ReconfigRequest{JoiningServers: []byte(joining), LeavingServers: []byte(leaving)}
	next, err := n.config.Next(r, quorum.Rules{})
	if err != nil {
		return "", err
	}
	n.zxid++
	n.store.Advance(n.zxid)
	next.Version = n.zxid
	n.config = next
	return next.String(), nil
}

// MoveLeader implements gateway.Node: the other server is said to lead.
func (n *Node) MoveLeader(ctx context.Context, to proto.ServerID) error {
	n.SetLeader(to)
	return ctx.Err()
}

// Snapshot implements gateway.Node.
func (n *Node) Snapshot(ctx context.Context) (mvcc.View, error) {
	return n.storage.View(), ctx.Err()
}

// Defragment implements gateway.Node.
func (n *Node) Defragment(ctx context.Context) error { return ctx.Err() }

// Metrics implements gateway.Node.
func (n *Node) Metrics(w io.Writer) error {
	_, err := io.WriteString(w, "# TYPE test_node gauge\ntest_node 1\n")
	return err
}
