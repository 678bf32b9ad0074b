package server

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"zebu/conf"
	"zebu/internal/sasl"
	"zebu/proto"
)

func (r *raw) auth(scheme, data string) proto.ErrCode {
	r.t.Helper()
	code, _ := r.call(proto.XidAuth, proto.OpAuth, &proto.AuthPacket{Scheme: scheme, Auth: []byte(data)})
	return code
}

// whoAmI returns the connection's identities as scheme and user.
func (r *raw) whoAmI() []proto.ClientInfo {
	r.t.Helper()
	d := proto.NewDecoder(r.must(90, proto.OpWhoAmI, nil))
	var resp proto.WhoAmIResponse
	if resp.Decode(&d); d.Err() != nil {
		r.t.Fatal(d.Err())
	}
	return resp.ClientInfo
}

func (r *raw) wantIdentities(want ...proto.ClientInfo) {
	r.t.Helper()
	got := r.whoAmI()
	if len(got) != len(want) {
		r.t.Fatalf("identities %v, want %v", got, want)
	}
	for _, w := range want {
		found := false
		for _, g := range got {
			found = found || g == w
		}
		if !found {
			r.t.Fatalf("identities %v, want %v", got, want)
		}
	}
}

func newClient(t testing.TB, s *Server) *raw {
	t.Helper()
	r := dialRaw(t, s)
	r.connect(10_000)
	return r
}

func TestDigestIdentitiesDecidePerConnection(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	a, b := newClient(t, s), newClient(t, s)
	a.wantIdentities(proto.ClientInfo{AuthScheme: "ip", User: "127.0.0.1"})
	if code := a.auth("digest", "u:p"); code != proto.OK {
		t.Fatal(code)
	}
	a.wantIdentities(proto.ClientInfo{AuthScheme: "ip", User: "127.0.0.1"}, proto.ClientInfo{AuthScheme: "digest", User: "u"})
	mine := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}}
	a.must(1, proto.OpCreate, &proto.CreateRequest{Path: "/mine", ACL: mine})
	for _, tt := range []struct {
		op   proto.OpCode
		body interface{ Append([]byte) []byte }
	}{
		{proto.OpGetData, readReq("/mine", false)},
		{proto.OpExists, readReq("/mine", false)},
		{proto.OpGetChildren2, readReq("/mine", false)},
		{proto.OpGetACL, &proto.PathRequest{Path: "/mine"}},
		{proto.OpSetData, setReq("/mine", nil)},
		{proto.OpCreate, createReq("/mine/kid", 0)},
		{proto.OpSetACL, &proto.SetACLRequest{Path: "/mine", ACL: openACL, Version: -1}},
	} {
		if code, _ := b.call(2, tt.op, tt.body); code != proto.ErrNoAuth {
			t.Errorf("op %d of a stranger: %v", tt.op, code)
		}
	}
	b.auth("digest", "u:wrong")
	if code, _ := b.call(3, proto.OpGetData, readReq("/mine", false)); code != proto.ErrNoAuth {
		t.Errorf("wrong password: %v", code)
	}
	b.auth("digest", "u:p")
	b.must(4, proto.OpGetData, readReq("/mine", false))
	b.auth("digest", "u:p") // identities are a set
	b.wantIdentities(proto.ClientInfo{AuthScheme: "ip", User: "127.0.0.1"}, proto.ClientInfo{AuthScheme: "digest", User: "u"},
		proto.ClientInfo{AuthScheme: "digest", User: "u"}) // two passwords
}

// An identity counts for the requests behind it in the pipeline, and not for those before it.
func TestAuthTakesItsPlaceInThePipeline(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	a := newClient(t, s)
	mine := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}}
	a.send(request(1, proto.OpCreate, &proto.CreateRequest{Path: "/before", ACL: mine}),
		request(proto.XidAuth, proto.OpAuth, &proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")}),
		request(2, proto.OpCreate, &proto.CreateRequest{Path: "/after", ACL: mine}))
	codes := map[int32]proto.ErrCode{}
	for range 3 {
		hdr, _ := a.reply()
		codes[hdr.Xid] = hdr.Err
	}
	if codes[1] != proto.ErrInvalidACL || codes[2] != proto.OK || codes[proto.XidAuth] != proto.OK {
		t.Errorf("%v", codes)
	}
}

func TestSuperDigestPassesEveryACL(t *testing.T) {
	cfg := testConfig(t)
	cfg.Auth.SuperDigest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
	s, _ := startServer(t, cfg)
	a, b := newClient(t, s), newClient(t, s)
	a.auth("digest", "u:p")
	a.must(1, proto.OpCreate, &proto.CreateRequest{Path: "/mine", ACL: []proto.ACL{{Perms: proto.PermRead, ID: proto.ID{Scheme: "auth"}}}})
	if code := b.auth("digest", "super:wrong"); code != proto.OK {
		t.Fatal(code)
	}
	if code, _ := b.call(1, proto.OpSetData, setReq("/mine", nil)); code != proto.ErrNoAuth {
		t.Fatalf("wrong password of super: %v", code)
	}
	b.auth("digest", "super:test")
	b.must(2, proto.OpSetData, setReq("/mine", nil))
	b.must(3, proto.OpSetACL, &proto.SetACLRequest{Path: "/mine", ACL: openACL, Version: -1})
	b.must(4, proto.OpDelete, &proto.PathVersion{Path: "/mine", Version: -1})
}

func TestWrongSchemesEndTheConnection(t *testing.T) {
	cfg := testConfig(t)
	cfg.Auth.Digest = false
	s, _ := startServer(t, cfg)
	for _, scheme := range []string{"nonsense", "", "world", "super", "sasl", "x509", "ensemble", "digest"} {
		r := newClient(t, s)
		if code := r.auth(scheme, "super:test"); code != proto.ErrAuthFailed {
			t.Errorf("%q: %v", scheme, code)
		}
		r.closed()
	}
	r := newClient(t, s)
	r.send(request(proto.XidAuth, proto.OpAuth, nil)) // no AuthPacket
	r.closed()
}

func TestIdentitiesAreLimited(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	r := newClient(t, s)
	for i := range maxIdentities - 1 {
		if code := r.auth("digest", fmt.Sprintf("u:%d", i)); code != proto.OK {
			t.Fatal(code)
		}
	}
	if code := r.auth("digest", "u:p"); code != proto.ErrAuthFailed {
		t.Errorf("one too many: %v", code)
	}
	r.closed()
}

func TestIPAndEnsembleSchemes(t *testing.T) {
	cfg := testConfig(t)
	cfg.Auth.Schemes = []string{"ensemble"}
	cfg.Auth.EnsembleNames = []string{"east", "west"}
	s, _ := startServer(t, cfg)
	r := newClient(t, s)
	for _, a := range [][2]string{{"ip", ""}, {"ip", "1.2.3.4"}, {"ensemble", "west"}, {"ensemble", ""}} {
		if code := r.auth(a[0], a[1]); code != proto.OK {
			t.Errorf("%v: %v", a, code)
		}
	}
	r.wantIdentities(proto.ClientInfo{AuthScheme: "ip", User: "127.0.0.1"})
	r.must(1, proto.OpCreate, &proto.CreateRequest{
		Path: "/net", ACL: []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "ip", ID: "127.0.0.0/8"}}},
	})
	r.must(2, proto.OpSetData, setReq("/net", nil))
	r.must(3, proto.OpSetACL, &proto.SetACLRequest{
		Path: "/net", ACL: []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "ip", ID: "10.0.0.0/8"}}}, Version: -1,
	})
	if code, _ := r.call(4, proto.OpSetData, setReq("/net", nil)); code != proto.ErrNoAuth {
		t.Errorf("another network: %v", code)
	}
	r.send(request(proto.XidAuth, proto.OpAuth, &proto.AuthPacket{Scheme: "ensemble", Auth: []byte("north")}))
	r.closed()
}

// saslConfig offers DIGEST-MD5 to bob and super.
func saslConfig(t *testing.T) *conf.Config {
	t.Helper()
	cfg := testConfig(t)
	file := filepath.Join(t.TempDir(), "jaas.conf")
	text := `Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_bob="builder" user_boss="chief"; };`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Auth.JAASFile = file
	cfg.Auth.Schemes = []string{"sasl"}
	return cfg
}

// saslStep sends a token; a nil answer with code OK is an empty one.
func (r *raw) saslStep(token []byte) (proto.ErrCode, []byte) {
	r.t.Helper()
	code, body := r.call(50, proto.OpSASL, &proto.TokenRecord{Token: token})
	d := proto.NewDecoder(body)
	var out proto.TokenRecord
	if out.Decode(&d); d.Err() != nil {
		r.t.Fatalf("SASL reply %v: % x: %v", code, body, d.Err())
	}
	return code, out.Token
}

func (r *raw) sasl(user, password string) proto.ErrCode {
	r.t.Helper()
	c := sasl.NewClient(sasl.ClientPort, user, password, "a-fresh-nonce")
	code, token := r.saslStep([]byte{})
	for code == proto.OK && len(token) > 0 {
		answer, err := c.Step(token)
		if err != nil {
			r.t.Fatal(err)
		}
		if c.Done() {
			return proto.OK
		}
		code, token = r.saslStep(answer)
	}
	if code == proto.OK && !c.Done() {
		return proto.ErrAuthFailed // kept, but not authenticated
	}
	return code
}

func TestSASLDigestMD5(t *testing.T) {
	cfg := saslConfig(t)
	cfg.Auth.SuperUsers = []string{"boss"}
	s, _ := startServer(t, cfg)
	bob, boss, other := newClient(t, s), newClient(t, s), newClient(t, s)
	if code := bob.sasl("bob", "builder"); code != proto.OK {
		t.Fatal(code)
	}
	bob.wantIdentities(proto.ClientInfo{AuthScheme: "ip", User: "127.0.0.1"}, proto.ClientInfo{AuthScheme: "sasl", User: "bob"})
	acl := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "sasl", ID: "bob"}}}
	bob.must(1, proto.OpCreate, &proto.CreateRequest{Path: "/bobs", ACL: acl})
	if code, _ := other.call(1, proto.OpGetData, readReq("/bobs", false)); code != proto.ErrNoAuth {
		t.Errorf("without SASL: %v", code)
	}
	if code := boss.sasl("boss", "chief"); code != proto.OK {
		t.Fatal(code)
	}
	boss.must(1, proto.OpSetData, setReq("/bobs", nil))
	if code, token := bob.saslStep([]byte{}); code != proto.ErrAuthFailed || token != nil {
		t.Errorf("second exchange: %v % x", code, token)
	}
	bob.closed()
}

func TestSASLRefusesAndHangsUp(t *testing.T) {
	s, _ := startServer(t, saslConfig(t))
	for user, password := range map[string]string{"bob": "wrong", "nobody": "builder", "": ""} {
		r := newClient(t, s)
		if code := r.sasl(user, password); code != proto.ErrAuthFailed {
			t.Errorf("%s: %v", user, code)
		}
		r.closed()
	}
	r := newClient(t, s)
	r.saslStep(nil)
	if code, _ := r.saslStep([]byte("not a digest response")); code != proto.ErrAuthFailed {
		t.Errorf("nonsense: %v", code)
	}
	r.closed()
}

func TestFailedSASLMayBeAllowed(t *testing.T) {
	cfg := saslConfig(t)
	cfg.Auth.AllowFailedSASL = true
	s, _ := startServer(t, cfg)
	r := newClient(t, s)
	if code := r.sasl("bob", "wrong"); code != proto.ErrAuthFailed {
		t.Fatal(code)
	}
	r.wantIdentities(proto.ClientInfo{AuthScheme: "ip", User: "127.0.0.1"})
	r.must(1, proto.OpCreate, createReq("/a", 0))
}

// everyOp is a request of each kind that needs a session.
var everyOp = map[proto.OpCode]interface{ Append([]byte) []byte }{
	proto.OpPing: nil, proto.OpCreate: createReq("/x", 0), proto.OpCreate2: createReq("/x", 0), proto.OpDelete: &proto.PathVersion{Path: "/x"},
	proto.OpExists: readReq("/", true), proto.OpGetData: readReq("/", false), proto.OpSetData: setReq("/", nil), proto.OpGetACL: &proto.PathRequest{Path: "/"},
	proto.OpSetACL: &proto.SetACLRequest{Path: "/", ACL: openACL}, proto.OpGetChildren: readReq("/", false), proto.OpSync: &proto.PathRequest{Path: "/"},
	proto.OpGetChildren2: readReq("/", false), proto.OpMulti: &proto.MultiHeader{Op: -1, Done: true}, proto.OpReconfig: &proto.ReconfigRequest{},
	proto.OpSetWatches: &proto.SetWatches{}, proto.OpSetWatches2: &proto.SetWatches2{}, proto.OpAddWatch: &proto.AddWatchRequest{Path: "/"},
	proto.OpWhoAmI: nil, proto.OpGetEphemerals: &proto.PathRequest{Path: "/"}, proto.OpGetAllChildrenNumber: &proto.PathRequest{Path: "/"},
	proto.OpMultiRead: &proto.MultiHeader{Op: -1, Done: true}, proto.OpCheckWatches: &proto.PathWatcherType{Path: "/", Type: 3},
	proto.OpRemoveWatches: &proto.PathWatcherType{Path: "/", Type: 3}, proto.OpCreateContainer: createReq("/x", 4),
	proto.OpCreateTTL: &proto.CreateTTLRequest{Path: "/x", ACL: openACL, Flags: 5, TTL: 1},
}

func TestEnforcedAuthComesBeforeEverythingElse(t *testing.T) {
	cfg := saslConfig(t)
	cfg.Auth.Enforce, cfg.Auth.EnforceSchemes = true, []string{"sasl", "digest"}
	s, _ := startServer(t, cfg)
	for op, body := range everyOp {
		r := newClient(t, s)
		if code, rest := r.call(7, op, body); code != proto.ErrSessionClosedRequireSASL || len(rest) > 0 {
			t.Errorf("op %d: %v % x", op, code, rest)
		}
		r.closed()
	}
	r := newClient(t, s)
	r.must(1, proto.OpCloseSession, nil)
	r.closed()

	r = newClient(t, s)
	r.auth("ip", "")
	if code, _ := r.call(1, proto.OpGetData, readReq("/", false)); code != proto.ErrSessionClosedRequireSASL {
		t.Errorf("a scheme that is not asked for: %v", code)
	}
	for _, prove := range []func(*raw) proto.ErrCode{
		func(r *raw) proto.ErrCode { return r.auth("digest", "u:p") },
		func(r *raw) proto.ErrCode { return r.sasl("bob", "builder") },
	} {
		r := newClient(t, s)
		if code := prove(r); code != proto.OK {
			t.Fatal(code)
		}
		r.must(1, proto.OpGetData, readReq("/", false))
	}
	r = newClient(t, s)
	if code := r.sasl("bob", "wrong"); code != proto.ErrSessionClosedRequireSASL {
		t.Errorf("wrong password: %v", code)
	}
	r.closed()
	s.state.RLock()
	defer s.state.RUnlock()
	if s.rep.Tree().Lookup("/x") != nil {
		t.Error("a refused write was carried out")
	}
}
