package gateway

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
)

// kvServer is etcd's KV service.
type kvServer struct{ *Server }

// Range implements pb.KVServer.
func (s *kvServer) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if err := mvcc.Check(r, s.MaxTxnOps); err != nil {
		return nil, err
	}
	if !r.Serializable {
		if err := s.readPoint(ctx); err != nil {
			return nil, err
		}
	}
	var read *mvcc.Read
	err := s.read(ctx, r, func(state *mvcc.Store) (err error) {
		read, err = state.StartRange(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	resp, err := read.Finish()
	if err != nil {
		return nil, s.failed(err)
	}
	s.fill(resp.Header)
	return resp, nil
}

// Put implements pb.KVServer.
func (s *kvServer) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	if err := mvcc.Check(r, s.MaxTxnOps); err != nil {
		return nil, err
	}
	if err := s.hasRoom(ctx, r); err != nil {
		return nil, err
	}
	result, err := s.propose(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := result.Response.(*pb.PutResponse)
	s.fill(resp.Header)
	return resp, nil
}

// DeleteRange implements pb.KVServer.
func (s *kvServer) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	if err := mvcc.Check(r, s.MaxTxnOps); err != nil {
		return nil, err
	}
	result, err := s.propose(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := result.Response.(*pb.DeleteRangeResponse)
	s.fill(resp.Header)
	return resp, nil
}

// Txn implements pb.KVServer.
func (s *kvServer) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if err := mvcc.Check(r, s.MaxTxnOps); err != nil {
		return nil, err
	}
	if mvcc.ReadOnly(r) {
		return s.readTxn(ctx, r)
	}
	if err := s.hasRoom(ctx, r); err != nil {
		return nil, err
	}
	result, err := s.propose(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := result.Response.(*pb.TxnResponse)
	s.fill(resp.Header)
	return resp, nil
}

func (s *kvServer) readTxn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if !mvcc.Serializable(r) {
		if err := s.readPoint(ctx); err != nil {
			return nil, err
		}
	}
	var read *mvcc.TxnRead
	err := s.read(ctx, r, func(state *mvcc.Store) (err error) {
		read, err = state.StartReadTxn(r)
		return err
	})
	if err != nil {
		return nil, s.failed(err)
	}
	resp, err := read.Finish()
	if err != nil {
		return nil, s.failed(err)
	}
	s.fill(resp.Header)
	return resp, nil
}

// compactionPoll is how often a compaction that a client waits for is looked at.
const compactionPoll = 10 * time.Millisecond

// Compact implements pb.KVServer.
func (s *kvServer) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	result, err := s.propose(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Physical {
		if err := s.compacted(ctx); err != nil {
			return nil, err
		}
	}
	resp := result.Response.(*pb.CompactionResponse)
	s.fill(resp.Header)
	return resp, nil
}

// compacted waits until this server has deleted what it need not keep any more.
func (s *kvServer) compacted(ctx context.Context) error {
	ticker := time.NewTicker(compactionPoll)
	defer ticker.Stop()
	for {
		busy := false
		s.Node.Read(func(state *mvcc.Store) { busy = state.Compacting() })
		if !busy {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
