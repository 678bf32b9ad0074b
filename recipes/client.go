package recipes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// Errors of this package; test for them with errors.Is.
var (
	// ErrLost is the cause of a lease's context, and the result of its release, if the session ended or the node was deleted
	// under the holder: someone else may have held it since.
	ErrLost = errors.New("recipes: the session, or the node that stands for the lease, is lost")
	// ErrReleased is the cause of a lease's context after its release.
	ErrReleased = errors.New("recipes: released")
	// ErrNotAcquired is what a Try method returns if others hold what was asked for.
	ErrNotAcquired = errors.New("recipes: held by others")
	// ErrDeadlock is the result of locking again under the context of a lease of the same lock that is not reentrant.
	ErrDeadlock = errors.New("recipes: the context's own lease holds this lock")
	// ErrClosed is the result of a call on a client that is closed.
	ErrClosed = errors.New("recipes: the client is closed")
	// ErrUnknownOutcome says that the connection was lost during a change, and that what is there now does not tell
	// whether the change was made.
	ErrUnknownOutcome = errors.New("recipes: connection lost, and the outcome cannot be told")
)

// Options are how [Connect] connects. The zero value will do.
type Options struct {
	// SessionTimeout is asked of the server, which may grant another; 0 asks for 10 s.
	SessionTimeout time.Duration
	// Dial opens a connection; nil is net.DialTimeout. One that does TLS returns a *tls.Conn.
	Dial zk.Dialer
	// HostProvider chooses among the servers; nil tries them in random order and resolves their names again when none answers.
	HostProvider zk.HostProvider
	// Logger is told what go-zookeeper has to say; nil drops it.
	Logger zk.Logger
	// ACL is of all nodes that the recipes create; nil lets everyone do everything.
	ACL []zk.ACL
	// Scheme and Auth identify the client ("digest", "user:password") if Scheme is set.
	Scheme string
	Auth   []byte
}

// Client is a ZooKeeper session for the recipes, which are all safe for use by several goroutines at once. When the session
// expires it opens another.
type Client struct {
	conn *zk.Conn
	acl  []zk.ACL
	done chan struct{} // closed when the client is, and nothing new is asked
	over chan struct{} // closed when the connection is: there are no answers any more
	// identified is closed when the server has been told who this is: no request goes before.
	identified chan struct{}
	end        sync.Once
	last       sync.Once // closes over

	mu       sync.Mutex
	closed   bool
	granted  grant // of the connection being set up
	heard    time.Time
	seen     int64         // the last transaction that a reply has told
	current  *session      // nil: none that can be relied on
	deadline *time.Timer   // runs while current is disconnected
	changed  chan struct{} // closed and replaced when current becomes another
	hooks    map[int]func(zk.Event)
	nextHook int
	watches  map[watchKey]*watch // that have not fired
	tasks    sync.WaitGroup
}

// session is a span of time during which this client can rely on one session of the server's.
type session struct {
	id      int64
	timeout time.Duration
	ctx     context.Context // its cause is ErrLost
	lose    context.CancelCauseFunc
}

// grant is what a server says of a session when a connection is made.
type grant struct {
	id      int64
	timeout time.Duration
}

type noLogger struct{}

func (noLogger) Printf(string, ...any) {}

// Connect opens a client of the servers, each "host:port". It returns at once and connects in the background: the first call waits
// until a server is there. The error is about the arguments, or says that no name can be resolved.
func Connect(servers []string, o Options) (*Client, error) {
	if o.SessionTimeout == 0 {
		o.SessionTimeout = 10 * time.Second
	}
	if o.Dial == nil {
		o.Dial = net.DialTimeout
	}
	if o.Logger == nil {
		o.Logger = noLogger{}
	}
	if o.HostProvider == nil {
		o.HostProvider = &hosts{lookup: net.DefaultResolver.LookupHost}
	}
	c := &Client{acl: o.ACL, done: make(chan struct{}), over: make(chan struct{}), identified: make(chan struct{}), changed: make(chan struct{}), hooks: map[int]func(zk.Event){}, watches: map[watchKey]*watch{}}
	if c.acl == nil {
		c.acl = zk.WorldACL(zk.PermAll)
	}
	conn, events, err := zk.Connect(servers, o.SessionTimeout, zk.WithDialer(c.dialer(o.Dial)), zk.WithEventCallback(c.event),
		zk.WithHostProvider(o.HostProvider), zk.WithLogger(o.Logger), zk.WithLogInfo(false))
	if err != nil {
		return nil, fmt.Errorf("connect to %v: %w", servers, err)
	}
	c.conn = conn
	// Nobody waits for this one: go-zookeeper's own goroutine may block for ever if a request fails while it closes.
	go func() {
		for range events { // the callback has had them; the channel ends with the connection
		}
		c.stop()
		c.last.Do(func() { close(c.over) })
	}()
	go func() { // nor for this one
		defer close(c.identified)
		if o.Scheme == "" {
			return
		}
		for err := conn.AddAuth(o.Scheme, o.Auth); transient(err) && !c.ended(); err = conn.AddAuth(o.Scheme, o.Auth) {
		} // if the server refuses, it refuses what is asked for next
	}()
	return c, nil
}

// Conn is the connection, for what the recipes do not do. Do not close it; close the client.
func (c *Client) Conn() *zk.Conn { return c.conn }

// Close ends the session, and with it all that it holds, and waits for the client's goroutines, but for requests that go-zookeeper leaves
// without an answer.
func (c *Client) Close() {
	c.stop() // first: whoever tries again until there is an answer ends now
	c.conn.Close()
	c.last.Do(func() { close(c.over) })
	c.tasks.Wait()
}

func (c *Client) stop() {
	c.end.Do(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.closed = true
		c.loseSession()
		close(c.done)
	})
}

// spawn runs f in a goroutine that Close waits for. It reports false, and f does not run, if the client is closed.
func (c *Client) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.tasks.Go(f)
	return true
}

// hook has f called with every event of the connection, in order. f must not block, nor call the client.
func (c *Client) hook(f func(zk.Event)) (remove func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.nextHook
	c.nextHook++
	c.hooks[id] = f
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.hooks, id)
	}
}

// event is go-zookeeper's callback; it runs in the connection's goroutines.
func (c *Client) event(e zk.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Type == zk.EventSession {
		switch e.State {
		case zk.StateHasSession:
			c.attached()
		case zk.StateDisconnected:
			c.detached()
		case zk.StateExpired:
			c.loseSession()
			c.seen = 0
		}
	}
	for _, f := range c.hooks {
		f(e)
	}
}

// attached notes that a server has accepted the session; c.mu is held.
func (c *Client) attached() {
	c.stopDeadline()
	if c.closed || c.current != nil && c.current.id == c.granted.id {
		return
	}
	c.loseSession()
	ctx, cancel := context.WithCancelCause(context.Background())
	c.current = &session{id: c.granted.id, timeout: c.granted.timeout, ctx: ctx, lose: cancel}
	close(c.changed)
	c.changed = make(chan struct{})
}

// detached starts the clock at whose end the session is not relied on any more; c.mu is held.
func (c *Client) detached() {
	s := c.current
	if s == nil || c.deadline != nil {
		return
	}
	c.deadline = time.AfterFunc(time.Until(c.heard.Add(s.timeout*5/6)), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.current == s && c.deadline != nil {
			c.loseSession()
		}
	})
}

func (c *Client) stopDeadline() {
	if c.deadline != nil {
		c.deadline.Stop()
		c.deadline = nil
	}
}

// loseSession tells all who rely on the session; c.mu is held.
func (c *Client) loseSession() {
	c.stopDeadline()
	if c.current != nil {
		c.current.lose(ErrLost)
		c.current = nil
	}
}

// session waits for a session to rely on.
func (c *Client) session(ctx context.Context) (*session, error) {
	for {
		c.mu.Lock()
		s, changed := c.current, c.changed
		c.mu.Unlock()
		if s != nil {
			return s, nil
		}
		if err := c.await(ctx, changed); err != nil {
			return nil, err
		}
	}
}

// await waits for ch, the context or the client's end.
func (c *Client) await(ctx context.Context, ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return cause(ctx)
	case <-c.done:
		return ErrClosed
	}
}

// owned returns the session that can be relied on if its id is this.
func (c *Client) owned(id int64) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && c.current.id == id {
		return c.current
	}
	return nil
}
