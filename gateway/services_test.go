package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"zebu/gateway"
	"zebu/gateway/gatewaytest"
	"zebu/mvcc"
	zebu "zebu/proto"
	"zebu/quorum"
)

// TestLocks has the Lock and Election services do what clients' own programs do.
func TestLocks(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	conn, ctx := s.dial(t), soon(t)
	leases, locks := pb.NewLeaseClient(conn), v3lockpb.NewLockClient(conn)
	lease := func() int64 {
		return must[*pb.LeaseGrantResponse](t)(leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 60})).ID
	}
	first := must[*v3lockpb.LockResponse](t)(locks.Lock(ctx, &v3lockpb.LockRequest{Name: []byte("l"), Lease: lease()}))
	got := make(chan error, 1)
	second := lease()
	go func() {
		_, err := locks.Lock(ctx, &v3lockpb.LockRequest{Name: []byte("l"), Lease: second})
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("two have the lock: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	must[*v3lockpb.UnlockResponse](t)(locks.Unlock(ctx, &v3lockpb.UnlockRequest{Key: first.Key}))
	if err := <-got; err != nil {
		t.Fatal(err)
	}

	elections := v3electionpb.NewElectionClient(conn)
	watching := must[v3electionpb.Election_ObserveClient](t)(elections.Observe(ctx, &v3electionpb.LeaderRequest{Name: []byte("e")}))
	won := must[*v3electionpb.CampaignResponse](t)(elections.Campaign(ctx, &v3electionpb.CampaignRequest{Name: []byte("e"), Lease: lease(), Value: []byte("one")}))
	if r := must[*v3electionpb.LeaderResponse](t)(watching.Recv()); string(r.Kv.Value) != "one" {
		t.Errorf("leader %v", r.Kv)
	}
	must[*v3electionpb.ProclaimResponse](t)(elections.Proclaim(ctx, &v3electionpb.ProclaimRequest{Leader: won.Leader, Value: []byte("two")}))
	if r := must[*v3electionpb.LeaderResponse](t)(watching.Recv()); string(r.Kv.Value) != "two" {
		t.Errorf("leader %v", r.Kv)
	}
	must[*v3electionpb.ResignResponse](t)(elections.Resign(ctx, &v3electionpb.ResignRequest{Leader: won.Leader}))
	_, err := elections.Leader(ctx, &v3electionpb.LeaderRequest{Name: []byte("e")})
	if status.Convert(err).Message() != "election: no leader" {
		t.Errorf("leader after resigning: %v", err)
	}
}

// TestLocksOfUsers has users wait for locks at the same time who may not see one another's keys: each waits in its own name.
func TestLocksOfUsers(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{Authenticator: denying{}})
	conn, ctx := s.dial(t), soon(t)
	leases, locks := pb.NewLeaseClient(conn), v3lockpb.NewLockClient(conn)
	var held [][]byte
	waiting := make(chan error)
	for _, user := range []string{"u", "v"} {
		ctx := metadata.AppendToOutgoingContext(ctx, "token", user)
		lock := func() (*v3lockpb.LockResponse, error) {
			lease, err := leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 60})
			if err != nil {
				return nil, err
			}
			return locks.Lock(ctx, &v3lockpb.LockRequest{Name: []byte(user), Lease: lease.ID})
		}
		held = append(held, must[*v3lockpb.LockResponse](t)(lock()).Key)
		go func() {
			_, err := lock()
			waiting <- err
		}()
	}
	for s.node.Status().Watches < 2 {
		select {
		case err := <-waiting:
			t.Fatalf("does not wait: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	for i, key := range held {
		ctx := metadata.AppendToOutgoingContext(ctx, "token", string("uv"[i]))
		must[*v3lockpb.UnlockResponse](t)(locks.Unlock(ctx, &v3lockpb.UnlockRequest{Key: key}))
	}
	for range held {
		if err := <-waiting; err != nil {
			t.Error(err)
		}
	}
	if _, err := locks.Lock(ctx, &v3lockpb.LockRequest{Name: []byte("u"), Lease: 1}); err == nil {
		t.Error("nobody has a lock")
	}
}

func TestHealthAndReflection(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	conn, ctx := s.dial(t), soon(t)
	h := must[*healthpb.HealthCheckResponse](t)(healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}))
	if h.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health %v", h)
	}
	stream := must[reflectionpb.ServerReflection_ServerReflectionInfoClient](t)(reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx))
	ask := func(r *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
		return must[*reflectionpb.ServerReflectionResponse](t)(stream.Recv())
	}
	var services []string
	for _, service := range ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}).GetListServicesResponse().GetService() {
		services = append(services, service.Name)
	}
	// A client gets a service's file, then by and by all files that are imported, until it can put them together.
	known := map[string]*descriptorpb.FileDescriptorProto{}
	take := func(r *reflectionpb.ServerReflectionRequest) {
		t.Helper()
		for _, b := range ask(r).GetFileDescriptorResponse().GetFileDescriptorProto() {
			file := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(b, file); err != nil {
				t.Fatal(err)
			}
			known[file.GetName()] = file
		}
	}
	for _, name := range []string{"etcdserverpb.KV", "etcdserverpb.Maintenance", "v3lockpb.Lock", "v3electionpb.Election", "grpc.health.v1.Health"} {
		if !slices.Contains(services, name) {
			t.Errorf("services %v lack %s", services, name)
		}
		take(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}})
	}
	set := &descriptorpb.FileDescriptorSet{}
	for _, file := range known {
		set.File = append(set.File, file)
		for _, name := range file.Dependency {
			if known[name] == nil {
				t.Errorf("%s comes without %s", file.GetName(), name)
			}
		}
	}
	files := must[*protoregistry.Files](t)(protodesc.NewFiles(set))
	for _, name := range []protoreflect.FullName{"etcdserverpb.KV.Txn", "etcdserverpb.KV.RangeStream", "mvccpb.KeyValue.lease", "v3electionpb.LeaderKey"} {
		if _, err := files.FindDescriptorByName(name); err != nil {
			t.Error(err)
		}
	}
}

// TestManySnapshots asks for more snapshots than are made at a time.
func TestManySnapshots(t *testing.T) {
	begun, goOn := make(chan struct{}, 100), make(chan struct{})
	write := func(_ mvcc.View, send func(io.Reader, int64) error) error {
		begun <- struct{}{}
		<-goOn
		return send(bytes.NewReader(make([]byte, 512)), 512)
	}
	s := start(t, gatewaytest.Options{}, gateway.Options{SnapshotFile: write})
	c, ctx := s.client(t), soon(t)
	const n, most = 10, 4
	done := make(chan error, n)
	for range n {
		go func() {
			r, err := c.Snapshot(ctx)
			if err == nil {
				_, err = readAll(r)
			}
			done <- err
		}()
	}
	for range most {
		<-begun
	}
	select {
	case <-begun:
		t.Error("more than there may be")
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestSnapshot(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 12345)
	write := func(view mvcc.View, send func(io.Reader, int64) error) error {
		meta, err := mvcc.ReadMeta(view)
		if err != nil || meta.Revision != 2 {
			t.Errorf("meta %+v, %v", meta, err)
		}
		return send(bytes.NewReader(data), int64(len(data)))
	}
	s := start(t, gatewaytest.Options{}, gateway.Options{SnapshotFile: write})
	c, ctx := s.client(t), soon(t)
	must[*clientv3.PutResponse](t)(c.Put(ctx, "k", "v"))
	file := must[string](t)(readAll(must[*clientv3.SnapshotResponse](t)(c.SnapshotWithVersion(ctx)).Snapshot))
	sum := sha256.Sum256(data)
	if file != string(data)+string(sum[:]) {
		t.Errorf("%d bytes instead of %d and a sum", len(file), len(data))
	}
	stream := must[pb.Maintenance_SnapshotClient](t)(pb.NewMaintenanceClient(c.ActiveConnection()).Snapshot(ctx, &pb.SnapshotRequest{}))
	for left := len(data); ; {
		part, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		left = max(0, left-len(part.Blob))
		if part.RemainingBytes != uint64(left) {
			t.Errorf("%d bytes are said to remain, not %d", part.RemainingBytes, left)
		}
	}
	none := start(t, gatewaytest.Options{}, gateway.Options{})
	if _, err := readAll(must[io.ReadCloser](t)(none.client(t).Snapshot(ctx))); status.Code(err) != codes.Unimplemented {
		t.Errorf("without a writer: %v", err)
	}
}

// TestMemberURLs has some of the members told of, and then nobody to ask.
func TestMemberURLs(t *testing.T) {
	config := must[*quorum.Config](t)(quorum.ParseConfig("server.1=10.0.0.1:2888:3888;2181\nserver.2=10.0.0.2:2888:3888;2181\nserver.3=10.0.0.3:2888:3888;2181\nversion=0"))
	var failure error
	ask := func(context.Context) (map[zebu.ServerID]string, error) {
		return map[zebu.ServerID]string{1: "https://one:1", 2: "http://two:2"}, failure
	}
	s := start(t, gatewaytest.Options{Config: config}, gateway.Options{ClientURLs: ask})
	c, ctx := s.client(t), soon(t)
	_, port, _ := net.SplitHostPort(s.addr)
	for _, failure = range []error{nil, rpctypes.ErrGRPCNoLeader} {
		var got []string
		for _, m := range must[*clientv3.MemberListResponse](t)(c.MemberList(ctx)).Members {
			got = append(got, m.ClientURLs...)
		}
		if want := []string{"https://one:1", "http://two:2", "http://10.0.0.3:" + port}; !slices.Equal(got, want) {
			t.Errorf("%v: %q", failure, got)
		}
	}
}

// TestMembers changes the configuration of an ensemble by etcd's member calls.
func TestMembers(t *testing.T) {
	config := must[*quorum.Config](t)(quorum.ParseConfig("server.1=10.0.0.1:2888:3888;2181\nserver.2=10.0.0.2:2888:3999;2181\nserver.3=10.0.0.3:2888:3888:observer;2181\nversion=0"))
	s := start(t, gatewaytest.Options{Config: config}, gateway.Options{})
	c, ctx := s.client(t), soon(t)
	show := func(list []*pb.Member) (all []string) {
		for _, m := range list {
			all = append(all, fmt.Sprintf("%x %s %v %v", m.ID, m.Name, m.PeerURLs, m.IsLearner))
		}
		return all
	}
	check := func(what string, list []*pb.Member, want ...string) {
		t.Helper()
		if got := show(list); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\ninstead of\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	one, two := "1 server.1 [http://10.0.0.1:2888] false", "2 server.2 [http://10.0.0.2:2888?election=3999] false"
	three := "3 server.3 [http://10.0.0.3:2888] true"
	members := must[*clientv3.MemberListResponse](t)(c.MemberList(ctx))
	check("at first", members.Members, one, two, three)
	if _, port, _ := net.SplitHostPort(s.addr); !slices.Equal(members.Members[0].ClientURLs, []string{"http://" + s.addr}) ||
		!slices.Equal(members.Members[1].ClientURLs, []string{"http://10.0.0.2:" + port}) || members.Header.Revision != 0 {
		t.Errorf("%v", members)
	}
	added := must[*clientv3.MemberAddResponse](t)(c.MemberAddAsLearner(ctx, []string{"http://10.0.0.4:2888?client=10.0.0.4:2182"}))
	check("added", added.Members, one, two, three, "4 server.4 [http://10.0.0.4:2888] true")
	if added.Member.ID != 4 {
		t.Errorf("added %v", added.Member)
	}
	promoted := must[*clientv3.MemberPromoteResponse](t)(c.MemberPromote(ctx, 4))
	check("promoted", promoted.Members, one, two, three, "4 server.4 [http://10.0.0.4:2888] false")
	updated := must[*clientv3.MemberUpdateResponse](t)(c.MemberUpdate(ctx, 4, []string{"http://10.0.0.5:2888"}))
	check("updated", updated.Members, one, two, three, "4 server.4 [http://10.0.0.5:2888] false")
	removed := must[*clientv3.MemberRemoveResponse](t)(c.MemberRemove(ctx, 4))
	check("removed", removed.Members, one, two, three)
	for what, err := range map[error]error{
		rpctypes.ErrMemberNotFound:   second(c.MemberRemove(ctx, 4)),
		rpctypes.ErrMemberNotLearner: second(c.MemberPromote(ctx, 1)),
		rpctypes.ErrPeerURLExist:     second(c.MemberAdd(ctx, []string{"http://10.0.0.1:2888"})),
		rpctypes.ErrMemberBadURLs:    second(c.MemberAdd(ctx, []string{"unix://somewhere"})),
		rpctypes.ErrBadLeaderTransferee: func() error {
			_, err := c.MoveLeader(ctx, 3)
			return err
		}(),
	} {
		if err == nil || err.Error() != what.Error() {
			t.Errorf("%v instead of %v", err, what)
		}
	}
	must[*clientv3.MoveLeaderResponse](t)(c.MoveLeader(ctx, 2))
	if _, err := c.MoveLeader(ctx, 1); err == nil || err.Error() != rpctypes.ErrNotLeader.Error() {
		t.Errorf("a leader moved by another: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestMetrics looks for what dashboards look for.
func TestMetrics(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	c, ctx := s.client(t), soon(t)
	must[*clientv3.PutResponse](t)(c.Put(ctx, "k", "v"))
	resp := must[*http.Response](t)(http.Get("http://" + s.addr + "/metrics"))
	text := must[string](t)(readAll(resp.Body))
	for _, line := range []string{
		"test_node 1", "etcd_server_has_leader 1", "etcd_server_is_leader 1",
		`grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1`,
		`grpc_server_started_total{grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"} 0`,
	} {
		if !slices.Contains(strings.Split(text, "\n"), line) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}

// TestStop stops a server under clients that watch, keep alive, wait for a lock and say nothing at all.
func TestStop(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	ctx := soon(t)
	conn := s.dial(t)
	watch := must[pb.Watch_WatchClient](t)(pb.NewWatchClient(conn).Watch(ctx))
	keep := must[pb.Lease_LeaseKeepAliveClient](t)(pb.NewLeaseClient(conn).LeaseKeepAlive(ctx))
	if err := keep.Send(&pb.LeaseKeepAliveRequest{ID: 1}); err != nil {
		t.Fatal(err)
	}
	must[*pb.LeaseKeepAliveResponse](t)(keep.Recv())
	for range 2 {
		lease := must[*pb.LeaseGrantResponse](t)(pb.NewLeaseClient(conn).LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 60})).ID
		go v3lockpb.NewLockClient(conn).Lock(ctx, &v3lockpb.LockRequest{Name: []byte("l"), Lease: lease})
	}
	silent := must[net.Conn](t)(net.Dial("tcp", s.addr))
	defer silent.Close()
	bounded, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	s.Stop(bounded)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("stopped after %v", took)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("watch: %v", err)
	}
	if _, err := keep.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("keepalive: %v", err)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("a silent connection is still open")
	}
	late := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	if err := s.Serve(late); err != nil {
		t.Errorf("told to serve when it has stopped: %v", err)
	}
	if _, err := late.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener of who has stopped: %v", err)
	}
}

// TestLargeRequests has the bounds of etcd: of requests that are replicated, and of what gRPC takes at all.
func TestLargeRequests(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{MaxRequestBytes: 1000, MaxTxnOps: 2})
	kv, ctx := pb.NewKVClient(s.dial(t)), soon(t)
	if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("k"), Value: make([]byte, 1000)}); err == nil || err.Error() != rpctypes.ErrGRPCRequestTooLarge.Error() {
		t.Errorf("a large request: %v", err)
	}
	if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("k"), Value: make([]byte, 1000+512<<10)}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a very large request: %v", err)
	}
	body := fmt.Sprintf(`{"key": "%s"}`, strings.Repeat("QUFB", 1<<19))
	resp := must[*http.Response](t)(http.Post("http://"+s.addr+"/v3/kv/put", "application/json", strings.NewReader(body)))
	if text := must[string](t)(readAll(resp.Body)); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a very large body: %s %s", resp.Status, text)
	}
	op := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("k")}}}
	if _, err := kv.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{op, op, op}}); err == nil || err.Error() != rpctypes.ErrGRPCTooManyOps.Error() {
		t.Errorf("too many operations: %v", err)
	}
}
