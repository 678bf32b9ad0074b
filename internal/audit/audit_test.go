package audit

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"zebu/proto"
)

// TestLines holds events to the lines that Apache ZooKeeper 3.9.5 wrote for them.
func TestLines(t *testing.T) {
	const id = 0x1000029f47d0000
	base := Event{Session: id, User: "127.0.0.1,u,v", IP: "127.0.0.1", Result: Success}
	with := func(change func(e *Event)) Event {
		e := base
		change(&e)
		return e
	}
	const head = "session=0x1000029f47d0000\tuser=127.0.0.1,u,v\tip=127.0.0.1\t"
	for _, tt := range []struct {
		event Event
		want  string
	}{
		{Event{User: "root", Operation: ServerStart, Result: Success}, "user=root\toperation=serverStart\tresult=success"},
		{Event{User: "root", Operation: ServerStop, Result: Invoked}, "user=root\toperation=serverStop\tresult=invoked"},
		{with(func(e *Event) { e.Operation, e.Path, e.NodeType = Create, "/au", NodeType(0) }),
			head + "operation=create\tznode=/au\tznode_type=persistent\tresult=success"},
		{with(func(e *Event) { e.Operation, e.Path, e.NodeType = Create, "/seqe-0000000002", NodeType(3) }),
			head + "operation=create\tznode=/seqe-0000000002\tznode_type=ephemeral_sequential\tresult=success"},
		{with(func(e *Event) { e.Operation, e.Path, e.NodeType, e.Result = Create, "/au", NodeType(0), Failure }),
			head + "operation=create\tznode=/au\tznode_type=persistent\tresult=failure"},
		{with(func(e *Event) { e.Operation, e.Path = SetData, "/au" }), head + "operation=setData\tznode=/au\tresult=success"},
		{with(func(e *Event) { e.Operation, e.Path, e.Result = Delete, "/nope", Failure }),
			head + "operation=delete\tznode=/nope\tresult=failure"},
		{with(func(e *Event) { e.Operation, e.Result = Multi, Failure }), head + "operation=multiOperation\tresult=failure"},
		{with(func(e *Event) {
			e.Operation, e.Path = SetACL, "/au"
			e.ACL = []proto.ACL{
				{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}},
				{Perms: proto.PermRead | proto.PermWrite, ID: proto.ID{Scheme: "digest", ID: "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="}},
			}
		}), head + "operation=setAcl\tznode=/au\tacl=world:anyone:cdrwadigest:u:x:rw\tresult=success"},
		{Event{Session: id, User: "root", Operation: EphemeralDeletion, Path: "/m3", Result: Success},
			"session=0x1000029f47d0000\tuser=root\toperation=ephemeralZNodeDeletionOnSessionCloseOrExpire\tznode=/m3\tresult=success"},
		{Event{Operation: Create, Path: "/a\n\tresult=success", Result: Failure},
			`operation=create` + "\t" + `znode=/a\n\tresult=success` + "\tresult=failure"},
	} {
		if got := tt.event.String(); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

func TestNodeType(t *testing.T) {
	for flags, want := range map[int32]string{4: "container", 6: "persistent_sequential_with_ttl", 7: "", -1: ""} {
		if got := NodeType(flags); got != want {
			t.Errorf("NodeType(%d) = %q, want %q", flags, got, want)
		}
	}
}

func TestLevels(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	l := New(zap.New(core))
	l.Log(Event{Operation: Create, Result: Success})
	l.Log(Event{Operation: Create, Result: Failure})
	all := logs.All()
	if len(all) != 2 || all[0].Level != zapcore.InfoLevel || all[1].Level != zapcore.ErrorLevel ||
		all[1].Message != "operation=create\tresult=failure" {
		t.Errorf("%+v", all)
	}
}

func TestNilIsFree(t *testing.T) {
	var l *Logger
	if n := testing.AllocsPerRun(100, func() { l.Log(Event{User: "u", Operation: Create}) }); n != 0 || l.Enabled() {
		t.Errorf("%v allocations", n)
	}
}
