package server

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"zebu/mvcc"
	"zebu/proto"
	"zebu/replica"
	"zebu/zab"
)

// MoveLeader makes another voter the leader, if this server leads. It returns when that one can be seen to lead from here.
func (s *Server) MoveLeader(ctx context.Context, to proto.ServerID) error {
	if s.loop.e == nil {
		return rpctypes.ErrGRPCBadLeaderTransferee
	}
	before, _ := s.Term()
	c := &etcdCall{
		Call: replica.Call{Kind: replica.HandOver, To: to},
		done: make(chan struct{}, 1), patience: time.NewTimer(requestTimeout),
	}
	defer c.patience.Stop()
	_, err := s.callOnce(ctx, c)
	switch {
	case err == nil:
	case errors.Is(err, mvcc.ErrNoLeader), errors.Is(err, zab.ErrEnded):
		return rpctypes.ErrGRPCNotLeader
	case errors.Is(err, replica.ErrGaveUp):
		return rpctypes.ErrGRPCTimeout
	case errors.Is(err, zab.ErrNoHeir):
		return grpcstatus.Errorf(codes.Unavailable, "zebu: server %d is not in sync with the leader", to)
	case errors.Is(err, zab.ErrHandingOver):
		return grpcstatus.Error(codes.Unavailable, "zebu: the leader is being moved already")
	case errors.Is(err, zab.ErrReconfigPending):
		return grpcstatus.Error(codes.Unavailable, "zebu: a change of the ensemble is under way")
	default:
		return err
	}
	return s.awaitLeader(ctx, before, to)
}

// awaitLeader waits for the epoch after one.
func (s *Server) awaitLeader(ctx context.Context, before proto.Epoch, want proto.ServerID) error {
	for {
		epoch, leader := s.Term()
		switch {
		case epoch <= before || leader == proto.NoServer:
		case leader == want:
			return nil
		default:
			return grpcstatus.Errorf(codes.Aborted, "zebu: server %d has been elected instead of server %d", leader, want)
		}
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopped:
			return errStopped
		}
	}
}
