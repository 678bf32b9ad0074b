package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"zebu/proto"
)

// What a connection can end with, besides errors of the network.
var (
	errRefused    = errors.New("the server closed the connection instead of opening a session: it may be starting, electing a leader, limiting clients, or behind what this session has seen")
	errExpired    = errors.New("session expired")
	errOutOfOrder = errors.New("a reply out of order")
	errHungUp     = errors.New("the server closed the connection")
	errSilent     = errors.New("the server fell silent")
)

// Times between rounds over the servers when none takes the session.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = time.Second
	maxConnect = 10 * time.Second // for dialling, and again for the handshake
)

// run keeps the session until ctx ends or the session expires.
func (s *session) run(ctx context.Context) {
	defer close(s.done)
	defer close(s.events)
	var xid int32
	pause := firstPause
	since := time.Now()
	for next := 0; ctx.Err() == nil; next++ {
		addr := s.servers[next%len(s.servers)]
		err := s.connect(ctx, addr, &xid)
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, errExpired) {
			s.setState(ctx, Expired)
			return
		}
		if s.State() != Connecting { // it was connected
			s.setState(ctx, Connecting)
			pause, since = firstPause, time.Now()
			next-- // this server may well come back, and knows the session
			s.noteProblem(addr, err)
			if !s.rest(ctx, firstPause) {
				break
			}
			continue
		}
		s.noteProblem(addr, err)
		if (next+1)%len(s.servers) != 0 {
			continue
		}
		if s.SessionID() == 0 || time.Since(since) > s.o.Patience {
			s.refuseWaiting()
		}
		if !s.rest(ctx, pause) {
			break
		}
		pause = min(2*pause, maxPause)
	}
	s.setState(ctx, Closed)
}

// note remembers the server connected to.
func (s *session) note(addr string) {
	s.mu.Lock()
	s.addr, s.problem = addr, nil
	s.mu.Unlock()
}

// noteProblem remembers why there is no connection.
func (s *session) noteProblem(addr string, err error) {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // what it adds is the address
	}
	if errors.Is(err, io.EOF) {
		err = errHungUp
	}
	s.mu.Lock()
	s.addr, s.problem = "", fmt.Errorf("%s: %w", addr, err)
	s.mu.Unlock()
}

// refuseWaiting fails the calls that wait for a connection.
func (s *session) refuseWaiting() {
	s.mu.Lock()
	err := &ConnectionError{Err: s.problem}
	s.mu.Unlock()
	for {
		select {
		case r := <-s.requests:
			r.done <- reply{err: err}
		default:
			return
		}
	}
}

// rest waits; false if ctx ended.
func (s *session) rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connect takes the session to one server and serves it there. It returns why that ended.
func (s *session) connect(ctx context.Context, addr string, xid *int32) error {
	s.mu.Lock()
	limit := min(max(s.timeout/time.Duration(len(s.servers)), time.Second), maxConnect)
	s.mu.Unlock()
	dialing, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	nc, err := s.o.Dial(dialing, "tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	unhook := context.AfterFunc(ctx, func() { nc.Close() })
	defer unhook()
	c := &conn{s: s, nc: nc, in: bufio.NewReaderSize(nc, 64<<10), xid: xid, closing: make(chan struct{})}
	readOnly, err := c.handshake(limit)
	if err != nil {
		return err
	}
	greeting := c.greeting()
	s.note(addr)
	writer := make(chan error, 1)
	go func() { writer <- c.write(greeting) }()
	if readOnly {
		s.setState(ctx, ConnectedReadOnly)
	} else {
		s.setState(ctx, Connected)
	}
	err = c.read(ctx)
	close(c.closing)
	nc.Close() // the writer ends
	if werr := <-writer; err == nil {
		err = werr
	}
	c.fail(err)
	return err
}

// conn is one connection. The reader runs in the session's goroutine, the writer in its own.
type conn struct {
	s       *session
	nc      net.Conn
	in      *bufio.Reader
	xid     *int32 // the writer's
	closing chan struct{}

	mu      sync.Mutex
	pending []sent // in the order of the requests
	auths   []sent
}

type sent struct {
	xid int32
	r   *request
}

// handshake opens or resumes the session (spec 1.4).
func (c *conn) handshake(limit time.Duration) (readOnly bool, err error) {
	s := c.s
	s.mu.Lock()
	req := proto.ConnectRequest{
		LastZxidSeen: s.last, Timeout: int32(s.o.Timeout.Milliseconds()), SessionID: s.id, Passwd: s.passwd,
		ReadOnly: s.o.ReadOnly, HasReadOnly: true,
	}
	s.mu.Unlock()
	if err := c.nc.SetDeadline(time.Now().Add(limit)); err != nil {
		return false, err
	}
	if _, err := c.nc.Write(frame(req.Append(make([]byte, 4, 64)))); err != nil {
		return false, err
	}
	body, err := c.frame()
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errRefused
		}
		return false, err
	}
	d := proto.NewDecoder(body)
	var resp proto.ConnectResponse
	if resp.Decode(&d); d.Err() != nil {
		return false, fmt.Errorf("not a ZooKeeper server: %w", d.Err())
	}
	if resp.Timeout <= 0 {
		return false, errExpired
	}
	s.mu.Lock()
	s.id, s.passwd, s.timeout = resp.SessionID, resp.Passwd, time.Duration(resp.Timeout)*time.Millisecond
	s.mu.Unlock()
	return resp.ReadOnly, c.nc.SetDeadline(time.Time{})
}

// frame reads one frame.
func (c *conn) frame() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return nil, err
	}
	n := int32(binary.BigEndian.Uint32(head[:]))
	if n < 0 || int(n) > c.s.o.MaxFrame {
		return nil, fmt.Errorf("a frame of %d bytes, more than the limit of %d: is this a ZooKeeper client port?", n, c.s.o.MaxFrame)
	}
	body := make([]byte, n)
	_, err := io.ReadFull(c.in, body)
	return body, err
}

// frame fills in the length of a frame whose first four bytes were left for it.
func frame(b []byte) []byte {
	proto.PutInt32(b, int32(len(b)-4))
	return b
}

// packet encodes one request.
func packet(xid int32, op proto.OpCode, body []byte) []byte {
	h := proto.RequestHeader{Xid: xid, Op: op}
	return frame(append(h.Append(make([]byte, 4, 12+len(body))), body...))
}

// greeting is what a new connection starts with: the identities and watches that the session had.
func (c *conn) greeting() []byte {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	var b []byte
	for i := range s.auths {
		p := s.auths[i]
		b = append(b, packet(proto.XidAuth, proto.OpAuth, p.Append(nil))...)
		c.auths = append(c.auths, sent{r: &request{op: proto.OpAuth, done: make(chan reply, 1), registers: func(s *session, e proto.ErrCode) {
			if e != proto.OK { // this server does not take it: better without it than not at all
				s.auths = slices.DeleteFunc(s.auths, func(a proto.AuthPacket) bool {
					return a.Scheme == p.Scheme && bytes.Equal(a.Auth, p.Auth)
				})
			}
		}}})
	}
	return append(b, s.watches.again(s.last)...)
}

// write sends requests as they come, many at a time, and pings when there are none (spec 1.6).
func (c *conn) write(greeting []byte) error {
	out := bufio.NewWriterSize(c.nc, 64<<10)
	_, err := out.Write(greeting)
	third := c.third()
	idle := time.NewTimer(third)
	defer idle.Stop()
	for err == nil {
		if err = out.Flush(); err != nil {
			break
		}
		select {
		case r := <-c.s.requests:
			err = c.put(out, r)
			for more := true; more && err == nil; {
				select {
				case r := <-c.s.requests:
					err = c.put(out, r)
				default:
					more = false
				}
			}
			idle.Reset(third)
		case <-idle.C:
			_, err = out.Write(packet(proto.XidPing, proto.OpPing, nil))
			idle.Reset(third)
		case <-c.closing:
			return nil
		}
	}
	c.nc.Close() // the reader ends
	return err
}

// third is a third of the session's timeout: the pause after which the client pings.
func (c *conn) third() time.Duration {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.timeout / 3
}

// put notes that r awaits its reply and writes it.
func (c *conn) put(out *bufio.Writer, r *request) error {
	*c.xid++
	if *c.xid <= 0 {
		*c.xid = 1
	}
	w := sent{*c.xid, r}
	c.mu.Lock()
	if r.op == proto.OpAuth {
		w.xid = proto.XidAuth
		c.auths = append(c.auths, w)
	} else {
		c.pending = append(c.pending, w)
	}
	c.mu.Unlock()
	if err := c.nc.SetWriteDeadline(time.Now().Add(2 * c.third())); err != nil {
		return err
	}
	_, err := out.Write(packet(w.xid, r.op, r.body))
	return err
}

// read takes frames until the connection ends. A server that says nothing for two thirds of the timeout, though it was
// pinged, is given up.
func (c *conn) read(ctx context.Context) error {
	for {
		if err := c.nc.SetReadDeadline(time.Now().Add(2 * c.third())); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		body, err := c.frame()
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				return errSilent
			}
			return err
		}
		d := proto.NewDecoder(body)
		var h proto.ReplyHeader
		if h.Decode(&d); d.Err() != nil {
			return d.Err()
		}
		if err := c.dispatch(ctx, h, &d); err != nil {
			return err
		}
	}
}

// dispatch hands a frame to whoever waits for it.
func (c *conn) dispatch(ctx context.Context, h proto.ReplyHeader, d *proto.Decoder) error {
	switch h.Xid {
	case proto.XidPing, proto.XidSetWatches:
		return nil
	case proto.XidWatcherEvent:
		var e proto.WatcherEvent
		if e.Decode(d); d.Err() != nil {
			return d.Err()
		}
		c.s.fired(ctx, e, h.Zxid)
		return nil
	}
	c.mu.Lock()
	queue := &c.pending
	if h.Xid == proto.XidAuth {
		queue = &c.auths
	}
	if len(*queue) == 0 || h.Xid != proto.XidAuth && (*queue)[0].xid != h.Xid {
		c.mu.Unlock()
		return errOutOfOrder
	}
	r := (*queue)[0].r
	*queue = (*queue)[1:]
	c.mu.Unlock()
	c.s.mu.Lock()
	c.s.last = max(c.s.last, h.Zxid)
	var removed []Event
	if r.registers != nil {
		r.registers(c.s, h.Err)
		removed, c.s.removed = c.s.removed, nil
	}
	c.s.mu.Unlock()
	for _, e := range removed {
		c.s.deliver(ctx, e)
	}
	r.done <- reply{body: d.Rest(), zxid: h.Zxid, err: h.Err.Err()}
	return nil
}

// fail answers what was sent and got no reply. Identities that were being added are sent again by the next connection.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range append(c.pending, c.auths...) {
		w.r.done <- reply{err: &ConnectionError{Lost: true, Err: err}}
	}
	c.pending, c.auths = nil, nil
}

// fired passes a watch event on and forgets the one-shot watches that it used up.
func (s *session) fired(ctx context.Context, e proto.WatcherEvent, z proto.Zxid) {
	s.mu.Lock()
	s.watches.fired(e)
	state := s.state
	s.last = max(s.last, z)
	root := s.root
	s.mu.Unlock()
	s.deliver(ctx, Event{Type: e.Type, State: state, Path: strip(root, e.Path), Zxid: z})
}
