package gateway_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"zebu/gateway"
	"zebu/gateway/gatewaytest"
	"zebu/proto"
)

// raw is a codec of messages that are bytes already.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// bodies are messages that mean something, or nothing, to one method or another.
var bodies = map[string]string{
	"empty":           "",
	"key":             "\x0a\x01k",
	"garbage":         "\xff\xff\xff\xff",
	"empty parts":     "\x0a\x00\x12\x00\x1a\x00\x22\x00\x2a\x00",
	"empty parts of":  "\x0a\x02\x0a\x00\x12\x02\x0a\x00\x1a\x02\x12\x00\x22\x02\x1a\x00",
	"great numbers":   "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x18\xff\xff\xff\xff\x0f",
	"cut off":         "\x0a\x7f",
	"nested branches": "\x12\x08\x22\x06\x12\x04\x22\x02\x12\x00",
	"deeply nested":   deeplyNested(),
}

// deeplyNested is a transaction of transactions of transactions ...: as many as fit.
func deeplyNested() string {
	const most = 2<<20 - 16
	b, at := make([]byte, most), most
	for at > 16 {
		for _, tag := range []byte{4<<3 | 2, 2<<3 | 2} {
			head := binary.AppendUvarint([]byte{tag}, uint64(most-at))
			at -= copy(b[at-len(head):], head)
		}
	}
	return string(b[at:])
}

// TestDeepTransaction sends a transaction whose levels would take half a gigabyte.
func TestDeepTransaction(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	conn := s.dial(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ask(t, conn, "/etcdserverpb.KV/Txn", "deeply nested", bodies["deeply nested"])
	runtime.ReadMemStats(&after)
	if grown := int64(after.Sys - before.Sys); grown > 64<<20 {
		t.Errorf("the process has grown by %d MiB", grown>>20)
	}
}

// TestAnyMessage sends all methods messages of all kinds, to a server in good order, without a leader, and without a state. Whatever
// they answer, they answer something, and the server lives on.
func TestAnyMessage(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{RequestTimeout: time.Second})
	conn := s.dial(t)
	for _, state := range []func(){
		func() {}, func() { s.node.SetLeader(proto.NoServer) }, func() { s.node.SetLeader(1); s.node.SetLost(true) },
	} {
		state()
		for service, methods := range services {
			for _, method := range methods {
				for name, body := range bodies {
					ask(t, conn, "/"+service+"/"+method, name, body)
				}
			}
		}
		for _, path := range []string{"/health", "/readyz", "/livez", "/metrics", "/version", "/health?serializable=true"} {
			resp := must[*http.Response](t)(http.Get("http://" + s.addr + path))
			must[string](t)(readAll(resp.Body))
		}
	}
}

// ask calls a method as a stream, which any is, and reads what comes for a while.
func ask(t *testing.T, conn *grpc.ClientConn, method, name, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method, grpc.ForceCodecV2(raw{}))
	if err != nil {
		t.Fatalf("%s %s: %v", method, name, err)
	}
	b := []byte(body)
	if err := stream.SendMsg(&b); err != nil && err != io.EOF {
		t.Fatalf("%s %s: %v", method, name, err)
	}
	stream.CloseSend()
	endless := method == "/etcdserverpb.Watch/Watch" || method == "/v3electionpb.Election/Observe"
	if endless {
		return
	}
	for err == nil {
		err = stream.RecvMsg(&b)
	}
	if code := status.Code(err); err != io.EOF && (code == codes.DeadlineExceeded || code == codes.Unavailable && fmt.Sprint(err) == "EOF") {
		t.Errorf("%s %s: %v", method, name, err)
	}
}

var services = map[string][]string{
	"etcdserverpb.KV":          {"Range", "Put", "DeleteRange", "Txn", "Compact", "RangeStream"},
	"etcdserverpb.Watch":       {"Watch"},
	"etcdserverpb.Lease":       {"LeaseGrant", "LeaseRevoke", "LeaseKeepAlive", "LeaseTimeToLive", "LeaseLeases"},
	"etcdserverpb.Cluster":     {"MemberAdd", "MemberRemove", "MemberUpdate", "MemberList", "MemberPromote"},
	"etcdserverpb.Maintenance": {"Alarm", "Status", "Defragment", "Hash", "HashKV", "Snapshot", "MoveLeader", "Downgrade"},
	"etcdserverpb.Auth": {
		"AuthEnable", "AuthDisable", "AuthStatus", "Authenticate", "UserAdd", "UserGet", "UserList", "UserDelete", "UserChangePassword", "UserGrantRole",
		"UserRevokeRole", "RoleAdd", "RoleGet", "RoleList", "RoleDelete", "RoleGrantPermission", "RoleRevokePermission",
	},
	"v3lockpb.Lock":         {"Unlock"},
	"v3electionpb.Election": {"Proclaim", "Leader", "Observe", "Resign"},
	"grpc.health.v1.Health": {"Check"},
}
