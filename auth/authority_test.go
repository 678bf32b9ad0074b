package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc/status"

	"zebu/mvcc"
	"zebu/proto"
)

// server is one server of an ensemble of one: what is proposed is applied at once.
type server struct {
	*testing.T
	keeper *Keeper
	store  *mvcc.Store
	memory *mvcc.Memory
	// before is run in front of the next proposal, as what others propose meanwhile.
	before func()
	// behind is what another server has applied and this one has not, until it asks for a read point.
	behind [][]byte
	reads  int // read points
}

func newServer(t *testing.T, o Options) *server {
	t.Helper()
	o.Cost = bcrypt.MinCost
	k, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{T: t, keeper: k, memory: &mvcc.Memory{}}
	s.open()
	return s
}

func (s *server) open() {
	s.Helper()
	var err error
	if s.store, err = mvcc.Open(s.memory, mvcc.Options{Authority: s.keeper.Authority}); err != nil {
		s.Fatal(err)
	}
}

// save commits what the Store has changed.
func (s *server) save() {
	for b := s.store.Take(); b != nil; b = s.store.Take() {
		s.memory.Commit(b)
		s.store.Stored(b)
	}
}

func (s *server) apply(record []byte) mvcc.Result {
	s.Helper()
	result, err := s.store.Apply(s.store.Applied()+1, record)
	if err != nil {
		s.Fatal(err)
	}
	s.save()
	return result
}

func (s *server) Propose(_ context.Context, r mvcc.Record) (mvcc.Result, error) {
	s.Helper()
	if f := s.before; f != nil {
		s.before = nil
		f()
	}
	b, err := r.Encode()
	if err != nil {
		s.Fatal(err)
	}
	return s.apply(b), nil
}

func (s *server) ReadPoint(context.Context) error {
	s.reads++
	for _, record := range s.behind {
		s.apply(record)
	}
	s.behind = nil
	return nil
}

func (s *server) Read(f func(*mvcc.Store)) { f(s.store) }

func (s *server) revision() uint64 { return s.keeper.state.Load().Revision }

// as applies a request of a user's at the current revision, and returns the text of the outcome.
func (s *server) as(user string, m mvcc.Message) string {
	s.Helper()
	return s.at(user, s.revision(), m)
}

func (s *server) at(user string, revision uint64, m mvcc.Message) string {
	s.Helper()
	a := s.keeper.Authenticator(s)
	if err := a.Prepare(m); err != nil {
		return status.Convert(err).Message()
	}
	r := mvcc.NewRecord(m)
	if user != "" {
		r.User, r.AuthRevision = user, revision
	}
	result, err := s.Propose(s.Context(), r)
	if err != nil {
		s.Fatal(err)
	}
	if result.Err != nil {
		return status.Convert(result.Err).Message()
	}
	if h, ok := result.Response.(interface{ GetHeader() *pb.ResponseHeader }); !ok || h.GetHeader().GetRevision() == 0 {
		s.Errorf("%T has no revision in its header", result.Response)
	}
	return ""
}

func (s *server) must(user string, requests ...mvcc.Message) {
	s.Helper()
	for _, m := range requests {
		if text := s.as(user, m); text != "" {
			s.Fatalf("%s: %T %v: %s", user, m, m, text)
		}
	}
}

func addUser(name, password string, roles ...string) []mvcc.Message {
	list := []mvcc.Message{&pb.AuthUserAddRequest{Name: name, Password: password, Options: &authpb.UserAddOptions{NoPassword: password == ""}}}
	for _, role := range roles {
		list = append(list, &pb.AuthUserGrantRoleRequest{User: name, Role: role})
	}
	return list
}

func addRole(name string, perms ...*authpb.Permission) []mvcc.Message {
	list := []mvcc.Message{&pb.AuthRoleAddRequest{Name: name}}
	for _, p := range perms {
		list = append(list, &pb.AuthRoleGrantPermissionRequest{Name: name, Perm: p})
	}
	return list
}

func perm(t authpb.Permission_Type, key, end string) *authpb.Permission {
	return &authpb.Permission{PermType: t, Key: []byte(key), RangeEnd: []byte(end)}
}

// enabled is a server with root, and users whose roles may read and write some keys.
func enabled(t *testing.T, o Options) *server {
	t.Helper()
	s := newServer(t, o)
	s.must("", addUser("root", "secret", "root")...)
	s.must("", addRole("reader", perm(authpb.READ, "a", "c"), perm(authpb.READ, "c", "f"), perm(authpb.READ, "x", ""))...)
	s.must("", addRole("writer", perm(authpb.WRITE, "d", "g"), perm(authpb.READWRITE, "y", "\x00"))...)
	s.must("", addUser("r", "pr", "reader")...)
	s.must("", addUser("w", "pw", "writer")...)
	s.must("", addUser("both", "", "reader", "writer")...)
	s.must("", addUser("none", "pn")...)
	s.must("", &pb.AuthEnableRequest{})
	return s
}

func TestOutcomes(t *testing.T) {
	s := newServer(t, Options{})
	long := string(bytes.Repeat([]byte("n"), MaxName+1))
	steps := []struct {
		user    string
		request mvcc.Message
		want    string
		moves   bool // the revision
	}{
		{"", &pb.AuthEnableRequest{}, "etcdserver: root user does not exist", false},
		{"", &pb.AuthDisableRequest{}, "", false},
		{"", &pb.InternalAuthenticateRequest{Name: "root"}, "etcdserver: authentication is not enabled", false},
		{"", &pb.AuthUserAddRequest{}, "etcdserver: user name is empty", false},
		{"", &pb.AuthUserAddRequest{Name: long, Password: "p"}, "etcdserver: request is too large", false},
		{"", &pb.AuthUserAddRequest{Name: "u", Password: long}, "bcrypt: password length exceeds 72 bytes", false},
		{"", &pb.AuthUserAddRequest{Name: "root", Password: "p"}, "", true},
		{"", &pb.AuthUserAddRequest{Name: "root", Password: "p"}, "etcdserver: user name already exists", false},
		{"", &pb.AuthEnableRequest{}, "etcdserver: root user does not have root role", false},
		{"", &pb.AuthUserGrantRoleRequest{User: "root", Role: "root"}, "", true}, // the role need not exist
		{"", &pb.AuthUserGrantRoleRequest{User: "root", Role: "root"}, "", false},
		{"", &pb.AuthUserGrantRoleRequest{User: "u", Role: "root"}, "etcdserver: user name not found", false},
		{"", &pb.AuthUserGrantRoleRequest{User: "root", Role: "r"}, "etcdserver: role name not found", false},
		{"", &pb.AuthRoleAddRequest{}, "etcdserver: role name is empty", false},
		{"", &pb.AuthRoleAddRequest{Name: long}, "etcdserver: request is too large", false},
		{"", &pb.AuthRoleAddRequest{Name: "r"}, "", true},
		{"", &pb.AuthRoleAddRequest{Name: "r"}, "etcdserver: role name already exists", false},
		{"", &pb.AuthRoleGrantPermissionRequest{Name: "r"}, "etcdserver: permission not given", false},
		{"", &pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: perm(0, "", "")}, "etcdserver: invalid auth management", false},
		{"", &pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: perm(0, "b", "a")}, "etcdserver: invalid auth management", false},
		{"", &pb.AuthRoleGrantPermissionRequest{Name: "q", Perm: perm(0, "a", "")}, "etcdserver: role name not found", false},
		{"", &pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: perm(0, "a", "")}, "", true},
		{"", &pb.AuthRoleRevokePermissionRequest{Role: "r", Key: []byte("b")}, "etcdserver: permission is not granted to the role", false},
		{"", &pb.AuthRoleRevokePermissionRequest{Role: "q", Key: []byte("a")}, "etcdserver: role name not found", false},
		{"", &pb.AuthUserRevokeRoleRequest{Name: "root", Role: "r"}, "etcdserver: role is not granted to the user", false},
		{"", &pb.AuthUserRevokeRoleRequest{Name: "u", Role: "r"}, "etcdserver: user name not found", false},
		{"", &pb.AuthUserChangePasswordRequest{Name: "u", Password: "p"}, "etcdserver: user name not found", false},
		{"", &pb.AuthUserDeleteRequest{Name: "u"}, "etcdserver: user name not found", false},
		{"", &pb.AuthRoleDeleteRequest{Role: "q"}, "etcdserver: role name not found", false},
		{"", &pb.AuthEnableRequest{}, "", false},
		{"root", &pb.AuthEnableRequest{}, "", false},
		{"", &pb.AuthRoleAddRequest{Name: "q"}, "etcdserver: user name is empty", false},
		{"u", &pb.AuthRoleAddRequest{Name: "q"}, "etcdserver: user name not found", false},
		{"root", &pb.AuthUserAddRequest{Name: "u", Password: "p"}, "", true},
		{"u", &pb.AuthRoleAddRequest{Name: "q"}, "etcdserver: permission denied", false},
		{"u", &pb.AuthDisableRequest{}, "etcdserver: permission denied", false},
		{"root", &pb.AuthUserDeleteRequest{Name: "root"}, "etcdserver: invalid auth management", false},
		{"root", &pb.AuthUserRevokeRoleRequest{Name: "root", Role: "root"}, "etcdserver: invalid auth management", false},
		{"root", &pb.AuthRoleDeleteRequest{Role: "root"}, "etcdserver: invalid auth management", false},
		{"root", &pb.AuthUserGrantRoleRequest{User: "u", Role: "r"}, "", true},
		{"root", &pb.AuthRoleDeleteRequest{Role: "r"}, "", true},
		{"root", &pb.AuthUserRevokeRoleRequest{Name: "u", Role: "r"}, "etcdserver: role is not granted to the user", false},
		{"root", &pb.AuthUserChangePasswordRequest{Name: "u", Password: "q"}, "", true},
		{"", &pb.InternalAuthenticateRequest{Name: "v"}, "etcdserver: authentication failed, invalid user ID or password", false},
		{"", &pb.InternalAuthenticateRequest{Name: "u", SimpleToken: "t"}, "", false},
		{"root", &pb.AuthUserDeleteRequest{Name: "u"}, "", true},
		{"root", &pb.AuthDisableRequest{}, "", true},
		{"", &pb.AuthDisableRequest{}, "", false},
		{"", &pb.AuthUserDeleteRequest{Name: "root"}, "", true},
	}
	for i, step := range steps {
		before, size := s.revision(), s.store.Size()
		if got := s.as(step.user, step.request); got != step.want {
			t.Errorf("%d: %T: %q, not %q", i, step.request, got, step.want)
		}
		if moved := s.revision() != before; moved != step.moves || moved && s.revision() != before+1 {
			t.Errorf("%d: %T: revision from %d to %d", i, step.request, before, s.revision())
		}
		if step.want != "" && s.store.Size() != size {
			t.Errorf("%d: %T failed and changed the size", i, step.request)
		}
	}
}

// TestPasswordsStayOut makes sure that no server can be made to draw a salt when it applies.
func TestPasswordsStayOut(t *testing.T) {
	s := newServer(t, Options{})
	s.must("", addUser("u", "p")...)
	for _, m := range []mvcc.Message{
		&pb.AuthUserAddRequest{Name: "v", Password: "p"},
		&pb.AuthUserChangePasswordRequest{Name: "u", Password: "p", HashedPassword: "aGFzaA=="},
	} {
		b, err := mvcc.NewRecord(m).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if result := s.apply(b); !errors.Is(result.Err, errPassword) {
			t.Errorf("%T: %v", m, result.Err)
		}
	}
	// Nor does a password that is not wanted come into the log.
	r := &pb.AuthUserAddRequest{Name: "v", Password: "p", Options: &authpb.UserAddOptions{NoPassword: true}}
	if err := s.keeper.Authenticator(s).Prepare(r); err != nil || r.Password != "" {
		t.Error(r, err)
	}
}

func TestPermissionsAtApply(t *testing.T) {
	s := enabled(t, Options{})
	key := func(k string) []byte { return []byte(k) }
	s.must("root", &pb.LeaseGrantRequest{ID: 7, TTL: 10}, &pb.LeaseGrantRequest{ID: 8, TTL: 10}, &pb.LeaseGrantRequest{ID: 9, TTL: 10},
		&pb.PutRequest{Key: key("e"), Lease: 7}, &pb.PutRequest{Key: key("b"), Lease: 8})
	op := func(m mvcc.Message) *pb.RequestOp {
		switch r := m.(type) {
		case *pb.RangeRequest:
			return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: r}}
		case *pb.PutRequest:
			return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: r}}
		case *pb.DeleteRangeRequest:
			return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: r}}
		}
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: m.(*pb.TxnRequest)}}
	}
	txn := func(then, other mvcc.Message) *pb.TxnRequest {
		return &pb.TxnRequest{Success: []*pb.RequestOp{op(then)}, Failure: []*pb.RequestOp{op(other)}}
	}
	const denied = "etcdserver: permission denied"
	steps := []struct {
		user    string
		request mvcc.Message
		want    string
	}{
		{"", &pb.PutRequest{Key: key("e")}, "etcdserver: user name is empty"},
		{"nobody", &pb.PutRequest{Key: key("e")}, denied},
		{"none", &pb.PutRequest{Key: key("e")}, denied},
		{"r", &pb.PutRequest{Key: key("b")}, denied},
		{"w", &pb.PutRequest{Key: key("d")}, ""},
		{"w", &pb.PutRequest{Key: key("g")}, denied},
		{"w", &pb.PutRequest{Key: key("zzz")}, ""},
		{"w", &pb.PutRequest{Key: key("d"), PrevKv: true}, denied},
		{"w", &pb.PutRequest{Key: key("y"), PrevKv: true}, ""},
		{"both", &pb.PutRequest{Key: key("d"), PrevKv: true}, ""},
		{"w", &pb.PutRequest{Key: key("d"), Lease: 7}, ""},
		{"w", &pb.PutRequest{Key: key("d"), Lease: 8}, denied}, // it could not revoke that
		{"w", &pb.PutRequest{Key: key("d"), Lease: 99}, "etcdserver: requested lease not found"},
		{"root", &pb.PutRequest{Key: key("d"), Lease: 8}, ""},
		{"w", &pb.DeleteRangeRequest{Key: key("d"), RangeEnd: key("g")}, ""},
		{"w", &pb.DeleteRangeRequest{Key: key("d"), RangeEnd: key("h")}, denied},
		{"both", &pb.DeleteRangeRequest{Key: key("d"), RangeEnd: key("f"), PrevKv: true}, ""},
		{"both", &pb.DeleteRangeRequest{Key: key("d"), RangeEnd: key("g"), PrevKv: true}, denied},
		{"w", &pb.DeleteRangeRequest{Key: key("y"), RangeEnd: key("\x00"), PrevKv: true}, ""},
		{"root", &pb.DeleteRangeRequest{Key: key("\x00"), RangeEnd: key("\x00")}, ""},
		{"w", txn(&pb.PutRequest{Key: key("d")}, &pb.PutRequest{Key: key("e")}), ""},
		{"w", txn(&pb.PutRequest{Key: key("d")}, &pb.PutRequest{Key: key("a")}), denied},
		{"w", txn(&pb.PutRequest{Key: key("d")}, &pb.RangeRequest{Key: key("d")}), denied},
		{"both", txn(&pb.PutRequest{Key: key("d")}, &pb.RangeRequest{Key: key("a"), RangeEnd: key("f")}), ""},
		{"both", txn(&pb.PutRequest{Key: key("d")}, &pb.RangeRequest{Key: key("a"), RangeEnd: key("g")}), denied},
		{"w", txn(&pb.DeleteRangeRequest{Key: key("d")}, &pb.DeleteRangeRequest{Key: key("e"), PrevKv: true}), denied},
		{"w", txn(&pb.DeleteRangeRequest{Key: key("d")}, &pb.DeleteRangeRequest{Key: key("a")}), denied},
		{"w", txn(&pb.PutRequest{Key: key("d")}, txn(&pb.PutRequest{Key: key("e")}, &pb.PutRequest{Key: key("a")})), denied},
		{"w", txn(&pb.PutRequest{Key: key("d")}, txn(&pb.PutRequest{Key: key("e")}, &pb.PutRequest{Key: key("f")})), ""},
		{"w", &pb.TxnRequest{Compare: []*pb.Compare{{Key: key("d")}}, Success: []*pb.RequestOp{op(&pb.PutRequest{Key: key("d")})}}, denied},
		{"both", &pb.TxnRequest{Compare: []*pb.Compare{{Key: key("d")}}, Success: []*pb.RequestOp{op(&pb.PutRequest{Key: key("d")})}}, ""},
		{"none", &pb.LeaseGrantRequest{ID: 10, TTL: 10}, ""},
		{"root", &pb.PutRequest{Key: key("b"), Lease: 8}, ""},
		{"root", &pb.PutRequest{Key: key("b1"), Lease: 10}, ""},
		{"w", &pb.LeaseRevokeRequest{ID: 8}, denied},
		{"", &pb.LeaseRevokeRequest{ID: 8}, "etcdserver: user name is empty"},
		{"none", &pb.LeaseRevokeRequest{ID: 9}, ""}, // it has no keys
		{"w", &pb.LeaseRevokeRequest{ID: 7}, ""},
		{"", &pb.CompactionRequest{Revision: 2}, ""}, // servers do that too
		{"", &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE}, ""},
	}
	for i, step := range steps {
		if got := s.as(step.user, step.request); got != step.want {
			t.Errorf("%d: %s: %T %v: %q, not %q", i, step.user, step.request, step.request, got, step.want)
		}
	}
	// What the leader lets expire nobody is asked about, in an ensemble or without one.
	for epoch, lease := range []int64{8, 10} {
		epoch := proto.Epoch(epoch)
		b, err := mvcc.NewOwnRecord(&pb.LeaseRevokeRequest{ID: lease}, epoch).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if result, err := s.store.Apply(proto.MakeZxid(epoch, 1000), b); err != nil || result.Err != nil {
			t.Error(epoch, result.Err, err)
		}
	}
}

func TestOldRevision(t *testing.T) {
	s := enabled(t, Options{})
	before := s.revision()
	put := &pb.PutRequest{Key: []byte("d")}
	s.must("w", put)
	s.must("root", &pb.AuthRoleAddRequest{Name: "new"})
	if got := s.at("w", before, put); got != "etcdserver: revision of auth store is old" {
		t.Error(got)
	}
	if got := s.at("w", before+1, put); got != "" {
		t.Error(got)
	}
	s.must("root", &pb.AuthRoleRevokePermissionRequest{Role: "writer", Key: []byte("d"), RangeEnd: []byte("g")})
	if got := s.as("w", put); got != "etcdserver: permission denied" {
		t.Error(got)
	}
}

// TestOpenedAgain checks that all is there after a restart and after an image, in the state and in what judges.
func TestOpenedAgain(t *testing.T) {
	s := enabled(t, Options{})
	image := func() {
		var b bytes.Buffer
		if err := mvcc.WriteImage(&b, s.memory.View()); err != nil {
			t.Fatal(err)
		}
		s.memory = &mvcc.Memory{}
		if _, err := mvcc.ReadImage(&b, func(b *mvcc.Batch) error { s.memory.Commit(b); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for i, again := range []func(){func() {}, image} {
		want := fmt.Sprint(State{true, s.revision()})
		size := s.store.Size()
		s.keeper.tokens.assign("t.1", "w")
		again()
		s.open()
		if got := fmt.Sprint(*s.keeper.state.Load()); got != want || s.store.Size() != size {
			t.Errorf("%d: %s, not %s; size %d, not %d", i, got, want, s.store.Size(), size)
		}
		for b := s.store.Take(); b != nil; b = s.store.Take() {
			t.Errorf("%d: opening has changed %d records", i, len(b.Ops))
		}
		if got := s.as("w", &pb.PutRequest{Key: []byte("d")}); got != "" {
			t.Errorf("%d: %s", i, got)
		}
		if got := s.as("r", &pb.PutRequest{Key: []byte("d")}); got != "etcdserver: permission denied" {
			t.Errorf("%d: %s", i, got)
		}
		if _, ok := s.keeper.tokens.user("t.1"); ok {
			t.Errorf("%d: the token is still of use", i)
		}
		s.must("root", &pb.AuthRoleAddRequest{Name: fmt.Sprint(i)})
	}
}

func TestDamage(t *testing.T) {
	user := marshal(&authpb.User{Name: []byte("u")})
	cases := []struct {
		key   string
		value []byte
	}{
		{StateKey, nil}, {StateKey, []byte{2, 0, 0, 0, 0, 0, 0, 0, 1}}, {StateKey, []byte{1}},
		{"", nil}, {"u", nil}, {"x1", nil}, {"uv", user}, {"ru", []byte{0xff}}, {"uu", user[:len(user)-1]}, {"rr", user},
	}
	for _, c := range cases {
		s := newServer(t, Options{})
		s.store.SetAuth(c.key, append([]byte{}, c.value...))
		s.save()
		if _, err := mvcc.Open(s.memory, mvcc.Options{Authority: s.keeper.Authority}); !errors.Is(err, mvcc.ErrDamaged) {
			t.Errorf("%q %x: %v", c.key, c.value, err)
		}
	}
}
