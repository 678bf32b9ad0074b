package etcdtest

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// methods maps requests' types to where they go and what they are answered with.
var methods = map[string]struct {
	path     string
	response any
}{
	"RangeRequest":           {"KV/Range", pb.RangeResponse{}},
	"PutRequest":             {"KV/Put", pb.PutResponse{}},
	"DeleteRangeRequest":     {"KV/DeleteRange", pb.DeleteRangeResponse{}},
	"TxnRequest":             {"KV/Txn", pb.TxnResponse{}},
	"CompactionRequest":      {"KV/Compact", pb.CompactionResponse{}},
	"LeaseGrantRequest":      {"Lease/LeaseGrant", pb.LeaseGrantResponse{}},
	"LeaseRevokeRequest":     {"Lease/LeaseRevoke", pb.LeaseRevokeResponse{}},
	"LeaseTimeToLiveRequest": {"Lease/LeaseTimeToLive", pb.LeaseTimeToLiveResponse{}},
	"LeaseLeasesRequest":     {"Lease/LeaseLeases", pb.LeaseLeasesResponse{}},
	"AlarmRequest":           {"Maintenance/Alarm", pb.AlarmResponse{}},
	"DefragmentRequest":      {"Maintenance/Defragment", pb.DefragmentResponse{}},
	"HashKVRequest":          {"Maintenance/HashKV", pb.HashKVResponse{}},
	"DowngradeRequest":       {"Maintenance/Downgrade", pb.DowngradeResponse{}},
	"MemberAddRequest":       {"Cluster/MemberAdd", pb.MemberAddResponse{}},
	"MemberRemoveRequest":    {"Cluster/MemberRemove", pb.MemberRemoveResponse{}},
	"MemberPromoteRequest":   {"Cluster/MemberPromote", pb.MemberPromoteResponse{}},
	"AuthStatusRequest":      {"Auth/AuthStatus", pb.AuthStatusResponse{}},
	"AuthUserListRequest":    {"Auth/UserList", pb.AuthUserListResponse{}},
	"AuthRoleListRequest":    {"Auth/RoleList", pb.AuthRoleListResponse{}},
	"AuthUserGetRequest":     {"Auth/UserGet", pb.AuthUserGetResponse{}},
	"AuthRoleGetRequest":     {"Auth/RoleGet", pb.AuthRoleGetResponse{}},
	"AuthenticateRequest":    {"Auth/Authenticate", pb.AuthenticateResponse{}},
}

// call sends a request to the method that takes it.
func call(ctx context.Context, conn *grpc.ClientConn, r any) string {
	name := reflect.TypeOf(r).Elem().Name()
	m := methods[name]
	resp := reflect.New(reflect.TypeOf(m.response)).Interface()
	err := conn.Invoke(ctx, "/etcdserverpb."+m.path, r, resp)
	return outcome(resp, err)
}

func TestCalls(t *testing.T) {
	both(t, func(t *testing.T, addr string) (told []string) {
		conn := dial(t, addr)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for i, r := range requests() {
			s := fmt.Sprint(r)
			told = append(told, fmt.Sprintf("%d %T{%s} -> %s", i, r, s[:min(len(s), 200)], call(ctx, conn, r)))
		}
		return told
	})
}

// The short names of what the requests are made of.
type (
	put  = pb.PutRequest
	get  = pb.RangeRequest
	del  = pb.DeleteRangeRequest
	txn  = pb.TxnRequest
	list = []*pb.RequestOp
)

func putOp(p *put) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: p}}
}

func getOp(g *get) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: g}}
}

func delOp(d *del) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: d}}
}

func txnOp(x *txn) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: x}}
}

func times(n int, op *pb.RequestOp) (l list) {
	for range n {
		l = append(l, op)
	}
	return l
}

func b(s string) []byte { return []byte(s) }

// requests are those whose answers do not depend on when they come.
func requests() []any {
	open := []byte{0}
	all := []any{
		// Reads of nothing, and faults.
		&get{Key: b("a")}, &get{}, &get{Key: open, RangeEnd: open}, &get{Key: b("b"), RangeEnd: b("a")},
		&get{Key: b("a"), Revision: -5}, &get{Key: b("a"), Revision: 2}, &get{Key: b("a"), Limit: -1},
		&get{Key: b("a"), SortOrder: 7}, &get{Key: b("a"), SortTarget: 9}, &get{Key: b("a"), Serializable: true},
		// Puts.
		&put{}, &put{Key: b("a"), Value: b("1")}, &put{Key: b("a"), Value: b("2"), PrevKv: true},
		&put{Key: b("a"), Value: b("3"), IgnoreValue: true}, &put{Key: b("a"), IgnoreValue: true},
		&put{Key: b("zz"), IgnoreValue: true}, &put{Key: b("zz"), IgnoreLease: true},
		&put{Key: b("a"), Lease: 5, IgnoreLease: true}, &put{Key: b("a"), Lease: 5},
		&put{Key: b("b"), Value: b("1")}, &put{Key: b("c")}, &put{Key: b("d"), Value: bytes.Repeat(b("x"), 100)},
		&put{Key: b("big"), Value: make([]byte, 3<<19)}, &put{Key: b("bigger"), Value: make([]byte, 3<<20)},
		&put{Key: b("fits"), Value: make([]byte, 3<<19-1000)}, &del{Key: b("fits")},
		// Reads of something.
		&get{Key: b("a")}, &get{Key: b("a"), RangeEnd: b("c")}, &get{Key: b("a"), RangeEnd: open, Limit: 2},
		&get{Key: b("a"), RangeEnd: open, CountOnly: true, Limit: 1}, &get{Key: b("a"), RangeEnd: open, KeysOnly: true},
		&get{Key: b("a"), RangeEnd: open, Revision: 3}, &get{Key: b("a"), Revision: 1}, &get{Key: b("a"), Revision: 1000},
		&get{Key: b("a"), RangeEnd: open, SortOrder: pb.RangeRequest_DESCEND, SortTarget: pb.RangeRequest_MOD, Limit: 2},
		&get{Key: b("a"), RangeEnd: open, SortTarget: pb.RangeRequest_VALUE}, &get{Key: b("a"), RangeEnd: open, MinModRevision: 4},
		&get{Key: b("a"), RangeEnd: open, MaxCreateRevision: 4, Limit: 1},
		// Deletions.
		&del{}, &del{Key: b("nothing")}, &del{Key: b("b"), PrevKv: true}, &del{Key: b("c"), RangeEnd: open, PrevKv: true}, &get{Key: b("c")},
	}
	all = append(all, txns()...)
	return append(all, others()...)
}

// txns are transactions.
func txns() []any {
	open := []byte{0}
	value := func(key, v string) *pb.Compare {
		return &pb.Compare{Key: b(key), Target: pb.Compare_VALUE, TargetUnion: &pb.Compare_Value{Value: b(v)}}
	}
	missing := &pb.Compare{Key: b("none"), Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_Version{Version: 0}}
	return []any{
		&txn{}, &txn{Success: list{{}}}, &txn{Compare: []*pb.Compare{{}}}, &txn{Success: list{putOp(&put{})}},
		&txn{Compare: []*pb.Compare{value("a", "2")}, Success: list{putOp(&put{Key: b("t"), Value: b("yes")})}, Failure: list{getOp(&get{Key: b("a")})}},
		&txn{Compare: []*pb.Compare{value("a", "9")}, Success: list{putOp(&put{Key: b("t"), Value: b("yes")})}, Failure: list{getOp(&get{Key: b("a")})}},
		&txn{Compare: []*pb.Compare{missing}, Success: list{
			getOp(&get{Key: b("n")}), putOp(&put{Key: b("n"), Value: b("1")}), getOp(&get{Key: b("n")}), delOp(&del{Key: b("m")}),
			txnOp(&txn{Compare: []*pb.Compare{value("n", "1")}, Success: list{putOp(&put{Key: b("n1")})}, Failure: list{putOp(&put{Key: b("n2"), PrevKv: true})}}),
		}},
		&txn{Success: list{putOp(&put{Key: b("t")}), putOp(&put{Key: b("t")})}},
		&txn{Success: list{putOp(&put{Key: b("t")}), delOp(&del{Key: b("s"), RangeEnd: b("u")})}},
		&txn{Success: list{delOp(&del{Key: b("t")}), delOp(&del{Key: b("s"), RangeEnd: b("u"), PrevKv: true})}},
		&txn{Success: times(129, getOp(&get{Key: b("a")}))}, &txn{Success: times(128, getOp(&get{Key: b("a"), CountOnly: true}))},
		&txn{Success: append(times(27, getOp(&get{Key: b("a")})), txnOp(&txn{Success: times(101, getOp(&get{Key: b("a")}))}))},
		&txn{Success: append(times(27, getOp(&get{Key: b("a"), CountOnly: true})), txnOp(&txn{Success: times(100, getOp(&get{Key: b("a"), CountOnly: true}))}))},
		&txn{Success: list{getOp(&get{Key: b("a"), Revision: 9999})}}, &txn{Success: list{putOp(&put{Key: b("q"), Lease: 99})}},
		&txn{Success: list{putOp(&put{Key: b("q"), IgnoreValue: true})}}, &txn{Success: list{getOp(&get{Key: b("a"), Serializable: true, RangeEnd: open})}},
		&txn{Success: list{putOp(&put{Key: b("huge"), Value: make([]byte, 3<<19)})}},
	}
}

// others are compactions, leases, alarms, members and users.
func others() []any {
	open := []byte{0}
	return []any{
		&pb.CompactionRequest{Revision: 1000}, &pb.CompactionRequest{Revision: -2}, &pb.CompactionRequest{Revision: 5},
		&pb.CompactionRequest{Revision: 5}, &pb.CompactionRequest{Revision: 6, Physical: true}, &get{Key: b("a"), Revision: 5},
		&get{Key: b("a"), Revision: 6}, &txn{Success: list{getOp(&get{Key: b("a"), Revision: 2})}},
		&pb.HashKVRequest{Revision: 8}, &pb.HashKVRequest{Revision: 2}, &pb.HashKVRequest{Revision: 1000}, &pb.HashKVRequest{},

		&pb.LeaseGrantRequest{ID: 7, TTL: 600}, &pb.LeaseGrantRequest{ID: 7, TTL: 600}, &pb.LeaseGrantRequest{ID: 8},
		&pb.LeaseGrantRequest{ID: 9, TTL: -3}, &pb.LeaseGrantRequest{ID: 10, TTL: 9000000001}, &pb.LeaseGrantRequest{ID: 11, TTL: 9000000000},
		&put{Key: b("l1"), Lease: 7}, &put{Key: b("l0"), Lease: 7}, &put{Key: b("l2"), Lease: 7}, &put{Key: b("l2")},
		&pb.LeaseTimeToLiveRequest{ID: 1234}, &pb.LeaseTimeToLiveRequest{ID: 1234, Keys: true},
		&get{Key: b("l"), RangeEnd: b("m")}, &pb.LeaseRevokeRequest{ID: 7}, &pb.LeaseRevokeRequest{ID: 7}, &pb.LeaseRevokeRequest{ID: 11},
		&get{Key: b("l"), RangeEnd: b("m")},

		&pb.AlarmRequest{}, &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 3, Alarm: pb.AlarmType_NOSPACE},
		&pb.AlarmRequest{}, &put{Key: b("a")}, &del{Key: b("l"), RangeEnd: b("m")}, &pb.LeaseGrantRequest{ID: 20, TTL: 100},
		&txn{Success: list{putOp(&put{Key: b("a")})}}, &txn{Success: list{delOp(&del{Key: b("a")})}}, &get{Key: b("a")},
		&pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: 3, Alarm: pb.AlarmType_NOSPACE},
		&pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: 3, Alarm: pb.AlarmType_NOSPACE},
		&pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 3, Alarm: pb.AlarmType_CORRUPT},
		&put{Key: b("a")}, &del{Key: b("a")}, &txn{Success: list{putOp(&put{Key: b("a")})}}, &pb.CompactionRequest{Revision: 9},
		&pb.LeaseGrantRequest{ID: 21, TTL: 100}, &pb.LeaseRevokeRequest{ID: 21}, &get{Key: b("a"), RangeEnd: open, CountOnly: true},
		&pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: 3, Alarm: pb.AlarmType_CORRUPT}, &put{Key: b("a"), Value: b("again")},

		&pb.DefragmentRequest{}, &pb.DowngradeRequest{Version: "x"}, &pb.DowngradeRequest{Version: "3.3.0"}, &pb.DowngradeRequest{Action: 1, Version: "3.4.0"},
		&pb.MemberRemoveRequest{ID: 77777}, &pb.MemberPromoteRequest{ID: 77777}, &pb.MemberAddRequest{}, &pb.MemberAddRequest{PeerURLs: []string{"nonsense"}},
		&pb.AuthStatusRequest{}, &pb.AuthUserListRequest{}, &pb.AuthRoleListRequest{}, &pb.AuthUserGetRequest{Name: "u"},
		&pb.AuthRoleGetRequest{Role: "r"}, &pb.AuthenticateRequest{Name: "u", Password: "p"},
	}
}

func TestMetadata(t *testing.T) {
	both(t, func(t *testing.T, addr string) (told []string) {
		conn := dial(t, addr)
		for _, pairs := range [][]string{
			{"client-api-version", "3.6"}, {"client-api-version", "nonsense"}, {"hasleader", "true"}, {"hasleader", "false"}, {"token", "nonsense"},
			{"authorization", "Bearer nonsense"}, {"unknown", strings.Repeat("x", 1000)},
		} {
			ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), pairs...), patience)
			told = append(told, call(ctx, conn, &get{Key: b("a")}), call(ctx, conn, &put{Key: b("a")}))
			cancel()
		}
		var resp pb.RangeResponse
		for _, method := range []string{"/etcdserverpb.KV/Unknown", "/etcdserverpb.Unknown/Range", "/nonsense"} {
			told = append(told, outcome(&resp, conn.Invoke(t.Context(), method, &get{}, &resp)))
		}
		return told
	})
}
