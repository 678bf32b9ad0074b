package auth

import (
	"bytes"
	"testing"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
)

// FuzzApply applies two records, whatever a client may have put into them, and opens what is left.
func FuzzApply(f *testing.F) {
	for _, m := range []mvcc.Message{
		&pb.AuthUserAddRequest{Name: "u", HashedPassword: "aGFzaA=="},
		&pb.AuthUserGrantRoleRequest{User: "u", Role: "writer"},
		&pb.AuthUserRevokeRoleRequest{Name: "w", Role: "writer"},
		&pb.AuthUserChangePasswordRequest{Name: "w"},
		&pb.AuthUserDeleteRequest{Name: "w"},
		&pb.AuthRoleAddRequest{Name: "x"},
		&pb.AuthRoleGrantPermissionRequest{Name: "writer", Perm: &authpb.Permission{PermType: 2, Key: []byte("a"), RangeEnd: []byte("\x00")}},
		&pb.AuthRoleRevokePermissionRequest{Role: "writer", Key: []byte("d"), RangeEnd: []byte("g")},
		&pb.AuthRoleDeleteRequest{Role: "writer"},
		&pb.AuthDisableRequest{},
		&pb.InternalAuthenticateRequest{Name: "w", SimpleToken: "t"},
		&pb.DeleteRangeRequest{Key: []byte("d"), RangeEnd: []byte("a")},
		&pb.TxnRequest{Compare: []*pb.Compare{{Key: []byte("d")}}, Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{}}}},
	} {
		for _, user := range []string{"root", "w"} {
			r := mvcc.NewRecord(m)
			r.User, r.AuthRevision = user, 100
			b, err := r.Encode()
			if err != nil {
				continue
			}
			f.Add(b, b)
		}
	}
	var image []byte // of a server with users: hashing their passwords takes long
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if image == nil {
			var b bytes.Buffer
			if err := mvcc.WriteImage(&b, enabled(t, Options{}).memory.View()); err != nil {
				t.Fatal(err)
			}
			image = b.Bytes()
		}
		s := newServer(t, Options{})
		if _, err := mvcc.ReadImage(bytes.NewReader(image), func(b *mvcc.Batch) error { s.memory.Commit(b); return nil }); err != nil {
			t.Fatal(err)
		}
		s.open()
		for _, record := range [][]byte{first, second} {
			if _, err := mvcc.DecodeRecord(record); err != nil {
				return // is not proposed
			}
			r, err := s.store.Apply(s.store.Applied()+1, record)
			if err != nil {
				t.Fatal(err)
			}
			if (r.Response == nil) == (r.Err == nil) {
				t.Fatalf("response %v and error %v", r.Response, r.Err)
			}
		}
		s.save()
		state := *s.keeper.state.Load()
		s.open()
		if *s.keeper.state.Load() != state {
			t.Fatalf("%v became %v when opened again", state, *s.keeper.state.Load())
		}
	})
}
