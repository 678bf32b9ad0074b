package gateway_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"zebu/gateway"
	"zebu/gateway/gatewaytest"
	"zebu/mvcc"
)

// vault is an authority with its files.
type vault struct {
	*gatewaytest.Authority
	t testing.TB
}

func newVault(t testing.TB) *vault {
	t.Helper()
	return &vault{must[*gatewaytest.Authority](t)(gatewaytest.NewAuthority(t.TempDir(), "ca")), t}
}

func (v *vault) issue(name, commonName string) (cert, key string) {
	v.t.Helper()
	cert, key, err := v.Issue(name, commonName)
	if err != nil {
		v.t.Fatal(err)
	}
	return cert, key
}

// server is what a server needs.
func (v *vault) server() *gateway.TLSOptions {
	cert, key := v.issue("server", "server")
	return &gateway.TLSOptions{CertFile: cert, KeyFile: key}
}

// client is what a client that trusts the authority has, with a certificate if it has a name, and with its own protocols if there are some.
func (v *vault) client(commonName string, protocols ...string) *tls.Config {
	v.t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool(), NextProtos: protocols}
	c.RootCAs.AppendCertsFromPEM(must[[]byte](v.t)(os.ReadFile(v.File)))
	if commonName != "" {
		c.Certificates = []tls.Certificate{must[tls.Certificate](v.t)(tls.LoadX509KeyPair(v.issue("client", commonName)))}
	}
	return c
}

func (s *server) secure(t testing.TB, c *tls.Config) *grpc.ClientConn {
	t.Helper()
	conn := must[*grpc.ClientConn](t)(grpc.NewClient(s.addr, grpc.WithTransportCredentials(credentials.NewTLS(c))))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestTLS has all kinds of clients on one port: gRPC's that speak nothing else, and those that could speak HTTP/1 as well; JSON over HTTP/1 and HTTP/2.
func TestTLS(t *testing.T) {
	v := newVault(t)
	s := start(t, gatewaytest.Options{}, gateway.Options{TLS: v.server()})
	ctx := soon(t)
	c := must[*clientv3.Client](t)(clientv3.New(clientv3.Config{Endpoints: []string{s.addr}, TLS: v.client(""), Logger: zap.NewNop()}))
	defer c.Close()
	if list := must[*clientv3.MemberListResponse](t)(c.MemberList(ctx)); list.Members[0].ClientURLs[0] != "https://"+s.addr {
		t.Errorf("members %v", list.Members)
	}
	for _, protocols := range [][]string{{"h2"}, {"http/1.1", "h2"}} {
		t.Run(strings.Join(protocols, " "), func(t *testing.T) { useAll(ctx, t, s.secure(t, v.client("", protocols...))) })
	}
	for _, http2 := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: v.client(""), ForceAttemptHTTP2: http2}
		defer transport.CloseIdleConnections()
		for path, want := range map[string]string{"/v3/kv/range": `"count":"1"`, "/health": `{"health":"true","reason":""}`, "/v3/nothing": `{"code":5,`} {
			r := must[*http.Request](t)(http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.addr+path, strings.NewReader(`{"key":"aw=="}`)))
			if path == "/health" {
				r.Method = http.MethodGet
			}
			resp := must[*http.Response](t)((&http.Client{Transport: transport}).Do(r))
			if text := must[string](t)(readAll(resp.Body)); !strings.Contains(text, want) || (resp.ProtoMajor == 2) != http2 {
				t.Errorf("%s over %s: %s", path, resp.Proto, text)
			}
		}
	}
}

// useAll makes calls of all kinds.
func useAll(ctx context.Context, t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	watching := must[pb.Watch_WatchClient](t)(pb.NewWatchClient(conn).Watch(ctx))
	create := &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("k")}}
	if err := watching.Send(&pb.WatchRequest{RequestUnion: create}); err != nil {
		t.Fatal(err)
	}
	must[*pb.WatchResponse](t)(watching.Recv())
	must[*pb.PutResponse](t)(pb.NewKVClient(conn).Put(ctx, &pb.PutRequest{Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 1<<20)}))
	if r := must[*pb.WatchResponse](t)(watching.Recv()); len(r.Events) != 1 || len(r.Events[0].Kv.Value) != 1<<20 {
		t.Errorf("watch: %d events", len(r.Events))
	}
	_, err := pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{})
	if got := status.Convert(err).Message(); got != "etcdserver: key is not provided" {
		t.Errorf("error %q", got)
	}
	lease := must[*pb.LeaseGrantResponse](t)(pb.NewLeaseClient(conn).LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 60}))
	locked := must[*v3lockpb.LockResponse](t)(v3lockpb.NewLockClient(conn).Lock(ctx, &v3lockpb.LockRequest{Name: []byte("l"), Lease: lease.ID}))
	must[*v3lockpb.UnlockResponse](t)(v3lockpb.NewLockClient(conn).Unlock(ctx, &v3lockpb.UnlockRequest{Key: locked.Key}))
}

// TestTLSRefuses has clients that do not come in, and are told why as far as TLS can.
func TestTLSRefuses(t *testing.T) {
	v, other := newVault(t), newVault(t)
	o := v.server()
	open := start(t, gatewaytest.Options{}, gateway.Options{TLS: o})
	known := *o
	known.TrustedCAFile = v.File
	closed := start(t, gatewaytest.Options{}, gateway.Options{TLS: &known})
	stranger := v.client("")
	stranger.Certificates = other.client("x").Certificates
	old := v.client("")
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	for name, c := range map[string]struct {
		addr   string
		config *tls.Config
		want   string
	}{
		"too old":               {open.addr, old, "protocol version not supported"},
		"not trusted by it":     {open.addr, other.client(""), "certificate signed by unknown authority"},
		"without a certificate": {closed.addr, v.client(""), "certificate required"},
		"another's certificate": {closed.addr, stranger, "unknown certificate authority"},
		"fine":                  {closed.addr, v.client("x"), "EOF"},
	} {
		conn, err := tls.Dial("tcp", c.addr, c.config)
		if err == nil {
			_, _ = io.WriteString(conn, "GET /nothing HTTP/1.0\r\n\r\n")
			_, err = conn.Read(make([]byte, 1)) // the server's last word comes late
			if err == nil {
				err = io.EOF
			}
			conn.Close()
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %s", name, err, c.want)
		}
	}
	conn := must[net.Conn](t)(net.Dial("tcp", open.addr))
	defer conn.Close()
	must[int](t)(io.WriteString(conn, "GET /version HTTP/1.1\r\nHost: x\r\n\r\n"))
	if text, err := io.ReadAll(conn); bytes.HasPrefix(text, []byte("HTTP")) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("plain text is answered: %q", text)
	}
}

// TestTLSFilesChange replaces the certificates of a server, by nonsense too.
func TestTLSFilesChange(t *testing.T) {
	v, next := newVault(t), newVault(t)
	o := v.server()
	o.TrustedCAFile = v.File
	s := start(t, gatewaytest.Options{}, gateway.Options{TLS: o})
	shown := func(c *tls.Config) string {
		conn, err := tls.Dial("tcp", s.addr, c)
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET /version HTTP/1.0\r\n\r\n")
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			return err.Error()
		}
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	c := v.client("c")
	expect := func(what, want string) {
		t.Helper()
		if got := shown(c); got != want {
			t.Errorf("%s: %s", what, got)
		}
	}
	expect("at first", "server")
	cert, _ := v.issue("new", "new")
	if err := os.Rename(cert, o.CertFile); err != nil {
		t.Fatal(err)
	}
	expect("the certificate has changed, and its key not yet", "server")
	if err := os.Rename(strings.TrimSuffix(cert, ".pem")+".key", o.KeyFile); err != nil {
		t.Fatal(err)
	}
	expect("both have changed", "new")
	if err := os.Remove(o.KeyFile); err != nil {
		t.Fatal(err)
	}
	expect("the key is gone", "new")
	v.server()
	expect("there is another", "server")
	renewed := next.client("d")
	if err := os.Rename(next.File, o.TrustedCAFile); err != nil {
		t.Fatal(err)
	}
	if got := shown(c); !strings.Contains(got, "unknown certificate authority") {
		t.Errorf("the authority is trusted no more: %s", got)
	}
	c.Certificates = renewed.Certificates
	expect("the new authority", "server")
}

// naming is an Authenticator that knows users by their certificates.
type naming struct{ denying }

func (naming) Identify(ctx context.Context) (string, uint64, error) {
	p, ok := peer.FromContext(ctx)
	if !ok { // the services Lock and Election keep leases alive by themselves
		return "", 0, nil
	}
	info, _ := p.AuthInfo.(credentials.TLSInfo)
	if len(info.State.VerifiedChains) == 0 || len(metadata.ValueFromIncomingContext(ctx, "grpcgateway-accept")) > 0 {
		return "", 0, nil
	}
	return info.State.VerifiedChains[0][0].Subject.CommonName, 7, nil
}

func (naming) Query(*mvcc.Store, mvcc.Message) (mvcc.Message, error) {
	return &pb.AuthStatusResponse{Enabled: true}, nil
}

// TestTLSUsers checks who is known by a certificate: with ClientCertAuth alone, and not in JSON.
func TestTLSUsers(t *testing.T) {
	v := newVault(t)
	o := v.server()
	o.TrustedCAFile = v.File
	named := *o
	named.ClientCertAuth = true
	const nobody = "etcdserver: user name is empty"
	const mistaken = "CommonName of client sending a request against gateway will be ignored and not used as expected\n"
	for name, c := range map[string]struct {
		tls        *gateway.TLSOptions
		commonName string
		grpc, json string
	}{
		"user":          {&named, "u", "", mistaken},
		"no name":       {&named, "", nobody, `"message":"` + nobody + `"`},
		"not to be one": {o, "u", nobody, `"message":"` + nobody + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, gatewaytest.Options{}, gateway.Options{TLS: c.tls, Authenticator: naming{}})
			ctx := soon(t)
			config := v.client("x")
			config.Certificates = []tls.Certificate{must[tls.Certificate](t)(tls.LoadX509KeyPair(v.issue("client", c.commonName)))}
			for _, protocols := range [][]string{nil, {"h2", "http/1.1"}} {
				config.NextProtos = protocols
				conn := s.secure(t, config)
				_, err := pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{Key: []byte("k")})
				if got := status.Convert(err).Message(); got != c.grpc {
					t.Errorf("%v: %q", protocols, got)
				}
				_, err = v3electionpb.NewElectionClient(conn).Leader(ctx, &v3electionpb.LeaderRequest{Name: []byte("e")})
				if got := status.Convert(err).Message(); got != cmp.Or(c.grpc, "election: no leader") {
					t.Errorf("%v: election: %q", protocols, got)
				}
			}
			config.NextProtos = nil
			transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			resp := must[*http.Response](t)((&http.Client{Transport: transport}).Post("https://"+s.addr+"/v3/kv/range", "application/json", strings.NewReader(`{"key":"aw=="}`)))
			if text := must[string](t)(readAll(resp.Body)); !strings.Contains(text, c.json) {
				t.Errorf("JSON: %s", text)
			}
		})
	}
}

// TestTLSFiles names the file that is of no use.
func TestTLSFiles(t *testing.T) {
	v := newVault(t)
	good := *v.server()
	good.TrustedCAFile = v.File
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	nonsense := filepath.Join(t.TempDir(), "nonsense")
	text := "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	if err := os.WriteFile(nonsense, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, foreign := v.issue("other", "other")
	for _, c := range []struct {
		change func(o *gateway.TLSOptions)
		want   string
	}{
		{func(o *gateway.TLSOptions) { o.CertFile = "/nowhere" }, "certFile: expected a PEM file with the server's certificate: open /nowhere: no such file or directory"},
		{func(o *gateway.TLSOptions) { o.CertFile = o.KeyFile }, "certFile: expected a PEM file with the server's certificate: there is no certificate in it"},
		{func(o *gateway.TLSOptions) { o.CertFile = nonsense }, "certFile: expected a PEM file with the server's certificate: x509: "},
		{func(o *gateway.TLSOptions) { o.KeyFile = "/nowhere" }, "keyFile: expected a PEM file with the private key of that certificate: open /nowhere"},
		{func(o *gateway.TLSOptions) { o.KeyFile = o.CertFile }, "keyFile: expected a PEM file with the private key of that certificate: tls: "},
		{func(o *gateway.TLSOptions) { o.KeyFile = foreign }, "keyFile: expected a PEM file with the private key of that certificate: tls: private key does not match"},
		{func(o *gateway.TLSOptions) { o.TrustedCAFile = good.KeyFile }, "trustedCAFile: expected a PEM file with certificates of authorities: there is no certificate in it"},
	} {
		o := good
		c.change(&o)
		err := o.Check()
		if !strings.HasPrefix(fmt.Sprint(err), c.want) {
			t.Errorf("%v, not %s", err, c.want)
		}
		var fault *gateway.TLSError
		if !errors.As(err, &fault) {
			t.Errorf("%T", err)
		}
	}
}
