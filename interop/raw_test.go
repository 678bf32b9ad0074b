package interop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"zebu/internal/peers"
	"zebu/proto"
)

// A rawCase sends frames that no client library sends and writes down what comes back. Its transcript must be the same
// on Apache ZooKeeper and on zebu, unless deliberate says why it is not.
type rawCase struct {
	name       string
	run        func(x *rawRun)
	deliberate string
	// anyZxid says why zxids need not agree; everything else must.
	anyZxid string
}

var relativeZxid = regexp.MustCompile(`z\+\d+`)

// rawRun is one case on one server.
type rawRun struct {
	addr  string
	base  proto.Zxid // the server's zxid when the case began
	began time.Time
	lines []string
	conns []*wire
	err   error
}

func (x *rawRun) logf(format string, args ...any) {
	x.lines = append(x.lines, fmt.Sprintf(format, args...))
}

// fail ends the case: something is wrong with the test, not with the server.
func (x *rawRun) fail(err error) {
	if x.err == nil {
		x.err = err
	}
}

// dial opens a connection without a handshake.
func (x *rawRun) dial() *wire {
	w, err := dialWire(x.addr)
	if err != nil {
		x.fail(err)
		return nil
	}
	x.conns = append(x.conns, w)
	return w
}

// session opens a connection with a new session.
func (x *rawRun) session() *wire {
	w, err := connectWire(x.addr, 10*time.Second)
	if err != nil {
		x.fail(err)
		return nil
	}
	x.conns = append(x.conns, w)
	return w
}

// zxid writes a zxid relative to the case's beginning: what an earlier case wrote is old.
func (x *rawRun) zxid(z proto.Zxid) string {
	switch {
	case z <= 0:
		return fmt.Sprint(int64(z))
	case z < x.base:
		return "old"
	}
	return fmt.Sprintf("z%+d", int64(z-x.base))
}

func (x *rawRun) millis(m proto.Millis) string {
	switch at := time.UnixMilli(int64(m)); {
	case m == 0:
		return "0"
	case at.Before(x.began.Add(-time.Second)):
		return "past"
	case at.After(time.Now().Add(time.Second)):
		return fmt.Sprintf("future(%d)", m)
	}
	return "now"
}

func (x *rawRun) owner(s proto.SessionID) string {
	for i, w := range x.conns {
		if s != 0 && w.resp.SessionID == s {
			return fmt.Sprintf("conn%d", i)
		}
	}
	return fmt.Sprint(int64(s))
}

func (x *rawRun) stat(s proto.Stat) string {
	return fmt.Sprintf("[cz=%s mz=%s ct=%s mt=%s v=%d cv=%d av=%d eo=%s dl=%d nc=%d pz=%s]", x.zxid(s.Czxid), x.zxid(s.Mzxid),
		x.millis(s.Ctime), x.millis(s.Mtime), s.Version, s.Cversion, s.Aversion, x.owner(s.EphemeralOwner), s.DataLength,
		s.NumChildren, x.zxid(s.Pzxid))
}

// exchange sends one request with xid 1 to 2^31-1 and writes down everything up to its reply.
func (x *rawRun) exchange(w *wire, what string, op proto.OpCode, body record) {
	if x.err != nil {
		return
	}
	if _, err := w.send(op, body); err != nil {
		x.logf("%s => closed", what)
		return
	}
	x.collect(w, what, op)
}

// collect reads events and one reply, and writes them down.
func (x *rawRun) collect(w *wire, what string, op proto.OpCode) {
	for {
		f, err := w.read()
		if err != nil {
			x.logf("%s => %s", what, closed(err))
			return
		}
		if f.Xid == proto.XidWatcherEvent {
			x.logf("%s: %s", what, x.event(f))
			continue
		}
		x.logf("%s => xid=%d zxid=%s err=%v %s", what, f.Xid-w.xid, x.zxid(f.Zxid), f.Err, x.body(op, f))
		return
	}
}

// closed tells a closed connection from silence.
func closed(err error) string {
	var t net.Error
	if errors.As(err, &t) && t.Timeout() {
		return "silence"
	}
	return "closed"
}

func (x *rawRun) event(f frame) string {
	var e proto.WatcherEvent
	d := proto.NewDecoder(f.Body)
	e.Decode(&d)
	return fmt.Sprintf("event %d state %d %s zxid=%s err=%v left=%d", e.Type, e.State, e.Path, x.zxid(f.Zxid), f.Err, d.Remaining())
}

// body describes a reply's body, with what was left over.
func (x *rawRun) body(op proto.OpCode, f frame) string {
	if f.Err != proto.OK || len(f.Body) == 0 {
		return fmt.Sprintf("body=%x", f.Body)
	}
	d := proto.NewDecoder(f.Body)
	s := x.record(op, &d)
	if d.Err() != nil || d.Remaining() != 0 {
		s += fmt.Sprintf(" (%v, left %d)", d.Err(), d.Remaining())
	}
	return s
}

func (x *rawRun) record(op proto.OpCode, d *proto.Decoder) string {
	switch op {
	case proto.OpCreate, proto.OpSync:
		return d.Str()
	case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		var r proto.Create2Response
		r.Decode(d)
		return r.Path + " " + x.stat(r.Stat)
	case proto.OpExists, proto.OpSetData, proto.OpSetACL:
		var s proto.Stat
		s.Decode(d)
		return x.stat(s)
	case proto.OpGetData:
		var r proto.GetDataResponse
		r.Decode(d)
		return fmt.Sprintf("%q(%t) %s", r.Data, r.Data == nil, x.stat(r.Stat))
	case proto.OpGetACL:
		var r proto.GetACLResponse
		r.Decode(d)
		return fmt.Sprintf("%v %s", r.ACL, x.stat(r.Stat))
	case proto.OpGetChildren, proto.OpGetEphemerals:
		var r proto.StringsResponse
		r.Decode(d)
		sort.Strings(r.Strings)
		return fmt.Sprintf("%q", r.Strings)
	case proto.OpGetChildren2:
		var r proto.GetChildren2Response
		r.Decode(d)
		sort.Strings(r.Children)
		return fmt.Sprintf("%q %s", r.Children, x.stat(r.Stat))
	case proto.OpMulti, proto.OpMultiRead:
		return x.multi(d)
	case proto.OpWhoAmI:
		var r proto.WhoAmIResponse
		r.Decode(d)
		sort.Slice(r.ClientInfo, func(i, j int) bool { return r.ClientInfo[i].AuthScheme < r.ClientInfo[j].AuthScheme })
		return fmt.Sprint(r.ClientInfo)
	}
	rest := d.Rest()
	for d.Remaining() > 0 {
		d.Byte()
	}
	return fmt.Sprintf("body=%x", rest)
}

func (x *rawRun) multi(d *proto.Decoder) string {
	var all []string
	for d.Err() == nil {
		var h proto.MultiHeader
		h.Decode(d)
		s := fmt.Sprintf("{%d %t %d", h.Op, h.Done, h.Err)
		switch {
		case h.Done:
			return strings.Join(append(all, s+"}"), " ")
		case h.Op == proto.OpError:
			s += fmt.Sprintf(" %v", proto.ErrCode(d.Int32()))
		case h.Op == proto.OpDelete || h.Op == proto.OpCheck:
		default:
			s += " " + x.record(h.Op, d)
		}
		all = append(all, s+"}")
	}
	return strings.Join(all, " ")
}

// settle writes down how far the server's zxid has moved: what the requests so far have used up.
func (x *rawRun) settle(control *wire) {
	if x.err != nil {
		return
	}
	f, err := control.call(proto.OpSync, &proto.PathRequest{Path: "/"})
	if err != nil {
		x.fail(err)
		return
	}
	x.logf("the server is at %s", x.zxid(f.Zxid))
}

// runRaw runs a case and returns its transcript.
func runRaw(t *testing.T, c rawCase, addr string) []string {
	t.Helper()
	control, err := connectWire(addr, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	f, err := control.call(proto.OpSync, &proto.PathRequest{Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	x := &rawRun{addr: addr, base: f.Zxid, began: time.Now()}
	defer func() {
		for _, w := range x.conns {
			w.Close()
		}
		// The session ends now and not in the middle of a later case.
		_, _ = control.call(proto.OpCloseSession, nil) // the case is over either way
	}()
	c.run(x)
	if x.err != nil {
		t.Fatalf("%v; so far:\n%s", x.err, strings.Join(x.lines, "\n"))
	}
	// Sessions that the case has left open are ended likewise.
	for _, w := range x.conns {
		if w.resp.SessionID != 0 {
			endSession(addr, w)
		}
	}
	return x.lines
}

// endSession closes a session whose connection may be gone.
func endSession(addr string, w *wire) {
	w.Close()
	w.lastZxid = 0
	if again, err := resumeWire(addr, w); err == nil {
		_, _ = again.call(proto.OpCloseSession, nil) // best effort: it may be closed already
		again.Close()
	}
}

// TestRawProtocol compares frame by frame what servers answer to what no client sends.
func TestRawProtocol(t *testing.T) {
	makers := bothMakers(t)
	var addrs [2]string
	for i, m := range makers {
		c := peers.Config{Dir: filepath.Join(t.TempDir(), fmt.Sprint(i)), Extra: []string{"minSessionTimeout=1000", "maxSessionTimeout=60000"}, Properties: properties}
		addrs[i] = start(t, m, c).Addr
	}
	cases := rawCases()
	// What Apache is known to suffer from comes last.
	sort.SliceStable(cases, func(i, j int) bool { return cases[i].deliberate == "" && cases[j].deliberate != "" })
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got [2][]string
			for i := range makers {
				got[i] = runRaw(t, c, addrs[i])
			}
			if os.Getenv("INTEROP_SHOW") != "" {
				t.Logf("on %s:\n%s", makers[0].Name(), strings.Join(got[0], "\n"))
			}
			compareRaw(t, c, makers, got)
		})
	}
}

func compareRaw(t *testing.T, c rawCase, makers [2]peers.Maker, got [2][]string) {
	same := true
	for i := range max(len(got[0]), len(got[1])) {
		line := func(j int) string {
			switch {
			case i >= len(got[j]):
				return "(nothing)"
			case c.anyZxid != "":
				return relativeZxid.ReplaceAllString(got[j][i], "z")
			}
			return got[j][i]
		}
		if line(0) == line(1) {
			continue
		}
		same = false
		report := t.Errorf
		if c.deliberate != "" {
			report = t.Logf
		}
		report("\n  %-13s %s\n  %-13s %s", makers[0].Name(), line(0), makers[1].Name(), line(1))
	}
	if same && c.deliberate != "" && makers[0] != makers[1] {
		t.Errorf("no difference, though one is documented: %s", c.deliberate)
	}
}

// i32 and i64 are big-endian integers; str is a string as Jute has it.
func i32(v int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
func i64(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

func str(s string) []byte { return append(i32(int32(len(s))), s...) }

func join(parts ...[]byte) rawBody {
	var b rawBody
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}
