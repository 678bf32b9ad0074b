package gateway

import (
	"context"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
	"zebu/status"
)

// Node is the server that a gateway stands on. Its methods may be called from any goroutine. Errors for clients are gRPC
// status errors, those of etcd's rpctypes where it has one; a context's end gives the context's error. Propose, ReadPoint and Renew
// wait no longer than etcd does for the ensemble, then the error is ErrGRPCTimeout: a context for each would cost more than they do.
type Node interface {
	// Propose puts a mutation into the log, through the leader, and returns what applying it gave on this server: an outcome
	// that is not success stands in the Result. An error says that it is not known, or that nothing was proposed: there is
	// no leader (ErrGRPCNoLeader), the leader changed while it was under way (ErrGRPCLeaderChanged), an Apache ZooKeeper server is a member (Unavailable).
	// The id of a lease and the least TTL are filled in by the leader.
	Propose(ctx context.Context, r mvcc.Record) (mvcc.Result, error)
	// ReadPoint returns once this server has applied all that was committed anywhere when it was called.
	ReadPoint(ctx context.Context) error
	// Read calls f with the state, which stays as it is until f returns. f must be brief, keep nothing and change nothing;
	// a [mvcc.Read] that it starts is finished outside. A server that has no state, because it has lost its own and no leader has
	// sent it another one yet, or because it stops, does not call f.
	Read(f func(*mvcc.Store))
	// OpenWatches opens a stream of watches.
	OpenWatches() Watches
	// Renew keeps a lease alive and returns its TTL in seconds, 0 if there is none; it asks the leader.
	Renew(ctx context.Context, id mvcc.LeaseID) (ttl int64, err error)
	// Remaining asks the leader how many seconds a lease has left, -1 if there is none.
	Remaining(ctx context.Context, id mvcc.LeaseID) (int64, error)
	// Term is the epoch and its leader, [proto.NoServer] if there is none now. It is asked for every answer, and takes no lock.
	Term() (proto.Epoch, proto.ServerID)
	// Status is the server's part in its ensemble, and of its storage.
	Status() status.Etcd
	// Reconfigure asks for another configuration of the ensemble, in the words of ZooKeeper's reconfig, and returns it.
	Reconfigure(ctx context.Context, joining, leaving string) (string, error)
	// MoveLeader makes another voter the leader.
	MoveLeader(ctx context.Context, to proto.ServerID) error
	// Snapshot returns the records of the state as it is now, pinned; the caller closes it.
	Snapshot(ctx context.Context) (mvcc.View, error)
	// Defragment gives space that is free back to the file system.
	Defragment(ctx context.Context) error
	// Metrics writes the server's metrics as text for Prometheus.
	Metrics(w io.Writer) error
}

// Watches is a stream of watches. Next is for one goroutine, the others for another; both may run at once.
type Watches interface {
	// Create begins a watch; the answer comes as a delivery.
	Create(r *pb.WatchCreateRequest)
	// Cancel ends a watch; the answer comes as a delivery if there was one.
	Cancel(watch int64)
	// Progress asks how far the stream is; the answer comes as a delivery once all its watches are synced.
	Progress()
	// Next waits for deliveries and returns all there are, in order. The slice is valid until the next call. Its error is the
	// context's, or says why the server ended the stream: it stops, or its state was replaced.
	Next(ctx context.Context) ([]mvcc.Delivery, error)
	// Close ends the stream.
	Close()
}
