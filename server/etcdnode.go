package server

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"zebu/mvcc"
	"zebu/proto"
	"zebu/replica"
	"zebu/status"
)

// The methods in this file are what package gateway wants of a server (gateway.Node).

// etcdCall is a call of the gateway's, used again and again.
type etcdCall struct {
	replica.Call
	done     chan struct{} // has a token when the call is answered
	patience *time.Timer   // of the caller's, set for as long as it waits
}

var etcdCalls = sync.Pool{New: func() any {
	return &etcdCall{done: make(chan struct{}, 1), patience: time.NewTimer(requestTimeout)}
}}

// requestTimeout is how long a call waits for the ensemble: etcd's with its default times.
const requestTimeout = 7 * time.Second

// retryPause is between two attempts of a call while the end of an election is not known everywhere.
const retryPause = 5 * time.Millisecond

// call asks until there is a leader, as etcd does: as long as the caller waits, and no longer than requestTimeout. What has become of a mutation is
// known, if it is not taken; what changes nothing is asked again also if the leader changed.
func (s *Server) call(ctx context.Context, asked replica.Call) (replica.Call, error) {
	c := etcdCalls.Get().(*etcdCall)
	c.patience.Reset(requestTimeout)
	for {
		begun := s.service.begun()
		c.Call = asked
		answered, err := s.callOnce(ctx, c)
		if !answered {
			return replica.Call{}, err // c may still be in somebody's hands
		}
		if err != mvcc.ErrNoLeader && (err != mvcc.ErrFenced || asked.Kind == replica.Propose || asked.Kind == replica.Reconfigure) {
			answer := c.Call
			c.patience.Stop()
			c.Call = replica.Call{}
			etcdCalls.Put(c)
			return answer, err
		}
		select {
		case <-begun:
			select {
			case <-time.After(retryPause):
			case <-ctx.Done():
				return replica.Call{}, ctx.Err()
			}
		case <-ctx.Done():
			return replica.Call{}, ctx.Err()
		case <-c.patience.C:
			return replica.Call{}, rpctypes.ErrGRPCTimeout
		case <-s.stopped:
			return replica.Call{}, errStopped
		}
	}
}

// callOnce puts a question to the loop and waits for the answer.
func (s *Server) callOnce(ctx context.Context, c *etcdCall) (answered bool, err error) {
	c.Handle = c
	if !s.loop.in.push([]item{{kind: itemCall, call: c}}) {
		return false, errStopped
	}
	select {
	case <-c.done:
		return true, c.Err
	case <-ctx.Done():
		return false, ctx.Err()
	case <-c.patience.C:
		return false, rpctypes.ErrGRPCTimeout
	case <-s.stopped:
		return false, errStopped
	}
}

var errStopped = grpcstatus.Error(codes.Unavailable, "etcdserver: server stopped")

// answerCalls tells those who wait for them of the calls that have been answered.
func (s *Server) answerCalls() {
	for _, c := range s.rep.TakeCalls() {
		if e, ok := c.Handle.(*etcdCall); ok {
			e.done <- struct{}{}
		}
	}
}

// minLeaseTTL is the shortest that a lease lives, in seconds: etcd's with its default times.
const minLeaseTTL = 2

// Propose puts a mutation into the log, through the leader.
func (s *Server) Propose(ctx context.Context, r mvcc.Record) (mvcc.Result, error) {
	n := min(int64(r.Request.Size())+callBytes, maxUnderway)
	if err := s.etcd.enter(ctx, n); err != nil {
		return mvcc.Result{}, err
	}
	defer s.etcd.leave(n)
	if grant, ok := r.Request.(*pb.LeaseGrantRequest); ok {
		complete := func(store *mvcc.Store) {
			store.CompleteGrant(grant, minLeaseTTL, rand.Uint64()) //nolint:gosec // an id, no secret
		}
		if !s.Read(complete) { // there will be a state when the call has waited for a leader
			complete(&mvcc.Store{})
		}
	}
	b, err := r.Encode()
	if err != nil {
		return mvcc.Result{}, err
	}
	c, err := s.call(ctx, replica.Call{Kind: replica.Propose, Record: b})
	return c.Result, err
}

// ReadPoint returns once this server has applied all that was committed when it was called.
func (s *Server) ReadPoint(ctx context.Context) error {
	if s.loop.e == nil {
		return nil // nothing is acknowledged before it is applied
	}
	_, err := s.call(ctx, replica.Call{Kind: replica.ReadPoint})
	return err
}

// Read calls f with the state. On a server that has none, yet or any more, f is not called, and the result is false.
func (s *Server) Read(f func(*mvcc.Store)) bool {
	s.state.RLock()
	defer s.state.RUnlock()
	store := s.rep.Etcd()
	if store == nil || s.etcd.closing {
		return false
	}
	f(store)
	return true
}

// Renew keeps a lease alive.
func (s *Server) Renew(ctx context.Context, id mvcc.LeaseID) (int64, error) {
	c, err := s.call(ctx, replica.Call{Kind: replica.Renew, Lease: id})
	return c.Value, err
}

// Remaining asks how many seconds a lease has left.
func (s *Server) Remaining(ctx context.Context, id mvcc.LeaseID) (int64, error) {
	c, err := s.call(ctx, replica.Call{Kind: replica.Remaining, Lease: id})
	return c.Value, err
}

// Term is the epoch and its leader.
func (s *Server) Term() (proto.Epoch, proto.ServerID) {
	p := s.part.Load()
	switch {
	case p == nil:
		return 1, standaloneID
	case !p.serving || p.state == proto.Looking:
		return p.current, proto.NoServer
	}
	return p.current, p.leader
}

// Status is the server's part in its ensemble, and of its key space.
func (s *Server) Status() status.Etcd {
	st := status.Etcd{ServerID: standaloneID, Quota: max(0, s.cfg.Etcd.Quota), Serving: !s.ending.Load()}
	if s.cfg.Etcd.Quota == 0 {
		st.Quota = mvcc.DefaultQuota
	}
	st.Epoch, st.Leader = s.Term()
	if p := s.part.Load(); p != nil {
		st.ServerID, st.Config = s.cfg.Quorum.ServerID, p.config
		st.Serving, st.Observer = p.serving && st.Leader != proto.NoServer, p.mode == status.Observer
	}
	s.state.RLock()
	defer s.state.RUnlock()
	st.Applied = s.rep.Applied()
	st.Proposed = max(s.rep.Proposed(), st.Applied)
	if store := s.rep.Etcd(); store != nil && !s.etcd.closing {
		st.InUse = store.Size()
		// What the files take is looked up now and then only; clients divide by it.
		st.Size = max(s.etcd.space.backend.Size(), st.InUse, 1)
		st.Leases = store.NumLeases()
		st.Revision, st.Compact = store.Revision(), store.Compacted()
		s.watching.Lock()
		st.Watches = s.rep.EtcdHub().Watches()
		s.watching.Unlock()
	}
	return st
}

// SetEtcdURL says where the etcd API is reached, before [Server.Run].
func (s *Server) SetEtcdURL(url string) {
	if s.loop.e != nil {
		s.loop.e.m.SetClientURL(url)
	}
}

// EtcdURLs asks the leader where the etcd APIs of all servers are reached that have told it of that.
func (s *Server) EtcdURLs(ctx context.Context) (map[proto.ServerID]string, error) {
	if s.loop.e == nil {
		return nil, nil
	}
	c, err := s.call(ctx, replica.Call{Kind: replica.ClientURLs})
	return replica.ParseClientURLs(c.URLs), err
}

// Reconfigure asks for another configuration of the ensemble, in the words of ZooKeeper's reconfig, and returns it.
func (s *Server) Reconfigure(ctx context.Context, joining, leaving string) (string, error) {
	if s.loop.e == nil {
		return "", grpcstatus.Error(codes.Unimplemented, "zebu: a standalone server has no ensemble to change")
	}
	c, err := s.call(ctx, replica.Call{Kind: replica.Reconfigure, Joining: joining, Leaving: leaving})
	if err != nil {
		return "", err
	}
	switch c.Code {
	case proto.OK:
		return c.Config, nil
	case proto.ErrReconfigDisabled:
		return "", grpcstatus.Error(codes.FailedPrecondition, "zebu: reconfigEnabled is false on the leader")
	case proto.ErrNewConfigNoQuorum:
		return "", rpctypes.ErrGRPCUnhealthy
	case proto.ErrReconfigInProgress:
		return "", grpcstatus.Error(codes.Unavailable, "zebu: another change of the ensemble is under way")
	}
	return "", grpcstatus.Errorf(codes.InvalidArgument, "zebu: reconfig: %v", c.Code)
}

// Snapshot returns the records of the state as it is now.
func (s *Server) Snapshot(ctx context.Context) (mvcc.View, error) {
	views := make(chan mvcc.View)
	s.state.Lock()
	p := s.etcd.space
	if p == nil || s.etcd.closing {
		s.state.Unlock()
		return nil, mvcc.ErrNoLeader
	}
	s.etcd.mark(all(p.store.TakeMark), func() {
		v := p.View()
		select {
		case views <- v:
		case <-ctx.Done():
			v.Close()
		case <-s.stopped:
			v.Close()
		}
	})
	s.state.Unlock()
	select {
	case v := <-views:
		return v, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.etcd.ended:
		return nil, errStopped
	case <-s.stopped:
		return nil, errStopped
	}
}

// Defragment gives free space back to the file system.
func (s *Server) Defragment(context.Context) error {
	s.state.RLock()
	p := s.etcd.space
	if p == nil || s.etcd.closing {
		s.state.RUnlock()
		return mvcc.ErrNoLeader
	}
	p.views.Add(1)
	s.state.RUnlock()
	defer p.views.Done()
	return p.backend.Collect()
}
