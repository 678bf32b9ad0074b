package etcdtest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/coreos/go-semver/semver"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/pkg/v3/traceutil"
	etcderrors "go.etcd.io/etcd/server/v3/etcdserver/errors"
	"go.etcd.io/etcd/server/v3/etcdserver/txn"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.uber.org/zap"

	ours "zebu/mvcc"
)

// etcd is etcd's own key space, without its server.
type etcd struct {
	backend backend.Backend
	kv      mvcc.WatchableKV
	lessor  lease.Lessor
	events  mvcc.WatchStream
}

type clusterVersion struct{}

func (clusterVersion) Version() *semver.Version { return semver.New("3.6.0") }

func newEtcd(t testing.TB) *etcd {
	t.Helper()
	cfg := backend.DefaultBackendConfig(zap.NewNop())
	cfg.Path = filepath.Join(t.TempDir(), "db")
	cfg.UnsafeNoFsync = true
	cfg.BatchInterval = time.Hour
	cfg.BatchLimit = 1 << 30
	b := backend.New(cfg)
	e := &etcd{backend: b, lessor: lease.NewLessor(zap.NewNop(), b, clusterVersion{}, lease.LessorConfig{})}
	e.kv = mvcc.New(zap.NewNop(), b, e.lessor, mvcc.StoreConfig{CompactionBatchLimit: 1 << 20})
	e.events = e.kv.NewWatchStream()
	if _, err := e.events.Watch(0, []byte{0}, []byte{}, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.events.Close()
		e.lessor.Stop()
		e.kv.Close()
		b.Close()
	})
	return e
}

// grpcError is the error that etcd's API makes of one of its packages.
func grpcError(t testing.TB, err error) error {
	t.Helper()
	for from, to := range map[error]error{
		mvcc.ErrCompacted:         rpctypes.ErrGRPCCompacted,
		mvcc.ErrFutureRev:         rpctypes.ErrGRPCFutureRev,
		lease.ErrLeaseNotFound:    rpctypes.ErrGRPCLeaseNotFound,
		lease.ErrLeaseExists:      rpctypes.ErrGRPCLeaseExist,
		lease.ErrLeaseTTLTooLarge: rpctypes.ErrGRPCLeaseTTLTooLarge,
		etcderrors.ErrKeyNotFound: rpctypes.ErrGRPCKeyNotFound,
	} {
		if errors.Is(err, from) {
			return to
		}
	}
	if err != nil {
		t.Fatalf("unknown error of etcd's: %v", err)
	}
	return nil
}

// do executes a request as etcd's applier and API do.
func (e *etcd) do(t testing.TB, request ours.Message) (ours.Message, error) {
	t.Helper()
	ctx, lg := context.Background(), zap.NewNop()
	header := func() *pb.ResponseHeader { return &pb.ResponseHeader{Revision: e.kv.Rev()} }
	switch r := request.(type) {
	case *pb.RangeRequest:
		resp, _, err := txn.Range(ctx, lg, e.kv, r)
		return resp, grpcError(t, err)
	case *pb.PutRequest:
		resp, _, err := txn.Put(ctx, lg, e.lessor, e.kv, r)
		return resp, grpcError(t, err)
	case *pb.DeleteRangeRequest:
		resp, _, err := txn.DeleteRange(ctx, lg, e.kv, r)
		return resp, grpcError(t, err)
	case *pb.TxnRequest:
		resp, _, err := txn.Txn(ctx, lg, r, true, e.kv, e.lessor)
		return resp, grpcError(t, err)
	case *pb.CompactionRequest:
		done, err := e.kv.Compact(traceutil.TODO(), r.Revision)
		if err == nil {
			<-done
		}
		return &pb.CompactionResponse{Header: header()}, grpcError(t, err)
	case *pb.LeaseGrantRequest:
		l, err := e.lessor.Grant(lease.LeaseID(r.ID), r.TTL)
		if err != nil {
			return nil, grpcError(t, err)
		}
		return &pb.LeaseGrantResponse{Header: header(), ID: int64(l.ID), TTL: l.TTL()}, nil
	case *pb.LeaseRevokeRequest:
		err := e.lessor.Revoke(lease.LeaseID(r.ID))
		return &pb.LeaseRevokeResponse{Header: header()}, grpcError(t, err)
	}
	t.Fatalf("no oracle for %T", request)
	return nil, nil
}

// changed returns the events since the last call.
func (e *etcd) changed() (events []*mvccpb.Event) {
	for {
		select {
		case resp := <-e.events.Chan():
			for i := range resp.Events {
				events = append(events, &resp.Events[i])
			}
		default:
			return events
		}
	}
}

// history watches all keys from a revision on, up to the current one.
func (e *etcd) history(t testing.TB, from int64) (events []*mvccpb.Event) {
	t.Helper()
	if from > e.kv.Rev() || e.kv.Rev() == 1 {
		return nil // there is nothing to wait for
	}
	ws := e.kv.NewWatchStream()
	defer ws.Close()
	if _, err := ws.Watch(0, []byte{0}, []byte{}, from); err != nil {
		t.Fatal(err)
	}
	for {
		var resp mvcc.WatchResponse
		select {
		case resp = <-ws.Chan():
		case <-time.After(time.Minute):
			t.Fatalf("a watch from %d is not told of revision %d", from, e.kv.Rev())
		}
		for i := range resp.Events {
			events = append(events, &resp.Events[i])
		}
		if n := len(events); n > 0 && events[n-1].Kv.ModRevision == e.kv.Rev() {
			return events
		}
		if resp.CompactRevision != 0 {
			t.Fatalf("a watch from %d met compaction %d", from, resp.CompactRevision)
		}
	}
}
