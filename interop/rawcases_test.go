package interop

import (
	"fmt"
	"strings"

	"zebu/proto"
)

// rawCases are the exchanges that TestRawProtocol compares.
func rawCases() []rawCase {
	cases := []rawCase{
		{name: "connect", run: rawConnect},
		{name: "resume", run: rawResume},
		{name: "lengths", run: rawLengths},
		{name: "unknown-opcodes", run: rawUnknownOpcodes},
		{name: "truncated", run: rawTruncated, anyZxid: "Apache uses up a zxid for an undecodable multi, but not for other undecodable writes; zebu does for all"},
		{name: "trailing", run: rawTrailing},
		{name: "hostile-lengths", run: rawHostileLengths, anyZxid: "as in truncated"},
		{name: "create-modes", run: rawCreateModes},
		{name: "paths", run: rawPaths},
		{name: "pipeline", run: rawPipeline},
		{name: "multi", run: rawMulti},
		{name: "multi-read", run: rawMultiRead},
		{name: "watch-types", run: rawWatchTypes},
		{name: "set-watches", run: rawSetWatches},
		{name: "watch-order", run: rawWatchOrder},
		{name: "auth", run: rawAuth},
		{name: "xids", run: rawXids},
		{name: "close-session", run: rawCloseSession, anyZxid: "what is sent behind closeSession may or may not get a transaction before the connection closes"},
		{name: "reconfig-sasl-whoami", run: rawOddOps},
		{name: "versions", run: rawVersions},
		{name: "create-container-by-op-1", run: rawContainerByCreate},
		{name: "nulls", run: rawNulls,
			deliberate: "a null path or id is read as an empty one; Apache runs into a null pointer and answers MARSHALLINGERROR"},
		{name: "odd-strings", run: rawOddStrings,
			deliberate: "zebu echoes a path's bytes, Apache decodes and encodes them anew; a blank is a prefix like any other"},
		{name: "negative-vector", run: rawNegativeVector,
			deliberate: "a vector length below -1 is MARSHALLINGERROR; Apache takes it for null and reads on"},
		{name: "multi-read-of-writes", run: rawMultiReadOfWrites,
			deliberate: "an error has no body; Apache appends an empty multi to this one"},
		{name: "sasl-null", run: rawSASLNull,
			deliberate: "a null token is answered like an empty one; Apache runs into a null pointer and hangs up"},
		{name: "create-session-op", run: rawInternalOp(proto.OpCreateSession, i32(5000)),
			deliberate: "Apache lets a client create sessions it does not own; zebu treats -10 as unknown"},
		{name: "delete-container-op", run: rawInternalOp(proto.OpDeleteContainer, str("/reap")),
			deliberate: "Apache lets any client delete without a permission check; zebu treats 20 as unknown"},
	}
	return cases
}

func connectRequest(ms int32) proto.ConnectRequest {
	return proto.ConnectRequest{Timeout: ms, Passwd: make([]byte, 16), HasReadOnly: true}
}

// handshake sends a connect frame as it is and writes down the answer, which the connection keeps if it is one.
func (x *rawRun) handshake(what string, frame []byte) *wire {
	w := x.dial()
	if w == nil {
		return nil
	}
	if err := w.sendFrame(frame); err != nil {
		x.logf("%s => closed", what)
		return w
	}
	b, err := w.readFrame()
	if err != nil {
		x.logf("%s => %s", what, closed(err))
		return w
	}
	d := proto.NewDecoder(b)
	w.resp.Decode(&d)
	r := &w.resp
	x.logf("%s => %d bytes protocol=%d timeout=%d session=%t passwd=%d zero=%t readOnly=%t,%t", what, len(b), r.ProtocolVersion,
		r.Timeout, r.SessionID != 0, len(r.Passwd), strings.Trim(string(r.Passwd), "\x00") == "", r.HasReadOnly, r.ReadOnly)
	return w
}

func rawConnect(x *rawRun) {
	for _, ms := range []int32{0, -1, -2147483648, 1, 999, 1000, 30000, 60001, 2147483647} {
		r := connectRequest(ms)
		x.handshake(fmt.Sprintf("timeout %d", ms), r.Append(nil))
	}
	plain := connectRequest(10000)
	variants := map[string]func(*proto.ConnectRequest){
		"a no readOnly byte":          func(r *proto.ConnectRequest) { r.HasReadOnly = false },
		"b readOnly true":             func(r *proto.ConnectRequest) { r.ReadOnly = true },
		"c protocol version 5":        func(r *proto.ConnectRequest) { r.ProtocolVersion = 5 },
		"d null password":             func(r *proto.ConnectRequest) { r.Passwd = nil },
		"e short password":            func(r *proto.ConnectRequest) { r.Passwd = []byte{1} },
		"f long password":             func(r *proto.ConnectRequest) { r.Passwd = make([]byte, 100) },
		"g zxid ahead":                func(r *proto.ConnectRequest) { r.LastZxidSeen = 1 << 40 },
		"h zxid negative":             func(r *proto.ConnectRequest) { r.LastZxidSeen = -5 },
		"i unknown session":           func(r *proto.ConnectRequest) { r.SessionID = 0x123456789 },
		"j negative session":          func(r *proto.ConnectRequest) { r.SessionID = -5 },
		"k unknown, no readOnly byte": func(r *proto.ConnectRequest) { r.SessionID, r.HasReadOnly = 77, false },
		"l unknown and zxid ahead":    func(r *proto.ConnectRequest) { r.SessionID, r.LastZxidSeen = 77, 1<<40 },
		"m unknown, null password":    func(r *proto.ConnectRequest) { r.SessionID, r.Passwd = 77, nil },
	}
	for _, name := range sortedKeys(variants) {
		r := plain
		variants[name](&r)
		x.handshake(name, r.Append(nil))
	}
	whole := plain.Append(nil)
	for _, n := range []int{0, 1, 4, 12, 16, 24, 27, 28, 40, 43} {
		x.handshake(fmt.Sprintf("first %d bytes", n), whole[:n])
	}
	w := x.handshake("ten bytes more", append(plain.Append(nil), make([]byte, 10)...))
	x.exchange(w, "exists", proto.OpExists, &proto.PathWatchRequest{Path: "/"})
	x.handshake("a request instead", encodeRequest(1, proto.OpExists, &proto.PathWatchRequest{Path: "/zookeeper/config"}))
	w = x.session()
	if err := w.sendFrame(plain.Append(nil)); err != nil {
		x.fail(err)
	}
	x.collect(w, "connecting twice", proto.OpNotification)
}

func rawResume(x *rawRun) {
	old := x.session()
	x.exchange(old, "create", proto.OpCreate, &proto.CreateRequest{Path: "/resume-e", Data: []byte("x"), ACL: openACL, Flags: proto.Ephemeral})
	r := proto.ConnectRequest{Timeout: 3000, SessionID: old.resp.SessionID, Passwd: old.resp.Passwd, HasReadOnly: true}
	again := x.handshake("take over", r.Append(nil))
	x.collect(old, "the old connection", proto.OpNotification)
	x.logf("same session: %t", again.resp.SessionID == old.resp.SessionID)
	x.exchange(again, "ephemeral", proto.OpExists, &proto.PathWatchRequest{Path: "/resume-e"})
	bad := r
	bad.Passwd = make([]byte, 16)
	w := x.handshake("zero password", bad.Append(nil))
	x.collect(w, "after the refusal", proto.OpNotification)
	bad.Passwd = nil
	x.handshake("null password", bad.Append(nil))
	bad.Passwd = r.Passwd[:15]
	x.handshake("short password", bad.Append(nil))
	third := x.handshake("once more", r.Append(nil))
	x.exchange(third, "ephemeral", proto.OpGetEphemerals, &proto.PathRequest{Path: "/"})
	x.exchange(third, "close", proto.OpCloseSession, nil)
	x.collect(third, "after closing", proto.OpNotification)
	x.handshake("closed session", r.Append(nil))
}

func rawLengths(x *rawRun) {
	for _, n := range []int32{-1, -2147483648, 0x100000, 0x7fffffff} {
		w := x.session()
		if err := w.sendRaw(i32(n)); err != nil {
			x.fail(err)
		}
		x.collect(w, fmt.Sprintf("frame length %d", n), proto.OpNotification)
		w = x.dial()
		if err := w.sendRaw(i32(n)); err != nil {
			x.fail(err)
		}
		x.collect(w, fmt.Sprintf("first frame's length %d", n), proto.OpNotification)
	}
	for n := range 8 {
		w := x.session()
		if err := w.sendFrame(make([]byte, n)); err != nil {
			x.fail(err)
		}
		x.collect(w, fmt.Sprintf("frame of %d zeros", n), proto.OpNotification)
	}
	w := x.session()
	x.exchange(w, "largest", proto.OpCreate, &proto.CreateRequest{Path: "/largest", Data: make([]byte, 0xfffff-8-4-8-4-4-4-4-5-4-6-4), ACL: openACL})
	x.exchange(w, "just below", proto.OpCreate, &proto.CreateRequest{Path: "/below", Data: make([]byte, 0xfff00), ACL: openACL})
	x.exchange(w, "too large", proto.OpCreate, &proto.CreateRequest{Path: "/large", Data: make([]byte, 0x100000), ACL: openACL})
}

func rawUnknownOpcodes(x *rawRun) {
	control := x.session()
	for _, op := range []proto.OpCode{0, 10, -1, -2, -9, -12, 13, 23, 24, 50, 99, 108, 1000, -2147483648, 2147483647} {
		w := x.session()
		x.exchange(w, fmt.Sprintf("op %d with a body", op), op, join(str("/"), i32(-1)))
		x.collect(w, "then", proto.OpNotification)
		w = x.session()
		x.exchange(w, fmt.Sprintf("op %d", op), op, nil)
		x.collect(w, "then", proto.OpNotification)
	}
	w := x.session()
	x.exchange(w, "op -10 with nothing", proto.OpNotification, nil)
	x.settle(control)
}

// bodies are well-formed bodies of every operation but auth and sasl.
func bodies(dir string) []struct {
	op   proto.OpCode
	body record
} {
	create := proto.CreateRequest{Path: dir + "/c", Data: []byte("x"), ACL: openACL}
	container := create
	container.Flags = proto.Container
	watch := &proto.PathWatchRequest{Path: dir}
	return []struct {
		op   proto.OpCode
		body record
	}{
		{proto.OpCreate, &create},
		{proto.OpExists, watch},
		{proto.OpGetData, watch},
		{proto.OpSetData, &proto.SetDataRequest{Path: dir, Data: []byte("y"), Version: -1}},
		{proto.OpGetACL, &proto.PathRequest{Path: dir}},
		{proto.OpSetACL, &proto.SetACLRequest{Path: dir, ACL: openACL, Version: -1}},
		{proto.OpGetChildren, watch},
		{proto.OpSync, &proto.PathRequest{Path: dir}},
		{proto.OpGetChildren2, watch},
		{proto.OpDelete, &proto.PathVersion{Path: dir + "/c", Version: -1}},
		{proto.OpMulti, multiOf(multiOp(proto.OpCheck, &proto.PathVersion{Path: dir, Version: -1}))},
		{proto.OpCreate2, &create},
		{proto.OpCheckWatches, &proto.PathWatcherType{Path: dir, Type: proto.WatcherAny}},
		{proto.OpRemoveWatches, &proto.PathWatcherType{Path: dir, Type: proto.WatcherAny}},
		{proto.OpCreateContainer, &container},
		{proto.OpCreateTTL, &proto.CreateTTLRequest{Path: dir + "/t", ACL: openACL, Flags: proto.PersistentTTL, TTL: 100000}},
		{proto.OpMultiRead, multiOf(multiOp(proto.OpGetData, watch))},
		{proto.OpSetWatches, &proto.SetWatches{RelativeZxid: 1 << 40, DataWatches: []string{dir}, ExistWatches: []string{}, ChildWatches: []string{}}},
		{proto.OpGetEphemerals, &proto.PathRequest{Path: "/"}},
		{proto.OpGetAllChildrenNumber, &proto.PathRequest{Path: dir}},
		{proto.OpSetWatches2, &proto.SetWatches2{RelativeZxid: 1 << 40, DataWatches: []string{dir}, ExistWatches: []string{}, ChildWatches: []string{},
			PersistentWatches: []string{}, PersistentRecursiveWatches: []string{}}},
		{proto.OpAddWatch, &proto.AddWatchRequest{Path: dir, Mode: 0}},
		{proto.OpReconfig, &proto.ReconfigRequest{CurConfigID: -1}},
	}
}

func rawTruncated(x *rawRun) {
	control := x.session()
	x.exchange(control, "create", proto.OpCreate, &proto.CreateRequest{Path: "/truncated", ACL: openACL})
	for _, b := range bodies("/truncated") {
		whole := b.body.Append(nil)
		for _, n := range []int{0, 2, 4, len(whole) / 2, len(whole) - 1} {
			w := x.session()
			x.exchange(w, fmt.Sprintf("%v cut to %d of %d", b.op, n, len(whole)), b.op, rawBody(whole[:n]))
			x.exchange(w, "then exists", proto.OpExists, &proto.PathWatchRequest{Path: "/truncated"})
		}
		x.settle(control)
	}
}

func rawTrailing(x *rawRun) {
	w := x.session()
	x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/trailing", ACL: openACL})
	for _, b := range bodies("/trailing") {
		x.exchange(w, fmt.Sprintf("%v and more", b.op), b.op, rawBody(append(b.body.Append(nil), 1, 2, 3, 4, 5)))
	}
	x.exchange(w, "whoAmI and more", proto.OpWhoAmI, rawBody{1, 2, 3})
	x.exchange(w, "ping and more", proto.OpPing, rawBody{1, 2, 3})
}

func rawHostileLengths(x *rawRun) {
	control := x.session()
	try := func(what string, op proto.OpCode, body rawBody) {
		w := x.session()
		x.exchange(w, what, op, body)
		x.exchange(w, "then exists", proto.OpExists, &proto.PathWatchRequest{Path: "/"})
	}
	for _, n := range []int32{-2, -2147483648, 0x7fffffff, 1 << 20, 3 << 20} {
		try(fmt.Sprintf("getData path length %d", n), proto.OpGetData, join(i32(n), []byte("/x"), []byte{0}))
		try(fmt.Sprintf("setData data length %d", n), proto.OpSetData, join(str("/x"), i32(n), []byte("abcdefgh")))
		if n < 0 {
			continue // a case of its own
		}
		try(fmt.Sprintf("create acl count %d", n), proto.OpCreate, join(str("/hostile"), i32(0), i32(n), []byte("abcdefgh")))
	}
	for _, n := range []int32{-2, 1 << 20} {
		try(fmt.Sprintf("setWatches count %d", n), proto.OpSetWatches, join(i64(1<<40), i32(n), []byte("abcd")))
	}
	x.settle(control)
}

func rawNulls(x *rawRun) {
	control := x.session()
	null := i32(-1)
	acls := (&proto.CreateRequest{ACL: openACL}).Append(nil)[8:] // acl vector and flags
	try := func(what string, op proto.OpCode, parts ...[]byte) {
		w := x.session()
		x.exchange(w, what, op, join(parts...))
		x.exchange(w, "then exists", proto.OpExists, &proto.PathWatchRequest{Path: "/"})
	}
	for _, op := range []proto.OpCode{proto.OpExists, proto.OpGetData, proto.OpGetChildren, proto.OpGetChildren2} {
		try(fmt.Sprintf("%v of null", op), op, null, []byte{0})
		try(fmt.Sprintf("%v of empty path", op), op, str(""), []byte{0})
	}
	for _, op := range []proto.OpCode{proto.OpGetACL, proto.OpGetEphemerals, proto.OpGetAllChildrenNumber, proto.OpSync} {
		try(fmt.Sprintf("%v of null", op), op, null)
		try(fmt.Sprintf("%v of empty path", op), op, str(""))
	}
	try("create at null", proto.OpCreate, null, str("x"), acls)
	try("create at empty path", proto.OpCreate, str(""), str("x"), acls)
	try("create with null acl", proto.OpCreate, str("/nullacl"), str("x"), null, i32(0))
	try("create with null scheme", proto.OpCreate, str("/nullscheme"), str("x"), i32(1), i32(31), null, str("anyone"), i32(0))
	try("create with null id", proto.OpCreate, str("/nullid"), str("x"), i32(1), i32(31), str("world"), null, i32(0))
	try("set at null", proto.OpSetData, null, str("x"), i32(-1))
	try("delete at null", proto.OpDelete, null, i32(-1))
	try("setACL with null acl", proto.OpSetACL, str("/"), null, i32(-1))
	try("addWatch at null", proto.OpAddWatch, null, i32(0))
	try("removeWatches at null", proto.OpRemoveWatches, null, i32(3))
	try("setWatches with nulls", proto.OpSetWatches, i64(1<<40), null, null, null)
	try("setWatches with a null path", proto.OpSetWatches, i64(1<<40), i32(1), null, i32(0), i32(0))
	x.settle(control)
}

func rawCreateModes(x *rawRun) {
	w := x.session()
	x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/modes", ACL: openACL})
	n := 0
	path := func() string { n++; return fmt.Sprintf("/modes/%d-", n) }
	for _, op := range []proto.OpCode{proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer} {
		for _, flags := range []proto.CreateMode{0, 1, 2, 3, 4, 5, 6, 7, -1, 100} {
			if op != proto.OpCreateContainer && flags == proto.Container {
				continue // a case of its own
			}
			if op == proto.OpCreateContainer && flags != proto.Container {
				continue // Apache makes plain nodes, which the reaper then takes for containers
			}
			x.exchange(w, fmt.Sprintf("%v flags %d", op, flags), op, &proto.CreateRequest{Path: path(), Data: []byte("x"), ACL: openACL, Flags: flags})
		}
	}
	for _, flags := range []proto.CreateMode{5, 6, 7, -1} {
		for _, ttl := range []int64{-1, 0, 1000000, proto.MaxTTL, proto.MaxTTL + 1, -1 << 63} {
			x.exchange(w, fmt.Sprintf("createTTL flags %d ttl %d", flags, ttl), proto.OpCreateTTL,
				&proto.CreateTTLRequest{Path: path(), ACL: openACL, Flags: flags, TTL: ttl})
		}
	}
	x.exchange(w, "children", proto.OpGetChildren2, &proto.PathWatchRequest{Path: "/modes"})
}

// oddPaths break one rule each, or none though they look like it.
var oddPaths = []string{
	"", "relative", "/", "//", "/a/", "/paths/", "/paths//x", "/paths/.", "/paths/..", "/paths/./x", "/paths/../x", "/paths/...",
	"/paths/.x", "/paths/x.", "/paths/a\x00b", "/paths/a\x01b", "/paths/a\x1fb", "/paths/a\x7fb", "/paths/a\u009fb", "/paths/a\u00a0b",
	"/paths/a\ud7ffb", "/paths/a\ue000b", "/paths/a\uf8ffb", "/paths/a\uf900b", "/paths/a\uffefb", "/paths/a\ufff0b", "/paths/a\uffffb",
	"/paths/\U0001f404", "/paths/bad\xff\xfeutf8", "/paths/\xed\xa0\xbd\xed\xb0\x84", "/paths/with space", "/paths/ünïcode", "/paths/none/x",
	"/zookeeper", "/zookeeper/", "/zookeeper/quota", "/zookeeperx", " ", "/paths/x\n",
}

func rawPaths(x *rawRun) {
	w := x.session()
	x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/paths", ACL: openACL})
	for _, p := range oddPaths {
		q := fmt.Sprintf("%q", p)
		x.exchange(w, "create "+q, proto.OpCreate, &proto.CreateRequest{Path: p, ACL: openACL})
		x.exchange(w, "create sequential "+q, proto.OpCreate2, &proto.CreateRequest{Path: p, ACL: openACL, Flags: proto.EphemeralSequential})
		x.exchange(w, "delete "+q, proto.OpDelete, &proto.PathVersion{Path: p, Version: 99})
		x.exchange(w, "getData "+q, proto.OpGetData, &proto.PathWatchRequest{Path: p})
		x.exchange(w, "exists "+q, proto.OpExists, &proto.PathWatchRequest{Path: p})
		x.exchange(w, "getChildren "+q, proto.OpGetChildren2, &proto.PathWatchRequest{Path: p})
		x.exchange(w, "setData "+q, proto.OpSetData, &proto.SetDataRequest{Path: p, Version: 99})
		x.exchange(w, "getACL "+q, proto.OpGetACL, &proto.PathRequest{Path: p})
		x.exchange(w, "setACL "+q, proto.OpSetACL, &proto.SetACLRequest{Path: p, ACL: openACL, Version: 99})
		x.exchange(w, "check "+q, proto.OpMulti, multiOf(multiOp(proto.OpCheck, &proto.PathVersion{Path: p, Version: 99})))
		if !oddStrings[p] {
			x.exchange(w, "getAllChildrenNumber "+q, proto.OpGetAllChildrenNumber, &proto.PathRequest{Path: p})
			x.exchange(w, "getEphemerals "+q, proto.OpGetEphemerals, &proto.PathRequest{Path: p})
			x.exchange(w, "sync "+q, proto.OpSync, &proto.PathRequest{Path: p})
		}
		x.exchange(w, "addWatch "+q, proto.OpAddWatch, &proto.AddWatchRequest{Path: p})
		x.exchange(w, "removeWatches "+q, proto.OpRemoveWatches, &proto.PathWatcherType{Path: p, Type: 3})
	}
}

// oddStrings are those of oddPaths that Apache does not send back as they came, or finds special though they are not paths.
var oddStrings = map[string]bool{"": true, " ": true, "/paths/\U0001f404": true, "/paths/bad\xff\xfeutf8": true, "/paths/\xed\xa0\xbd\xed\xb0\x84": true}

func rawOddStrings(x *rawRun) {
	w := x.session()
	x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/odd-e", ACL: openACL, Flags: proto.Ephemeral})
	for _, p := range sortedKeys(oddStrings) {
		q := fmt.Sprintf("%q", p)
		x.exchange(w, "getAllChildrenNumber "+q, proto.OpGetAllChildrenNumber, &proto.PathRequest{Path: p})
		x.exchange(w, "getEphemerals "+q, proto.OpGetEphemerals, &proto.PathRequest{Path: p})
		x.exchange(w, "sync "+q, proto.OpSync, &proto.PathRequest{Path: p})
	}
}

func rawNegativeVector(x *rawRun) {
	w := x.session()
	x.exchange(w, "create", proto.OpCreate, join(str("/negative"), i32(0), i32(-2), []byte("abcdefgh")))
}

func rawMultiReadOfWrites(x *rawRun) {
	w := x.session()
	x.exchange(w, "write", proto.OpMultiRead, multiOf(multiOp(proto.OpSetData, &proto.SetDataRequest{Path: "/mr", Version: -1})))
}

func rawSASLNull(x *rawRun) {
	w := x.session()
	x.exchange(w, "sasl", proto.OpSASL, &proto.TokenRecord{})
	x.exchange(w, "then exists", proto.OpExists, &proto.PathWatchRequest{Path: "/"})
}

func rawAuth(x *rawRun) {
	send := func(what string, xid int32, body rawBody) {
		w := x.session()
		if err := w.sendFrame(encodeRequest(xid, proto.OpAuth, body)); err != nil {
			x.fail(err)
		}
		x.collect(w, what, proto.OpAuth)
		x.exchange(w, "then whoAmI", proto.OpWhoAmI, nil)
	}
	secret := []byte("joe:secret")
	packet := func(kind int32, scheme, data []byte) rawBody { return join(i32(kind), scheme, data) }
	buf := append(i32(int32(len(secret))), secret...)
	send("digest", -4, packet(0, str("digest"), buf))
	send("type 7", -4, packet(7, str("digest"), buf))
	send("xid 1", 1, packet(0, str("digest"), buf))
	send("unknown scheme", -4, packet(0, str("nosuch"), buf))
	send("empty scheme", -4, packet(0, str(""), buf))
	send("null scheme", -4, packet(0, i32(-1), buf))
	send("world", -4, packet(0, str("world"), buf))
	send("ip", -4, packet(0, str("ip"), buf))
	send("super", -4, packet(0, str("super"), buf))
	send("sasl", -4, packet(0, str("sasl"), buf))
	send("no colon", -4, packet(0, str("digest"), append(i32(3), "joe"...)))
	send("empty", -4, packet(0, str("digest"), i32(0)))
	send("cut", -4, packet(0, str("digest"), i32(5)))
	send("nothing", -4, nil)
	w := x.session()
	for _, who := range []string{"a:1", "b:2", "a:1", "super:test"} {
		if err := w.sendFrame(encodeRequest(-4, proto.OpAuth, packet(0, str("digest"), append(i32(int32(len(who))), who...)))); err != nil {
			x.fail(err)
		}
		x.collect(w, "add "+who, proto.OpAuth)
	}
	x.exchange(w, "create by all", proto.OpCreate, &proto.CreateRequest{Path: "/auth", ACL: []proto.ACL{{Perms: 31, ID: proto.ID{Scheme: "auth", ID: "ignored"}}}})
	x.exchange(w, "its acl", proto.OpGetACL, &proto.PathRequest{Path: "/auth"})
	other := x.session()
	x.exchange(other, "its acl to others", proto.OpGetACL, &proto.PathRequest{Path: "/auth"})
}

func rawXids(x *rawRun) {
	body := &proto.PathWatchRequest{Path: "/zookeeper"}
	for _, xid := range []int32{0, -1, -2, -3, -4, -8, -100, 2147483647, -2147483648} {
		w := x.session()
		if err := w.sendFrame(encodeRequest(xid, proto.OpExists, body)); err != nil {
			x.fail(err)
		}
		f, err := w.read()
		if err != nil {
			x.logf("exists with xid %d => %s", xid, closed(err))
			continue
		}
		x.logf("exists with xid %d => xid %d err=%v %s", xid, f.Xid, f.Err, x.body(proto.OpExists, f))
		if err := w.sendFrame(encodeRequest(xid, proto.OpPing, nil)); err != nil {
			x.fail(err)
		}
		f, err = w.read()
		x.logf("ping with xid %d => xid %d err=%v %x %v", xid, f.Xid, f.Err, f.Body, err)
	}
	w := x.session()
	for _, xid := range []int32{5, 3, 3, 9} {
		if err := w.sendFrame(encodeRequest(xid, proto.OpExists, body)); err != nil {
			x.fail(err)
		}
	}
	for range 4 {
		f, err := w.read()
		x.logf("xids out of order => %d %v", f.Xid, err)
	}
}

func rawCloseSession(x *rawRun) {
	w := x.session()
	x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/close-e", ACL: openACL, Flags: proto.Ephemeral})
	x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/close-e2", ACL: openACL, Flags: proto.Ephemeral})
	watcher := x.session()
	x.exchange(watcher, "watch", proto.OpExists, &proto.PathWatchRequest{Path: "/close-e", Watch: true})
	x.exchange(watcher, "watch", proto.OpExists, &proto.PathWatchRequest{Path: "/close-e2", Watch: true})
	x.exchange(w, "close with a body", proto.OpCloseSession, rawBody{1, 2, 3, 4})
	x.collect(w, "then", proto.OpNotification)
	x.exchange(watcher, "watcher", proto.OpSync, &proto.PathRequest{Path: "/"})

	// what is pipelined behind a close
	w = x.session()
	batch := frameOf(encodeRequest(1, proto.OpCreate, &proto.CreateRequest{Path: "/close-1", ACL: openACL}))
	batch = append(batch, frameOf(encodeRequest(2, proto.OpCloseSession, nil))...)
	batch = append(batch, frameOf(encodeRequest(3, proto.OpCreate, &proto.CreateRequest{Path: "/close-3", ACL: openACL}))...)
	if err := w.sendRaw(batch); err != nil {
		x.fail(err)
	}
	x.collect(w, "create before", proto.OpCreate)
	x.collect(w, "close", proto.OpCloseSession)
	x.exchange(watcher, "created", proto.OpExists, &proto.PathWatchRequest{Path: "/close-1"})
}

func frameOf(b []byte) []byte { return append(i32(int32(len(b))), b...) }

func rawOddOps(x *rawRun) {
	control := x.session()
	for _, body := range []record{
		&proto.ReconfigRequest{NewMembers: []byte("server.1=127.0.0.1:1:2"), CurConfigID: -1},
		&proto.ReconfigRequest{JoiningServers: []byte("server.2=127.0.0.1:1:2;3"), CurConfigID: 5},
	} {
		w := x.session()
		x.exchange(w, "reconfig", proto.OpReconfig, body)
		x.exchange(w, "then exists", proto.OpExists, &proto.PathWatchRequest{Path: "/"})
	}
	for _, token := range [][]byte{{}, []byte("token")} {
		w := x.session()
		x.exchange(w, fmt.Sprintf("sasl %q", token), proto.OpSASL, &proto.TokenRecord{Token: token})
		x.exchange(w, "then exists", proto.OpExists, &proto.PathWatchRequest{Path: "/"})
	}
	w := x.session()
	x.exchange(w, "whoAmI", proto.OpWhoAmI, nil)
	x.exchange(w, "config", proto.OpGetData, &proto.PathWatchRequest{Path: "/zookeeper/config", Watch: true})
	x.settle(control)
}

func rawVersions(x *rawRun) {
	w := x.session()
	x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/versions", ACL: openACL})
	for _, v := range []int32{-1, 0, 1, -1, 2, -2, 2147483647, -2147483648} {
		x.exchange(w, fmt.Sprintf("setData version %d", v), proto.OpSetData, &proto.SetDataRequest{Path: "/versions", Data: []byte("x"), Version: v})
		x.exchange(w, fmt.Sprintf("setACL version %d", v), proto.OpSetACL, &proto.SetACLRequest{Path: "/versions", ACL: openACL, Version: v})
		x.exchange(w, fmt.Sprintf("check version %d", v), proto.OpMulti, multiOf(multiOp(proto.OpCheck, &proto.PathVersion{Path: "/versions", Version: v})))
	}
	x.exchange(w, "delete", proto.OpDelete, &proto.PathVersion{Path: "/versions", Version: 3})
	x.exchange(w, "delete", proto.OpDelete, &proto.PathVersion{Path: "/versions", Version: 4})
}

func rawContainerByCreate(x *rawRun) {
	w := x.session()
	for _, op := range []proto.OpCode{proto.OpCreate, proto.OpCreate2} {
		path := fmt.Sprintf("/container-%d", op)
		x.exchange(w, fmt.Sprintf("%v flags 4", op), op, &proto.CreateRequest{Path: path, ACL: openACL, Flags: proto.Container})
		x.exchange(w, "exists", proto.OpExists, &proto.PathWatchRequest{Path: path})
	}
}

func rawInternalOp(op proto.OpCode, body []byte) func(*rawRun) {
	return func(x *rawRun) {
		w := x.session()
		x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/reap", ACL: []proto.ACL{{Perms: 1, ID: openACL[0].ID}}})
		x.exchange(w, op.String(), op, rawBody(body))
		x.exchange(x.session(), "exists", proto.OpExists, &proto.PathWatchRequest{Path: "/reap"})
	}
}
