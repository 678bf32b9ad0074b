package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"zebu/mvcc"
)

// with is a context with metadata.
func (s *server) with(pairs ...string) context.Context {
	return metadata.NewIncomingContext(s.Context(), metadata.Pairs(pairs...))
}

func (s *server) login(user, password string) string {
	s.Helper()
	r, err := s.keeper.Authenticator(s).Authenticate(s.Context(), &pb.AuthenticateRequest{Name: user, Password: password})
	if err != nil {
		s.Fatal(err)
	}
	return r.Token
}

// identify returns the user, or the text of the error.
func (s *server) identify(ctx context.Context) string {
	s.Helper()
	user, revision, err := s.keeper.Authenticator(s).Identify(ctx)
	if err != nil {
		return status.Convert(err).Message()
	}
	if (user == "") != (revision == 0) {
		s.Errorf("user %q has revision %d", user, revision)
	}
	return user
}

func TestLogin(t *testing.T) {
	s := enabled(t, Options{})
	const failed = "etcdserver: authentication failed, invalid user ID or password"
	for _, c := range []struct{ user, password, want string }{
		{"r", "pr", ""},
		{"r", "pw", failed},
		{"r", "", failed},
		{"nobody", "p", failed},
		{"both", "", "auth: authentication failed, password was given for no password user"}, // etcd's text, with no code
	} {
		_, err := s.keeper.Authenticator(s).Authenticate(t.Context(), &pb.AuthenticateRequest{Name: c.user, Password: c.password})
		if got := status.Convert(err).Message(); got != c.want {
			t.Errorf("%s: %q, not %q", c.user, got, c.want)
		}
	}
	s.must("root", &pb.AuthDisableRequest{})
	_, err := s.keeper.Authenticator(s).Authenticate(t.Context(), &pb.AuthenticateRequest{Name: "r", Password: "pr"})
	if got := status.Convert(err).Message(); got != "etcdserver: authentication is not enabled" {
		t.Error(got)
	}
}

// TestLoginOvertaken changes the password between the check of it and the record that would give out a token.
func TestLoginOvertaken(t *testing.T) {
	s := enabled(t, Options{})
	s.before = func() { s.must("root", &pb.AuthUserChangePasswordRequest{Name: "r", Password: "other"}) }
	_, err := s.keeper.Authenticator(s).Authenticate(t.Context(), &pb.AuthenticateRequest{Name: "r", Password: "pr"})
	if got := status.Convert(err).Message(); got != "etcdserver: authentication failed, invalid user ID or password" {
		t.Error(got)
	}
	// Another change than that costs a second round.
	s.before = func() { s.must("root", &pb.AuthRoleAddRequest{Name: "new"}) }
	reads := s.reads
	token := s.login("r", "other")
	if got := s.identify(s.with("token", token)); got != "r" || s.reads != reads+2 {
		t.Errorf("%s after %d read points", got, s.reads-reads)
	}
}

func TestIdentify(t *testing.T) {
	s := newServer(t, Options{})
	if got := s.identify(s.with("token", "x")); got != "" {
		t.Error(got)
	}
	s = enabled(t, Options{})
	token := s.login("r", "pr")
	const invalid = "etcdserver: invalid auth token"
	for _, c := range []struct {
		ctx  context.Context
		want string
	}{
		{t.Context(), ""},
		{s.with("token", token), "r"},
		{s.with("token", "Bearer "+token), "r"},
		{s.with("authorization", token), "r"},
		{s.with("authorization", "Bearer "+token), "r"},
		{s.with("token", "x", "authorization", token), invalid},
		{s.with("token", ""), invalid},
		{s.with("token", "x.9223372036854775807"), invalid},
		{s.with("token", "x.-1"), invalid},
		{s.with("token", token+"1"), invalid},
	} {
		if got := s.identify(c.ctx); got != c.want {
			t.Errorf("%v: %q, not %q", c.ctx, got, c.want)
		}
	}
}

func TestCertificate(t *testing.T) {
	s := enabled(t, Options{})
	shown := func(ctx context.Context, info credentials.AuthInfo) context.Context {
		return peer.NewContext(ctx, &peer.Peer{AuthInfo: info})
	}
	tlsInfo := func(chains ...[]*x509.Certificate) credentials.TLSInfo {
		return credentials.TLSInfo{State: tls.ConnectionState{VerifiedChains: chains}}
	}
	root := []*x509.Certificate{{Subject: pkix.Name{CommonName: "root"}}}
	_, plain, err := insecure.NewCredentials().ServerHandshake(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ctx  context.Context
		want string
	}{
		"verified":      {shown(t.Context(), tlsInfo(root)), "root"},
		"JSON gateway":  {shown(s.with("grpcgateway-accept", "x"), tlsInfo(root)), ""},
		"no chain":      {shown(t.Context(), tlsInfo()), ""},
		"empty chain":   {shown(t.Context(), tlsInfo(nil)), ""},
		"not TLS":       {shown(t.Context(), plain), ""},
		"nothing":       {shown(t.Context(), nil), ""},
		"token as well": {shown(s.with("token", s.login("r", "pr")), tlsInfo(root)), "r"},
	} {
		if got := s.identify(c.ctx); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

// TestTokenOnItsWay shows a token to a server that has not applied yet what made it.
func TestTokenOnItsWay(t *testing.T) {
	s := enabled(t, Options{})
	b, err := mvcc.NewRecord(&pb.InternalAuthenticateRequest{Name: "r", SimpleToken: "abc"}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	s.behind = append(s.behind, b)
	token := simpleToken("abc", s.store.Applied()+1)
	if got := s.identify(s.with("token", token)); got != "r" {
		t.Error(got)
	}
}

func TestTokensEnd(t *testing.T) {
	now := time.Unix(1000, 0)
	s := enabled(t, Options{TokenTTL: time.Minute})
	s.keeper.tokens.now = func() time.Time { return now }
	const invalid = "etcdserver: invalid auth token"
	check := func(token, want string) {
		t.Helper()
		if got := s.identify(s.with("token", token)); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	token := s.login("r", "pr")
	for range 3 { // used, it lives on
		now = now.Add(time.Minute)
		check(token, "r")
	}
	now = now.Add(time.Minute + 1)
	check(token, invalid)
	other := s.login("w", "pw")
	if len(s.keeper.tokens.users) != 1 {
		t.Errorf("%d tokens are kept", len(s.keeper.tokens.users))
	}
	token = s.login("r", "pr")
	s.must("root", &pb.AuthUserChangePasswordRequest{Name: "r", Password: "new"})
	check(token, invalid)
	check(other, "w")
	token = s.login("r", "new")
	s.must("root", &pb.AuthUserDeleteRequest{Name: "r"})
	check(token, invalid)
	s.must("root", &pb.AuthDisableRequest{})
	s.must("", &pb.AuthEnableRequest{})
	check(other, invalid)
}

func TestWebTokens(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	hmac := write("hmac", []byte("a secret"))
	priv := write("priv", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	public := write("pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}))

	for _, options := range []string{
		"jwt,sign-method=HS256,priv-key=" + hmac,
		"jwt,sign-method=ES256,priv-key=" + priv + ",pub-key=" + public + ",ttl=1m",
	} {
		s := enabled(t, Options{Tokens: options})
		applied := s.store.Applied()
		token := s.login("w", "pw")
		if s.store.Applied() != applied {
			t.Error("a web token went through the log")
		}
		user, revision, err := s.keeper.Authenticator(s).Identify(s.with("token", token))
		if err != nil || user != "w" || revision != s.revision() {
			t.Error(user, revision, err)
		}
		// It has its revision in it: a change makes it too old.
		s.must("root", &pb.AuthRoleAddRequest{Name: "new"})
		user, revision, err = s.keeper.Authenticator(s).Identify(s.with("authorization", "Bearer "+token))
		if got := s.at(user, revision, &pb.PutRequest{Key: []byte("d")}); err != nil || got != "etcdserver: revision of auth store is old" {
			t.Error(got, err)
		}
		forged := token[:len(token)-8] + strings.Repeat("A", 8)
		if got := s.identify(s.with("token", forged)); got != "etcdserver: invalid auth token" {
			t.Error(got)
		}
		// Servers that can only check tokens take those of others.
		if strings.Contains(options, "ES256") {
			v := enabled(t, Options{Tokens: "jwt,sign-method=ES256,pub-key=" + public})
			if got := v.identify(v.with("token", token)); got != "w" {
				t.Error(got)
			}
			_, err := v.keeper.Authenticator(v).Authenticate(t.Context(), &pb.AuthenticateRequest{Name: "w", Password: "pw"})
			if got := status.Convert(err).Message(); got != "auth: token signing attempted with verify-only key" {
				t.Error(got)
			}
		}
	}
	expired := enabled(t, Options{Tokens: "jwt,sign-method=HS256,ttl=-1s,priv-key=" + hmac})
	if got := expired.identify(expired.with("token", expired.login("w", "pw"))); got != "etcdserver: invalid auth token" {
		t.Error(got)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{
		{Tokens: "simple,x=y"}, {Tokens: "other"}, {Tokens: "jwt"}, {Tokens: "jwt,sign-method=none"},
		{Tokens: "jwt,sign-method=HS256"}, {Tokens: "jwt,sign-method=RS256,pub-key=/does/not/exist"},
		{Cost: 3}, {Cost: 32},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestPermit(t *testing.T) {
	s := enabled(t, Options{})
	key := func(k string) []byte { return []byte(k) }
	s.must("root", &pb.LeaseGrantRequest{ID: 7, TTL: 10}, &pb.LeaseGrantRequest{ID: 8, TTL: 10},
		&pb.PutRequest{Key: key("e"), Lease: 7})
	readOnly := func(k string) *pb.TxnRequest {
		o := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key(k)}}}
		return &pb.TxnRequest{Failure: []*pb.RequestOp{o}}
	}
	const (
		denied = "etcdserver: permission denied"
		empty  = "etcdserver: user name is empty"
	)
	cases := []struct {
		user    string
		request mvcc.Message
		want    string
	}{
		{"", &pb.RangeRequest{Key: key("a")}, empty},
		{"none", &pb.RangeRequest{Key: key("a")}, denied},
		{"r", &pb.RangeRequest{Key: key("a")}, ""},
		{"r", &pb.RangeRequest{Key: key("a"), RangeEnd: key("f")}, ""},
		{"r", &pb.RangeRequest{Key: key("a"), RangeEnd: key("f\x00")}, denied},
		{"r", &pb.RangeRequest{Key: key("z"), RangeEnd: key("a")}, denied},
		{"r", &pb.RangeRequest{Key: key("x")}, ""},
		{"r", &pb.RangeRequest{Key: key("x"), RangeEnd: key("\x00")}, denied},
		{"w", &pb.RangeRequest{Key: key("y"), RangeEnd: key("\x00")}, ""},
		{"w", &pb.RangeRequest{Key: key("d")}, denied},
		{"root", &pb.RangeRequest{Key: key("\x00"), RangeEnd: key("\x00")}, ""},
		{"r", &pb.WatchCreateRequest{Key: key("a"), RangeEnd: key("f")}, ""},
		{"r", &pb.WatchCreateRequest{Key: key("x"), RangeEnd: key("\x00")}, denied},
		{"r", &pb.WatchCreateRequest{}, denied},
		{"r", readOnly("a"), ""},
		{"w", readOnly("a"), denied},
		{"w", &pb.LeaseKeepAliveRequest{ID: 7}, ""},
		{"r", &pb.LeaseKeepAliveRequest{ID: 7}, denied},
		{"r", &pb.LeaseKeepAliveRequest{ID: 8}, ""},
		{"r", &pb.LeaseKeepAliveRequest{ID: 99}, ""},
		{"", &pb.LeaseKeepAliveRequest{ID: 99}, empty},
		{"none", &pb.LeaseTimeToLiveRequest{ID: 7}, ""},
		{"", &pb.LeaseTimeToLiveRequest{ID: 7}, empty},
		{"none", &pb.LeaseTimeToLiveRequest{ID: 7, Keys: true}, denied},
		{"r", &pb.LeaseTimeToLiveRequest{ID: 7, Keys: true}, ""},
		{"r", &pb.LeaseLeasesRequest{}, ""},
		{"none", &pb.LeaseLeasesRequest{}, denied},
		{"root", &pb.LeaseLeasesRequest{}, ""},
		{"", &pb.LeaseLeasesRequest{}, empty},
		{"", &pb.LeaseGrantRequest{}, empty},
		{"none", &pb.LeaseGrantRequest{}, ""},
		{"none", &pb.LeaseRevokeRequest{}, ""},
		{"none", &pb.StatusRequest{}, ""},
		{"", &pb.StatusRequest{}, empty},
		{"none", &pb.MemberListRequest{}, ""},
		{"none", &pb.AlarmRequest{}, ""},
		{"none", &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE}, denied},
		{"none", &pb.AuthUserGetRequest{Name: "none"}, ""},
		{"none", &pb.AuthUserGetRequest{Name: "r"}, denied},
		{"", &pb.AuthUserGetRequest{}, empty},
		{"r", &pb.AuthRoleGetRequest{Role: "reader"}, ""},
		{"r", &pb.AuthRoleGetRequest{Role: "writer"}, denied},
		{"r", &pb.AuthStatusRequest{}, denied},
		{"root", &pb.AuthStatusRequest{}, ""},
		{"r", &pb.CompactionRequest{}, denied},
		{"root", &pb.CompactionRequest{}, ""},
		{"", &pb.MemberAddRequest{}, empty},
		{"r", &pb.SnapshotRequest{}, denied},
		{"gone", &pb.SnapshotRequest{}, "etcdserver: user name not found"},
	}
	a := s.keeper.Authenticator(s)
	ask := func(user string, revision uint64, m mvcc.Message) string {
		if user == "" {
			revision = 0
		}
		return status.Convert(a.Permit(s.store, user, revision, m)).Message()
	}
	for i, c := range cases {
		if got := ask(c.user, s.revision(), c.request); got != c.want {
			t.Errorf("%d: %s: %T %v: %q, not %q", i, c.user, c.request, c.request, got, c.want)
		}
	}
	if got := ask("r", s.revision()-1, &pb.RangeRequest{Key: key("a")}); got != "etcdserver: revision of auth store is old" {
		t.Error(got)
	}
	s.must("root", &pb.AuthDisableRequest{})
	for i, c := range cases {
		if got := ask(c.user, s.revision(), c.request); got != "" {
			t.Errorf("%d without authentication: %T: %q", i, c.request, got)
		}
	}
	bare, err := mvcc.Open(&mvcc.Memory{}, mvcc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Permit(bare, "", 0, &pb.CompactionRequest{}); err != nil {
		t.Error(err)
	}
	if _, err := a.Query(bare, &pb.AuthUserListRequest{}); status.Convert(err).Message() != "etcdserver: authentication is not enabled" {
		t.Error(err)
	}
}

func TestQuery(t *testing.T) {
	s := enabled(t, Options{})
	s.must("root", &pb.AuthRoleAddRequest{Name: "root"})
	state := &pb.AuthStatusResponse{Enabled: true, AuthRevision: s.revision()}
	for _, c := range []struct {
		request mvcc.Message
		want    mvcc.Message
		text    string
	}{
		{&pb.AuthStatusRequest{}, state, ""},
		{&pb.AuthUserListRequest{}, &pb.AuthUserListResponse{Users: []string{"both", "none", "r", "root", "w"}}, ""},
		{&pb.AuthUserGetRequest{Name: "both"}, &pb.AuthUserGetResponse{Roles: []string{"reader", "writer"}}, ""},
		{&pb.AuthUserGetRequest{Name: "x"}, nil, "etcdserver: user name not found"},
		{&pb.AuthRoleListRequest{}, &pb.AuthRoleListResponse{Roles: []string{"reader", "root", "writer"}}, ""},
		{&pb.AuthRoleGetRequest{Role: "writer"}, &pb.AuthRoleGetResponse{Perm: []*authpb.Permission{
			perm(authpb.WRITE, "d", "g"), perm(authpb.READWRITE, "y", "\x00"),
		}}, ""},
		{&pb.AuthRoleGetRequest{Role: "root"}, &pb.AuthRoleGetResponse{Perm: []*authpb.Permission{perm(authpb.READWRITE, "", "\x00")}}, ""},
		{&pb.AuthRoleGetRequest{Role: "x"}, nil, "etcdserver: role name not found"},
		{&pb.RangeRequest{}, nil, "no query: *etcdserverpb.RangeRequest"},
	} {
		got, err := s.keeper.Authenticator(s).Query(s.store, c.request)
		if text := status.Convert(err).Message(); text != c.text {
			t.Errorf("%T: %q, not %q", c.request, text, c.text)
		}
		if c.want == nil {
			if got != nil {
				t.Errorf("%T: %v", c.request, got)
			}
			continue
		}
		if got == nil || string(marshal(got)) != string(marshal(c.want)) {
			t.Errorf("%T: %v, not %v", c.request, got, c.want)
		}
	}
}
