package interop

import (
	"fmt"
	"maps"
	"slices"

	"zebu/proto"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// multiOp is one operation of a multi.
func multiOp(op proto.OpCode, body record) []byte {
	h := proto.MultiHeader{Op: op, Err: -1}
	b := h.Append(nil)
	if body != nil {
		b = body.Append(b)
	}
	return b
}

// multiOf ends a multi's operations.
func multiOf(ops ...[]byte) rawBody {
	end := proto.MultiHeader{Op: proto.OpError, Done: true, Err: -1}
	return append(join(ops...), end.Append(nil)...)
}

// pipeline sends requests in one write and collects as many replies.
func (x *rawRun) pipeline(w *wire, requests []pipelined) {
	var batch []byte
	for i, r := range requests {
		batch = append(batch, frameOf(encodeRequest(w.xid+int32(i)+1, r.op, r.body))...)
	}
	if err := w.sendRaw(batch); err != nil {
		x.fail(err)
		return
	}
	for _, r := range requests {
		w.xid++
		x.collect(w, r.op.String(), r.op)
	}
}

type pipelined struct {
	op   proto.OpCode
	body record
}

// rawPipeline sends reads behind writes: each must see what came before it, and events come at their place.
func rawPipeline(x *rawRun) {
	w := x.session()
	create := func(p string) pipelined {
		return pipelined{proto.OpCreate, &proto.CreateRequest{Path: p, Data: []byte("0"), ACL: openACL}}
	}
	get := func(p string, watch bool) pipelined {
		return pipelined{proto.OpGetData, &proto.PathWatchRequest{Path: p, Watch: watch}}
	}
	set := func(p, d string, v int32) pipelined {
		return pipelined{proto.OpSetData, &proto.SetDataRequest{Path: p, Data: []byte(d), Version: v}}
	}
	exists := func(p string) pipelined {
		return pipelined{proto.OpExists, &proto.PathWatchRequest{Path: p, Watch: true}}
	}
	del := func(p string) pipelined {
		return pipelined{proto.OpDelete, &proto.PathVersion{Path: p, Version: -1}}
	}
	x.pipeline(w, []pipelined{
		exists("/pipe"), create("/pipe"), get("/pipe", true), set("/pipe", "1", 0), get("/pipe", true), set("/pipe", "2", 0),
		set("/pipe", "2", 1), get("/pipe", false), create("/pipe/a"), create("/pipe/a"), del("/pipe"), exists("/pipe/a"),
		del("/pipe/a"), get("/pipe/a", true), {proto.OpSync, &proto.PathRequest{Path: "/pipe"}}, exists("/pipe/a"),
		{proto.OpGetChildren2, &proto.PathWatchRequest{Path: "/pipe", Watch: true}}, create("/pipe/b"), del("/pipe/b"), del("/pipe"),
		get("/pipe", false), {proto.OpPing, nil}, create("/pipe"), exists("/pipe"),
	})
	// another session's watches on what a pipeline changes
	other := x.session()
	for _, p := range []string{"/pipe", "/pipe/x", "/pipe/y"} {
		x.exchange(other, "watch "+p, proto.OpExists, &proto.PathWatchRequest{Path: p, Watch: true})
	}
	x.exchange(other, "watch children", proto.OpGetChildren, &proto.PathWatchRequest{Path: "/pipe", Watch: true})
	x.pipeline(w, []pipelined{create("/pipe/x"), create("/pipe/y"), set("/pipe/x", "1", -1), set("/pipe", "1", -1), del("/pipe/x"), del("/pipe/y"), del("/pipe")})
	x.exchange(other, "the watcher", proto.OpSync, &proto.PathRequest{Path: "/"})
	// a long one: sequence numbers and versions without a gap
	var many []pipelined
	many = append(many, create("/many"))
	for i := range 200 {
		many = append(many, pipelined{proto.OpCreate, &proto.CreateRequest{Path: "/many/s-", ACL: openACL, Flags: proto.CreateMode(2 + i%2)}}, set("/many", fmt.Sprint(i), int32(i)))
	}
	x.pipeline(w, append(many, get("/many", false)))
}

func rawMulti(x *rawRun) {
	w := x.session()
	create := func(p string, mode proto.CreateMode) []byte {
		return multiOp(proto.OpCreate, &proto.CreateRequest{Path: p, Data: []byte("x"), ACL: openACL, Flags: mode})
	}
	set := func(p string, v int32) []byte {
		return multiOp(proto.OpSetData, &proto.SetDataRequest{Path: p, Data: []byte("s"), Version: v})
	}
	cases := map[string]rawBody{
		"00 empty":                 multiOf(),
		"01 create all ways":       multiOf(create("/multi", 0), multiOp(proto.OpCreate2, &proto.CreateRequest{Path: "/multi/2", ACL: openACL}), multiOp(proto.OpCreateContainer, &proto.CreateRequest{Path: "/multi/c", ACL: openACL, Flags: 4}), multiOp(proto.OpCreateTTL, &proto.CreateTTLRequest{Path: "/multi/t", ACL: openACL, Flags: 5, TTL: 1000000}), multiOp(proto.OpCreate2, &proto.CreateRequest{Path: "/multi/s", ACL: openACL, Flags: 3})),
		"02 set and check":         multiOf(set("/multi", 0), multiOp(proto.OpCheck, &proto.PathVersion{Path: "/multi", Version: 1}), multiOp(proto.OpDelete, &proto.PathVersion{Path: "/multi/2", Version: 0})),
		"03 fails first":           multiOf(set("/multi", 9), set("/multi", -1)),
		"04 fails last":            multiOf(set("/multi", 1), set("/multi", 1)),
		"05 fails in the middle":   multiOf(create("/multi/m", 0), create("/multi/m", 0), create("/multi/n", 0)),
		"06 read op inside":        multiOf(set("/multi", 1), multiOp(proto.OpGetData, &proto.PathWatchRequest{Path: "/multi"})),
		"07 only read ops":         multiOf(multiOp(proto.OpGetData, &proto.PathWatchRequest{Path: "/multi"})),
		"08 unknown op":            multiOf(set("/multi", 1), multiOp(77, str2("/multi"))),
		"09 setACL":                multiOf(multiOp(proto.OpSetACL, &proto.SetACLRequest{Path: "/multi", ACL: openACL, Version: -1})),
		"10 multi inside":          multiOf(multiOp(proto.OpMulti, multiOf())),
		"11 no end":                join(set("/multi", 1)),
		"12 nothing":               nil,
		"13 end with err 0":        join(set("/multi", 1), multiHeader(-1, true, 0)),
		"14 header err 0":          join(multiHeader(proto.OpCheck, false, 0), (&proto.PathVersion{Path: "/multi", Version: -1}).Append(nil), multiHeader(-1, true, -1)),
		"15 more behind the end":   append(multiOf(multiOp(proto.OpCheck, &proto.PathVersion{Path: "/multi", Version: -1})), 1, 2, 3),
		"16 bad path":              multiOf(set("/multi", -1), create("nopath", 0)),
		"17 bad mode":              multiOf(create("/multi/q", 9)),
		"18 container by create":   multiOf(multiOp(proto.OpCreateTTL, &proto.CreateTTLRequest{Path: "/multi/tt", ACL: openACL, Flags: 5, TTL: -1})),
		"19 bad acl":               multiOf(multiOp(proto.OpCreate, &proto.CreateRequest{Path: "/multi/z", ACL: []proto.ACL{}})),
		"20 error op":              multiOf(multiOp(proto.OpError, rawBody(i32(-5)))),
		"21 delete root":           multiOf(multiOp(proto.OpDelete, &proto.PathVersion{Path: "/", Version: -1})),
		"22 cut within an op":      join(set("/multi", 1))[:20],
		"23 ephemeral and child":   multiOf(create("/multi/e", 1), create("/multi/e/c", 0)),
		"24 same sequence":         multiOf(create("/multi/w", 2), create("/multi/w", 2)),
		"25 delete parent and kid": multiOf(create("/multi/p", 0), create("/multi/p/k", 0), multiOp(proto.OpDelete, &proto.PathVersion{Path: "/multi/p", Version: -1})),
	}
	for _, name := range sortedKeys(cases) {
		x.exchange(w, name, proto.OpMulti, cases[name])
		if n := len(x.lines); n > 0 && x.lines[n-1] == name+" => closed" {
			w = x.session()
		}
	}
	x.exchange(w, "afterwards", proto.OpGetChildren2, &proto.PathWatchRequest{Path: "/multi"})
	x.settle(x.session())
}

func str2(s string) rawBody { return rawBody(str(s)) }

func multiHeader(op proto.OpCode, done bool, err proto.ErrCode) []byte {
	h := proto.MultiHeader{Op: op, Done: done, Err: err}
	return h.Append(nil)
}

func rawMultiRead(x *rawRun) {
	w := x.session()
	x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/mr", Data: []byte("x"), ACL: openACL})
	get := func(p string, watch bool) []byte {
		return multiOp(proto.OpGetData, &proto.PathWatchRequest{Path: p, Watch: watch})
	}
	children := func(p string) []byte {
		return multiOp(proto.OpGetChildren, &proto.PathWatchRequest{Path: p, Watch: true})
	}
	cases := map[string]rawBody{
		"0 empty":       multiOf(),
		"1 both":        multiOf(get("/mr", false), children("/mr"), get("/none", false), children("/none"), get("/mr", true)),
		"2 exists":      multiOf(multiOp(proto.OpExists, &proto.PathWatchRequest{Path: "/mr"})),
		"3 children2":   multiOf(multiOp(proto.OpGetChildren2, &proto.PathWatchRequest{Path: "/mr"})),
		"5 mixed":       multiOf(get("/mr", false), multiOp(proto.OpSetData, &proto.SetDataRequest{Path: "/mr", Version: -1})),
		"6 no end":      join(get("/mr", false)),
		"7 empty path":  multiOf(get("", false)),
		"8 check first": multiOf(multiOp(proto.OpCheck, &proto.PathVersion{Path: "/mr", Version: -1}), get("/mr", false)),
	}
	for _, name := range sortedKeys(cases) {
		x.exchange(w, name, proto.OpMultiRead, cases[name])
		if n := len(x.lines); x.lines[n-1] == name+" => closed" {
			w = x.session()
		}
	}
	x.exchange(w, "no watch was set", proto.OpSetData, &proto.SetDataRequest{Path: "/mr", Version: -1})
	x.settle(x.session())
}

func rawWatchTypes(x *rawRun) {
	w := x.session()
	x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/wt", ACL: openACL})
	for _, mode := range []int32{-1, 2, 3, 100, -2147483648} {
		x.exchange(w, fmt.Sprintf("addWatch mode %d", mode), proto.OpAddWatch, &proto.AddWatchRequest{Path: "/wt", Mode: mode})
	}
	register := map[string]pipelined{
		"a nothing":    {proto.OpPing, nil},
		"b data":       {proto.OpGetData, &proto.PathWatchRequest{Path: "/wt", Watch: true}},
		"c exists":     {proto.OpExists, &proto.PathWatchRequest{Path: "/wt", Watch: true}},
		"d children":   {proto.OpGetChildren, &proto.PathWatchRequest{Path: "/wt", Watch: true}},
		"e persistent": {proto.OpAddWatch, &proto.AddWatchRequest{Path: "/wt"}},
		"f recursive":  {proto.OpAddWatch, &proto.AddWatchRequest{Path: "/wt", Mode: 1}},
	}
	// registering one kind, then asking for and removing each type, and what still fires
	for _, name := range sortedKeys(register) {
		for kind := proto.WatcherType(-1); kind <= 7; kind++ {
			w := x.session()
			r := register[name]
			x.exchange(w, fmt.Sprintf("%s: register", name), r.op, r.body)
			x.exchange(w, fmt.Sprintf("check type %d", kind), proto.OpCheckWatches, &proto.PathWatcherType{Path: "/wt", Type: kind})
			x.exchange(w, fmt.Sprintf("check type %d elsewhere", kind), proto.OpCheckWatches, &proto.PathWatcherType{Path: "/wt/x", Type: kind})
			x.exchange(w, fmt.Sprintf("remove type %d", kind), proto.OpRemoveWatches, &proto.PathWatcherType{Path: "/wt", Type: kind})
			x.exchange(w, fmt.Sprintf("check type %d again", kind), proto.OpCheckWatches, &proto.PathWatcherType{Path: "/wt", Type: kind})
			x.exchange(w, "what fires on a change", proto.OpSetData, &proto.SetDataRequest{Path: "/wt", Version: -1})
			x.exchange(w, "what fires on a child", proto.OpCreate, &proto.CreateRequest{Path: "/wt/k", ACL: openACL, Flags: 2})
			x.exchange(w, "close", proto.OpCloseSession, nil)
		}
	}
	// all kinds at once, one removed
	for kind := proto.WatcherType(1); kind <= 5; kind++ {
		w := x.session()
		for _, name := range sortedKeys(register) {
			x.exchange(w, name, register[name].op, register[name].body)
		}
		x.exchange(w, fmt.Sprintf("remove type %d", kind), proto.OpRemoveWatches, &proto.PathWatcherType{Path: "/wt", Type: kind})
		x.exchange(w, "what fires on a change", proto.OpSetData, &proto.SetDataRequest{Path: "/wt", Version: -1})
		x.exchange(w, "what fires on a child", proto.OpCreate, &proto.CreateRequest{Path: "/wt/k", ACL: openACL, Flags: 2})
		x.exchange(w, "what fires again", proto.OpMulti, multiOf(multiOp(proto.OpSetData, &proto.SetDataRequest{Path: "/wt", Version: -1}),
			multiOp(proto.OpCreate, &proto.CreateRequest{Path: "/wt/k", ACL: openACL, Flags: 2})))
		x.exchange(w, "close", proto.OpCloseSession, nil)
	}
}

func rawSetWatches(x *rawRun) {
	w := x.session()
	for _, p := range []string{"/sw", "/sw/old", "/sw/changed", "/sw/deleted"} {
		x.exchange(w, "create "+p, proto.OpCreate, &proto.CreateRequest{Path: p, ACL: openACL})
	}
	f, err := w.call(proto.OpSync, &proto.PathRequest{Path: "/"})
	if err != nil {
		x.fail(err)
		return
	}
	rel := f.Zxid
	x.exchange(w, "change", proto.OpSetData, &proto.SetDataRequest{Path: "/sw/changed", Version: -1})
	x.exchange(w, "child", proto.OpCreate, &proto.CreateRequest{Path: "/sw/changed/k", ACL: openACL})
	x.exchange(w, "delete", proto.OpDelete, &proto.PathVersion{Path: "/sw/deleted", Version: -1})
	x.exchange(w, "recreate", proto.OpDelete, &proto.PathVersion{Path: "/sw/old", Version: -1})
	x.exchange(w, "recreate", proto.OpCreate, &proto.CreateRequest{Path: "/sw/old", ACL: openACL})
	x.exchange(w, "quiet", proto.OpCreate, &proto.CreateRequest{Path: "/sw/quiet", ACL: openACL})
	all := []string{"/sw/quiet", "/sw/old", "/sw/changed", "/sw/deleted", "/sw/never", "/sw", "", "bad"}
	for i, z := range []proto.Zxid{rel, 0, -1, 1 << 40} {
		w := x.session()
		x.setWatches(w, fmt.Sprintf("setWatches %d", i), proto.OpSetWatches, &proto.SetWatches{RelativeZxid: z, DataWatches: all, ExistWatches: all, ChildWatches: all})
		w2 := x.session()
		x.setWatches(w2, fmt.Sprintf("setWatches2 %d", i), proto.OpSetWatches2, &proto.SetWatches2{RelativeZxid: z, DataWatches: all[:3], ExistWatches: all[3:], ChildWatches: all,
			PersistentWatches: all, PersistentRecursiveWatches: []string{"/sw"}})
		// what is registered now
		driver := x.session()
		x.exchange(driver, "fire data", proto.OpSetData, &proto.SetDataRequest{Path: "/sw/quiet", Version: -1})
		x.exchange(driver, "fire create", proto.OpCreate, &proto.CreateRequest{Path: "/sw/never", ACL: openACL})
		x.exchange(driver, "fire delete", proto.OpDelete, &proto.PathVersion{Path: "/sw/never", Version: -1})
		x.exchange(driver, "fire child", proto.OpCreate, &proto.CreateRequest{Path: "/sw/changed/s", ACL: openACL, Flags: 3})
		x.exchange(w, "first", proto.OpSync, &proto.PathRequest{Path: "/"})
		x.exchange(w2, "second", proto.OpSync, &proto.PathRequest{Path: "/"})
	}
	// xids of its reply
	w = x.session()
	x.exchange(w, "with an ordinary xid", proto.OpSetWatches, &proto.SetWatches{RelativeZxid: rel, DataWatches: []string{"/sw"}, ExistWatches: []string{}, ChildWatches: []string{}})
}

// setWatches sends with the xid that clients use for it.
func (x *rawRun) setWatches(w *wire, what string, op proto.OpCode, body record) {
	if err := w.sendFrame(encodeRequest(proto.XidSetWatches, op, body)); err != nil {
		x.fail(err)
		return
	}
	x.collect(w, what, op)
}

// rawWatchOrder lists the events of one change to a connection that watches it in every way.
func rawWatchOrder(x *rawRun) {
	w := x.session()
	x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/wo", ACL: openACL})
	x.exchange(w, "create", proto.OpCreate, &proto.CreateRequest{Path: "/wo/a", ACL: openACL})
	arm := func() {
		for _, p := range []string{"/wo", "/wo/a"} {
			x.exchange(w, "data "+p, proto.OpGetData, &proto.PathWatchRequest{Path: p, Watch: true})
			x.exchange(w, "children "+p, proto.OpGetChildren, &proto.PathWatchRequest{Path: p, Watch: true})
		}
		x.exchange(w, "exists", proto.OpExists, &proto.PathWatchRequest{Path: "/wo/b", Watch: true})
	}
	changes := []pipelined{
		{proto.OpSetData, &proto.SetDataRequest{Path: "/wo/a", Version: -1}},
		{proto.OpCreate, &proto.CreateRequest{Path: "/wo/b", ACL: openACL}},
		{proto.OpDelete, &proto.PathVersion{Path: "/wo/b", Version: -1}},
		{proto.OpMulti, multiOf(multiOp(proto.OpCreate, &proto.CreateRequest{Path: "/wo/b", ACL: openACL}), multiOp(proto.OpSetData, &proto.SetDataRequest{Path: "/wo/b", Version: -1}),
			multiOp(proto.OpDelete, &proto.PathVersion{Path: "/wo/b", Version: -1}), multiOp(proto.OpDelete, &proto.PathVersion{Path: "/wo/a", Version: -1}))},
		{proto.OpCreate, &proto.CreateRequest{Path: "/wo/a", ACL: openACL}},
	}
	for _, add := range []int32{-1, 0, 1} {
		if add >= 0 {
			x.exchange(w, "addWatch", proto.OpAddWatch, &proto.AddWatchRequest{Path: "/wo", Mode: add})
			x.exchange(w, "addWatch", proto.OpAddWatch, &proto.AddWatchRequest{Path: "/wo/a", Mode: add})
		}
		for _, c := range changes {
			arm()
			x.exchange(w, c.op.String(), c.op, c.body)
		}
	}
}
