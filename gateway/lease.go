package gateway

import (
	"context"
	"errors"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
)

// leaseServer is etcd's Lease service.
type leaseServer struct{ *Server }

// LeaseGrant implements pb.LeaseServer.
func (s *leaseServer) LeaseGrant(ctx context.Context, r *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	if err := s.hasRoom(ctx, r); err != nil {
		return nil, err
	}
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	result, err := s.propose(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := result.Response.(*pb.LeaseGrantResponse)
	s.fill(resp.Header)
	return resp, nil
}

// LeaseRevoke implements pb.LeaseServer.
func (s *leaseServer) LeaseRevoke(ctx context.Context, r *pb.LeaseRevokeRequest) (*pb.LeaseRevokeResponse, error) {
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	result, err := s.propose(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := result.Response.(*pb.LeaseRevokeResponse)
	s.fill(resp.Header)
	return resp, nil
}

// LeaseKeepAlive implements pb.LeaseServer. Requests are answered one after the other, as in etcd. A lease that is gone is
// answered with TTL 0.
func (s *leaseServer) LeaseKeepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	failed := make(chan error, 1)
	go func() { failed <- s.keepAlive(stream) }() // it may wait for the client, when the server ends the stream
	select {
	case err := <-failed:
		return err
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
}

func (s *leaseServer) keepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	ctx := stream.Context()
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		// The header is of before the renewal: else a client could take a lease for alive at a revision at which it was revoked.
		resp := &pb.LeaseKeepAliveResponse{Header: s.header(), ID: r.ID}
		if err := s.permit(ctx, r); err != nil {
			return err
		}
		if resp.TTL, err = s.Node.Renew(ctx, mvcc.LeaseID(r.ID)); err != nil {
			return err
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

// LeaseTimeToLive implements pb.LeaseServer. A lease that does not exist has TTL -1.
func (s *leaseServer) LeaseTimeToLive(ctx context.Context, r *pb.LeaseTimeToLiveRequest) (*pb.LeaseTimeToLiveResponse, error) {
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	if err := s.readPoint(ctx); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, s.RequestTimeout)
	defer cancel()
	id := mvcc.LeaseID(r.ID)
	left, err := s.Node.Remaining(bounded, id)
	if err != nil {
		return nil, timedOut(ctx, err)
	}
	resp := &pb.LeaseTimeToLiveResponse{Header: s.header(), ID: r.ID, TTL: -1}
	err = s.read(ctx, r, func(state *mvcc.Store) error {
		lease, ok := state.Lease(id)
		if !ok || left < 0 {
			return nil
		}
		resp.TTL, resp.GrantedTTL = left, lease.TTL
		if r.Keys {
			for _, key := range state.LeaseKeys(id) {
				resp.Keys = append(resp.Keys, []byte(key))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// LeaseLeases implements pb.LeaseServer.
func (s *leaseServer) LeaseLeases(ctx context.Context, r *pb.LeaseLeasesRequest) (*pb.LeaseLeasesResponse, error) {
	resp := &pb.LeaseLeasesResponse{Header: s.header()}
	err := s.read(ctx, r, func(state *mvcc.Store) error {
		for _, lease := range state.Leases() {
			resp.Leases = append(resp.Leases, &pb.LeaseStatus{ID: int64(lease.ID)})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}
