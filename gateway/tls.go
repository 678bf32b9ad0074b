package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.uber.org/zap"
	"google.golang.org/grpc/credentials"

	"zebu/mvcc"
)

// TLSOptions say that a server speaks TLS, from 1.2 on, and nothing else. They mean what etcd's flags --cert-file, --key-file,
// --trusted-ca-file and --client-cert-auth do. The files are in PEM, and read anew when they change.
type TLSOptions struct {
	CertFile string // the server's certificate, and those in between it and the authority's
	KeyFile  string // the certificate's private key
	// TrustedCAFile has the authorities of clients' certificates. If it is set every client must show one.
	TrustedCAFile string
	// ClientCertAuth demands certificates, too, of authorities that the system trusts if there is no TrustedCAFile; and a client that
	// shows no token is the user that its certificate has as common name.
	ClientCertAuth bool
}

// TLSError tells which of the files of [TLSOptions] cannot be used.
type TLSError struct {
	File string // the field of TLSOptions, with a small letter: "certFile"
	Want string // what was expected
	Err  error
}

// Error implements error.
func (e *TLSError) Error() string { return e.File + ": expected " + e.Want + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *TLSError) Unwrap() error { return e.Err }

// Check tells, by a [TLSError], whether a server can use the files as they are now.
func (o *TLSOptions) Check() error {
	_, err := o.load()
	return err
}

var errNoCertificate = errors.New("there is no certificate in it")

// load reads the files.
func (o *TLSOptions) load() (*tls.Config, error) {
	const certificate, key, authorities = "a PEM file with the server's certificate", "a PEM file with the private key of that certificate",
		"a PEM file with certificates of authorities"
	chain, err := readCertificates(o.CertFile)
	if err != nil {
		return nil, &TLSError{"certFile", certificate, err}
	}
	text, err := os.ReadFile(o.KeyFile)
	if err != nil {
		return nil, &TLSError{"keyFile", key, err}
	}
	pair, err := tls.X509KeyPair(chain, text)
	if err != nil {
		return nil, &TLSError{"keyFile", key, err}
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{protocolHTTP2, "http/1.1"}, Certificates: []tls.Certificate{pair},
		// What a client may do depends on its certificate, which a resumed session would not show again.
		SessionTicketsDisabled: true,
	}
	if o.ClientCertAuth || o.TrustedCAFile != "" {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if o.TrustedCAFile != "" {
		text, err := readCertificates(o.TrustedCAFile)
		if err != nil {
			return nil, &TLSError{"trustedCAFile", authorities, err}
		}
		c.ClientCAs = x509.NewCertPool()
		c.ClientCAs.AppendCertsFromPEM(text)
	}
	return c, nil
}

// readCertificates reads a PEM file, in which there must be certificates and nothing that pretends to be one.
func readCertificates(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	found := false
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, err
		}
		found = true
	}
	if !found {
		return nil, errNoCertificate
	}
	return text, nil
}

const protocolHTTP2 = "h2"

// tlsServer is a server's side of TLS.
type tlsServer struct {
	TLSOptions
	log  *zap.Logger
	base *tls.Config

	mu     sync.Mutex
	seen   []fs.FileInfo // of the files, as they were before they were read
	config *tls.Config   // made of them
}

func newTLSServer(o TLSOptions, log *zap.Logger) (*tlsServer, error) {
	s := &tlsServer{TLSOptions: o, log: log}
	s.seen = s.stat()
	var err error
	s.config, err = o.load()
	s.base = &tls.Config{
		MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true,
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			h.Conn.(*helloConn).speaksHTTP1 = slices.Contains(h.SupportedProtos, "http/1.1")
			return s.current(), nil
		},
	}
	return s, err
}

// stat looks at the files; nil stands for one that cannot be looked at.
func (s *tlsServer) stat() []fs.FileInfo {
	var list []fs.FileInfo
	for _, name := range []string{s.CertFile, s.KeyFile, s.TrustedCAFile} {
		info, err := os.Stat(name)
		if err != nil {
			info = nil
		}
		list = append(list, info)
	}
	return list
}

// current is the configuration of the files as they are; of their last good state while they are not in order, as between the
// change of a certificate and that of its key.
func (s *tlsServer) current() *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.stat()
	same := slices.EqualFunc(now, s.seen, func(a, b fs.FileInfo) bool {
		return a == nil && b == nil || a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
	})
	if same {
		return s.config
	}
	s.seen = now
	c, err := s.load()
	if err != nil {
		s.log.Warn("etcd API: TLS files have changed and cannot be used, going on with what they were", zap.Error(err))
		return s.config
	}
	s.log.Info("etcd API: TLS files have changed and been read anew")
	s.config = c
	return c
}

// helloConn is a connection before TLS on which the client's protocols are noted.
type helloConn struct {
	net.Conn
	speaksHTTP1 bool
}

// handshake begins TLS on a connection, and tells whether it is gRPC's alone: whoever speaks HTTP/1 as well may be about to send JSON,
// over HTTP/2 too.
func (s *tlsServer) handshake(c net.Conn) (secure *tls.Conn, onlyGRPC bool, err error) {
	hello := &helloConn{Conn: c}
	secure = tls.Server(hello, s.base)
	if err := secure.Handshake(); err != nil {
		return nil, false, err
	}
	return secure, !hello.speaksHTTP1 && secure.ConnectionState().NegotiatedProtocol == protocolHTTP2, nil
}

// refused tells why a client does not come in, which it may not be told itself. Who only looks if the port is open is none.
func (s *tlsServer) refused(c net.Conn, why error) {
	level := zap.WarnLevel
	if errors.Is(why, io.EOF) || errors.Is(why, net.ErrClosed) || errors.Is(why, syscall.ECONNRESET) {
		level = zap.DebugLevel
	}
	s.log.Log(level, "etcd API: no TLS with a client", zap.Stringer("client", c.RemoteAddr()), zap.Error(why))
}

// shown is what handlers are told of a connection: without ClientCertAuth a certificate lets a client in and says no more.
func (s *tlsServer) shown(state tls.ConnectionState) tls.ConnectionState {
	if !s.ClientCertAuth {
		state.VerifiedChains = nil
	}
	return state
}

// tlsCredentials tell gRPC's server about connections whose handshake is done.
type tlsCredentials struct {
	credentials.TransportCredentials
	*tlsServer
}

// ServerHandshake implements credentials.TransportCredentials.
func (c *tlsCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return conn, nil, nil // from inside of the process
	}
	level := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
	return secure, credentials.TLSInfo{State: c.shown(secure.ConnectionState()), CommonAuthInfo: level}, nil
}

// Clone implements credentials.TransportCredentials.
func (c *tlsCredentials) Clone() credentials.TransportCredentials { return c }

// mixed serves connections that may bring gRPC and JSON.
func (s *Server) mixed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil {
			state := s.tls.shown(*r.TLS)
			r.TLS = &state
		}
		switch {
		case r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
			s.grpc.ServeHTTP(w, r)
		case s.mistaken(r):
			http.Error(w, "CommonName of client sending a request against gateway will be ignored and not used as expected", http.StatusBadRequest)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// mistaken tells whether a client may take its certificate for a user's name where, as in etcd, it is none: in JSON.
func (s *Server) mistaken(r *http.Request) bool {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || r.TLS.VerifiedChains[0][0].Subject.CommonName == "" || s.Authenticator == nil {
		return false
	}
	on := false
	_ = s.look(func(state *mvcc.Store) error {
		answer, err := s.Authenticator.Query(state, &pb.AuthStatusRequest{})
		if st, ok := answer.(*pb.AuthStatusResponse); ok && err == nil {
			on = st.Enabled
		}
		return err
	})
	return on && (strings.HasPrefix(r.URL.Path, "/v3/") || strings.HasPrefix(r.URL.Path, "/v3beta/"))
}
