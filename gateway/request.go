package gateway

import (
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.uber.org/zap"
	"google.golang.org/grpc/status"

	"zebu/mvcc"
	"zebu/proto"
)

// ClusterID is the id of the ensemble in etcd's headers. All of zebu's have the same: a configuration changes, and the
// id must not.
const ClusterID = 0x7a656275

// MemberID is the id of a server as a member in etcd's sense, which is never 0: its own, if that is positive.
func MemberID(id proto.ServerID) uint64 {
	if id > 0 {
		return uint64(id)
	}
	return uint64(id) ^ 1<<63
}

// serverID undoes MemberID.
func serverID(member uint64) proto.ServerID {
	if id := proto.ServerID(member); id > 0 {
		return id
	}
	return proto.ServerID(member ^ 1<<63)
}

// fill completes the header of an answer, but for the revision.
func (s *Server) fill(h *pb.ResponseHeader) {
	epoch, _ := s.Node.Term()
	h.ClusterId, h.MemberId = ClusterID, s.member
	h.RaftTerm = max(1, uint64(max(0, epoch))) // a server alone has epoch 0, which for etcd's clients is none
}

// header makes one at the current revision.
func (s *Server) header() *pb.ResponseHeader {
	h := &pb.ResponseHeader{}
	s.fill(h)
	s.Node.Read(func(state *mvcc.Store) { h.Revision = state.Revision() })
	return h
}

// caller is who sent a request.
type caller struct {
	user     string
	revision uint64
}

func (s *Server) identify(ctx context.Context) (caller, error) {
	if s.Authenticator == nil {
		return caller{}, nil
	}
	user, revision, err := s.Authenticator.Identify(ctx)
	return caller{user, revision}, err
}

// look calls f with the state, if there is one.
func (s *Server) look(f func(*mvcc.Store) error) error {
	err := mvcc.ErrNoLeader
	s.Node.Read(func(state *mvcc.Store) { err = f(state) })
	return err
}

// read calls f with the state if the caller may have the request answered.
func (s *Server) read(ctx context.Context, r mvcc.Message, f func(*mvcc.Store) error) error {
	c, err := s.identify(ctx)
	if err != nil {
		return err
	}
	return s.look(func(state *mvcc.Store) error {
		if s.Authenticator != nil {
			if err := s.Authenticator.Permit(state, c.user, c.revision, r); err != nil {
				return err
			}
		}
		return f(state)
	})
}

// permit tells whether the caller may have a request answered that does not look at the state.
func (s *Server) permit(ctx context.Context, r mvcc.Message) error {
	if s.Authenticator == nil {
		return nil
	}
	return s.read(ctx, r, func(*mvcc.Store) error { return nil })
}

// readPoint waits until this server has all that was committed before.
func (s *Server) readPoint(ctx context.Context) error {
	return s.Node.ReadPoint(ctx)
}

// timedOut replaces the end of the server's patience by etcd's word for it. The end of the client's it leaves as it is.
func timedOut(ctx context.Context, err error) error {
	if err == context.DeadlineExceeded && ctx.Err() == nil {
		return rpctypes.ErrGRPCTimeout
	}
	return err
}

// recordOverhead is about what a request has around it in the log, in bytes.
const recordOverhead = 16

// propose puts a request into the log, in the caller's name, and returns the answer with its header filled in. Whether the caller may is
// decided when it is applied.
func (s *Server) propose(ctx context.Context, request mvcc.Message) (mvcc.Result, error) {
	c, err := s.identify(ctx)
	if err != nil {
		return mvcc.Result{}, err
	}
	if request.Size()+len(c.user)+recordOverhead > s.MaxRequestBytes {
		return mvcc.Result{}, rpctypes.ErrGRPCRequestTooLarge
	}
	record := mvcc.NewRecord(request)
	record.User, record.AuthRevision = c.user, c.revision
	return s.put(ctx, record)
}

// put puts a record into the log, and gives its outcome as an error.
func (s *Server) put(ctx context.Context, r mvcc.Record) (mvcc.Result, error) {
	result, err := s.Node.Propose(ctx, r)
	if err != nil {
		return result, err
	}
	return result, result.Err
}

// hasRoom checks the quota before a request is proposed. When there is no more room, an alarm says so to the whole ensemble.
func (s *Server) hasRoom(ctx context.Context, request mvcc.Message) error {
	var err error
	raised := false
	s.Node.Read(func(state *mvcc.Store) {
		if err = state.Admit(request); err != nil {
			own := func(a *pb.AlarmMember) bool { return a.MemberID == s.member }
			raised = slices.ContainsFunc(state.Alarms(pb.AlarmType_NOSPACE), own)
		}
	})
	if err == nil || raised {
		return err
	}
	alarm := &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE, MemberID: s.member}
	if _, failed := s.put(ctx, mvcc.NewRecord(alarm)); failed != nil {
		s.Log.Warn("etcd alarm NOSPACE could not be raised", zap.Error(failed))
	}
	return err
}

// failed passes on what went wrong with a read; a failure of the storage is logged, for the client can do nothing about it.
func (s *Server) failed(err error) error {
	if _, expected := status.FromError(err); !expected {
		s.Log.Error("etcd read failed", zap.Error(err))
	}
	return err
}
