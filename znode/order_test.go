package znode

import (
	"testing"

	"zebu/proto"
)

// Each request has every fault from its line on; what is reported is the first that the order of checks comes to
// (spec 2.2).
func TestCheckOrder(t *testing.T) {
	tr := New(Options{EnforceQuota: true})
	p := NewPlanner(tr)
	var res Result
	z := proto.Zxid(0)
	plan := func(opts Options, r Request) proto.ErrCode {
		t.Helper()
		tr.opts = opts
		z++
		apply(t, tr, p.Plan(nil, &r, z, 1), &res)
		p.Applied(z)
		return res.Err
	}
	create := func(path string, acl []proto.ACL, flags proto.CreateMode, data string) []byte {
		return (&proto.CreateRequest{Path: path, Data: []byte(data), ACL: acl, Flags: flags}).Append(nil)
	}
	createTTL := func(path string, flags proto.CreateMode, ttl int64) []byte {
		return (&proto.CreateTTLRequest{Path: path, Flags: flags, TTL: ttl}).Append(nil)
	}
	version := func(path string, v int32) []byte { return (&proto.PathVersion{Path: path, Version: v}).Append(nil) }
	set := func(path, data string, v int32) []byte {
		return (&proto.SetDataRequest{Path: path, Data: []byte(data), Version: v}).Append(nil)
	}
	setACL := func(path string, acl []proto.ACL, v int32) []byte {
		return (&proto.SetACLRequest{Path: path, ACL: acl, Version: v}).Append(nil)
	}
	none := []proto.ACL{{Perms: 0, ID: anyone}}
	quota := Options{EnforceQuota: true}
	for _, body := range [][]byte{
		create("/e", openACL, proto.Ephemeral, ""), create("/a", openACL, 0, ""), create("/a/b", openACL, 0, ""),
		create("/locked", openACL, 0, ""), create("/locked/x", none, 0, ""), create("/q", openACL, 0, ""),
		create("/zookeeper/quota/q", openACL, 0, ""),
		create("/zookeeper/quota/q/zookeeper_limits", openACL, 0, "count=-1,bytes=-1=;byteHardLimit=3"),
		create("/zookeeper/quota/q/zookeeper_stats", openACL, 0, ""),
	} {
		if err := plan(quota, Request{Session: 1, Op: proto.OpCreate, Body: body}); err != proto.OK {
			t.Fatal(err)
		}
	}
	if err := plan(quota, Request{Session: 1, Op: proto.OpSetACL, Body: setACL("/locked", none, -1)}); err != proto.OK {
		t.Fatal(err)
	}
	const moved = proto.ErrSessionMoved
	reconfig := (&proto.ReconfigRequest{CurConfigID: -1}).Append(nil)
	ext := Options{ExtendedTypes: true, EnforceQuota: true}
	tests := []struct {
		op      proto.OpCode
		opts    Options
		session proto.ErrCode
		body    []byte
		want    proto.ErrCode
	}{
		{proto.OpCreate, ext, moved, nil, proto.ErrMarshalling},
		{proto.OpCreate, ext, moved, create("x", nil, 7, ""), proto.ErrBadArguments},
		{proto.OpCreate, quota, moved, create("x", nil, 5, ""), proto.ErrUnimplemented},
		{proto.OpCreate, ext, moved, create("x", nil, 5, ""), proto.ErrBadArguments},
		{proto.OpCreateTTL, quota, moved, createTTL("x", 5, 0), proto.ErrUnimplemented},
		{proto.OpCreateTTL, ext, moved, createTTL("x", 5, 0), proto.ErrBadArguments},
		{proto.OpCreateTTL, ext, moved, createTTL("x", 5, proto.MaxTTL+1), proto.ErrBadArguments},
		{proto.OpCreateTTL, ext, moved, createTTL("x", 0, -1), proto.ErrBadArguments},
		{proto.OpCreateTTL, ext, moved, createTTL("x", 6, proto.MaxTTL), moved},
		{proto.OpCreate, quota, moved, create("x", nil, 0, ""), moved},
		{proto.OpCreate, quota, 0, create("x", nil, 0, ""), proto.ErrBadArguments},
		{proto.OpCreate, quota, 0, create("/none/\x00", nil, 0, ""), proto.ErrBadArguments},
		{proto.OpCreate, quota, 0, create("/none/\x01", nil, 0, ""), proto.ErrInvalidACL},
		{proto.OpCreate, quota, 0, create("/none/\x01", openACL, 0, ""), proto.ErrNoNode},
		{proto.OpCreate, quota, 0, create("/locked/\x01", openACL, 0, ""), proto.ErrNoAuth},
		{proto.OpCreate, quota, 0, create("/e/\x01", openACL, 0, ""), proto.ErrBadArguments},
		{proto.OpCreate, quota, 0, create("/a/b", openACL, 0, ""), proto.ErrNodeExists},
		{proto.OpCreate, quota, 0, create("/e/x", openACL, 0, ""), proto.ErrNoChildrenForEphemerals},
		{proto.OpCreate, quota, 0, create("/q/x", openACL, 0, "1234"), proto.ErrQuotaExceeded},
		{proto.OpCreate, quota, 0, create("/q/x", openACL, 0, "123"), proto.OK},

		{proto.OpDelete, quota, moved, nil, proto.ErrMarshalling},
		{proto.OpDelete, quota, moved, version("/", 9), moved},
		{proto.OpDelete, quota, 0, version("/zookeeper/quota", 9), proto.ErrBadArguments},
		{proto.OpDelete, quota, 0, version("/none/x", 9), proto.ErrNoNode},
		{proto.OpDelete, quota, 0, version("/locked/none", 9), proto.ErrNoAuth},
		{proto.OpDelete, quota, 0, version("/none", 9), proto.ErrNoNode},
		{proto.OpDelete, quota, 0, version("/a", 9), proto.ErrBadVersion},
		{proto.OpDelete, quota, 0, version("/a", 0), proto.ErrNotEmpty},
		{proto.OpDelete, quota, 0, version("/a/b", 0), proto.OK},

		{proto.OpSetData, quota, moved, nil, proto.ErrMarshalling},
		{proto.OpSetData, quota, moved, set("x", "", 9), moved},
		{proto.OpSetData, quota, 0, set("/none/", "", 9), proto.ErrBadArguments},
		{proto.OpSetData, quota, 0, set("/none", "", 9), proto.ErrNoNode},
		{proto.OpSetData, quota, 0, set("/locked", "", 9), proto.ErrNoAuth},
		{proto.OpSetData, quota, 0, set("/q", "1234", 9), proto.ErrQuotaExceeded},
		{proto.OpSetData, quota, 0, set("/q/x", "123", 9), proto.ErrBadVersion},
		{proto.OpSetData, quota, 0, set("/q/x", "321", 0), proto.OK},

		{proto.OpSetACL, quota, moved, nil, proto.ErrMarshalling},
		{proto.OpSetACL, quota, moved, setACL("x", nil, 9), moved},
		{proto.OpSetACL, quota, 0, setACL("x", nil, 9), proto.ErrBadArguments},
		{proto.OpSetACL, quota, 0, setACL("/none", nil, 9), proto.ErrInvalidACL},
		{proto.OpSetACL, quota, 0, setACL("/none", openACL, 9), proto.ErrNoNode},
		{proto.OpSetACL, quota, 0, setACL("/locked", openACL, 9), proto.ErrNoAuth},
		{proto.OpSetACL, quota, 0, setACL("/a", openACL, 9), proto.ErrBadVersion},
		{proto.OpSetACL, quota, 0, setACL("/a", openACL, 0), proto.OK},

		{proto.OpCheck, quota, moved, version("/a", -1), proto.ErrUnimplemented},
		{proto.OpReconfig, quota, moved, nil, proto.ErrMarshalling},
		{proto.OpReconfig, quota, moved, reconfig, proto.ErrReconfigDisabled},
		{proto.OpReconfig, Options{Reconfig: true}, moved, reconfig, moved},
		{proto.OpReconfig, Options{Reconfig: true}, 0, reconfig, proto.ErrUnimplemented},
		{proto.OpGetData, quota, 0, nil, proto.ErrUnimplemented},
		{proto.OpCreateSession, quota, 0, []byte{0}, proto.ErrMarshalling},
		{proto.OpDeleteContainer, quota, moved, nil, proto.ErrMarshalling},
		{proto.OpCloseSession, quota, moved, nil, proto.OK},
	}
	for i, tt := range tests {
		if got := plan(tt.opts, Request{Session: 1, Op: tt.op, Body: tt.body, SessionErr: tt.session}); got != tt.want {
			t.Errorf("%d: %v %q: %v, want %v", i, tt.op, tt.body, got, tt.want)
		}
	}
}
