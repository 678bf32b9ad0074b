package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"zebu/proto"
)

// auditLines returns what the audit log says, without the session ids' values.
func auditLines(logs *observer.ObservedLogs, session proto.SessionID) []string {
	var lines []string
	for _, e := range logs.All() {
		if e.LoggerName == "audit" {
			lines = append(lines, strings.ReplaceAll(e.Message, "session="+session.String(), "session=S"))
		}
	}
	return lines
}

func TestAuditLog(t *testing.T) {
	cfg := testConfig(t)
	cfg.Audit = true
	core, logs := observer.New(zap.InfoLevel)
	s, stop := startWith(t, Options{Config: cfg, Log: zap.New(core)})
	r := dialRaw(t, s)
	id := r.connect(10_000).SessionID
	r.auth("digest", "u:p")
	r.must(1, proto.OpCreate, createReq("/a", 0))
	r.call(2, proto.OpCreate, createReq("/a", 0))
	r.must(3, proto.OpCreate2, createReq("/a/s-", proto.EphemeralSequential))
	r.must(4, proto.OpSetData, setReq("/a", nil))
	r.must(5, proto.OpSetACL, &proto.SetACLRequest{Path: "/a", Version: -1, ACL: append([]proto.ACL{{
		Perms: proto.PermRead | proto.PermWrite, ID: proto.ID{Scheme: "digest", ID: "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="},
	}}, openACL...)})
	r.must(6, proto.OpCreateTTL, &proto.CreateTTLRequest{Path: "/ttl", ACL: openACL, Flags: 5, TTL: 100_000})
	r.must(7, proto.OpCreateContainer, createReq("/box", 4))
	r.call(8, proto.OpDelete, &proto.PathVersion{Path: "/nope", Version: -1})
	r.must(9, proto.OpDelete, &proto.PathVersion{Path: "/box", Version: -1})
	multi := func(last string) []byte {
		b := (&proto.RequestHeader{Xid: 10, Op: proto.OpMulti}).Append(nil)
		b = createReq("/m-", proto.PersistentSequential).Append((&proto.MultiHeader{Op: proto.OpCreate, Err: -1}).Append(b))
		b = setReq("/a", nil).Append((&proto.MultiHeader{Op: proto.OpSetData, Err: -1}).Append(b))
		b = (&proto.PathVersion{Path: "/a", Version: -1}).Append((&proto.MultiHeader{Op: proto.OpCheck, Err: -1}).Append(b))
		b = (&proto.PathVersion{Path: last, Version: -1}).Append((&proto.MultiHeader{Op: proto.OpDelete, Err: -1}).Append(b))
		return (&proto.MultiHeader{Op: -1, Done: true, Err: -1}).Append(b)
	}
	r.send(multi("/ttl"))
	r.reply()
	r.send(multi("/nope"))
	r.reply()
	r.must(11, proto.OpCloseSession, nil)
	r.closed()
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	const head = "session=S\tuser=127.0.0.1,u\tip=127.0.0.1\toperation="
	me := auditUser()
	want := []string{
		"user=" + me + "\toperation=serverStart\tresult=success",
		head + "create\tznode=/a\tznode_type=persistent\tresult=success",
		head + "create\tznode=/a\tznode_type=persistent\tresult=failure",
		head + "create\tznode=/a/s-0000000000\tznode_type=ephemeral_sequential\tresult=success",
		head + "setData\tznode=/a\tresult=success",
		head + "setAcl\tznode=/a\tacl=digest:u:x:rwworld:anyone:cdrwa\tresult=success",
		head + "create\tznode=/ttl\tznode_type=persistent_with_ttl\tresult=success",
		head + "create\tznode=/box\tznode_type=container\tresult=success",
		head + "delete\tznode=/nope\tresult=failure",
		head + "delete\tznode=/box\tresult=success",
		head + "create\tznode=/m-0000000003\tznode_type=persistent_sequential\tresult=success",
		head + "setData\tznode=/a\tresult=success",
		head + "delete\tznode=/ttl\tresult=success",
		head + "multiOperation\tresult=failure",
		"session=S\tuser=" + me + "\toperation=ephemeralZNodeDeletionOnSessionCloseOrExpire\tznode=/a/s-0000000000\tresult=success",
		"user=" + me + "\toperation=serverStop\tresult=invoked",
	}
	got := auditLines(logs, id)
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("line %d\ngot  %q\nwant %q", i, g, w)
		}
	}
}

// A client cannot keep its writes out of the log by hanging up.
func TestAuditLogOfLostConnections(t *testing.T) {
	cfg := testConfig(t)
	cfg.Audit = true
	core, logs := observer.New(zap.InfoLevel)
	s, stop := startWith(t, Options{Config: cfg, Log: zap.New(core)})
	r := dialRaw(t, s)
	id := r.connect(10_000).SessionID
	block, blocked := make(chan struct{}), make(chan struct{})
	go s.loop.do(func() error { close(blocked); <-block; return nil })
	<-blocked
	r.send(request(1, proto.OpCreate, createReq("/s-", proto.PersistentSequential)), request(2, proto.OpGetData, readReq("/", false)),
		request(3, proto.OpDelete, &proto.PathVersion{Path: "/nope", Version: -1}), request(4, proto.OpSetData, setReq("/", nil)))
	await(t, "the requests are in the inbox", func() bool { return s.inflight.Load() == 4 })
	r.nc.Close()
	await(t, "the connection is gone", func() bool { return s.Server().Connections == 0 })
	close(block)
	await(t, "the writes are done", func() bool { return s.Server().Zxid == 4 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := s.met.StaleReplies.Count(); n != 3 {
		t.Errorf("%d replies that nobody took, want those of the 3 writes", n)
	}
	const head = "session=S\tuser=127.0.0.1\tip=127.0.0.1\toperation="
	want := []string{
		head + "create\tznode=/s-0000000000\tznode_type=persistent_sequential\tresult=success",
		head + "delete\tznode=/nope\tresult=failure",
		head + "setData\tznode=/\tresult=success",
	}
	if got := auditLines(logs, id); len(got) != 5 || !slices.Equal(got[1:4], want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Lines of one connection are in the order of its requests and none is lost, with many requests in flight.
func TestAuditLogUnderLoad(t *testing.T) {
	cfg := testConfig(t)
	cfg.Audit = true
	cfg.Log.ForceSync = false
	core, logs := observer.New(zap.InfoLevel)
	s, stop := startWith(t, Options{Config: cfg, Log: zap.New(core)})
	r := dialRaw(t, s)
	id := r.connect(10_000).SessionID
	flood(t, r, "n", 1000)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(auditLines(logs, id), func(l string) bool { return !strings.HasPrefix(l, "session") })
	for i, l := range lines {
		if !strings.Contains(l, fmt.Sprintf("znode=/n%d\t", i)) {
			t.Fatalf("line %d: %q", i, l)
		}
	}
	if len(lines) != 1000 {
		t.Errorf("%d lines", len(lines))
	}
}
