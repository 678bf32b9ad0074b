package filetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"

	"zebu/auth"
	"zebu/etcdfile"
	"zebu/mvcc"
	"zebu/proto"
)

const (
	name    = "one"
	peerURL = "http://127.0.0.1:0"
	secret  = "root's password"
)

// space is a key space of ours.
type space struct {
	*testing.T
	memory *mvcc.Memory
	store  *mvcc.Store
	keeper *auth.Keeper
}

func newSpace(t *testing.T) *space {
	t.Helper()
	keeper, err := auth.New(auth.Options{Cost: bcrypt.MinCost})
	if err != nil {
		t.Fatal(err)
	}
	s := &space{T: t, memory: &mvcc.Memory{}, keeper: keeper}
	s.open()
	return s
}

func (s *space) open() {
	s.Helper()
	var err error
	if s.store, err = mvcc.Open(s.memory, mvcc.Options{Authority: s.keeper.Authority}); err != nil {
		s.Fatal(err)
	}
}

func (s *space) commit(b *mvcc.Batch) error {
	s.memory.Commit(b)
	return nil
}

// do applies a request and returns the answer.
func (s *space) do(m mvcc.Message) mvcc.Message {
	s.Helper()
	if err := s.keeper.Authenticator(nil).Prepare(m); err != nil {
		s.Fatal(err)
	}
	b, err := mvcc.NewRecord(m).Encode()
	if err != nil {
		s.Fatal(err)
	}
	r, err := s.store.Apply(max(s.store.Applied(), proto.Zxid(5<<32))+1, b)
	if err != nil || r.Err != nil {
		s.Fatal(m, r.Err, err)
	}
	return r.Response
}

func (s *space) save() {
	if b := s.store.TakeMark(); b != nil {
		s.memory.Commit(b)
		s.store.Stored(b)
	}
}

// write makes a file of the space, with check sum as it comes from a server.
func (s *space) write(path string) {
	s.Helper()
	s.save()
	f, err := os.Create(path)
	if err != nil {
		s.Fatal(err)
	}
	members := []*pb.Member{{ID: 77, Name: "ours", PeerURLs: []string{"http://127.0.0.1:1"}, ClientURLs: []string{"http://127.0.0.1:2"}}}
	sum := sha256.New()
	err = etcdfile.Send(s.memory.View(), s.TempDir(), members, func(file io.Reader, _ int64) error {
		_, err := io.Copy(io.MultiWriter(f, sum), file)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	if _, err := f.Write(sum.Sum(nil)); err != nil {
		s.Fatal(err)
	}
	if err := f.Close(); err != nil {
		s.Fatal(err)
	}
}

// read is the space in a file.
func read(t *testing.T, path string) *space {
	t.Helper()
	s := newSpace(t)
	if _, err := etcdfile.Import(path, 1, s.commit); err != nil {
		t.Fatal(err)
	}
	s.open()
	return s
}

// server is an etcd.
type server struct {
	*testing.T
	etcd   *embed.Etcd
	client *clientv3.Client
}

func start(t *testing.T, dir string) *server {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = name, dir
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.TickMs, cfg.ElectionMs = 10, 100
	cfg.BcryptCost = uint(bcrypt.MinCost)
	cfg.UnsafeNoFsync = true
	u, err := url.Parse(peerURL)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*u}, []url.URL{*u}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*u}, []url.URL{*u}
	cfg.InitialCluster = name + "=" + peerURL
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{T: t, etcd: e}
	t.Cleanup(s.stop)
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd does not start")
	}
	s.login("", "")
	return s
}

func (s *server) login(user, password string) {
	s.Helper()
	if s.client != nil {
		if err := s.client.Close(); err != nil {
			s.Error(err)
		}
	}
	var err error
	s.client, err = clientv3.New(clientv3.Config{
		Endpoints: []string{s.etcd.Clients[0].Addr().String()}, DialTimeout: time.Minute, Username: user, Password: password, Logger: zap.NewNop(),
	})
	if err != nil {
		s.Fatal(err)
	}
}

func (s *server) stop() {
	if s.etcd == nil {
		return
	}
	if err := s.client.Close(); err != nil {
		s.Error(err)
	}
	s.etcd.Close()
	s.etcd = nil
}

// save stores a snapshot as etcdctl does.
func (s *server) save(path string) {
	s.Helper()
	r, err := s.client.Snapshot(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		s.Fatal(err)
	}
	if _, err := io.Copy(f, r); err != nil {
		s.Fatal(err)
	}
	if err := f.Close(); err != nil {
		s.Fatal(err)
	}
}

func status(t *testing.T, path string) snapshot.Status {
	t.Helper()
	st, err := snapshot.NewV3(zap.NewNop()).Status(path)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func restore(t *testing.T, path string, bump uint64) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "etcd")
	err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: path, Name: name, OutputDataDir: dir, PeerURLs: []string{peerURL}, InitialCluster: name + "=" + peerURL,
		InitialClusterToken: "etcd-cluster", RevisionBump: bump, MarkCompacted: bump > 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// same compares what the two hold, and what they tell of it.
func same(s *server, ours *space) {
	s.Helper()
	ctx := s.Context()
	endpoint := s.etcd.Clients[0].Addr().String()
	hash, err := ours.store.HashKV(0)
	if err != nil {
		s.Fatal(err)
	}
	theirs, err := s.client.HashKV(ctx, endpoint, 0)
	if err != nil {
		s.Fatal(err)
	}
	if got := (mvcc.Hash{Hash: theirs.Hash, Revision: theirs.Header.Revision, CompactRevision: theirs.CompactRevision, HashRevision: theirs.HashRevision}); got != hash {
		s.Errorf("etcd has hash %+v, zebu %+v", got, hash)
	}
	for _, rev := range []int64{0, max(1, ours.store.Compacted()), (ours.store.Revision() + max(1, ours.store.Compacted())) / 2} {
		sameRange(s, ours, rev)
	}
	leases, err := s.client.Leases(ctx)
	if err != nil {
		s.Fatal(err)
	}
	if len(leases.Leases) != len(ours.store.Leases()) {
		s.Errorf("etcd has %d leases, zebu %d", len(leases.Leases), len(ours.store.Leases()))
	}
	for _, l := range ours.store.Leases() {
		r, err := s.client.TimeToLive(ctx, clientv3.LeaseID(l.ID), clientv3.WithAttachedKeys())
		if err != nil {
			s.Fatal(err)
		}
		var keys []string
		for _, k := range r.Keys {
			keys = append(keys, string(k))
		}
		slices.Sort(keys)
		if r.GrantedTTL != l.TTL || !slices.Equal(keys, ours.store.LeaseKeys(l.ID)) {
			s.Errorf("lease %x: etcd has %d s and keys %q, zebu %d s and %q", l.ID, r.GrantedTTL, keys, l.TTL, ours.store.LeaseKeys(l.ID))
		}
	}
	sameUsers(s, ours)
}

func sameRange(s *server, ours *space, rev int64) {
	s.Helper()
	all := []byte{0}
	want, err := ours.store.Range(&pb.RangeRequest{Key: all, RangeEnd: all, Revision: rev})
	if err != nil {
		s.Fatal(err)
	}
	got, err := s.client.Get(s.Context(), string(all), clientv3.WithRange(string(all)), clientv3.WithRev(rev))
	if err != nil {
		s.Fatal(err)
	}
	if !slices.EqualFunc(got.Kvs, want.Kvs, func(a, b *mvccpb.KeyValue) bool { return a.String() == b.String() }) || got.Header.Revision != want.Header.Revision {
		s.Errorf("at revision %d etcd has %d keys of revision %d, zebu %d of %d, or others", rev, got.Count, got.Header.Revision, want.Count, want.Header.Revision)
	}
}

func sameUsers(s *server, ours *space) {
	s.Helper()
	ctx, asks := s.Context(), ours.keeper.Authenticator(nil)
	query := func(r mvcc.Message) mvcc.Message {
		m, err := asks.Query(ours.store, r)
		if err != nil {
			s.Fatal(err)
		}
		return m
	}
	status, err := s.client.AuthStatus(ctx)
	if err != nil {
		s.Fatal(err)
	}
	if want := query(&pb.AuthStatusRequest{}).(*pb.AuthStatusResponse); status.Enabled != want.Enabled || status.AuthRevision != want.AuthRevision {
		s.Errorf("authentication: etcd has %v, zebu %v", status, want)
	}
	users, err := s.client.UserList(ctx)
	if err != nil {
		s.Fatal(err)
	}
	if want := query(&pb.AuthUserListRequest{}).(*pb.AuthUserListResponse); !slices.Equal(users.Users, want.Users) {
		s.Errorf("users: etcd has %q, zebu %q", users.Users, want.Users)
	}
	for _, u := range users.Users {
		got, err := s.client.UserGet(ctx, u)
		if err != nil {
			s.Fatal(err)
		}
		if want := query(&pb.AuthUserGetRequest{Name: u}).(*pb.AuthUserGetResponse); !slices.Equal(got.Roles, want.Roles) {
			s.Errorf("roles of %s: etcd has %q, zebu %q", u, got.Roles, want.Roles)
		}
	}
	roles, err := s.client.RoleList(ctx)
	if err != nil {
		s.Fatal(err)
	}
	if want := query(&pb.AuthRoleListRequest{}).(*pb.AuthRoleListResponse); !slices.Equal(roles.Roles, want.Roles) {
		s.Errorf("roles: etcd has %q, zebu %q", roles.Roles, want.Roles)
	}
	for _, r := range roles.Roles {
		got, err := s.client.RoleGet(ctx, r)
		if err != nil {
			s.Fatal(err)
		}
		if want := query(&pb.AuthRoleGetRequest{Role: r}).(*pb.AuthRoleGetResponse); fmt.Sprint(got.Perm) != fmt.Sprint(want.Perm) {
			s.Errorf("role %s: etcd has %v, zebu %v", r, got.Perm, want.Perm)
		}
	}
}

// history is traffic that leaves something of everything behind. do must give the answer.
func history(seed uint64, do func(mvcc.Message)) {
	random := rand.New(rand.NewPCG(seed, 0))
	do(&pb.LeaseGrantRequest{ID: 1 << 40, TTL: 10000})
	do(&pb.LeaseGrantRequest{ID: 2, TTL: 5000})
	do(&pb.LeaseGrantRequest{ID: 3, TTL: 5000})
	revision := int64(1)
	for range 200 {
		key := fmt.Appendf(nil, "key%d", random.IntN(40))
		switch random.IntN(12) {
		case 0, 1:
			do(&pb.DeleteRangeRequest{Key: key})
		case 2:
			do(&pb.DeleteRangeRequest{Key: key, RangeEnd: append(key, 0xff)})
		case 3:
			put := func(k string) *pb.RequestOp {
				return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(k), Value: key}}}
			}
			do(&pb.TxnRequest{Success: []*pb.RequestOp{put("t1"), put("t2"), put("t3")}})
			revision++
		default:
			do(&pb.PutRequest{Key: key, Value: make([]byte, random.IntN(2000)), Lease: []int64{0, 0, 2, 1 << 40}[random.IntN(4)]})
			revision++
		}
		if random.IntN(60) == 0 {
			do(&pb.CompactionRequest{Revision: revision, Physical: true})
		}
	}
	do(&pb.LeaseRevokeRequest{ID: 3})
	do(&pb.AuthRoleAddRequest{Name: "r"})
	do(&pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: &authpb.Permission{Key: []byte("a"), RangeEnd: []byte{0}}})
	do(&pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: &authpb.Permission{PermType: authpb.READWRITE, Key: []byte("k")}})
	do(&pb.AuthUserAddRequest{Name: "root", Password: secret})
	do(&pb.AuthUserGrantRoleRequest{User: "root", Role: "root"})
	do(&pb.AuthUserAddRequest{Name: "u", Password: "p"})
	do(&pb.AuthUserGrantRoleRequest{User: "u", Role: "r"})
}

// TestEtcdStartsFromOurs restores a file of ours with etcdutl and starts an etcd of it.
func TestEtcdStartsFromOurs(t *testing.T) {
	for seed := range uint64(3) {
		ours := newSpace(t)
		compacted := false
		history(seed, func(m mvcc.Message) {
			if c, ok := m.(*pb.CompactionRequest); ok && c.Revision <= ours.store.Compacted() {
				return
			}
			ours.do(m)
			// The last compaction is left for etcd to finish.
			if _, ok := m.(*pb.CompactionRequest); ok {
				compacted = true
				ours.store.CompactStep(3)
			}
		})
		ours.do(&pb.AuthEnableRequest{})
		path := filepath.Join(t.TempDir(), "db")
		ours.write(path)

		all, err := ours.store.Range(&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, CountOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		st := status(t, path)
		if st.Revision != ours.store.Revision() || int64(st.TotalKey) != all.Count || st.Version != "3.6.0" {
			t.Errorf("etcdutl tells of %+v, not revision %d and %d keys", st, ours.store.Revision(), all.Count)
		}
		s := start(t, restore(t, path, 0))
		s.login("root", secret)
		same(s, ours)
		if _, err := s.client.Put(t.Context(), "new", "value"); err != nil {
			t.Error(err)
		}
		s.login("u", "p")
		if _, err := s.client.Put(t.Context(), "new", "value"); err == nil {
			t.Error("u may write what it may not")
		}
		s.stop()
		if seed == 2 && !compacted {
			t.Error("nothing was compacted")
		}
	}
}

// TestOursStartsFromEtcd reads a snapshot of an etcd, and makes one of that which etcd takes for the same.
func TestOursStartsFromEtcd(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "etcd"))
	history(7, func(m mvcc.Message) { s.do(m) })
	if _, err := s.client.AuthEnable(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.login("root", secret)
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	s.save(first)
	ours := read(t, first)
	same(s, ours)
	s.stop()

	// The hash of status is over all buckets, the indices and members included that are not ours to keep.
	ours.write(second)
	a, b := status(t, first), status(t, second)
	if a.Revision != b.Revision || a.TotalKey != b.TotalKey || b.Version != "3.6.0" {
		t.Errorf("etcdutl tells of %+v and %+v", a, b)
	}
	for _, bucket := range []string{"key", "lease", "alarm", "auth", "authUsers", "authRoles"} {
		if want, got := dump(t, first, bucket), dump(t, second, bucket); !slices.Equal(got, want) {
			t.Errorf("bucket %s has %d records, and %d in etcd's, or others", bucket, len(got), len(want))
		}
	}
	again := start(t, restore(t, second, 0))
	again.login("root", secret)
	same(again, ours)
}

// TestBumped reads a database that etcdutl has restored with a higher revision.
func TestBumped(t *testing.T) {
	ours := newSpace(t)
	for i := range 5 {
		ours.do(&pb.PutRequest{Key: fmt.Append(nil, i)})
	}
	path := filepath.Join(t.TempDir(), "db")
	ours.write(path)
	dir := restore(t, path, 1000)
	bumped := read(t, filepath.Join(dir, "member", "snap", "db"))
	if bumped.store.Revision() != 1006 || bumped.store.Compacted() != 1006 {
		t.Errorf("revision %d, compacted at %d", bumped.store.Revision(), bumped.store.Compacted())
	}
	for bumped.store.Compacting() {
		bumped.store.CompactStep(1000)
	}
	s := start(t, dir)
	sameRange(s, bumped, 0)
	if _, err := s.client.Put(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	bumped.do(&pb.PutRequest{Key: []byte("a"), Value: []byte("b")})
	same(s, bumped)
}

// TestRunningEtcd refuses the file of an etcd that runs.
func TestRunningEtcd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	start(t, dir)
	_, err := etcdfile.Import(filepath.Join(dir, "member", "snap", "db"), 1, func(*mvcc.Batch) error { return nil })
	if err == nil {
		t.Error("it was read")
	}
}

func dump(t *testing.T, path, bucket string) (records []string) {
	t.Helper()
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucket)).ForEach(func(k, v []byte) error {
			records = append(records, fmt.Sprintf("%x=%x", k, v))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// do sends a request to etcd.
func (s *server) do(m mvcc.Message) {
	s.Helper()
	if err := s.send(s.Context(), m); err != nil {
		s.Fatalf("%T: %v", m, err)
	}
}

func (s *server) send(ctx context.Context, m mvcc.Message) (err error) {
	conn := s.client.ActiveConnection()
	kv, lease, auth := pb.NewKVClient(conn), pb.NewLeaseClient(conn), pb.NewAuthClient(conn)
	switch r := m.(type) {
	case *pb.PutRequest:
		_, err = kv.Put(ctx, r)
	case *pb.DeleteRangeRequest:
		_, err = kv.DeleteRange(ctx, r)
	case *pb.TxnRequest:
		_, err = kv.Txn(ctx, r)
	case *pb.CompactionRequest:
		_, err = kv.Compact(ctx, r)
	case *pb.LeaseGrantRequest:
		_, err = lease.LeaseGrant(ctx, r)
	case *pb.LeaseRevokeRequest:
		_, err = lease.LeaseRevoke(ctx, r)
	case *pb.AuthUserAddRequest:
		_, err = auth.UserAdd(ctx, r)
	case *pb.AuthUserGrantRoleRequest:
		_, err = auth.UserGrantRole(ctx, r)
	case *pb.AuthRoleAddRequest:
		_, err = auth.RoleAdd(ctx, r)
	case *pb.AuthRoleGrantPermissionRequest:
		_, err = auth.RoleGrantPermission(ctx, r)
	default:
		return fmt.Errorf("no way to send it")
	}
	return err
}
