package etcdtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/auth"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3alarm"
	"go.etcd.io/etcd/server/v3/etcdserver/apply"
	"go.etcd.io/etcd/server/v3/etcdserver/cindex"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"

	ourauth "zebu/auth"
	ours "zebu/mvcc"
	"zebu/proto"
)

// opsPerAuthSeed is the length of one history of users and roles.
const opsPerAuthSeed = 600

// TestAuthDifferential runs histories of changes to users, roles and keys by users who may or may not make them.
func TestAuthDifferential(t *testing.T) {
	var denied, allowed atomic.Int64
	ops := histories(t, opsPerAuthSeed, 3*time.Second, func(t *testing.T, seed uint64) {
		d, a := authHistory(t, seed)
		denied.Add(int64(d))
		allowed.Add(int64(a))
	})
	t.Logf("%d reads refused, %d not", denied.Load(), allowed.Load())
	if *seedFlag == 0 && int(min(denied.Load(), allowed.Load())) < ops/10 {
		t.Error("the histories are too plain")
	}
}

// authPair is the two under comparison.
type authPair struct {
	t *testing.T
	*rand.Rand
	applier apply.UberApplier
	users   auth.AuthStore
	lessor  lease.Lessor
	keeper  *ourauth.Keeper
	asks    *ourauth.Authenticator
	storage *ours.Memory
	store   *ours.Store
	zxid    proto.Zxid
	denied  int // reads
	allowed int
}

// alone is etcd's server as its applier sees it.
type alone struct{}

func (alone) MemberID() types.ID     { return 1 }
func (alone) Leader() types.ID       { return 1 }
func (alone) CommittedIndex() uint64 { return 1 }
func (alone) AppliedIndex() uint64   { return 1 }
func (alone) Term() uint64           { return 1 }
func (alone) ForceSnapshot()         {}

func authHistory(t *testing.T, seed uint64) (denied, allowed int) {
	e, lg := newEtcd(t), zap.NewNop()
	p := &authPair{t: t, Rand: rand.New(rand.NewPCG(seed, 1)), lessor: e.lessor, storage: &ours.Memory{}}
	alarms, err := v3alarm.NewAlarmStore(lg, schema.NewAlarmBackend(lg, e.backend))
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.NewTokenProvider(lg, "simple", func(uint64) <-chan struct{} { return nil }, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p.users = auth.NewAuthStore(lg, schema.NewAuthBackend(lg, e.backend), tokens, bcrypt.MinCost)
	t.Cleanup(func() {
		if err := p.users.Close(); err != nil {
			t.Error(err)
		}
	})
	p.applier = apply.NewUberApplier(lg, e.backend, e.kv, alarms, p.users, e.lessor, membership.NewCluster(lg), alone{}, alone{},
		cindex.NewFakeConsistentIndex(1), time.Hour, false, -1)
	if p.keeper, err = ourauth.New(ourauth.Options{Cost: bcrypt.MinCost}); err != nil {
		t.Fatal(err)
	}
	p.open()
	p.step("", &pb.AuthUserAddRequest{Name: "root", HashedPassword: "aGFzaA=="})
	p.step("", &pb.AuthUserGrantRoleRequest{User: "root", Role: "root"})
	for range opsPerAuthSeed {
		user := "root"
		if p.IntN(3) > 0 {
			user = p.user()
		}
		p.step(user, p.request())
	}
	return p.denied, p.allowed
}

func (p *authPair) open() {
	p.t.Helper()
	var err error
	if p.store, err = ours.Open(p.storage, ours.Options{Authority: p.keeper.Authority}); err != nil {
		p.t.Fatal(err)
	}
	p.asks = p.keeper.Authenticator(nil)
}

func (p *authPair) user() string { return []string{"root", "a", "b", "c", ""}[p.IntN(5)] }
func (p *authPair) role() string { return []string{"root", "q", "r", "s"}[p.IntN(4)] }
func (p *authPair) key() []byte  { return []byte{byte('d' + p.IntN(6))} }

func (p *authPair) end(key []byte) []byte {
	switch p.IntN(5) {
	case 0:
		return []byte{key[0] + byte(1+p.IntN(3))}
	case 1:
		return []byte{0}
	case 2:
		return p.key() // may lie before the key
	}
	return nil
}

// request is one that goes through the log.
func (p *authPair) request() ours.Message {
	key := p.key()
	end := p.end(key)
	switch p.IntN(26) {
	case 0:
		return &pb.AuthEnableRequest{}
	case 1:
		if p.IntN(4) > 0 {
			return &pb.AuthEnableRequest{}
		}
		return &pb.AuthDisableRequest{}
	case 2, 3:
		return &pb.AuthUserAddRequest{Name: p.user(), HashedPassword: []string{"aGFzaA==", "", "%"}[p.IntN(3)], Options: &authpb.UserAddOptions{NoPassword: p.IntN(3) == 0}}
	case 4:
		return &pb.AuthUserDeleteRequest{Name: p.user()}
	case 5:
		return &pb.AuthUserChangePasswordRequest{Name: p.user(), HashedPassword: []string{"aGFzaA==", "", "%"}[p.IntN(3)]}
	case 6, 7, 8:
		return &pb.AuthUserGrantRoleRequest{User: p.user(), Role: p.role()}
	case 9:
		return &pb.AuthUserRevokeRoleRequest{Name: p.user(), Role: p.role()}
	case 10, 11:
		return &pb.AuthRoleAddRequest{Name: []string{p.role(), p.role(), ""}[p.IntN(3)]}
	case 12:
		return &pb.AuthRoleDeleteRequest{Role: p.role()}
	case 13, 14, 15:
		if p.IntN(20) == 0 {
			return &pb.AuthRoleGrantPermissionRequest{Name: p.role()}
		}
		return &pb.AuthRoleGrantPermissionRequest{Name: p.role(), Perm: &authpb.Permission{PermType: authpb.Permission_Type(p.IntN(3)), Key: key, RangeEnd: end}}
	case 16:
		return &pb.AuthRoleRevokePermissionRequest{Role: p.role(), Key: key, RangeEnd: end}
	case 17:
		p.zxid++ // no two tokens may be equal
		return &pb.InternalAuthenticateRequest{Name: p.user(), SimpleToken: fmt.Sprint("t", p.zxid)}
	case 18:
		return &pb.LeaseGrantRequest{ID: int64(1 + p.IntN(3)), TTL: 100}
	case 19:
		return &pb.LeaseRevokeRequest{ID: int64(1 + p.IntN(3))}
	case 20:
		return &pb.DeleteRangeRequest{Key: key, RangeEnd: end, PrevKv: p.IntN(2) == 0}
	case 21, 22:
		return p.txn(2)
	}
	return &pb.PutRequest{Key: key, PrevKv: p.IntN(3) == 0, Lease: int64(max(0, p.IntN(6)-2))}
}

func (p *authPair) txn(depth int) *pb.TxnRequest {
	r := &pb.TxnRequest{}
	if p.IntN(2) == 0 {
		key := p.key()
		r.Compare = append(r.Compare, &pb.Compare{Key: key, RangeEnd: p.end(key), Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_Version{}})
	}
	for _, branch := range []*[]*pb.RequestOp{&r.Success, &r.Failure} {
		key := p.key()
		op := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key, PrevKv: p.IntN(3) == 0, Lease: int64(max(0, p.IntN(6)-3))}}}
		switch n := p.IntN(4); {
		case n == 0:
			op.Request = &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key, RangeEnd: p.end(key)}}
		case n == 1:
			op.Request = &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: key, RangeEnd: p.end(key), PrevKv: p.IntN(2) == 0}}
		case n == 2 && depth > 0:
			op.Request = &pb.RequestOp_RequestTxn{RequestTxn: p.txn(depth - 1)}
		}
		*branch = append(*branch, op)
	}
	return r
}

// step gives a request of a user's to both.
func (p *authPair) step(user string, request ours.Message) {
	p.t.Helper()
	revision := p.users.Revision()
	if p.IntN(20) == 0 {
		revision -= min(revision, uint64(p.IntN(3)))
	}
	if user == "" {
		revision = 0
	}
	p.mayRead(user, revision)

	// A copy for each: etcd keeps what it is given.
	record := ours.NewRecord(request)
	record.User, record.AuthRevision = user, revision
	encoded, err := record.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	p.zxid++
	result, err := p.store.Apply(p.zxid, encoded)
	if err != nil {
		p.t.Fatal(err)
	}
	internal := &pb.InternalRaftRequest{Header: &pb.RequestHeader{Username: user, AuthRevision: revision}}
	p.fill(internal, request)
	want := p.applier.Apply(internal)
	wantErr := authError(p.t, want.Err)
	if fmt.Sprint(wantErr) != fmt.Sprint(result.Err) {
		p.t.Fatalf("%q at %d of %d: %T %v: etcd answers %v, zebu %v", user, revision, p.users.Revision(), request, request, wantErr, result.Err)
	}
	p.compare()
	if p.IntN(30) == 0 {
		p.storage.Commit(p.store.TakeMark())
		p.open()
	}
}

// fill puts a request into etcd's envelope.
func (p *authPair) fill(r *pb.InternalRaftRequest, request ours.Message) {
	switch q := request.(type) {
	case *pb.PutRequest:
		r.Put = q
	case *pb.DeleteRangeRequest:
		r.DeleteRange = q
	case *pb.TxnRequest:
		r.Txn = q
	case *pb.LeaseGrantRequest:
		r.LeaseGrant = q
	case *pb.LeaseRevokeRequest:
		r.LeaseRevoke = q
	case *pb.InternalAuthenticateRequest:
		r.Authenticate = q
	case *pb.AuthEnableRequest:
		r.AuthEnable = q
	case *pb.AuthDisableRequest:
		r.AuthDisable = q
	case *pb.AuthUserAddRequest:
		r.AuthUserAdd = q
	case *pb.AuthUserDeleteRequest:
		r.AuthUserDelete = q
	case *pb.AuthUserChangePasswordRequest:
		r.AuthUserChangePassword = q
	case *pb.AuthUserGrantRoleRequest:
		r.AuthUserGrantRole = q
	case *pb.AuthUserRevokeRoleRequest:
		r.AuthUserRevokeRole = q
	case *pb.AuthRoleAddRequest:
		r.AuthRoleAdd = q
	case *pb.AuthRoleDeleteRequest:
		r.AuthRoleDelete = q
	case *pb.AuthRoleGrantPermissionRequest:
		r.AuthRoleGrantPermission = q
	case *pb.AuthRoleRevokePermissionRequest:
		r.AuthRoleRevokePermission = q
	default:
		p.t.Fatalf("no oracle for %T", request)
	}
}

// mayRead compares what a user may read.
func (p *authPair) mayRead(user string, revision uint64) {
	p.t.Helper()
	key := p.key()
	r := &pb.RangeRequest{Key: key, RangeEnd: p.end(key)}
	want := authError(p.t, p.users.IsRangePermitted(&auth.AuthInfo{Username: user, Revision: revision}, r.Key, r.RangeEnd))
	if got := p.asks.Permit(p.store, user, revision, r); !errors.Is(got, want) {
		p.t.Fatalf("%q at %d reads %q to %q: etcd says %v, zebu %v", user, revision, r.Key, r.RangeEnd, want, got)
	}
	if want != nil {
		p.denied++
	} else {
		p.allowed++
	}
}

// compare compares all that can be asked.
func (p *authPair) compare() {
	p.t.Helper()
	ask := func(r ours.Message) string {
		m, err := p.asks.Query(p.store, r)
		return fmt.Sprint(m, err)
	}
	same := func(got, format string, want ...any) {
		p.t.Helper()
		if want := fmt.Sprintf(format, want...); got != want {
			p.t.Fatalf("etcd has %s, zebu %s", want, got)
		}
	}
	status := &pb.AuthStatusResponse{Enabled: p.users.IsAuthEnabled(), AuthRevision: p.users.Revision()}
	same(ask(&pb.AuthStatusRequest{}), "%v <nil>", status)
	users, err := p.users.UserList(&pb.AuthUserListRequest{})
	same(ask(&pb.AuthUserListRequest{}), "%v %v", users, err)
	for _, u := range users.Users {
		want, err := p.users.UserGet(&pb.AuthUserGetRequest{Name: u})
		same(ask(&pb.AuthUserGetRequest{Name: u}), "%v %v", want, err)
	}
	roles, err := p.users.RoleList(&pb.AuthRoleListRequest{})
	same(ask(&pb.AuthRoleListRequest{}), "%v %v", roles, err)
	for _, r := range roles.Roles {
		want, err := p.users.RoleGet(&pb.AuthRoleGetRequest{Role: r})
		same(ask(&pb.AuthRoleGetRequest{Role: r}), "%v %v", want, err)
	}
}

// authError is the error that etcd's API makes of one of its packages.
func authError(t *testing.T, err error) error {
	t.Helper()
	for from, to := range map[error]error{
		auth.ErrRootUserNotExist:     rpctypes.ErrGRPCRootUserNotExist,
		auth.ErrRootRoleNotExist:     rpctypes.ErrGRPCRootRoleNotExist,
		auth.ErrUserAlreadyExist:     rpctypes.ErrGRPCUserAlreadyExist,
		auth.ErrUserEmpty:            rpctypes.ErrGRPCUserEmpty,
		auth.ErrUserNotFound:         rpctypes.ErrGRPCUserNotFound,
		auth.ErrRoleAlreadyExist:     rpctypes.ErrGRPCRoleAlreadyExist,
		auth.ErrRoleNotFound:         rpctypes.ErrGRPCRoleNotFound,
		auth.ErrRoleEmpty:            rpctypes.ErrGRPCRoleEmpty,
		auth.ErrAuthFailed:           rpctypes.ErrGRPCAuthFailed,
		auth.ErrPermissionNotGiven:   rpctypes.ErrGRPCPermissionNotGiven,
		auth.ErrPermissionDenied:     rpctypes.ErrGRPCPermissionDenied,
		auth.ErrRoleNotGranted:       rpctypes.ErrGRPCRoleNotGranted,
		auth.ErrPermissionNotGranted: rpctypes.ErrGRPCPermissionNotGranted,
		auth.ErrAuthNotEnabled:       rpctypes.ErrGRPCAuthNotEnabled,
		auth.ErrInvalidAuthMgmt:      rpctypes.ErrGRPCInvalidAuthMgmt,
		auth.ErrAuthOldRevision:      rpctypes.ErrGRPCAuthOldRevision,
		lease.ErrLeaseNotFound:       rpctypes.ErrGRPCLeaseNotFound,
		lease.ErrLeaseExists:         rpctypes.ErrGRPCLeaseExist,
	} {
		if errors.Is(err, from) {
			return to
		}
	}
	if errors.Is(err, auth.ErrNoPasswordUser) { // has no code
		return fmt.Errorf("rpc error: code = Unknown desc = %w", err)
	}
	if err != nil {
		t.Fatalf("unknown error of etcd's: %v", err)
	}
	return nil
}
