package gateway

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"zebu/mvcc"
	"zebu/proto"
)

// The defaults of [Options], as in etcd.
const (
	DefaultMaxRequestBytes = 3 << 19
	DefaultRequestTimeout  = 7 * time.Second
	DefaultElectionTimeout = time.Second
)

// What etcd allows and does to idle connections.
const (
	requestOverhead   = 512 << 10 // bytes that a gRPC message may have beyond the request
	keepaliveMinTime  = 5 * time.Second
	keepaliveInterval = 2 * time.Hour
	keepaliveTimeout  = 20 * time.Second
)

// streamWorkers is how many requests at a time are handled on stacks that have grown already; others begin on new ones.
const streamWorkers = 128

// SnapshotFile makes of the records of a view the file that clients get as a snapshot, of some bytes, and has it sent. It may close the view.
type SnapshotFile func(view mvcc.View, send func(file io.Reader, size int64) error) error

// Options are what a Server is made of. What is zero has etcd's default.
type Options struct {
	Node          Node          // required
	Log           *zap.Logger   // required
	Authenticator Authenticator // nil: there are no users, all is permitted
	SnapshotFile  SnapshotFile  // nil: no snapshots
	TLS           *TLSOptions   // nil: plain text
	// ClientURLs asks where the members' gateways are reached, for MemberList. A member that is not in the answer is said to be at its own
	// host, on the port of this server's; all are if it is nil.
	ClientURLs func(context.Context) (map[proto.ServerID]string, error)

	MaxRequestBytes      int    // of a request that is to be replicated
	MaxTxnOps            int    // operations of a transaction
	MaxConcurrentStreams uint32 // of a connection; default: any number
	// RequestTimeout is how long a request waits for the ensemble.
	RequestTimeout time.Duration
	// ElectionTimeout is how long an election may take. Streams of clients that require a leader end after three times
	// that without one.
	ElectionTimeout time.Duration
}

func (o *Options) complete() {
	if o.MaxRequestBytes == 0 {
		o.MaxRequestBytes = DefaultMaxRequestBytes
	}
	if o.MaxTxnOps == 0 {
		o.MaxTxnOps = mvcc.MaxTxnOps
	}
	if o.MaxConcurrentStreams == 0 {
		o.MaxConcurrentStreams = math.MaxUint32
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = DefaultRequestTimeout
	}
	if o.ElectionTimeout == 0 {
		o.ElectionTimeout = DefaultElectionTimeout
	}
}

// Server serves the etcd v3 API: gRPC, and JSON over HTTP/1, on the same listeners.
type Server struct {
	Options
	member  uint64
	tls     *tlsServer // nil: plain text
	grpc    *grpc.Server
	web     *http.Server
	streams streams
	calls   calls
	shared  encodings

	link  *pipeListener    // the gRPC server's end of connections inside of the process
	conn  *grpc.ClientConn // for JSON
	local *clientv3.Client // for locks and elections
	stop  context.CancelFunc
	done  sync.WaitGroup

	stopped sync.Once

	mu    sync.Mutex
	urls  map[proto.ServerID]string // as last asked for
	ports []*splitter
	ended bool
}

// New makes a server, which serves when it is told where ([Server.Serve]). If its error is about a file of TLS's it is a [TLSError].
func New(o Options) (*Server, error) {
	o.complete()
	s := &Server{Options: o, member: MemberID(o.Node.Status().ServerID), link: newPipeListener()}
	settings := []grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{}),
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
		grpc.MaxRecvMsgSize(o.MaxRequestBytes + requestOverhead),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.MaxConcurrentStreams(o.MaxConcurrentStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveMinTime}),
		// Fixed windows spare the pings that measure the link.
		grpc.NumStreamWorkers(streamWorkers),
		grpc.StaticStreamWindowSize(1 << 20),
		grpc.StaticConnWindowSize(4 << 20),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveInterval, Timeout: keepaliveTimeout}),
	}
	if o.TLS != nil {
		var err error
		if s.tls, err = newTLSServer(*o.TLS, o.Log); err != nil {
			return nil, err
		}
		settings = append(settings, grpc.Creds(&tlsCredentials{insecure.NewCredentials(), s.tls}))
	}
	s.grpc = grpc.NewServer(settings...)
	s.local = s.localClient()
	s.register()
	if err := s.serveJSON(); err != nil {
		s.local.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { s.watchLeader(ctx) })
	s.done.Go(func() { _ = s.grpc.Serve(s.link) }) // ends when the server does
	return s, nil
}

func (s *Server) register() {
	s.grpc.RegisterService(&kvService, &kvServer{s})
	pb.RegisterWatchServer(s.grpc, &watchServer{Server: s, framed: true})
	pb.RegisterLeaseServer(s.grpc, &leaseServer{s})
	pb.RegisterClusterServer(s.grpc, &clusterServer{s})
	pb.RegisterMaintenanceServer(s.grpc, newMaintenanceServer(s))
	pb.RegisterAuthServer(s.grpc, &authServer{s})
	v3lockpb.RegisterLockServer(s.grpc, v3lock.NewLockServer(s.local))
	v3electionpb.RegisterElectionServer(s.grpc, v3election.NewElectionServer(s.local))
	h := health.NewServer()
	h.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(s.grpc, h)
	reflect(s.grpc)
	s.calls.know(s.grpc.GetServiceInfo())
}

// Serve accepts connections until the server is stopped, then it returns nil, or until the listener fails. It may be called
// for several listeners, and closes them, also if the server has been stopped before.
func (s *Server) Serve(l net.Listener) error {
	split := newSplitter(l, s.tls)
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return l.Close()
	}
	s.ports = append(s.ports, split)
	s.done.Go(func() { _ = s.grpc.Serve(split.http2) })
	s.done.Go(func() { _ = s.web.Serve(split.http1) })
	s.mu.Unlock()
	err := split.accept()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	return fmt.Errorf("accept etcd clients: %w", err)
}

// Stop ends all streams, lets requests under way finish until ctx ends, and closes all connections. It returns when
// nothing of the server runs any more, whoever has stopped it first.
func (s *Server) Stop(ctx context.Context) {
	s.stopped.Do(func() { s.end(ctx) })
}

func (s *Server) end(ctx context.Context) {
	s.mu.Lock()
	s.ended = true
	ports := s.ports
	s.mu.Unlock()
	for _, p := range ports {
		p.close()
	}
	s.stop()
	s.streams.end(errStopped, false)
	_ = s.local.Close()
	if err := s.web.Shutdown(ctx); err != nil {
		_ = s.web.Close() // some request takes longer
	}
	_ = s.conn.Close()
	graceful := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(graceful)
	}()
	select {
	case <-graceful:
	case <-ctx.Done():
		s.grpc.Stop()
		<-graceful
	}
	s.done.Wait()
}
