package mvcc

import (
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"zebu/proto"
)

// Result is what applying a record gave, the same on every server.
type Result struct {
	Response Message // the answer, with no more in its header than the revision; nil if Err says why there is none
	Err      error   // the outcome if it is not success: one of this package's errors
	Revision int64   // of the key space afterwards
	// Events are the changes of Revision in order, nil if there are none; for [Hub.Publish].
	Events []*mvccpb.Event
}

// header is that of a response at the current revision.
func (s *Store) header() *pb.ResponseHeader { return &pb.ResponseHeader{Revision: s.meta.Revision} }

// Apply applies the record of a transaction. One at or below [Store.Applied] has no effect and the zero Result: the caller
// need not know where exactly to begin a replay. An error is not a client's: the record or the storage is damaged,
// and the server must not go on.
func (s *Store) Apply(z proto.Zxid, record []byte) (Result, error) {
	if z <= s.meta.Applied {
		return Result{}, nil
	}
	r, err := DecodeRecord(record)
	if err != nil {
		return Result{}, fmt.Errorf("apply %v: %w", z, err)
	}
	result, err := s.apply(z, r)
	if err != nil {
		return Result{}, fmt.Errorf("apply %v: %w", z, err)
	}
	s.meta.Applied = z
	s.seal()
	result.Revision = s.meta.Revision
	return result, nil
}

func (s *Store) apply(z proto.Zxid, r Record) (Result, error) {
	if r.Epoch != 0 && r.Epoch != z.Epoch() {
		return Result{Err: ErrFenced}, nil
	}
	cost := cost(r.Request)
	if err := s.barred(r.Kind, cost); err != nil {
		return Result{Err: err}, nil
	}
	if s.judge != nil {
		if err := s.judge.Permit(r); err != nil {
			return Result{Err: err}, nil
		}
	}
	if r.Kind >= firstAuthKind {
		if s.judge == nil {
			return Result{Err: ErrNoAuth}, nil
		}
		response, err := s.judge.Apply(z, r.Request)
		return Result{Response: response, Err: err}, nil
	}
	over := s.exceeds(cost)
	w := s.writer()
	defer w.close()
	response, outcome := s.execute(w, r.Request)
	if w.failure != nil {
		return Result{}, w.failure
	}
	if outcome != nil {
		return Result{Err: outcome}, nil
	}
	result := Result{Response: response, Events: w.events}
	if over {
		result.Response, result.Err = nil, ErrNoSpace // the write took place nevertheless
	}
	return result, nil
}

// execute returns the response or the outcome; a failure of the storage it leaves in w.
func (s *Store) execute(w *writer, request Message) (Message, error) {
	switch r := request.(type) {
	case *pb.PutRequest:
		return s.applyPut(w, r)
	case *pb.DeleteRangeRequest:
		response := w.deleteRange(r)
		w.end()
		return response, nil
	case *pb.TxnRequest:
		return s.applyTxn(w, r)
	case *pb.CompactionRequest:
		return s.applyCompact(r)
	case *pb.LeaseGrantRequest:
		return s.applyLeaseGrant(r)
	case *pb.LeaseRevokeRequest:
		return s.applyLeaseRevoke(w, r)
	case *pb.LeaseCheckpointRequest:
		return s.applyLeaseCheckpoint(r)
	case *pb.AlarmRequest:
		return s.applyAlarm(r)
	}
	return nil, nil // DecodeRecord makes no others
}

func (s *Store) applyPut(w *writer, r *pb.PutRequest) (Message, error) {
	if r.Lease != 0 {
		if _, ok := s.leases[LeaseID(r.Lease)]; !ok {
			return nil, ErrLeaseNotFound
		}
	}
	if (r.IgnoreValue || r.IgnoreLease) && !s.exists(r.Key) {
		return nil, ErrKeyNotFound
	}
	response := w.put(r)
	w.end()
	return response, nil
}

func (s *Store) exists(key []byte) bool {
	e, ok := s.index.keys.Get(string(key))
	return ok && len(e.live.versions) > 0
}
