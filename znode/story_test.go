package znode

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"zebu/internal/story"
	"zebu/proto"
)

// TestStories runs testdata/*.story. See package story for their form. The
// n-th transaction has zxid n and time n. Commands:
//
//	options NAME...             start over with these Options
//	WHO OP...                   plan a request; WHO is a session's number, or 0 for the server itself. Operations:
//	                            create PATH [key=value]... with data, mode (a number), acl, op, ttl
//	                            delete|set|setacl|check PATH [version=N] [data=...] [acl=...]
//	                            multi OP... ; OP... ; and so on
//	                            close, reap PATH
//	apply [N]                   apply N planned transactions, or all
//	log TYPE PATH [key=value].. apply a transaction of unknown origin: data, acl, session, version (or parentCVersion)
//	stat|get|acl|ls PATH        look at the tree
//	due NOW MAXNEVERUSED        what the reaper would delete
//	restart                     take the tree through a snapshot; what is planned is lost
//
// acl is a list PERMS:SCHEME:ID,... A request of session N comes from ip 10.0.0.N, and after "auth N ID" has that digest
// identity too.
func TestStories(t *testing.T) {
	story.Run(t, "testdata/*.story", func(t *testing.T) func([]string) string {
		s := &world{T: t}
		s.start(nil)
		return s.run
	})
}

type world struct {
	*testing.T
	tree    *Tree
	planner *Planner
	zxid    proto.Zxid
	planned [][]byte
	res     Result
	ids     map[int][]proto.ID
}

func (s *world) start(options []string) {
	var o Options
	for _, name := range options {
		switch name {
		case "ExtendedTypes":
			o.ExtendedTypes = true
		case "EnforceQuota":
			o.EnforceQuota = true
		case "EmptyCloseSession":
			o.EmptyCloseSession = true
		default:
			s.Fatalf("no option %s", name)
		}
	}
	s.tree = New(o)
	s.planner = NewPlanner(s.tree)
	s.zxid, s.planned, s.ids = 0, nil, map[int][]proto.ID{}
}

func (s *world) run(c []string) string {
	switch c[0] {
	case "options":
		s.start(c[1:])
		return ""
	case "auth":
		n, _ := strconv.Atoi(c[1])
		s.ids[n] = append(s.ids[n], proto.ID{Scheme: "digest", ID: c[2]})
		return ""
	case "apply":
		n := len(s.planned)
		if len(c) > 1 {
			n, _ = strconv.Atoi(c[1])
		}
		var out strings.Builder
		for range n {
			out.WriteString(s.apply(s.planned[0]))
			s.planned = s.planned[1:]
		}
		return out.String()
	case "log":
		return s.log(c[1:])
	case "restart":
		s.tree = reload(s.T, s.tree, s.tree.opts)
		s.planner, s.planned, s.zxid = NewPlanner(s.tree), nil, s.tree.LastZxid()
		return ""
	case "due":
		now, _ := strconv.Atoi(c[1])
		never, _ := strconv.Atoi(c[2])
		due := s.tree.Reapable(proto.Millis(now), proto.Millis(never), 100, nil)
		return strings.Join(append(due, ""), "\n")
	case "stat", "get", "acl", "ls":
		return s.look(c[0], c[1])
	}
	who, err := strconv.Atoi(c[0])
	if err != nil {
		s.Fatalf("no command %q", c)
	}
	return s.plan(who, c[1:])
}

func (s *world) look(what, path string) string {
	n := s.tree.Lookup(path)
	if n == nil {
		return "none\n"
	}
	switch what {
	case "get":
		if n.Data() == nil {
			return "null\n"
		}
		return fmt.Sprintf("%q\n", n.Data())
	case "acl":
		return showACL(s.tree.ACL(n)) + "\n"
	case "ls":
		var r proto.StringsResponse
		d := proto.NewDecoder(s.tree.AppendChildren(nil, n))
		r.Decode(&d)
		slices.Sort(r.Strings)
		return strings.TrimSpace("- "+strings.Join(r.Strings, " ")) + "\n"
	}
	var st proto.Stat
	s.tree.Stat(n, &st)
	return showStat(&st) + "\n"
}

func showStat(st *proto.Stat) string {
	return fmt.Sprintf("czxid %d mzxid %d pzxid %d ctime %d mtime %d version %d cversion %d aversion %d owner %d length %d children %d",
		st.Czxid, st.Mzxid, st.Pzxid, st.Ctime, st.Mtime, st.Version, st.Cversion, st.Aversion, st.EphemeralOwner, st.DataLength, st.NumChildren)
}

func showACL(acl []proto.ACL) string {
	var l []string
	for _, a := range acl {
		l = append(l, fmt.Sprintf("%d:%s:%s", a.Perms, a.ID.Scheme, a.ID.ID))
	}
	return strings.Join(l, ",")
}

// args are the key=value words after a path.
func (s *world) args(words []string) map[string]string {
	m := map[string]string{"version": "-1", "data": "", "acl": "31:world:anyone", "mode": "0", "ttl": "-1", "session": "0"}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			s.Fatalf("not key=value: %q", w)
		}
		m[k] = v
	}
	return m
}

func (s *world) int(v string) int64 {
	n, err := strconv.ParseInt(v, 0, 64)
	if err != nil {
		s.Fatal(err)
	}
	return n
}

func (s *world) acl(v string) []proto.ACL {
	var l []proto.ACL
	for _, e := range strings.Split(v, ",") {
		p := strings.SplitN(e, ":", 3)
		l = append(l, proto.ACL{Perms: int32(s.int(p[0])), ID: proto.ID{Scheme: p[1], ID: p[2]}})
	}
	return l
}

func bytesOf(v string) []byte {
	if v == "null" {
		return nil
	}
	return []byte(v)
}

// request encodes an operation.
func (s *world) request(c []string) (proto.OpCode, []byte) {
	switch c[0] {
	case "close":
		return proto.OpCloseSession, nil
	case "reap":
		return proto.OpDeleteContainer, (&proto.PathRequest{Path: c[1]}).Append(nil)
	case "multi":
		var b []byte
		for sub := range strings.SplitSeq(strings.Join(c[1:], " "), ";") {
			op, body := s.request(strings.Fields(sub))
			b = append((&proto.MultiHeader{Op: op, Err: -1}).Append(b), body...)
		}
		return proto.OpMulti, (&proto.MultiHeader{Op: -1, Done: true, Err: -1}).Append(b)
	}
	a := s.args(c[2:])
	version := int32(s.int(a["version"]))
	switch c[0] {
	case "create":
		r := proto.CreateTTLRequest{Path: c[1], Data: bytesOf(a["data"]), ACL: s.acl(a["acl"]), Flags: proto.CreateMode(s.int(a["mode"])), TTL: s.int(a["ttl"])}
		if r.TTL >= 0 {
			return proto.OpCreateTTL, r.Append(nil)
		}
		op := proto.OpCreate
		if a["op"] != "" {
			op = proto.OpCode(s.int(a["op"]))
		}
		b := r.Append(nil)
		return op, b[:len(b)-8]
	case "delete":
		return proto.OpDelete, (&proto.PathVersion{Path: c[1], Version: version}).Append(nil)
	case "check":
		return proto.OpCheck, (&proto.PathVersion{Path: c[1], Version: version}).Append(nil)
	case "set":
		return proto.OpSetData, (&proto.SetDataRequest{Path: c[1], Data: bytesOf(a["data"]), Version: version}).Append(nil)
	case "setacl":
		return proto.OpSetACL, (&proto.SetACLRequest{Path: c[1], ACL: s.acl(a["acl"]), Version: version}).Append(nil)
	}
	s.Fatalf("no operation %q", c)
	return 0, nil
}

func (s *world) plan(who int, c []string) string {
	op, body := s.request(c)
	s.zxid++
	r := Request{Session: proto.SessionID(who), Cxid: int32(s.zxid), Op: op, Body: body,
		IDs: append([]proto.ID{{Scheme: "ip", ID: fmt.Sprint("10.0.0.", who)}}, s.ids[who]...)}
	txn := s.planner.Plan(nil, &r, s.zxid, proto.Millis(s.zxid))
	s.planned = append(s.planned, txn)
	d := proto.NewDecoder(txn)
	var h proto.TxnHeader
	h.Decode(&d)
	return fmt.Sprintf("%d %s\n", h.Zxid, s.show(&h, &d))
}

// show prints a transaction's body.
func (s *world) show(h *proto.TxnHeader, d *proto.Decoder) string {
	var x decoded
	if err := x.decode(h, h.Type, d); err != nil {
		s.Fatal(err)
	}
	if h.Type != proto.OpMulti {
		return x.txn.show()
	}
	var l []string
	for _, sub := range x.multi.Txns {
		d := proto.NewDecoder(sub.Data)
		if err := x.decodeSub(h, sub.Type, &d); err != nil {
			s.Fatal(err)
		}
		l = append(l, x.txn.show())
	}
	return "multi " + strings.Join(l, "; ")
}

func (x *txn) show() string {
	switch x.op {
	case proto.OpError:
		return "error " + x.err.String()
	case proto.OpCloseSession:
		return fmt.Sprintf("closeSession %v", x.paths)
	case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		return fmt.Sprintf("%v %s parentCVersion %d", x.op, x.path, x.version)
	case proto.OpDelete, proto.OpDeleteContainer:
		return fmt.Sprintf("%v %s", x.op, x.path)
	case proto.OpSetACL:
		return fmt.Sprintf("%v %s %s version %d", x.op, x.path, showACL(x.acl), x.version)
	}
	return fmt.Sprintf("%v %s version %d", x.op, x.path, x.version)
}

// log makes a transaction out of nothing and applies it.
func (s *world) log(c []string) string {
	path, words := "", c[1:]
	if c[0] != "closeSession" {
		path, words = c[1], c[2:]
	}
	a := s.args(words)
	s.zxid++
	h := proto.TxnHeader{ClientID: proto.SessionID(s.int(a["session"])), Zxid: s.zxid, Time: proto.Millis(s.zxid)}
	var body []byte
	v := int32(s.int(a["version"]))
	switch c[0] {
	case "create", "create2":
		r := proto.CreateTxn{Path: path, Data: bytesOf(a["data"]), ACL: s.acl(a["acl"]), Ephemeral: h.ClientID != 0, ParentCVersion: v}
		if h.Type = proto.OpCreate; c[0] == "create2" {
			h.Type = proto.OpCreate2
		}
		body = r.Append(nil)
		if a["v0"] != "" {
			body = body[:len(body)-4]
		}
	case "delete":
		h.Type, body = proto.OpDelete, (&proto.DeleteTxn{Path: path}).Append(nil)
	case "setData":
		h.Type, body = proto.OpSetData, (&proto.SetDataTxn{Path: path, Data: bytesOf(a["data"]), Version: v}).Append(nil)
	case "reconfig":
		h.Type, body = proto.OpReconfig, (&proto.SetDataTxn{Path: path, Data: bytesOf(a["data"]), Version: v}).Append(nil)
	case "closeSession":
		h.Type = proto.OpCloseSession
		if a["paths"] != "" {
			body = (&proto.CloseSessionTxn{Paths: strings.Split(a["paths"], ",")}).Append(nil)
		}
	default:
		s.Fatalf("cannot log %q", c)
	}
	return s.apply(append(h.Append(nil), body...))
}

func (s *world) apply(txn []byte) string {
	apply(s.T, s.tree, txn, &s.res)
	check(s.T, s.tree)
	s.planner.Applied(s.tree.LastZxid())
	r := &s.res
	out := fmt.Sprintf("%d %s %s", s.tree.LastZxid(), r.Err.String(), r.Path)
	if r.Stat != (proto.Stat{}) {
		out += ": " + showStat(&r.Stat)
	}
	out = strings.TrimSpace(out) + "\n"
	for _, op := range r.Ops {
		out += strings.TrimRight(fmt.Sprintf("  - %v %s %s", op.Type, op.Err.String(), op.Path), " ") + "\n"
	}
	names := map[proto.EventType]string{1: "created", 2: "deleted", 3: "changed", 4: "children"}
	for _, c := range r.Changes {
		out += fmt.Sprintf("  %s %s (%s)\n", names[c.Type], c.Path, showACL(c.ACL))
	}
	return out
}
