// Package admin serves what operators read over HTTP: ZooKeeper's AdminServer commands (spec 12.3) and the Prometheus
// endpoint (spec 12.5), both from package status and internal/metrics.
//
// A client's address is always that of its socket; headers such as X-Forwarded-For are not looked at.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"go.uber.org/zap"

	"zebu/status"
)

const (
	headerTimeout = 10 * time.Second // for the header of a request to arrive
	answerTimeout = 30 * time.Second // for an answer to be taken; renewed with every piece of a snapshot
	stopTimeout   = 5 * time.Second  // for answers under way when the server stops
	maxHeader     = 32 << 10         // bytes of request header
	maxAtOnce     = 8                // commands that run at once; further ones wait
)

// Options are the settings of [New].
type Options struct {
	Report *status.Report
	Log    *zap.Logger      // nil: none
	Level  *zap.AtomicLevel // of the log_level command; nil: no such command

	Addr        string        // admin.serverAddress and admin.serverPort, as net.Listen takes them
	CommandURL  string        // admin.commandURL, "/commands" if empty
	IdleTimeout time.Duration // admin.idleTimeout; of a connection between two requests
	Pprof       bool          // zebu.pprof: Go's profiles under /debug/pprof/

	NoSnapshot   bool          // not admin.snapshot.enabled
	NoRestore    bool          // not admin.restore.enabled
	RateInterval time.Duration // admin.rateLimiterIntervalInMS; ZooKeeper's default if 0, no limit if negative
	TempDir      string        // where a snapshot is written before it is sent; the system's if empty
}

// Server is one HTTP server: of [New] or [NewMetrics].
type Server struct {
	log      *zap.Logger
	name     string
	listener net.Listener
	http     *http.Server
}

// New opens the AdminServer's port. Nothing is served before Run.
func New(o Options) (*Server, error) {
	return listen("AdminServer", o.Addr, o.Log, o.IdleTimeout, Handler(o))
}

// Handler returns what the AdminServer serves.
func Handler(o Options) http.Handler {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	o.CommandURL = "/" + strings.Trim(o.CommandURL, "/")
	if o.CommandURL == "/" {
		o.CommandURL = "/commands"
	}
	mux := http.NewServeMux()
	c := newCommands(o)
	mux.Handle(o.CommandURL, c)
	mux.Handle(o.CommandURL+"/", c)
	if o.Pprof {
		mux.Handle("/debug/pprof/", unhurried(pprof.Index))
		mux.Handle("/debug/pprof/cmdline", unhurried(pprof.Cmdline))
		mux.Handle("/debug/pprof/profile", unhurried(pprof.Profile))
		mux.Handle("/debug/pprof/symbol", unhurried(pprof.Symbol))
		mux.Handle("/debug/pprof/trace", unhurried(pprof.Trace))
	}
	return mux
}

// unhurried lifts the deadlines that a command may have left on the connection: a profile takes as long as it is asked to.
func unhurried(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.SetReadDeadline(time.Time{})
		_ = rc.SetWriteDeadline(time.Time{})
		h(w, r)
	})
}

func listen(name, addr string, log *zap.Logger, idle time.Duration, h http.Handler) (*Server, error) {
	if log == nil {
		log = zap.NewNop()
	}
	lc := net.ListenConfig{}
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if idle <= 0 {
		idle = 30 * time.Second
	}
	return &Server{log: log, name: name, listener: ln, http: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          zap.NewStdLog(log.WithOptions(zap.IncreaseLevel(zap.WarnLevel))),
	}}, nil
}

// Addr is the address that the server listens at.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx is done, and then waits a little for answers under way. It returns an error only if serving failed.
func (s *Server) Run(ctx context.Context) error {
	s.log.Info(s.name+" started", zap.Stringer("address", s.Addr()))
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("%s: %w", s.name, err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := s.http.Shutdown(late); err != nil {
		_ = s.http.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// Close closes the port of a server that was never run.
func (s *Server) Close() error { return s.listener.Close() }
