package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
	"zebu/storage"
)

func put(key, value string) *pb.PutRequest {
	return &pb.PutRequest{Key: []byte(key), Value: []byte(value)}
}

func putOp(key, value string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put(key, value)}}
}

// etcdLog writes a log of etcd transactions and returns its name; what is no record goes in as it is.
func etcdLog(t *testing.T, requests ...any) string {
	t.Helper()
	dir := t.TempDir()
	s, err := storage.Open(storage.DefaultOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Restore(storage.NopBuilder{}, nil); err != nil {
		t.Fatal(err)
	}
	var b storage.Batch
	for i, r := range requests {
		body, isBytes := r.([]byte)
		if !isBytes {
			rec, isRecord := r.(mvcc.Record)
			if !isRecord {
				rec = mvcc.NewRecord(r.(mvcc.Message))
			}
			if body, err = rec.Encode(); err != nil {
				t.Fatal(err)
			}
		}
		z := proto.Zxid(i + 1)
		h := proto.TxnHeader{ClientID: 7, Cxid: int32(i), Zxid: z, Type: proto.OpEtcd}
		b.End(proto.AppendBuf(h.Append(b.Begin()), body), z)
	}
	if err := s.Log().Append(&b); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "version-2", "log.1")
}

func TestTxnlogDumpEtcd(t *testing.T) {
	fenced := mvcc.NewRecord(&pb.LeaseRevokeRequest{ID: 0x1234})
	fenced.Epoch = 3
	alices := mvcc.NewRecord(&pb.DeleteRangeRequest{Key: []byte("/a/"), RangeEnd: []byte("/a0")})
	alices.User = "alice"
	leased := put("k", "v")
	leased.Lease = 0x1234
	name := etcdLog(t,
		put("/a/b", "hello"), leased, put("bin\xff", ""), alices, &pb.DeleteRangeRequest{Key: []byte("a"), RangeEnd: []byte{0}},
		&pb.TxnRequest{
			Compare: []*pb.Compare{{Key: []byte("k")}}, Success: []*pb.RequestOp{putOp("k", "new")},
			Failure: []*pb.RequestOp{
				{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("x")}}},
				{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Success: []*pb.RequestOp{putOp("n", "")}}}},
			},
		},
		&pb.CompactionRequest{Revision: 5}, &pb.LeaseGrantRequest{ID: 0x1234, TTL: 60}, fenced,
		&pb.LeaseCheckpointRequest{Checkpoints: []*pb.LeaseCheckpoint{{ID: 0xab, Remaining_TTL: 9}}},
		&pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE},
		&pb.AuthUserAddRequest{Name: "bob", HashedPassword: "secret"}, &pb.AuthUserGrantRoleRequest{User: "bob", Role: "dev ops"},
		&pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: &authpb.Permission{Key: []byte("/a"), RangeEnd: []byte("/b")}},
		&pb.AuthEnableRequest{}, []byte("?"),
	)
	out, err := runCommand(t, "txnlog", "dump", "--data", name)
	if err != nil {
		t.Fatal(err)
	}
	const head = " 1970-01-01T00:00:00.000Z session 0x7 cxid "
	want := []string{
		"0x1" + head + `0 etcd put /a/b 5 bytes "hello"`,
		"0x2" + head + `1 etcd put k lease 1234 1 bytes "v"`,
		"0x3" + head + `2 etcd put "bin\xff" 0 bytes`,
		"0x4" + head + "3 etcd deleteRange prefix /a/ user alice",
		"0x5" + head + "4 etcd deleteRange from a",
		"0x6" + head + "5 etcd txn if 1 of 3",
		`    etcd then put k 3 bytes "new"`,
		"    etcd else range k to x",
		"    etcd else txn of 1",
		"0x7" + head + "6 etcd compact revision 5",
		"0x8" + head + "7 etcd leaseGrant lease 1234 ttl 60s",
		"0x9" + head + "8 etcd leaseRevoke lease 1234 epoch 3",
		"0xa" + head + "9 etcd leaseCheckpoint of 1",
		"    etcd checkpoint lease ab ttl 9s",
		"0xb" + head + "10 etcd alarm activate NOSPACE",
		"0xc" + head + "11 etcd userAdd bob",
		"0xd" + head + `12 etcd userGrantRole bob "dev ops"`,
		"0xe" + head + "13 etcd roleGrantPermission r prefix /a",
		"0xf" + head + "14 etcd authEnable",
		"0x10" + head + "15 etcd (not an etcd record: kind 63)",
	}
	if got := strings.Split(strings.TrimSpace(out), "\n"); len(got) != len(want) {
		t.Errorf("%d lines:\n%s", len(got), out)
	} else {
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s\nwant\n%s", got[i], want[i])
			}
		}
	}
	out, err = runCommand(t, "txnlog", "dump", "-o", "json", name)
	if err != nil {
		t.Fatal(err)
	}
	var v txnView
	if err := json.Unmarshal([]byte(strings.Split(out, "\n")[5]), &v); err != nil {
		t.Fatal(err)
	}
	if v.Type != "etcd" || v.Etcd == nil || v.Etcd.Request != "txn" || len(v.Ops) != 3 || v.Ops[0].Etcd.Key != "k" || *v.Ops[0].Size != 3 || v.Ops[0].Data != nil {
		t.Errorf("%+v", v)
	}
	if out, err = runCommand(t, "txnlog", "verify", name); err != nil || !strings.Contains(out, "ok, 16 transactions") {
		t.Errorf("%v\n%s", err, out)
	}
}
