package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	gw "go.etcd.io/etcd/api/v3/etcdserverpb/gw"
	"go.etcd.io/etcd/api/v3/version"
	electiongw "go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb/gw"
	lockgw "go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb/gw"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
)

// headerTimeout is how long a client may take to send a request's header, as in etcd.
const headerTimeout = 5 * time.Minute

// serveJSON makes what answers over HTTP/1: etcd's JSON gateway, a gRPC client of this server inside of the process; and what
// tells how the server is.
func (s *Server) serveJSON() error {
	conn, err := grpc.NewClient("passthrough:///inside",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.link.dial(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
	)
	if err != nil {
		return err
	}
	s.conn = conn
	marshaler := &runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{UseProtoNames: true},
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true},
	}
	gateway := runtime.NewServeMux(runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.HTTPBodyMarshaler{Marshaler: marshaler}))
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		gw.RegisterKVHandler, gw.RegisterWatchHandler, gw.RegisterLeaseHandler, gw.RegisterClusterHandler,
		gw.RegisterMaintenanceHandler, gw.RegisterAuthHandler, lockgw.RegisterLockHandler, electiongw.RegisterElectionHandler,
	} {
		if err := register(context.Background(), gateway, conn); err != nil {
			return err
		}
	}
	mux := http.NewServeMux()
	log, err := zap.NewStdLogAt(s.Log, zap.WarnLevel)
	if err != nil {
		return err
	}
	s.web = &http.Server{Handler: open(mux), ReadHeaderTimeout: headerTimeout, ErrorLog: log}
	if s.tls != nil {
		s.web.Handler = s.mixed(s.web.Handler)
		s.web.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: int(min(s.MaxConcurrentStreams, math.MaxInt32))}
	}
	mux.Handle("/v3/", s.sockets(s.bounded(gateway)))
	mux.HandleFunc("/version", s.serveVersion)
	mux.HandleFunc("/metrics", s.serveMetrics)
	s.serveHealth(mux)
	return nil
}

// maxBody is how many bytes of JSON a request that gRPC takes can have: a third more than without JSON.
func (s *Server) maxBody() int64 { return 2 * int64(s.MaxRequestBytes+requestOverhead) }

// bounded refuses bodies that cannot be a request that gRPC takes. Streams have no end, but their messages do.
func (s *Server) bounded(next http.Handler) http.Handler {
	limit := s.maxBody()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v3/watch" || r.URL.Path == "/v3/lease/keepalive" {
			r.Body = &messages{ReadCloser: r.Body, limit: limit}
		} else {
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		next.ServeHTTP(w, r)
	})
}

// open lets pages of all origins in, and those who still call the API by its name of before, as etcd does.
func open(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/v3beta/"); ok {
			r.URL.Path = "/v3/" + rest
		}
		h := w.Header()
		h.Add("Access-Control-Allow-Methods", "POST, GET, OPTIONS, PUT, DELETE")
		h.Add("Access-Control-Allow-Origin", "*")
		h.Add("Access-Control-Allow-Headers", "accept, content-type, authorization")
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusOK)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// onlyGet refuses other methods, and tells whether it did.
func onlyGet(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet {
		return false
	}
	w.Header().Set("Allow", http.MethodGet)
	http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	return true
}

func (s *Server) serveVersion(w http.ResponseWriter, r *http.Request) {
	if onlyGet(w, r) {
		return
	}
	b, err := json.Marshal(version.Versions{Server: version.Version, Cluster: clusterVersion, Storage: StorageVersion})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

func (s *Server) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if err := s.Node.Metrics(w); err != nil {
		return // the client is gone, or the rest would mislead
	}
	if err := s.writeState(w); err != nil {
		return
	}
	_ = s.calls.write(w)
}

// writeState writes those of etcd's metrics that tell of the server's state.
func (s *Server) writeState(w io.Writer) error {
	node := s.Node.Status()
	for _, m := range node.Gauges() {
		if _, err := fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n%s %d\n", m.Name, m.Help, m.Name, m.Name, m.Value); err != nil {
			return err
		}
	}
	return nil
}
