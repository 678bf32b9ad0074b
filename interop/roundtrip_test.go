package interop

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"zebu/internal/peers"
	"zebu/proto"
)

// trip passes one data directory from maker to maker and checks after each start that nothing has changed.
type trip struct {
	t      *testing.T
	config peers.Config
	server *peers.Server
	admin  *wire            // the super user's session; it lives through the whole trip, like the others
	live   map[string]*wire // sessions with ephemerals, by name
	want   map[string]string
	round  int
}

// TestDataDirectory has Apache write a data directory, zebu take it over and write on, and Apache take it back: the tree
// with every stat and ACL, sessions and their ephemerals stay, however the server before ended.
func TestDataDirectory(t *testing.T) {
	makers := bothMakers(t)
	for _, c := range []struct {
		compression, end string
		old              bool
	}{
		{"", "stopped", false},
		{"", "torn", false},
		{"gz", "killed", false},
		{"snappy", "torn-zeros", false},
		{"", "killed", true},
	} {
		from := peers.Maker(makers[0])
		if c.old {
			from = apache38(t)
		}
		t.Run(fmt.Sprintf("%s-%s-%s", from.Name(), c.compression, c.end), func(t *testing.T) {
			t.Parallel()
			x := &trip{t: t, live: map[string]*wire{}, config: peers.Config{
				Dir:   t.TempDir(),
				Extra: []string{"maxSessionTimeout=120000", "snapCount=30", "preAllocSize=64"},
				Properties: []string{superDigest, "zookeeper.extendedTypesEnabled=true", "zookeeper.snapCount=30", "zookeeper.preAllocSize=64",
					"zookeeper.snapshot.compression.method=" + c.compression},
			}}
			x.start(from)
			x.populate()
			for _, m := range []peers.Maker{makers[1], from, makers[1], makers[1], from} {
				x.end(c.end)
				x.start(m)
				x.check()
				x.write()
			}
			if c.compression != "" && len(x.files("snapshot.*."+c.compression)) == 0 {
				t.Errorf("no snapshot compressed with %s: %v", c.compression, x.files("*"))
			}
		})
	}
}

func (x *trip) files(pattern string) []string {
	names, err := filepath.Glob(filepath.Join(x.config.Dir, "data", "version-2", pattern))
	if err != nil {
		x.t.Fatal(err)
	}
	return names
}

func (x *trip) start(m peers.Maker) {
	x.t.Helper()
	x.round++
	x.server = start(x.t, m, x.config)
}

func (x *trip) ok(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatalf("round %d, %s: %v", x.round, x.server.Maker.Name(), err)
	}
}

// session opens a session that the trip keeps.
func (x *trip) session(name string) *wire {
	x.t.Helper()
	w, err := connectWire(x.server.Addr, 100*time.Second)
	x.ok(err)
	x.live[name] = w
	x.t.Cleanup(func() { w.Close() })
	return w
}

func (x *trip) create(w *wire, path, data string, mode proto.CreateMode, acl []proto.ACL) {
	x.t.Helper()
	_, err := w.create(path, data, mode, acl)
	x.ok(err)
}

func (x *trip) do(w *wire, op proto.OpCode, body record) {
	x.t.Helper()
	_, err := w.must(op, body)
	x.ok(err)
}

// populate writes nodes of every kind, and then as much as write does.
func (x *trip) populate() {
	x.t.Helper()
	x.fill()
	x.write()
}

// fill writes nodes of every kind.
func (x *trip) fill() {
	x.t.Helper()
	x.admin = x.session("admin")
	x.ok(x.admin.auth("digest", "super:test"))
	a, b := x.session("a"), x.session("b")
	x.ok(a.auth("digest", "joe:secret"))
	mine := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}}
	mixed := []proto.ACL{{Perms: 1, ID: openACL[0].ID}, {Perms: 3, ID: proto.ID{Scheme: "ip", ID: "10.1.0.0/16"}},
		{Perms: 31, ID: proto.ID{Scheme: "digest", ID: "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="}}}
	x.create(a, "/plain", "data", 0, openACL)
	x.create(a, "/empty", "", 0, openACL)
	x.do(a, proto.OpCreate, &proto.CreateRequest{Path: "/null", ACL: openACL})
	x.create(a, "/mine", "joe's", 0, mine)
	x.create(a, "/mixed", "m", 0, mixed)
	x.create(a, "/big", strings.Repeat("0123456789", 20000), 0, openACL)
	x.create(a, "/ünïcode", "ü", 0, openACL)
	x.create(a, "/seq", "", 0, openACL)
	for i := range 15 {
		x.create(a, "/seq/n-", fmt.Sprint(i), proto.PersistentSequential, openACL)
	}
	x.do(a, proto.OpDelete, &proto.PathVersion{Path: "/seq/n-0000000003", Version: -1})
	x.create(a, "/con", "c", proto.Container, openACL)
	x.create(a, "/con/keep", "k", 0, openACL)
	x.do(a, proto.OpCreateTTL, &proto.CreateTTLRequest{Path: "/ttl", Data: []byte("t"), ACL: openACL, Flags: proto.PersistentTTL, TTL: 100000000})
	x.create(a, "/ea", "e", proto.Ephemeral, mine)
	x.create(a, "/seq/e-", "e", proto.EphemeralSequential, openACL)
	x.create(b, "/eb", "e", proto.Ephemeral, openACL)
	for i := range 5 {
		x.do(a, proto.OpSetData, &proto.SetDataRequest{Path: "/plain", Data: fmt.Append(nil, "v", i), Version: int32(i)})
	}
	x.do(a, proto.OpSetACL, &proto.SetACLRequest{Path: "/empty", ACL: mixed, Version: 0})
	x.create(a, "/zookeeper/quota/con", "", 0, openACL)
	x.create(a, "/zookeeper/quota/con/zookeeper_limits", "count=100,bytes=10000", 0, openACL)
	x.create(a, "/zookeeper/quota/con/zookeeper_stats", "count=0,bytes=0", 0, openACL)
	gone, err := connectWire(x.server.Addr, 100*time.Second)
	x.ok(err)
	x.create(gone, "/gone", "g", proto.Ephemeral, openACL)
	x.do(gone, proto.OpCloseSession, nil)
	x.want, err = dump(x.admin)
	x.ok(err)
}

// write makes more changes of every kind, failures among them, enough for a snapshot and a new log.
func (x *trip) write() {
	x.t.Helper()
	a, dir := x.live["a"], fmt.Sprintf("/round%d", x.round)
	x.create(a, dir, "r", 0, openACL)
	before := a.lastZxid
	for i := range 40 {
		x.create(a, dir+"/s-", fmt.Sprint(i), proto.PersistentSequential, openACL)
		if i%5 == 0 {
			f, err := a.call(proto.OpDelete, &proto.PathVersion{Path: "/", Version: -1})
			x.ok(err)
			if f.Err != proto.ErrBadArguments {
				x.t.Fatalf("delete of the root: %v", f.Err)
			}
		}
	}
	x.do(a, proto.OpMulti, multiOf(
		multiOp(proto.OpCreate, &proto.CreateRequest{Path: dir + "/m", Data: []byte("m"), ACL: openACL}),
		multiOp(proto.OpSetData, &proto.SetDataRequest{Path: "/plain", Data: []byte(dir), Version: -1}),
		multiOp(proto.OpCheck, &proto.PathVersion{Path: "/plain", Version: -1}),
		multiOp(proto.OpDelete, &proto.PathVersion{Path: dir + "/s-0000000001", Version: -1})))
	x.do(a, proto.OpMulti, multiOf( // fails as a whole
		multiOp(proto.OpCreate, &proto.CreateRequest{Path: dir + "/never", ACL: openACL}),
		multiOp(proto.OpCheck, &proto.PathVersion{Path: "/none", Version: -1})))
	x.do(a, proto.OpSetACL, &proto.SetACLRequest{Path: dir + "/m", ACL: []proto.ACL{{Perms: 31, ID: proto.ID{Scheme: "ip", ID: "127.0.0.1"}}}, Version: -1})
	x.create(a, dir+"/e-", "e", proto.EphemeralSequential, openACL)
	x.create(x.live["b"], dir+"/e-", "e", proto.EphemeralSequential, openACL)
	x.create(a, "/con/"+dir[1:], "quota", 0, openACL)
	old, err := connectWire(x.server.Addr, 100*time.Second)
	x.ok(err)
	x.create(old, "/gone", "g", proto.Ephemeral, openACL)
	x.do(old, proto.OpCloseSession, nil)
	x.want, err = dump(x.admin)
	x.ok(err)
	poll(x.t, 20*time.Second, "snapshot of "+dir, func() bool {
		return slices.ContainsFunc(x.files("snapshot.*"), func(name string) bool { return logZxid(name) > int64(before) })
	})
}

// end stops the server: cleanly, with SIGKILL, or with SIGKILL and the last record torn. That record is a write which
// nobody counts on.
func (x *trip) end(how string) {
	x.t.Helper()
	if how == "stopped" {
		stop(x.t, x.server)
		return
	}
	if strings.HasPrefix(how, "torn") {
		x.create(x.admin, "/torn", strings.Repeat("lost", 100), 0, openACL)
	}
	x.server.Kill()
	if strings.HasPrefix(how, "torn") {
		x.ok(tearLastRecord(x.files("log.*"), how == "torn-zeros"))
	}
}

// tearLastRecord damages the last transaction of the newest log as an interrupted write does: the file ends within it,
// or zeros follow its first half.
func tearLastRecord(logs []string, zeros bool) error {
	slices.SortFunc(logs, func(a, b string) int { return int(logZxid(a) - logZxid(b)) })
	name := logs[len(logs)-1]
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	last, end := 0, 16
	for end+12 <= len(b) {
		n := int(int32(binary.BigEndian.Uint32(b[end+8:])))
		if n <= 0 || end+12+n+1 > len(b) {
			break
		}
		last, end = end, end+12+n+1
	}
	if last == 0 {
		return fmt.Errorf("no record in %s", name)
	}
	middle := (last + end) / 2
	if !zeros {
		return os.WriteFile(name, b[:middle], 0o644)
	}
	clear(b[middle:end])
	return os.WriteFile(name, b, 0o644)
}

func logZxid(name string) int64 {
	_, hexa, _ := strings.Cut(filepath.Base(name), ".")
	hexa, _, _ = strings.Cut(hexa, ".")    // .gz
	z, _ := strconv.ParseInt(hexa, 16, 64) // a name that is none sorts first
	return z
}

// check resumes all sessions on the server that has taken over and compares the tree.
func (x *trip) check() {
	x.t.Helper()
	for name, old := range x.live {
		old.Close()
		old.lastZxid = 0 // of a torn write
		w, err := resumeWire(x.server.Addr, old)
		if err != nil {
			x.t.Fatalf("round %d: session %s on %s: %v", x.round, name, x.server.Maker.Name(), err)
		}
		x.t.Cleanup(func() { w.Close() })
		x.live[name] = w
	}
	x.admin = x.live["admin"]
	x.ok(x.admin.auth("digest", "super:test"))
	x.ok(x.live["a"].auth("digest", "joe:secret"))
	got, err := dump(x.admin)
	x.ok(err)
	sameDump(x.t, fmt.Sprintf("round %d on %s", x.round, x.server.Maker.Name()), x.want, got)
	for _, name := range []string{"a", "b"} {
		b, err := x.live[name].must(proto.OpGetEphemerals, &proto.PathRequest{Path: "/"})
		x.ok(err)
		var r proto.StringsResponse
		d := proto.NewDecoder(b)
		r.Decode(&d)
		if len(r.Strings) == 0 {
			x.t.Errorf("round %d: session %s has lost its ephemerals", x.round, name)
		}
	}
	if text := x.server.Log(); strings.Contains(text, "Digests are not matching") || strings.Contains(text, "digest mismatch") {
		x.t.Errorf("round %d: digest mismatch:\n%s", x.round, x.server.LogTail(40))
	}
	if text, err := peers.FourLetterWord(x.server.Addr, "mntr"); err != nil || !strings.Contains(text, "zk_digest_mismatches_count\t0\n") {
		x.t.Errorf("round %d: %s reports digest mismatches, or none at all: %v", x.round, x.server.Maker.Name(), err)
	}
}
