package interop

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// The load of fault tests: registers that several clients write and read, nodes that they create one after the other, and
// an ephemeral node of each session.
const (
	faultKeys    = 6
	faultClients = 6
	logDir       = "/log"
	ephemeralDir = "/ephemeral"
)

// faultSession is what clients ask for.
const faultSession = 3 * time.Second

func registerPath(key int) string { return fmt.Sprintf("/register%d", key) }

// faultOp is one access to a register, as a client saw it.
type faultOp struct {
	client    int
	session   int64
	key       int
	write     bool
	value     string
	mzxid     int64 // of the value; 0 if unknown
	call, ret int64 // nanoseconds since the load began; ret is the greatest number if the outcome is not known
	plain     bool  // a read without a sync
}

const never = math.MaxInt64

// faultLoad runs the clients and keeps what they saw.
type faultLoad struct {
	t       *testing.T
	began   time.Time
	clients []*faultClient
	acked   atomic.Int64 // writes
	reads   atomic.Int64 // linearizable ones
	quit    chan struct{}
	running sync.WaitGroup

	mu    sync.Mutex
	extra []faultOp // of connections that tests make themselves
	wrong []string
}

type faultClient struct {
	load *faultLoad
	id   int
	conn *zk.Conn
	rand *rand.Rand

	ops     []faultOp // in order
	created []string  // acknowledged
	seq     int
	owned   int64           // the session that has an acknowledged ephemeral
	lost    map[int64]bool  // sessions that the client was told have expired
	name    string          // of the ephemeral
	bad     map[string]bool // errors that should not come
}

// startFaultLoad prepares the tree and starts clients that know all addresses.
func startFaultLoad(t *testing.T, addrs []string) *faultLoad {
	t.Helper()
	l := &faultLoad{t: t, began: time.Now(), quit: make(chan struct{})}
	w, err := connectWire(addrs[0], faultSession)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{logDir, ephemeralDir}
	for k := range faultKeys {
		paths = append(paths, registerPath(k))
	}
	for _, p := range paths {
		if _, err := w.create(p, "", 0, openACL); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	seed := uint64(time.Now().UnixNano())
	for i := range faultClients {
		conn, events, err := zk.Connect(addrs, faultSession, zk.WithLogger(quietLogger{}), zk.WithDialer(dialImpatiently))
		if err != nil {
			t.Fatal(err)
		}
		c := &faultClient{
			load: l, id: i, conn: conn, rand: rand.New(rand.NewPCG(seed, uint64(i))), lost: map[int64]bool{}, bad: map[string]bool{},
		}
		l.clients = append(l.clients, c)
		go func() {
			for range events { // the client stops if nobody takes them
			}
		}()
		l.running.Go(c.run)
	}
	t.Cleanup(func() {
		l.stop()
		for _, c := range l.clients {
			c.conn.Close()
		}
	})
	return l
}

// impatientConn does not wait ten times a session's timeout for the answer to a handshake, as the client would: a suspended server
// never sends it.
type impatientConn struct{ net.Conn }

func (c impatientConn) SetReadDeadline(at time.Time) error {
	if limit := time.Now().Add(faultSession); !at.IsZero() && at.After(limit) {
		at = limit
	}
	return c.Conn.SetReadDeadline(at)
}

func dialImpatiently(network, address string, timeout time.Duration) (net.Conn, error) {
	c, err := net.DialTimeout(network, address, timeout)
	if err != nil {
		return nil, err
	}
	return impatientConn{c}, nil
}

func (l *faultLoad) now() int64 { return time.Since(l.began).Nanoseconds() }

// stop ends the clients' work; their sessions live on.
func (l *faultLoad) stop() {
	select {
	case <-l.quit:
	default:
		close(l.quit)
	}
	l.running.Wait()
}

// progress waits until n more writes have been acknowledged.
func (l *faultLoad) progress(n int64) {
	l.t.Helper()
	writes, reads := l.acked.Load()+n, l.reads.Load()+n/4
	poll(l.t, recoveryLimit, "progress", func() bool { return l.acked.Load() >= writes && l.reads.Load() >= reads })
}

func (l *faultLoad) violated(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

func (c *faultClient) run() {
	for {
		select {
		case <-c.load.quit:
			return
		default:
		}
		c.keepEphemeral()
		switch key := c.rand.IntN(faultKeys); c.rand.IntN(8) {
		case 0, 1, 2:
			c.write(key)
		case 3, 4:
			c.read(key, true)
		case 5:
			c.read(key, false)
		case 6:
			c.append()
		default:
			c.checkEphemeral()
		}
	}
}

// lossy says whether an error is one that failures of servers explain.
func (c *faultClient) lossy(err error) bool {
	if errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer) || errors.Is(err, zk.ErrSessionExpired) || errors.Is(err, zk.ErrSessionMoved) {
		return true
	}
	if !c.bad[err.Error()] {
		c.bad[err.Error()] = true
		c.load.violated("client %d: %v", c.id, err)
	}
	return false
}

func (c *faultClient) write(key int) {
	c.seq++
	op := faultOp{
		client: c.id, session: c.conn.SessionID(), key: key, write: true, value: fmt.Sprintf("%d-%d", c.id, c.seq), call: c.load.now(), ret: never,
	}
	stat, err := c.conn.Set(registerPath(key), []byte(op.value), -1)
	if err == nil {
		op.ret, op.mzxid = c.load.now(), stat.Mzxid
		c.load.acked.Add(1)
	} else {
		c.lossy(err)
	}
	if op.session != c.conn.SessionID() {
		op.session = 0
	}
	c.ops = append(c.ops, op)
}

// read reads a register, behind a sync unless plain is asked for. What a change of sessions came between is not counted:
// a client of a new session knows nothing of what the old one saw.
func (c *faultClient) read(key int, synced bool) {
	op := faultOp{client: c.id, session: c.conn.SessionID(), key: key, plain: !synced, call: c.load.now()}
	if synced {
		if _, err := c.conn.Sync(registerPath(key)); err != nil {
			c.lossy(err)
			return
		}
	}
	data, stat, err := c.conn.Get(registerPath(key))
	if err != nil {
		c.lossy(err)
		return
	}
	op.ret, op.value, op.mzxid = c.load.now(), string(data), stat.Mzxid
	if op.session == c.conn.SessionID() {
		c.ops = append(c.ops, op)
		if synced {
			c.load.reads.Add(1)
		}
	}
}

// append creates the client's next node.
func (c *faultClient) append() {
	c.seq++
	name := fmt.Sprintf("%d-%06d", c.id, c.seq)
	if _, err := c.conn.Create(logDir+"/"+name, nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
		c.lossy(err)
		return
	}
	c.created = append(c.created, name)
	c.load.acked.Add(1)
}

// keepEphemeral gives every session of the client an ephemeral node.
func (c *faultClient) keepEphemeral() {
	session := c.conn.SessionID()
	if session == c.owned || session == 0 {
		return
	}
	if c.owned != 0 {
		c.lost[c.owned] = true
		c.owned = 0
	}
	c.seq++
	name := fmt.Sprintf("%s/%d-%d", ephemeralDir, c.id, c.seq)
	if _, err := c.conn.Create(name, nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
		c.lossy(err)
	} else if c.conn.SessionID() == session {
		c.owned, c.name = session, name
	}
}

// checkEphemeral holds the servers to it that a session's node is there while the session lives.
func (c *faultClient) checkEphemeral() {
	if c.owned == 0 {
		return
	}
	there, stat, err := c.conn.Exists(c.name)
	switch {
	case err != nil:
		c.lossy(err)
	case c.conn.SessionID() != c.owned:
	case !there:
		c.load.violated("client %d: session %#x lives and its ephemeral %s is gone", c.id, c.owned, c.name)
	case stat.EphemeralOwner != c.owned:
		c.load.violated("client %d: ephemeral %s belongs to session %#x, not %#x", c.id, c.name, stat.EphemeralOwner, c.owned)
	}
}

// report says in short what the load has done.
func (l *faultLoad) report() string {
	ops, unknown, expired := 0, 0, 0
	for _, c := range l.clients {
		ops += len(c.ops) + len(c.created)
		expired += len(c.lost)
		for _, op := range c.ops {
			if op.ret == never {
				unknown++
			}
		}
	}
	return fmt.Sprintf("%d operations, %d acknowledged writes, %d writes of unknown outcome, %d sessions expired; %s", ops, l.acked.Load(), unknown,
		expired, strings.Join(l.wrong, "; "))
}
