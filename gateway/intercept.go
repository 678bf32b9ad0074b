package gateway

import (
	"context"
	"sync"
	"time"
	"unicode/utf8"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"zebu/proto"
)

// errStopped ends streams when the server stops: clients go on with another.
var errStopped = rpctypes.ErrGRPCStopped

// admit looks at what the metadata of a call asks for, and tells whether it asks for a leader.
func (s *Server) admit(ctx context.Context) (needsLeader bool, err error) {
	if v := metadata.ValueFromIncomingContext(ctx, rpctypes.MetadataClientAPIVersionKey); len(v) > 0 && !utf8.ValidString(v[0]) {
		return false, rpctypes.ErrGRPCInvalidClientAPIVersion
	}
	v := metadata.ValueFromIncomingContext(ctx, rpctypes.MetadataRequireLeaderKey)
	if len(v) == 0 || v[0] != rpctypes.MetadataHasLeader {
		return false, nil
	}
	if !s.hasLeader() {
		return true, rpctypes.ErrGRPCNoLeader
	}
	return true, nil
}

func (s *Server) hasLeader() bool {
	_, leader := s.Node.Term()
	return leader != proto.NoServer
}

func (s *Server) unary(ctx context.Context, r any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	call := s.calls.began(info.FullMethod)
	if _, err = s.admit(ctx); err == nil {
		resp, err = handle(ctx, r)
	}
	call.ended(err)
	return resp, err
}

func (s *Server) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	call := s.calls.began(info.FullMethod)
	err := s.endable(server, stream, handle)
	call.ended(err)
	return err
}

// endable handles a stream that the server can end.
func (s *Server) endable(server any, stream grpc.ServerStream, handle grpc.StreamHandler) error {
	needsLeader, err := s.admit(stream.Context())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	open := &openStream{ServerStream: stream, ctx: ctx, cancel: cancel, needsLeader: needsLeader}
	if err := s.streams.add(open); err != nil {
		return err
	}
	defer s.streams.remove(open)
	err = handle(server, open)
	if stream.Context().Err() == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// openStream is such a stream.
type openStream struct {
	grpc.ServerStream
	ctx         context.Context
	cancel      context.CancelCauseFunc
	needsLeader bool
}

// Context implements grpc.ServerStream.
func (o *openStream) Context() context.Context { return o.ctx }

// streams are all that are open.
type streams struct {
	mu    sync.Mutex
	open  map[*openStream]struct{}
	ended error // why no more are opened
}

func (s *streams) add(o *openStream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*openStream]struct{}{}
	}
	if s.ended == nil {
		s.open[o] = struct{}{}
	}
	return s.ended
}

func (s *streams) remove(o *openStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, o)
}

// end ends all streams, or those that need a leader; in the former case for good.
func (s *streams) end(why error, leaderless bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !leaderless {
		s.ended = why
	}
	for o := range s.open {
		if !leaderless || o.needsLeader {
			o.cancel(why)
		}
	}
}

// watchLeader ends streams that need a leader when there has been none for three elections: to come back costs a client more
// than to wait a little.
func (s *Server) watchLeader(ctx context.Context) {
	ticker := time.NewTicker(s.ElectionTimeout)
	defer ticker.Stop()
	without := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.hasLeader() {
			without = 0
		} else if without++; without >= 3 {
			s.streams.end(rpctypes.ErrGRPCNoLeader, true)
		}
	}
}
