package interop

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"zebu/proto"
)

// goClients drives github.com/go-zookeeper/zk within the test process, behind the same line protocol as the others.
type goClients struct {
	sessions map[string]*goSession
}

type goSession struct {
	conn *zk.Conn

	mu      sync.Mutex
	state   zk.State
	expired bool // once is enough: the client opens a new session at once
	events  []string
	moved   chan struct{} // closed and replaced when state changes
	was     bool          // disconnected, since the last wait for a connection

	rewatched chan struct{} // a setWatches is on its way
}

// goConn tells when the client sends setWatches: it does so on its own, some time after it has reported to be connected.
type goConn struct {
	net.Conn
	s *goSession
}

func (c *goConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if len(b) >= 12 && proto.OpCode(binary.BigEndian.Uint32(b[8:])) == proto.OpSetWatches {
		select {
		case c.s.rewatched <- struct{}{}:
		default:
		}
	}
	return n, err
}

func (s *goSession) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	c, err := net.DialTimeout(network, address, timeout)
	if err != nil {
		return nil, err
	}
	return &goConn{Conn: c, s: s}, nil
}

// rewatchLimit is how long to wait for a setWatches that does not come if there is nothing to watch.
const rewatchLimit = 2 * time.Second

func goDriver() *driverKind {
	return &driverKind{
		name:  "go",
		start: func(*testing.T) driver { return &goClients{sessions: map[string]*goSession{}} },
		lacks: map[string]string{
			"create2":           "go-zookeeper/zk does not return create's stat",
			"scenario takeover": "go-zookeeper/zk cannot take over a session id",
			"resume":            "go-zookeeper/zk cannot take over a session id",
			"addwatch":          "go-zookeeper/zk 1.0 has no addWatch",
			"removewatches":     "go-zookeeper/zk 1.0 has no removeWatches",
			"removeall":         "go-zookeeper/zk 1.0 has no removeWatches",
			"multi create2":     "go-zookeeper/zk has no create2 in multi",
			"multiread":         "go-zookeeper/zk has no multiRead",
			"whoami":            "go-zookeeper/zk has no whoAmI",
			"ephemerals":        "go-zookeeper/zk has no getEphemerals",
			"allchildren":       "go-zookeeper/zk has no getAllChildrenNumber",
		},
	}
}

type quietLogger struct{}

func (quietLogger) Printf(string, ...any) {}

func (g *goClients) close() {
	for _, s := range g.sessions {
		s.conn.Close()
	}
}

func (g *goClients) do(line string) (string, error) {
	w := strings.Split(line, " ")
	if w[0] == "connect" {
		return g.connect(w)
	}
	s := g.sessions[w[1]]
	switch w[0] {
	case "waitstate":
		return s.wait(w[2])
	case "close":
		s.conn.Close()
		return "ok", nil
	case "events":
		_, _, err := s.conn.Exists("/")
		s.mu.Lock()
		defer s.mu.Unlock()
		e := strings.Join(s.events, ";")
		s.events = nil
		return "events=" + e, err
	}
	out, err := s.request(w)
	if err != nil {
		return goError(err), nil
	}
	return out, nil
}

var goErrors = map[error]int{
	zk.ErrAPIError: -100, zk.ErrNoNode: -101, zk.ErrNoAuth: -102, zk.ErrBadVersion: -103,
	zk.ErrNoChildrenForEphemerals: -108, zk.ErrNodeExists: -110, zk.ErrNotEmpty: -111, zk.ErrSessionExpired: -112,
	zk.ErrInvalidACL: -114, zk.ErrAuthFailed: -115, zk.ErrSessionMoved: -118, zk.ErrBadArguments: -8,
}

func goError(err error) string {
	for e, code := range goErrors {
		if errors.Is(err, e) {
			return "err=" + strconv.Itoa(code)
		}
	}
	return "err=" + strings.ReplaceAll(err.Error(), " ", "_")
}

func (g *goClients) connect(w []string) (string, error) {
	ms, err := strconv.Atoi(w[3])
	if err != nil {
		return "", err
	}
	s := &goSession{moved: make(chan struct{}), rewatched: make(chan struct{}, 1)}
	conn, events, err := zk.Connect([]string{w[2]}, time.Duration(ms)*time.Millisecond,
		zk.WithEventCallback(s.event), zk.WithDialer(s.dial), zk.WithLogger(quietLogger{}))
	if err != nil {
		return "", err
	}
	go func() {
		for range events { // the callback has seen them, in order; the channel must not fill up
		}
	}()
	s.conn = conn
	g.sessions[w[1]] = s
	if state, err := s.wait("connected"); err != nil {
		return state, err
	}
	return fmt.Sprintf("sid=%x passwd=", uint64(conn.SessionID())), nil
}

func (s *goSession) event(e zk.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Type == zk.EventSession {
		s.state = e.State
		s.was = s.was || e.State == zk.StateDisconnected
		s.expired = s.expired || e.State == zk.StateExpired
		close(s.moved)
		s.moved = make(chan struct{})
		return
	}
	if e.Type != zk.EventNotWatching {
		s.events = append(s.events, fmt.Sprintf("%d:%s", e.Type, e.Path))
	}
}

func (s *goSession) wait(want string) (string, error) {
	deadline := time.After(stepTimeout)
	for {
		s.mu.Lock()
		connected, moved := s.state == zk.StateHasSession, s.moved
		is := map[string]bool{"connected": connected, "disconnected": !connected, "expired": s.expired}[want]
		again := is && want == "connected" && s.was
		if again {
			s.was = false
		}
		s.mu.Unlock()
		if again {
			select {
			case <-s.rewatched:
			case <-time.After(rewatchLimit):
			}
		}
		if is {
			return "state=" + want, nil
		}
		select {
		case <-moved:
		case <-deadline:
			return "state=timeout", nil
		}
	}
}

func (s *goSession) request(w []string) (string, error) {
	c, path := s.conn, w[2]
	watch := w[len(w)-1] == "1"
	switch w[0] {
	case "auth":
		return "ok", c.AddAuth(w[2], []byte(w[3]))
	case "create":
		p, err := goCreate(c, w[1:])
		return "path=" + p, err
	case "delete":
		return "ok", c.Delete(path, goInt(w[3]))
	case "exists":
		return goExists(c, path, watch)
	case "get":
		var b []byte
		var st *zk.Stat
		var err error
		if watch {
			b, st, _, err = c.GetW(path)
		} else {
			b, st, err = c.Get(path)
		}
		return "data=" + hexWord(b) + " stat=" + goStat(st), err
	case "set":
		st, err := c.Set(path, goData(w[3]), goInt(w[4]))
		return "stat=" + goStat(st), err
	case "getacl":
		a, st, err := c.GetACL(path)
		return "acl=" + goACLText(a) + " stat=" + goStat(st), err
	case "setacl":
		st, err := c.SetACL(path, goACL(w[3]), goInt(w[4]))
		return "stat=" + goStat(st), err
	case "children", "children2":
		var names []string
		var st *zk.Stat
		var err error
		if watch {
			names, st, _, err = c.ChildrenW(path)
		} else {
			names, st, err = c.Children(path)
		}
		return "children=" + strings.Join(names, ",") + " stat=" + goStat(st), err
	case "sync":
		p, err := c.Sync(path)
		return "path=" + p, err
	case "multi":
		return goMulti(c, w[2:])
	}
	return "err=unknown-verb", nil
}

func goExists(c *zk.Conn, path string, watch bool) (string, error) {
	var ok bool
	var st *zk.Stat
	var err error
	if watch {
		ok, st, _, err = c.ExistsW(path)
	} else {
		ok, st, err = c.Exists(path)
	}
	if err == nil && !ok {
		return "err=-101", nil
	}
	return "stat=" + goStat(st), err
}

// goCreate takes the words after the verb and the session: path data acl mode [ttl].
func goCreate(c *zk.Conn, w []string) (string, error) {
	path, data, acl, mode := w[1], goData(w[2]), goACL(w[3]), goInt(w[4])
	switch mode {
	case zk.FlagTTL, zk.FlagTTL | zk.FlagSequence:
		ttl, err := strconv.Atoi(w[5])
		if err != nil {
			return "", err
		}
		return c.CreateTTL(path, data, mode, acl, time.Duration(ttl)*time.Millisecond)
	case 4:
		return c.CreateContainer(path, data, mode, acl)
	}
	return c.Create(path, data, mode, acl)
}

func goMulti(c *zk.Conn, w []string) (string, error) {
	var ops []any
	for op := range strings.SplitSeq(strings.Join(w, " "), " | ") {
		o := strings.Split(op, " ")
		switch o[0] {
		case "create":
			ops = append(ops, &zk.CreateRequest{Path: o[1], Data: goData(o[2]), Acl: goACL(o[3]), Flags: goInt(o[4])})
		case "delete":
			ops = append(ops, &zk.DeleteRequest{Path: o[1], Version: goInt(o[2])})
		case "set":
			ops = append(ops, &zk.SetDataRequest{Path: o[1], Data: goData(o[2]), Version: goInt(o[3])})
		case "check":
			ops = append(ops, &zk.CheckVersionRequest{Path: o[1], Version: goInt(o[2])})
		default:
			return "err=unknown-op", nil
		}
	}
	responses, err := c.Multi(ops...)
	var results []string
	for _, r := range responses {
		switch {
		case r.Error != nil:
			results = append(results, strings.Replace(goError(r.Error), "err=", "err:", 1))
		case r.Stat != nil:
			results = append(results, "set:"+goStat(r.Stat))
		default:
			results = append(results, "ok:"+r.String)
		}
	}
	out := "results=" + strings.Join(results, ";")
	if err != nil {
		out += " " + goError(err)
	}
	return out, nil
}

func goInt(s string) int32 {
	n, _ := strconv.Atoi(s) // a scenario's own word
	return int32(n)
}

func goData(word string) []byte {
	switch word {
	case "-":
		return nil
	case "=":
		return []byte{}
	}
	b, _ := hex.DecodeString(word) // made by encodeArg
	return b
}

func hexWord(b []byte) string {
	switch {
	case b == nil:
		return "-"
	case len(b) == 0:
		return "="
	}
	return hex.EncodeToString(b)
}

func goACL(word string) []zk.ACL {
	acl := []zk.ACL{}
	if word == "-" {
		return acl
	}
	for a := range strings.SplitSeq(word, ",") {
		f := strings.SplitN(a, ":", 3)
		acl = append(acl, zk.ACL{Perms: goInt(f[0]), Scheme: f[1], ID: f[2]})
	}
	return acl
}

func goACLText(acl []zk.ACL) string {
	var all []string
	for _, a := range acl {
		all = append(all, fmt.Sprintf("%d:%s:%s", a.Perms, a.Scheme, a.ID))
	}
	sort.Strings(all)
	return strings.Join(all, ",")
}

func goStat(s *zk.Stat) string {
	if s == nil {
		return "none"
	}
	return fmt.Sprintf("%d/%d/%d/%d/%d/%d/%d/%x/%d/%d/%d", s.Czxid, s.Mzxid, s.Ctime, s.Mtime, s.Version, s.Cversion,
		s.Aversion, uint64(s.EphemeralOwner), s.DataLength, s.NumChildren, s.Pzxid)
}
