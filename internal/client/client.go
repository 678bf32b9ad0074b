package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"zebu/proto"
)

// Options say where and how a session is kept.
type Options struct {
	Servers string // host:port,host:port/chroot
	// Timeout is the session timeout to ask for; the server may grant another. 30 s if zero.
	Timeout time.Duration
	// Patience is how long calls wait when an established session has lost its servers; after it they fail with a
	// [ConnectionError]. Before the first connection they fail as soon as every server was tried.
	Patience time.Duration
	ReadOnly bool // take a server that is cut off from its quorum
	// MaxFrame bounds what a server may send in one frame, in bytes. 64 MiB if zero: a listing may be large, but memory
	// must not be at a stranger's mercy.
	MaxFrame int
	// Dial opens connections; nil for plain TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// State is what a session is in (ZooKeeper.States).
type State int32

// States of a session. Closed and Expired are final.
const (
	Connecting State = iota
	Connected
	ConnectedReadOnly
	Expired
	Closed
)

var stateNames = [...]string{"CONNECTING", "CONNECTED", "CONNECTEDREADONLY", "EXPIRED", "CLOSED"}

// String names s as ZooKeeper's shell shows it in its prompt.
func (s State) String() string { return stateNames[s] }

// Alive says whether the session may still do something.
func (s State) Alive() bool { return s < Expired }

// Types of events that a client tells itself, when RemoveWatches has taken watches off (spec 4.1).
const (
	DataWatchRemoved       proto.EventType = 5
	ChildWatchRemoved      proto.EventType = 6
	PersistentWatchRemoved proto.EventType = 7
)

// Event is a watch that fired or was removed, or, with Path "" and Type 0, a change of the session's state.
type Event struct {
	Type  proto.EventType
	State State
	Path  string // without the chroot
	Zxid  proto.Zxid
}

// ErrClosed is the outcome of calls on a closed client.
var ErrClosed = errors.New("the session is closed")

// ConnectionError says why no server could be reached, or that the connection broke before the reply came.
type ConnectionError struct {
	Lost bool // the request was sent: it may have been executed or not
	Err  error
}

func (e *ConnectionError) Error() string {
	if e.Lost {
		return "connection lost before the reply came: " + e.Err.Error()
	}
	return "no connection: " + e.Err.Error()
}

func (e *ConnectionError) Unwrap() error { return e.Err }

// Is makes a ConnectionError equal to [proto.ErrConnectionLoss].
func (e *ConnectionError) Is(target error) bool { return target == proto.ErrConnectionLoss }

// events is how many events wait for their reader; when they are full the connection is not read any more.
const events = 1 << 14

// Client is one session. Its methods may be called from several goroutines.
type Client struct {
	*session
	root string // prepended to every path
}

// session is what all views of a client share.
type session struct {
	o        Options
	servers  []string
	requests chan *request // taken by the current connection's writer
	events   chan Event
	stop     context.CancelFunc
	done     chan struct{} // closed when run has ended

	mu      sync.Mutex
	state   State
	changed chan struct{} // closed at the next change of state
	id      proto.SessionID
	passwd  []byte
	timeout time.Duration // negotiated
	last    proto.Zxid    // highest zxid seen
	addr    string        // of the server connected to
	problem error         // why there is no connection
	auths   []proto.AuthPacket
	watches watches
	removed []Event // to be delivered for watches just removed
	closing bool    // Close was called: the end of the connection is no news
	root    string  // stripped from events
	sent    uint64  // events put into the channel
}

// New starts a session in the background. Errors concern o alone. The caller reads [Client.Events] if it sets watches
// and calls [Client.Close] in the end.
func New(o Options) (*Client, error) {
	servers, root, err := ParseServers(o.Servers)
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxFrame <= 0 {
		o.MaxFrame = 64 << 20
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &session{
		o: o, servers: servers, root: root, stop: stop, timeout: o.Timeout,
		requests: make(chan *request), events: make(chan Event, events),
		done: make(chan struct{}), changed: make(chan struct{}), passwd: make([]byte, 16),
	}
	go s.run(ctx)
	return &Client{session: s, root: root}, nil
}

// Absolute returns a view of the same session without the chroot, for the nodes below /zookeeper.
func (c *Client) Absolute() *Client { return &Client{session: c.session} }

// Root is the chroot, "" if there is none.
func (c *Client) Root() string { return c.root }

// Events delivers watches and changes of the session's state in the order of the connection. It is closed when the
// session has ended. Who sets watches must read it: when 16 Ki events wait, replies wait behind them.
func (s *session) Events() <-chan Event { return s.events }

// State is the session's state now.
func (s *session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Server is the address of the server that the session is connected to, "" if none.
func (s *session) Server() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// SessionID is 0 before the first connection.
func (s *session) SessionID() proto.SessionID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Connected waits until there is a connection, however often connecting fails, or until ctx ends.
func (s *session) Connected(ctx context.Context) error {
	for {
		s.mu.Lock()
		state, changed, problem := s.state, s.changed, s.problem
		s.mu.Unlock()
		switch state {
		case Connected, ConnectedReadOnly:
			return nil
		case Expired, Closed:
			return finalError(state)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if problem == nil {
				problem = ctx.Err()
			}
			return &ConnectionError{Err: problem}
		}
	}
}

// Close ends the session, on the server too if there is a connection and ctx leaves the time, and waits for what it had
// started.
func (s *session) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	var err error
	if st := s.State(); st == Connected || st == ConnectedReadOnly {
		_, _, err = s.send(ctx, &request{op: proto.OpCloseSession})
		if errors.Is(err, ErrClosed) || errors.Is(err, proto.ErrConnectionLoss) {
			err = nil // the server closes the socket right after its reply
		}
	}
	s.stop()
	<-s.done
	return err
}

func finalError(s State) error {
	if s == Expired {
		return proto.ErrSessionExpired
	}
	return ErrClosed
}

// setState changes the state and tells of it. An event is sent for what ZooKeeper's clients tell their watchers.
func (s *session) setState(ctx context.Context, to State) {
	s.mu.Lock()
	if s.state == to || !s.state.Alive() || s.closing && to == Connecting {
		s.mu.Unlock()
		return
	}
	s.state = to
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	if to.Alive() {
		s.deliver(ctx, Event{State: to, Zxid: -1})
		return
	}
	select {
	case s.events <- Event{State: to, Zxid: -1}:
		s.count()
	default: // whoever reads so slowly sees the channel closed
	}
}

func (s *session) count() {
	s.mu.Lock()
	s.sent++
	s.mu.Unlock()
}

// Delivered is how many events [Client.Events] has been given so far. The events that a server sent before a reply are
// among them when the call returns.
func (s *session) Delivered() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// deliver hands an event over; it waits for a slow reader, and gives up when the session is being closed.
func (s *session) deliver(ctx context.Context, e Event) {
	select {
	case s.events <- e:
		s.count()
	case <-ctx.Done():
	}
}

// strip removes the chroot from a path that a server sent.
func strip(root, path string) string {
	if root == "" || !strings.HasPrefix(path, root) {
		return path
	}
	if rest := path[len(root):]; rest == "" {
		return "/"
	} else if rest[0] == '/' {
		return rest
	}
	return path
}

// real is the server's name for a path of this client.
func (c *Client) real(path string) string {
	if c.root == "" {
		return path
	}
	if path == "/" {
		return c.root
	}
	return c.root + path
}

// request is one operation on its way.
type request struct {
	op    proto.OpCode
	body  []byte
	again bool // reads: may be sent once more after a lost connection
	// registers, if set, notes what later connections need: watches, identities. The reader calls it with the outcome and
	// the session locked, before it reads on, so that no event overtakes it.
	registers func(*session, proto.ErrCode)
	done      chan reply // room for one
}

type reply struct {
	body []byte
	zxid proto.Zxid
	err  error
}

// tries is how often a read is sent: a reply that costs the connection every time must not be asked for for ever.
const tries = 3

// send waits for a connection, sends r and waits for the reply.
func (s *session) send(ctx context.Context, r *request) ([]byte, proto.Zxid, error) {
	for try := 1; ; try++ {
		r.done = make(chan reply, 1)
		select {
		case s.requests <- r:
		case <-s.done:
			return nil, 0, finalError(s.State())
		case <-ctx.Done():
			return nil, 0, s.ended(ctx)
		}
		var got reply
		select {
		case got = <-r.done:
		case <-ctx.Done():
			return nil, 0, s.ended(ctx)
		}
		var lost *ConnectionError
		if !r.again || try == tries || !errors.As(got.err, &lost) || !lost.Lost {
			return got.body, got.zxid, got.err
		}
	}
}

// ended explains why a call whose context ended got no answer.
func (s *session) ended(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem != nil && s.state == Connecting && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &ConnectionError{Err: s.problem}
	}
	return fmt.Errorf("no answer: %w", context.Cause(ctx))
}
