package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"zebu/admin"
	"zebu/auth"
	"zebu/etcdfile"
	"zebu/gateway"
	"zebu/mvcc"
	"zebu/server"
)

// etcdStopGrace is how long requests of etcd clients that are under way may take when the server stops.
const etcdStopGrace = 2 * time.Second

// etcdNode makes a server what the gateway stands on.
type etcdNode struct {
	*server.Server
	metrics func(io.Writer) error
}

var _ gateway.Node = (*etcdNode)(nil)

// OpenWatches implements [gateway.Node].
func (n *etcdNode) OpenWatches() gateway.Watches { return n.Server.OpenWatches() }

// Read implements [gateway.Node].
func (n *etcdNode) Read(f func(*mvcc.Store)) { n.Server.Read(f) }

// Metrics implements [gateway.Node].
func (n *etcdNode) Metrics(w io.Writer) error { return n.metrics(w) }

// etcdAPI is the open port of the etcd API; nil if there is none.
type etcdAPI struct {
	server   *gateway.Server
	listener net.Listener
}

// etcdUsers makes what a server knows of etcd's users besides the replicated state.
func (l launch) etcdUsers() (*auth.Keeper, error) {
	k, err := auth.New(auth.Options{Tokens: l.cfg.Etcd.AuthToken, Log: l.log.Named("auth")})
	if err != nil {
		return nil, fmt.Errorf("etcd.authToken: %w", err)
	}
	return k, nil
}

// openEtcd opens the port of the etcd API, if it is configured.
func (l launch) openEtcd(s *server.Server, keeper *auth.Keeper) (*etcdAPI, error) {
	c := &l.cfg.Etcd
	if !c.Addr.IsSet() {
		return nil, nil
	}
	node := &etcdNode{s, admin.MetricsWriter(admin.MetricsOptions{Report: s.Report(), Log: l.log, ExportJVM: l.cfg.Metrics.ExportJVM})}
	ln, err := net.Listen("tcp", c.Addr.String())
	if err != nil {
		return nil, fmt.Errorf("the etcd API's port: %w (etcd.clientPort says where)", err)
	}
	options := gateway.Options{
		Node: node, TLS: l.etcdTLS(), ClientURLs: s.EtcdURLs, Log: l.log.Named("etcd"), Authenticator: keeper.Authenticator(node), MaxRequestBytes: c.MaxRequest, MaxTxnOps: c.MaxTxnOps,
		SnapshotFile: func(v mvcc.View, send func(io.Reader, int64) error) error {
			return etcdfile.Send(v, l.cfg.DataDir, nil, send)
		},
	}
	g, err := gateway.New(options)
	if err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("etcd API: %w", err)
	}
	s.SetEtcdURL(l.etcdURL(ln.Addr()))
	return &etcdAPI{g, ln}, nil
}

// etcdURL is where other machines reach the etcd API that listens at addr: at the host that is configured, or, if that is all addresses, at the one
// by which the other servers know this one.
func (l launch) etcdURL(addr net.Addr) string {
	host := l.cfg.Etcd.Addr.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		m := l.cfg.Quorum.Config.Member(l.cfg.Quorum.ServerID)
		if m == nil || len(m.Addrs) == 0 {
			return ""
		}
		host = m.Addrs[0].Host
	}
	scheme := "http"
	if l.cfg.Etcd.CertFile != "" {
		scheme = "https"
	}
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return ""
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// etcdTLS is nil if the port is to speak plain text.
func (l launch) etcdTLS() *gateway.TLSOptions {
	c := &l.cfg.Etcd
	if c.CertFile == "" {
		return nil
	}
	return &gateway.TLSOptions{CertFile: c.CertFile, KeyFile: c.KeyFile, TrustedCAFile: c.TrustedCAFile, ClientCertAuth: c.ClientCertAuth}
}

// checkEtcd looks, before anything is opened, for what would keep the etcd API from starting.
func (l launch) checkEtcd() error {
	o := l.etcdTLS()
	if o == nil {
		return nil
	}
	err := o.Check()
	var fault *gateway.TLSError
	if errors.As(err, &fault) {
		return l.cfg.Fault("etcd."+fault.File, fmt.Sprintf("expected %s: %v", fault.Want, fault.Err))
	}
	return err
}

func (a *etcdAPI) addr() net.Addr {
	if a == nil {
		return nil
	}
	return a.listener.Addr()
}

// run serves until ctx ends.
func (a *etcdAPI) run(ctx context.Context) error {
	if a == nil {
		return nil
	}
	defer context.AfterFunc(ctx, a.stop)()
	return a.server.Serve(a.listener)
}

// stop ends all that the gateway does.
func (a *etcdAPI) stop() {
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), etcdStopGrace)
	defer cancel()
	a.server.Stop(ctx)
}
