package gateway

import (
	"context"
	"crypto/sha256"
	"io"

	"github.com/coreos/go-semver/semver"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/api/v3/version"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"zebu/mvcc"
	"zebu/proto"
)

// clusterVersion is the version of etcd that all members are taken for.
const clusterVersion = "3.6.0"

// StorageVersion is the version of etcd's storage that snapshots have.
const StorageVersion = "3.6.0"

// maintenanceServer is etcd's Maintenance service.
type maintenanceServer struct {
	*Server
	snapshots chan struct{} // holds a token for each that is being made or sent
}

// maxSnapshots is how many snapshots are made and sent at a time: each takes as much of the disk as the key space.
const maxSnapshots = 4

func newMaintenanceServer(s *Server) *maintenanceServer {
	return &maintenanceServer{s, make(chan struct{}, maxSnapshots)}
}

// Alarm implements pb.MaintenanceServer.
func (s *maintenanceServer) Alarm(ctx context.Context, r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	if r.Action == pb.AlarmRequest_GET {
		if err := s.readPoint(ctx); err != nil {
			return nil, err
		}
		resp := &pb.AlarmResponse{Header: s.header()}
		s.Node.Read(func(state *mvcc.Store) { resp.Alarms = state.Alarms(r.Alarm) })
		return resp, nil
	}
	result, err := s.propose(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := result.Response.(*pb.AlarmResponse)
	s.fill(resp.Header)
	return resp, nil
}

// Status implements pb.MaintenanceServer. Its indexes are zxids.
func (s *maintenanceServer) Status(ctx context.Context, r *pb.StatusRequest) (*pb.StatusResponse, error) {
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	node := s.Node.Status()
	resp := &pb.StatusResponse{
		Header:           s.header(),
		Version:          version.Version,
		DbSize:           node.Size,
		DbSizeInUse:      node.InUse,
		DbSizeQuota:      node.Quota,
		RaftIndex:        uint64(node.Proposed),
		RaftAppliedIndex: uint64(node.Applied),
		IsLearner:        node.Observer,
		StorageVersion:   StorageVersion,
		DowngradeInfo:    &pb.DowngradeInfo{},
	}
	resp.RaftTerm = resp.Header.RaftTerm
	if node.Leader == proto.NoServer {
		resp.Errors = append(resp.Errors, rpctypes.ErrNoLeader.Error())
	} else {
		resp.Leader = MemberID(node.Leader)
	}
	s.Node.Read(func(state *mvcc.Store) {
		for _, a := range state.Alarms(pb.AlarmType_NONE) {
			resp.Errors = append(resp.Errors, a.String())
		}
	})
	return resp, nil
}

// Defragment implements pb.MaintenanceServer. Unlike etcd's it holds up nobody.
func (s *maintenanceServer) Defragment(ctx context.Context, r *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	if err := s.Node.Defragment(ctx); err != nil {
		return nil, err
	}
	return &pb.DefragmentResponse{}, nil
}

// Hash implements pb.MaintenanceServer: of the key space, for the storage's files differ from server to server.
func (s *maintenanceServer) Hash(ctx context.Context, r *pb.HashRequest) (*pb.HashResponse, error) {
	h, err := s.hash(ctx, r, 0)
	if err != nil {
		return nil, err
	}
	resp := &pb.HashResponse{Header: &pb.ResponseHeader{Revision: h.Revision}, Hash: h.Hash}
	s.fill(resp.Header)
	return resp, nil
}

// HashKV implements pb.MaintenanceServer.
func (s *maintenanceServer) HashKV(ctx context.Context, r *pb.HashKVRequest) (*pb.HashKVResponse, error) {
	h, err := s.hash(ctx, r, r.Revision)
	if err != nil {
		return nil, err
	}
	resp := &pb.HashKVResponse{
		Header:          &pb.ResponseHeader{Revision: h.Revision},
		Hash:            h.Hash,
		CompactRevision: h.CompactRevision,
		HashRevision:    h.HashRevision,
	}
	s.fill(resp.Header)
	return resp, nil
}

func (s *maintenanceServer) hash(ctx context.Context, r mvcc.Message, revision int64) (mvcc.Hash, error) {
	var hashing *mvcc.Hashing
	err := s.read(ctx, r, func(state *mvcc.Store) (err error) {
		hashing, err = state.StartHash(revision)
		return err
	})
	if err != nil {
		return mvcc.Hash{}, err
	}
	h, err := hashing.Finish()
	if err != nil {
		return mvcc.Hash{}, s.failed(err)
	}
	return h, nil
}

// MoveLeader implements pb.MaintenanceServer.
func (s *maintenanceServer) MoveLeader(ctx context.Context, r *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	node := s.Node.Status()
	if node.Leader != node.ServerID {
		return nil, rpctypes.ErrGRPCNotLeader
	}
	target := serverID(r.TargetID)
	if target == node.Leader {
		return &pb.MoveLeaderResponse{}, nil
	}
	if node.Config == nil || !node.Config.Voters().Has(target) {
		return nil, rpctypes.ErrGRPCBadLeaderTransferee
	}
	bounded, cancel := context.WithTimeout(ctx, s.RequestTimeout)
	defer cancel()
	if err := s.Node.MoveLeader(bounded, target); err != nil {
		return nil, timedOut(ctx, err)
	}
	return &pb.MoveLeaderResponse{}, nil
}

// Downgrade implements pb.MaintenanceServer: there is no older version to go back to.
func (s *maintenanceServer) Downgrade(ctx context.Context, r *pb.DowngradeRequest) (*pb.DowngradeResponse, error) {
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	if r.Action != pb.DowngradeRequest_CANCEL {
		if _, err := semver.NewVersion(r.Version); err != nil {
			return nil, rpctypes.ErrGRPCWrongDowngradeVersionFormat
		}
		return nil, rpctypes.ErrGRPCInvalidDowngradeTargetVersion
	}
	return &pb.DowngradeResponse{Header: s.header(), Version: clusterVersion}, nil
}

// snapshotChunk is how much of a snapshot a message has, in bytes, as in etcd.
const snapshotChunk = 32 << 10

// Snapshot implements pb.MaintenanceServer: the file in chunks, then its SHA-256.
func (s *maintenanceServer) Snapshot(r *pb.SnapshotRequest, stream pb.Maintenance_SnapshotServer) error {
	ctx := stream.Context()
	if err := s.permit(ctx, r); err != nil {
		return err
	}
	if s.SnapshotFile == nil {
		return status.Error(codes.Unimplemented, "etcdserver: this server makes no snapshots")
	}
	select {
	case s.snapshots <- struct{}{}:
		defer func() { <-s.snapshots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	view, err := s.Node.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer view.Close()
	if err := s.SnapshotFile(view, func(file io.Reader, size int64) error { return sendSnapshot(stream, file, size) }); err != nil {
		return s.failed(err)
	}
	return nil
}

// sendSnapshot sends a file of some bytes. Each message says how many are to come behind it, those of the check sum not counted.
func sendSnapshot(stream pb.Maintenance_SnapshotServer, file io.Reader, size int64) error {
	sum := sha256.New()
	for size > 0 {
		chunk := make([]byte, min(size, snapshotChunk)) // gRPC may keep it
		if _, err := io.ReadFull(file, chunk); err != nil {
			return err
		}
		sum.Write(chunk)
		size -= int64(len(chunk))
		if err := stream.Send(&pb.SnapshotResponse{RemainingBytes: uint64(size), Blob: chunk, Version: StorageVersion}); err != nil {
			return err
		}
	}
	return stream.Send(&pb.SnapshotResponse{Blob: sum.Sum(nil), Version: StorageVersion})
}
