package gateway_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"zebu/gateway"
	"zebu/gateway/gatewaytest"
)

// partsOf asks for a range in parts, and tells how many keys each part has, and what else the last one has; all is the parts put together.
func partsOf(ctx context.Context, t *testing.T, conn *grpc.ClientConn, r *pb.RangeRequest) (told string, all *pb.RangeResponse) {
	t.Helper()
	stream := must[grpc.ClientStream](t)(conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/etcdserverpb.KV/RangeStream", grpc.ForceCodecV2(raw{})))
	b := must[[]byte](t)(r.Marshal())
	if err := errors.Join(stream.SendMsg(&b), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	all = &pb.RangeResponse{}
	var list []string
	for {
		err := stream.RecvMsg(&b)
		if err == io.EOF {
			break
		}
		if err != nil {
			s := status.Convert(err)
			list = append(list, fmt.Sprintf("%s: %s", s.Code(), s.Message()))
			break
		}
		if all.Header != nil {
			t.Errorf("%v: more after the last part", r)
		}
		// A RangeStreamResponse is a RangeResponse as field 1.
		size, n := binary.Uvarint(b[1:])
		if b[0] != 1<<3|2 || int(size) != len(b)-1-n {
			t.Fatalf("%v: %x", r, b)
		}
		part := &pb.RangeResponse{}
		if err := part.Unmarshal(b[1+n:]); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(len(part.Kvs))
		if part.Header != nil {
			text += fmt.Sprintf(" of %d", part.Count)
			if part.More {
				text += " more"
			}
		} else if part.Count != 0 || part.More {
			t.Errorf("%v: count or more before the last part", r)
		}
		list = append(list, text)
		part.Kvs = append(all.Kvs, part.Kvs...)
		all = part
	}
	return strings.Join(list, ", "), all
}

// TestRangeStream has what an etcd 3.7.3 answered, with a 500th of the sizes.
func TestRangeStream(t *testing.T) {
	const first = 2 // revision of the first put
	s := start(t, gatewaytest.Options{}, gateway.Options{MaxRequestBytes: 3 << 10})
	c, conn, ctx := s.client(t), s.dial(t), soon(t)
	for _, keys := range []struct {
		prefix    string
		n, length int
	}{{"s", 100, 5}, {"m", 60, 200}, {"b", 30, 1000}} {
		for i := range keys.n {
			must[*clientv3.PutResponse](t)(c.Put(ctx, fmt.Sprintf("%s%03d", keys.prefix, i), strings.Repeat("v", keys.length)))
		}
	}
	const sorted, filtered = "Unimplemented: RangeStream does not support custom sort orders", "Unimplemented: RangeStream does not support revision filters"
	for _, test := range []struct {
		keys string
		r    pb.RangeRequest
		want string
	}{
		{"s", pb.RangeRequest{}, "10, 20, 40, 30 of 100"},
		{"s", pb.RangeRequest{Limit: 25}, "10, 15 of 100 more"},
		{"s", pb.RangeRequest{Limit: 10}, "10 of 100 more"},
		{"s", pb.RangeRequest{Limit: 30}, "10, 20 of 100 more"},
		{"s", pb.RangeRequest{Limit: 100}, "10, 20, 40, 30 of 100"},
		{"s", pb.RangeRequest{Limit: 3, KeysOnly: true}, "3 of 100 more"},
		{"s", pb.RangeRequest{Limit: 500, SortOrder: pb.RangeRequest_ASCEND}, "10, 20, 40, 30 of 100"},
		{"s", pb.RangeRequest{Revision: first + 19}, "10, 10 of 20"},
		{"s", pb.RangeRequest{Revision: -3}, "10, 20, 40, 30 of 100"},
		{"m", pb.RangeRequest{}, "10, 10, 10, 10, 10, 10 of 60"},
		{"m", pb.RangeRequest{KeysOnly: true}, "10, 20, 30 of 60"},
		{"b", pb.RangeRequest{}, "10, 5, 5, 5, 5 of 30"},
		{"a", pb.RangeRequest{RangeEnd: []byte{0}, Serializable: true}, "10, 5, 5, 5, 5, 5, 10, 10, 10, 10, 10, 10, 20, 40, 35 of 190"},
		{"s", pb.RangeRequest{CountOnly: true, Limit: 5}, "0 of 100"},
		{"none", pb.RangeRequest{}, "0 of 0"},
		{"", pb.RangeRequest{}, "InvalidArgument: etcdserver: key is not provided"},
		{"s", pb.RangeRequest{SortOrder: 9}, "InvalidArgument: etcdserver: invalid sort option"},
		{"s", pb.RangeRequest{SortOrder: pb.RangeRequest_DESCEND, MinModRevision: 1}, sorted},
		{"s", pb.RangeRequest{SortTarget: pb.RangeRequest_MOD, SortOrder: pb.RangeRequest_ASCEND}, sorted},
		{"s", pb.RangeRequest{SortTarget: pb.RangeRequest_MOD}, sorted}, // etcd loses keys
		{"s", pb.RangeRequest{MinModRevision: 1}, filtered},
		{"s", pb.RangeRequest{MaxCreateRevision: 9}, filtered},
		{"s", pb.RangeRequest{Revision: 9999}, "OutOfRange: etcdserver: mvcc: required revision is a future revision"},
	} {
		r := test.r
		r.Key = []byte(test.keys)
		if r.RangeEnd == nil {
			r.RangeEnd = []byte(clientv3.GetPrefixRangeEnd(test.keys))
		}
		told, all := partsOf(ctx, t, conn, &r)
		if told != test.want {
			t.Errorf("%v: %s, not %s", &r, told, test.want)
		}
		if all.Header == nil {
			continue
		}
		whole := must[*pb.RangeResponse](t)(pb.NewKVClient(conn).Range(ctx, &r))
		if whole.String() != all.String() {
			t.Errorf("%v: %v, at once %v", &r, all, whole)
		}
	}
}

// TestRangeStreamRights has one read who may not, and one who may.
func TestRangeStreamRights(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{Authenticator: denying{}})
	conn, ctx := s.dial(t), soon(t)
	told, _ := partsOf(ctx, t, conn, &pb.RangeRequest{Key: []byte("u")})
	if told != "InvalidArgument: etcdserver: user name is empty" {
		t.Errorf("nobody: %s", told)
	}
	if told, _ := partsOf(metadata.AppendToOutgoingContext(ctx, "token", "u"), t, conn, &pb.RangeRequest{Key: []byte("u")}); told != "0 of 0" {
		t.Errorf("the user: %s", told)
	}
}
