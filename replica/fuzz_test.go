package replica

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"zebu/proto"
	"zebu/session"
	"zebu/znode"
)

// script turns fuzz input into decisions.
type script struct{ in []byte }

func (s *script) byte() byte {
	if len(s.in) == 0 {
		return 0
	}
	b := s.in[0]
	s.in = s.in[1:]
	return b
}

func (s *script) pick(n int) int { return int(s.byte()) % n }

func (s *script) bytes(n int) []byte {
	n = min(n, len(s.in))
	b := s.in[:n]
	s.in = s.in[n:]
	return b
}

func (s *script) version() int32 { return int32(s.pick(4)) - 1 }

var fuzzPaths = []string{
	"/", "/a", "/a/b", "/a/b/c", "/e", "/a/e", "/q", "/zookeeper", "/zookeeper/quota", "/zookeeper/quota/a",
	"/zookeeper/quota/a/zookeeper_limits", "/zookeeper/quota/a/zookeeper_stats", "/zookeeper/config", "/a/", "/a/b/", "", "a", "//", "/a//b", "/a/./b", "/a/..",
	"/s-", "/s-0000000000", "/a/s-0000000001", "/\x00", "/a\x7f", "/\ufff0", "/\xff\xfe", "/é",
}

func (s *script) path() string {
	i := s.pick(len(fuzzPaths) + 2)
	if i < len(fuzzPaths) {
		return fuzzPaths[i]
	}
	return "/" + string(s.bytes(s.pick(8)))
}

var fuzzACLs = [][]proto.ACL{
	anyone,
	anyone,
	anyone,
	{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}},
	{{Perms: proto.PermRead, ID: proto.ID{Scheme: "digest", ID: "u:h"}}, {Perms: proto.PermAll, ID: proto.ID{Scheme: "ip", ID: "127.0.0.1/8"}}},
	{{Perms: -1, ID: proto.ID{Scheme: "world", ID: "anyone"}}},
	{},
	nil,
	{{Perms: 1, ID: proto.ID{Scheme: "sasl", ID: "bob"}}},
	{{Perms: 0, ID: proto.ID{Scheme: "nonsense", ID: "x"}}},
}

func (s *script) acl() []proto.ACL { return fuzzACLs[s.pick(len(fuzzACLs))] }

var fuzzData = [][]byte{nil, {}, []byte("x"), []byte("count=2,bytes=5"), []byte("count=-1,bytes=-1=;byteHardLimit=3;countHardLimit=1"), make([]byte, 300)}

func (s *script) data() []byte { return fuzzData[s.pick(len(fuzzData))] }

var fuzzWrites = []proto.OpCode{
	proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL, proto.OpDelete, proto.OpSetData, proto.OpSetACL,
	proto.OpMulti, proto.OpReconfig, proto.OpCheck,
}

var fuzzReads = []proto.OpCode{
	proto.OpExists, proto.OpGetData, proto.OpGetACL, proto.OpGetChildren, proto.OpGetChildren2, proto.OpSync, proto.OpPing,
	proto.OpGetEphemerals, proto.OpGetAllChildrenNumber, proto.OpWhoAmI, proto.OpMultiRead, proto.OpAddWatch, proto.OpSetWatches,
	proto.OpSetWatches2, proto.OpRemoveWatches, proto.OpCheckWatches,
}

// body appends a request of type op that decodes, most of the time.
func (s *script) body(dst []byte, op proto.OpCode, depth int) []byte {
	at := len(dst)
	dst = s.whole(dst, op, depth)
	switch s.pick(24) {
	case 0:
		dst = dst[:at+s.pick(len(dst)-at+1)] // cut short
	case 1:
		dst = append(dst, s.bytes(4)...)
	case 2:
		if n := len(dst) - at; n > 0 {
			dst[at+s.pick(n)] ^= s.byte()
		}
	}
	return dst
}

func (s *script) whole(dst []byte, op proto.OpCode, depth int) []byte {
	switch op {
	case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer:
		flags := proto.CreateMode(s.pick(8))
		if op == proto.OpCreateContainer && flags < 6 {
			flags = 4
		}
		return (&proto.CreateRequest{Path: s.path(), Data: s.data(), ACL: s.acl(), Flags: flags}).Append(dst)
	case proto.OpCreateTTL:
		req := proto.CreateTTLRequest{Path: s.path(), Data: s.data(), ACL: s.acl(), Flags: proto.CreateMode(4 + s.pick(4)), TTL: int64(s.pick(4)) * 700}
		return req.Append(dst)
	case proto.OpDelete, proto.OpCheck:
		return (&proto.PathVersion{Path: s.path(), Version: s.version()}).Append(dst)
	case proto.OpSetData:
		return (&proto.SetDataRequest{Path: s.path(), Data: s.data(), Version: s.version()}).Append(dst)
	case proto.OpSetACL:
		return (&proto.SetACLRequest{Path: s.path(), ACL: s.acl(), Version: s.version()}).Append(dst)
	case proto.OpReconfig:
		return (&proto.ReconfigRequest{JoiningServers: []byte("server.1=a:1:2")}).Append(dst)
	case proto.OpMulti, proto.OpMultiRead:
		return s.multi(dst, op, depth)
	case proto.OpSetWatches:
		return (&proto.SetWatches{
			RelativeZxid: proto.Zxid(s.byte()), DataWatches: []string{s.path()}, ExistWatches: []string{s.path()}, ChildWatches: []string{s.path()},
		}).Append(dst)
	case proto.OpSetWatches2:
		return (&proto.SetWatches2{
			RelativeZxid: proto.Zxid(s.byte()), DataWatches: []string{s.path()}, PersistentWatches: []string{s.path()},
			PersistentRecursiveWatches: []string{s.path()},
		}).Append(dst)
	case proto.OpAddWatch:
		return (&proto.AddWatchRequest{Path: s.path(), Mode: int32(s.pick(3))}).Append(dst)
	case proto.OpRemoveWatches, proto.OpCheckWatches:
		return (&proto.PathWatcherType{Path: s.path(), Type: proto.WatcherType(s.pick(7))}).Append(dst)
	case proto.OpExists, proto.OpGetData, proto.OpGetChildren, proto.OpGetChildren2:
		return (&proto.PathWatchRequest{Path: s.path(), Watch: s.byte()&1 == 0}).Append(dst)
	case proto.OpPing, proto.OpWhoAmI, proto.OpCloseSession:
		return dst
	}
	return (&proto.PathRequest{Path: s.path()}).Append(dst)
}

func (s *script) multi(dst []byte, op proto.OpCode, depth int) []byte {
	for range s.pick(5) {
		sub := fuzzWrites[s.pick(len(fuzzWrites))]
		if op == proto.OpMultiRead || s.pick(16) == 0 {
			sub = fuzzReads[s.pick(4)]
		}
		if sub == proto.OpMulti && depth > 2 {
			sub = proto.OpDelete
		}
		dst = (&proto.MultiHeader{Op: sub, Err: -1}).Append(dst)
		dst = s.body(dst, sub, depth+1)
	}
	return (&proto.MultiHeader{Op: proto.OpError, Done: true, Err: -1}).Append(dst)
}

// fuzzed is a replica driven by a script, with every transaction that it planned.
type fuzzed struct {
	t       *testing.T
	s       script
	opt     Options
	r       *Replica
	log     memLog
	history [][]byte
	conns   []*Conn
	now     proto.Millis
}

func (f *fuzzed) step() {
	switch k := f.s.pick(32); {
	case k < 14:
		f.request(fuzzWrites[f.s.pick(len(fuzzWrites))])
	case k < 20:
		f.request(fuzzReads[f.s.pick(len(fuzzReads))])
	case k == 20: // any operation, any bytes
		op := proto.OpCode(int32(binary.BigEndian.Uint16(append(f.s.bytes(2), 0, 0))%256) - 20)
		f.send(op, f.s.bytes(f.s.pick(64)))
	case k == 21:
		f.request(proto.OpCloseSession)
	case k == 22:
		f.connect()
	case k == 23:
		f.r.Disconnect(f.conn())
	case k == 24:
		old := f.conn()
		pw := session.Password(old.Session)
		c := &Conn{Handle: "c", IDs: old.IDs}
		f.r.Connect(c, &proto.ConnectRequest{SessionID: old.Session, Passwd: pw[:f.s.pick(17)], Timeout: 3000}, f.now)
		f.conns[f.s.pick(len(f.conns))] = c
	case k < 28:
		f.now += proto.Millis(f.s.byte()) * 50
		f.r.Advance(Clock{Mono: f.now, Wall: 1_700_000_000_000 + f.now})
		f.r.Tick()
	default:
		f.apply(1 + f.s.pick(len(f.log.txns)+1))
	}
}

func (f *fuzzed) conn() *Conn { return f.conns[f.s.pick(len(f.conns))] }

func (f *fuzzed) connect() {
	c := &Conn{Handle: "c", IDs: []proto.ID{{Scheme: "ip", ID: "127.0.0.1"}}}
	switch f.s.pick(4) {
	case 1:
		c.IDs = append(c.IDs, proto.ID{Scheme: "digest", ID: "u:h"})
	case 2:
		c.IDs = append(c.IDs, proto.ID{Scheme: "super"})
	}
	f.r.Connect(c, &proto.ConnectRequest{Timeout: int32(f.s.byte()) * 100}, f.now)
	if len(f.conns) < 4 {
		f.conns = append(f.conns, c)
	} else {
		f.conns[f.s.pick(4)] = c
	}
}

func (f *fuzzed) request(op proto.OpCode) { f.send(op, f.s.body(nil, op, 0)) }

// send hands a request over as a server does: what need not wait is read at once.
func (f *fuzzed) send(op proto.OpCode, body []byte) {
	c := f.conn()
	req := Request{Xid: 7, Op: op, Body: body, IDs: c.IDs}
	if f.s.pick(32) == 0 {
		req.Refuse = proto.ErrThrottledOp
	}
	if IsWrite(op) || op == proto.OpSync || c.Busy() {
		f.r.Submit(c, &req)
		return
	}
	buf, fx := f.r.Read(c, &req, nil)
	if len(buf) > 0 && int(binary.BigEndian.Uint32(buf)) > len(buf)-4 {
		f.t.Fatalf("op %d: frame of %d bytes says %d", op, len(buf), binary.BigEndian.Uint32(buf))
	}
	if fx.Watch.Path != "" {
		f.r.Register(c, fx.Watch)
	}
	if fx.Close {
		f.r.Disconnect(c)
	}
}

// apply applies the next n transactions planned.
func (f *fuzzed) apply(n int) {
	for _, txn := range f.log.txns[:min(n, len(f.log.txns))] {
		if err := f.r.Apply(txn); err != nil {
			f.t.Fatalf("%v\ntxn % x", err, txn)
		}
		f.history = append(f.history, txn)
		f.log.txns = f.log.txns[1:]
	}
	f.r.Settle()
	outs, buf := f.r.Outputs()
	for _, o := range outs {
		if o.Start > o.End || o.End > len(buf) {
			f.t.Fatalf("output [%d, %d) of %d bytes", o.Start, o.End, len(buf))
		}
	}
	f.r.LendBuffer(nil)
}

// replay applies the history to a new replica, which must come to the same state.
func (f *fuzzed) replay() {
	again := New(f.opt)
	for _, txn := range f.history {
		d := proto.NewDecoder(txn)
		var hdr proto.TxnHeader
		hdr.Decode(&d)
		if err := again.Replay(&hdr, d.Rest()); err != nil {
			f.t.Fatalf("replay: %v\ntxn % x", err, txn)
		}
	}
	if a, b := describe(f.r), describe(again); a != b {
		f.t.Fatalf("replayed state differs:\n%s\n%s", a, b)
	}
}

// reload takes the state through a snapshot into a new replica, which must come to the same state.
func (f *fuzzed) reload() {
	img, again := f.r.Image(), New(f.opt)
	l := again.Loader()
	var err error
	keep := func(e error) bool { err = e; return e == nil }
	img.Sessions(func(id proto.SessionID, timeout int32) bool { return keep(l.AddSession(id, timeout)) })
	if err == nil {
		img.ACLs(func(id int64, acl []proto.ACL) bool { return keep(l.AddACL(id, acl)) })
	}
	if err == nil {
		img.Nodes(func(path string, data []byte, acl int64, st *proto.StatPersisted) bool {
			return keep(l.AddNode(path, data, acl, st))
		})
	}
	if digest, on := img.Digest(); on {
		l.SetDigest(img.Zxid(), proto.DigestVersion, digest)
	}
	if err == nil {
		err = l.Finish(img.Zxid())
	}
	if err != nil {
		f.t.Fatalf("load: %v", err)
	}
	if a, b := describe(f.r), describe(again); a != b {
		f.t.Fatalf("loaded state differs:\n%s\n%s", a, b)
	}
}

// describe says everything about the replicated state.
func describe(r *Replica) string {
	img := r.Image()
	text := fmt.Sprintf("zxid %v\n", img.Zxid())
	if d, on := img.Digest(); on {
		text += fmt.Sprintf("digest %#x\n", d)
	}
	sessions := map[proto.SessionID]int32{}
	for id, timeout := range img.Sessions {
		sessions[id] = timeout
	}
	text += fmt.Sprintln(sessions)
	acls := map[int64]string{}
	img.ACLs(func(id int64, acl []proto.ACL) bool { acls[id] = fmt.Sprint(acl); return true })
	nodes := map[string]string{}
	img.Nodes(func(path string, data []byte, acl int64, st *proto.StatPersisted) bool {
		nodes[strings.Clone(path)] = fmt.Sprintf("%x %v %s %+v", data, data == nil, acls[acl], *st)
		return true
	})
	return text + fmt.Sprintln(nodes)
}

// FuzzReplicaSubmit plans random requests of several connections, some of them broken, and applies them some time later:
// every planned transaction must apply and its digest agree, and the log must replay to the same state.
func FuzzReplicaSubmit(f *testing.F) {
	for i := range 8 {
		seed := make([]byte, 400)
		for j := range seed {
			seed[j] = byte((i + 1) * (j*j + 7*j + i*31) >> 2)
		}
		f.Add(byte(i), seed)
	}
	f.Fuzz(func(t *testing.T, mode byte, in []byte) {
		if len(in) > 4096 {
			return
		}
		opt := Options{
			ServerID: 1, Tick: 500, MinSessionTimeout: 1000, MaxSessionTimeout: 8000, ReapInterval: 1000, ReapPerCheck: 10,
			MaxNeverUsed: 3000, StrictDigest: true, Audit: true,
			Znode: znode.Options{
				ExtendedTypes: mode&1 != 0, EnforceQuota: mode&2 != 0, EmptyCloseSession: mode&4 != 0, SkipACL: mode&8 != 0,
				Emulate353TTL: mode&17 == 17,
			},
		}
		z := &fuzzed{t: t, s: script{in}, opt: opt, r: New(opt), now: 1}
		z.r.Advance(Clock{Mono: 1, Wall: 1_700_000_000_000})
		if err := z.r.Lead(); err != nil {
			t.Fatal(err)
		}
		z.r.LendLog(&z.log)
		z.connect()
		for len(z.s.in) > 0 {
			z.step()
		}
		z.apply(1 << 20)
		for owner := range z.r.Tree().EphemeralOwners() {
			if _, ok := z.r.Sessions().Timeout(owner); !ok {
				t.Fatalf("ephemerals of session %v, which has ended", owner)
			}
		}
		z.replay()
		z.reload()
	})
}
