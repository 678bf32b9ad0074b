package server

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"zebu/internal/sasl"
	"zebu/proto"
	"zebu/replica"
	"zebu/status"
)

// Sizes of a connection's buffers. An idle connection has none.
const (
	busyReadBuffer = 64 << 10
	// firstReadBuffer holds a handshake: many connections may wait for their sessions at the same time.
	firstReadBuffer = 64
	// readHighWater is how much unsent reply data stops a connection's reader until the client has taken it.
	readHighWater = 256 << 10
	// eventHighWater is how much may pile up for a client that does not read before it is disconnected: events come
	// whether it reads or not.
	eventHighWater = 16 << 20
	// maxDirectReads is how many reads a reader serves before it lets go of the state lock.
	maxDirectReads = 64
	// maxQueuedReads is how many reads a connection may have waiting behind its writes, and queuedReadBytes how many bytes
	// of answers to them, as far as can be told beforehand: they are answered all at once.
	maxQueuedReads  = 64
	queuedReadBytes = 1 << 20
)

// conn is one client connection. Its reader goroutine decodes requests, serves reads and hands the rest to the loop.
type conn struct {
	s      *Server
	nc     net.Conn
	sock   *socket // nil if the connection is not plain TCP
	remote netip.AddrPort
	opened time.Time

	rc          replica.Conn // the replica's side; guarded by the state lock
	in          []byte       // read buffer
	established bool         // the handshake is over
	batch       []item       // requests for the loop, from the frames in the read buffer
	batchSize   int
	owing       int          // about how many bytes the answers to queued reads will take
	largest     int          // body of the writes that they may be behind
	readAt      proto.Millis // when the read buffer was filled, monotonic
	connected   chan bool    // the loop's verdict on the handshake
	sasl        *sasl.Server // nil before the first step of an exchange
	proved      bool         // an identity in one of the schemes that enforce.auth demands

	lastSeen  atomic.Int64 // monotonic milliseconds of the client's last packet
	touchedAt int64        // the loop's: lastSeen as passed on to the session tracker
	inflight  atomic.Int64 // requests handed to the loop and not answered
	queued    atomic.Int64 // reads among them
	gone      atomic.Bool  // the socket is closed
	held      atomic.Bool  // the server does not read on, for reasons of its own: what the client sends meanwhile goes unseen

	mu       sync.Mutex
	drained  sync.Cond // unsent data fell below readHighWater, or the connection died
	out      []byte    // frames not handed to the socket yet
	unsent   int       // len(out) and what is being written
	flushing bool
	closing  bool         // close once out is empty
	dead     bool         // gone, for those who hold mu
	larges   []int64      // for each request in flight, oldest first, its size if it is a large one; unused without a limit on those
	word     bool         // serves a four-letter word
	audits   []auditEntry // of writes in flight, oldest first; only if there is an audit log
	stats    connStats    // since the last crst
	total    tally        // since the last srst
}

// errClose ends a connection quietly: the client broke the protocol in a way to which ZooKeeper answers by hanging up.
var errClose = errors.New("protocol violation")

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{s: s, nc: nc, opened: time.Now(), connected: make(chan bool, 1)}
	c.drained.L = &c.mu
	c.rc.Handle = c
	c.sock = newSocket(nc)
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		c.remote = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	c.rc.IDs = []proto.ID{{Scheme: "ip", ID: c.remote.Addr().WithZone("").String()}}
	c.stats, c.total = newConnStats(), newTally()
	return c
}

// serve reads until the connection ends.
func (c *conn) serve() {
	defer c.end()
	c.lastSeen.Store(int64(c.s.now()))
	if err := c.nc.SetReadDeadline(time.Now().Add(c.s.cfg.Client.HandshakeTimeout)); err != nil {
		return
	}
	if err := c.handshake(); err != nil {
		if errors.Is(err, errDeadline) {
			c.s.met.SessionlessConnectionsExpired.Inc()
		}
		return
	}
	c.established = true
	if err := c.nc.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	for {
		if err := c.process(); err != nil {
			return
		}
		if err := c.fill(); err != nil {
			return
		}
	}
}

// end sends the last replies and releases everything after the reader has finished.
func (c *conn) end() {
	c.mu.Lock()
	c.hangUp()
	c.mu.Unlock()
	c.flush()
	c.mu.Lock()
	for !c.dead {
		c.drained.Wait()
	}
	c.mu.Unlock()
	c.s.loop.in.push([]item{{kind: itemGone, c: c}})
	c.s.forget(c)
}

// abort closes the socket at once, which ends the reader too.
func (c *conn) abort() {
	c.mu.Lock()
	c.die()
	c.mu.Unlock()
}

// die closes the socket and wakes everybody who waits for something of the connection. The caller holds c.mu.
func (c *conn) die() {
	c.dead, c.closing, c.out, c.unsent = true, true, nil, 0
	c.nc.Close()
	c.drained.Broadcast()
	c.gone.Store(true)
	c.s.signalRoom()
}

// hangUp makes the connection end once its outbox is sent, or closeGrace later: a client that does not read must not keep
// it. The caller holds c.mu and flushes afterwards.
func (c *conn) hangUp() {
	if c.closing {
		return
	}
	c.closing = true
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.s.closeGrace)); err != nil {
		c.die()
	}
	c.drained.Broadcast()
}

// seen returns when the client gave its last sign of life. A connection that the server itself does not read, because too much
// is in flight, counts as alive: its pings wait in the socket.
func (c *conn) seen() int64 {
	if c.held.Load() {
		return int64(c.s.now())
	}
	return c.lastSeen.Load()
}

// fill reads more input behind what is in the buffer.
func (c *conn) fill() error {
	n, err := c.receive()
	if err != nil {
		return err
	}
	c.readAt = c.s.now()
	c.lastSeen.Store(int64(c.readAt))
	c.s.met.BytesReceivedCount.Add(int64(n))
	return nil
}

// receive waits for input. A connection without any, which is most of them most of the time, has no buffer either, if the
// socket can wait without one.
func (c *conn) receive() (n int, err error) {
	if len(c.in) == 0 && c.established {
		putBuffer(c.in)
		c.in = nil
		if c.sock != nil {
			c.in, err = c.sock.read()
			return len(c.in), err
		}
	}
	if c.in == nil {
		c.in = make([]byte, 0, firstReadBuffer)
	}
	if len(c.in) == cap(c.in) {
		// A length alone buys no memory: the buffer grows as the frame comes in.
		c.grow(max(busyReadBuffer, min(c.frameSize(), 2*cap(c.in))))
	}
	n, err = c.nc.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		err = nil
	}
	return n, err
}

func (c *conn) grow(size int) {
	var b []byte
	if size <= busyReadBuffer {
		b = getBuffer()
	} else {
		b = make([]byte, 0, size)
	}
	b = append(b, c.in...)
	putBuffer(c.in)
	c.in = b
}

// frameSize returns the whole size of the frame at the start of the buffer, as far as it is known.
func (c *conn) frameSize() int {
	if len(c.in) < 4 {
		return 4
	}
	n := int(int32(binary.BigEndian.Uint32(c.in)))
	return 4 + max(0, min(n, c.s.cfg.Limits.MaxBuffer))
}

// frame cuts the next whole frame off b; rest is b if there is none.
func (c *conn) frame(b []byte) (body, rest []byte, err error) {
	if len(b) < 4 {
		return nil, b, nil
	}
	n := int32(binary.BigEndian.Uint32(b))
	if n < 0 || int(n) > c.s.cfg.Limits.MaxBuffer {
		return nil, b, errClose
	}
	if len(b)-4 < int(n) {
		return nil, b, nil
	}
	return b[4 : 4+n : 4+n], b[4+n:], nil
}

// handshake serves a four-letter word, or waits until the session of a ConnectRequest is set up.
func (c *conn) handshake() error {
	for len(c.in) < 4 {
		if err := c.fill(); err != nil {
			return deadlineOr(err)
		}
	}
	if status.IsWord([4]byte(c.in)) {
		c.s.serveWord(c)
		return io.EOF
	}
	for {
		body, rest, err := c.frame(c.in)
		if err != nil {
			return err
		}
		if body != nil {
			if !c.s.throttle.admit(body) {
				c.s.met.ConnectionRejected.Inc()
				return errClose
			}
			c.countReceived(1)
			c.s.service.await(c.s.stopped)
			if !c.s.loop.in.push([]item{connectItem(c, body, c.readAt)}) {
				return errClose
			}
			c.in = c.in[:copy(c.in, rest)]
			break
		}
		if err := c.fill(); err != nil {
			return deadlineOr(err)
		}
	}
	select {
	case ok := <-c.connected:
		if !ok {
			return errClose
		}
		return nil
	case <-c.s.stopped:
		return errClose
	}
}

var errDeadline = errors.New("no session in time")

func deadlineOr(err error) error {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return errDeadline
	}
	return err
}

// process handles all whole frames in the buffer, then sends the replies that are ready.
func (c *conn) process() error {
	b := c.in
	reads := directReads{c: c}
	for {
		body, rest, err := c.frame(b)
		if err != nil || body == nil {
			reads.release()
			if perr := c.pass(); err == nil {
				err = perr
			}
			c.in = c.in[:copy(c.in, b)] // not before pass: the batch points into the buffer
			c.flush()
			c.awaitReader() // for what is not sent because another goroutine waits for the client to read
			return err
		}
		b = rest
		req, err := c.decode(body)
		if err == nil {
			err = c.handle(&req, &reads)
		}
		if err != nil {
			reads.release()
			_ = c.pass() // the connection ends either way
			c.awaitAnswers()
			c.flush()
			return err
		}
	}
}

func (c *conn) decode(body []byte) (replica.Request, error) {
	var hdr proto.RequestHeader
	d := proto.NewDecoder(body)
	if hdr.Decode(&d); d.Err() != nil {
		return replica.Request{}, errClose
	}
	return replica.Request{Xid: hdr.Xid, Op: hdr.Op, Body: d.Rest(), IDs: c.rc.IDs, At: c.readAt}, nil
}

// handle serves one request or adds it to the batch for the loop.
func (c *conn) handle(req *replica.Request, reads *directReads) error {
	switch req.Op {
	case proto.OpAuth:
		reads.release()
		return c.auth(req)
	case proto.OpSASL:
		reads.release()
		return c.saslRequest(req)
	}
	if c.gone.Load() {
		return errClose
	}
	if c.s.enforce && !c.proved && !c.mayPass(req.Op) {
		reads.release()
		c.reply(req, proto.ErrSessionClosedRequireSASL, nil)
		return errClose
	}
	if !replica.IsWrite(req.Op) && req.Op != proto.OpSync && len(c.batch) == 0 && c.inflight.Load() == 0 {
		return reads.serve(req)
	}
	reads.release()
	if !replica.IsWrite(req.Op) {
		if !c.queueRead(req) {
			return c.afterAnswers(req, reads)
		}
	} else {
		if c.inflight.Load() == 0 && len(c.batch) == 0 {
			c.largest = 0
		}
		c.largest = max(c.largest, len(req.Body))
		c.noteAudit(req)
	}
	c.batch = append(c.batch, item{kind: itemRequest, c: c, req: *req})
	c.batchSize += len(req.Body)
	if c.batchSize > busyReadBuffer || len(c.batch) >= c.s.batchLimit {
		return c.pass()
	}
	return nil
}

// queueRead counts a read, or sync, that is to wait behind a write. It reports false if too much would be owed once that
// write is done.
func (c *conn) queueRead(req *replica.Request) bool {
	n := c.queued.Load()
	if n == 0 {
		c.owing = 0
	}
	if req.Op != proto.OpSync && req.Op != proto.OpPing {
		c.s.state.RLock()
		size := c.s.rep.AnswerSize(req)
		c.s.state.RUnlock()
		c.owing += max(size, c.largest) // a write before it may make the node larger
	}
	if n > 0 && (n >= maxQueuedReads || c.owing > queuedReadBytes) {
		return false
	}
	c.queued.Add(1)
	return true
}

// afterAnswers serves a read, or hands over a sync, once everything before it is answered and sent.
func (c *conn) afterAnswers(req *replica.Request, reads *directReads) error {
	if err := c.pass(); err != nil {
		return err
	}
	c.awaitAnswers()
	if req.Op != proto.OpSync {
		return reads.serve(req)
	}
	c.queueRead(req)
	c.batch = append(c.batch, item{kind: itemRequest, c: c, req: *req})
	c.batchSize += len(req.Body)
	return nil
}

// pass hands the batch to the loop, first waiting until the client has taken most of what it is owed, and for room among
// the requests in flight (globalOutstandingLimit).
func (c *conn) pass() error {
	if len(c.batch) == 0 {
		return nil
	}
	c.awaitReader()
	if !c.admitLarge() {
		clear(c.batch)
		c.batch, c.batchSize = c.batch[:0], 0
		return errClose
	}
	c.held.Store(true)
	c.s.enter(c)
	c.countReceived(int64(len(c.batch)))
	ok := c.s.loop.in.push(c.batch)
	c.lastSeen.Store(int64(c.s.now()))
	c.held.Store(false)
	clear(c.batch)
	c.batch, c.batchSize = c.batch[:0], 0
	if !ok {
		return errClose
	}
	return nil
}

// awaitAnswers lets requests in flight be answered before the connection ends because of the one behind them.
func (c *conn) awaitAnswers() {
	c.mu.Lock()
	for c.inflight.Load() > 0 && !c.dead && !c.closing {
		c.drained.Wait()
	}
	c.mu.Unlock()
}

// directReads serves reads under the state lock, held over several of them.
type directReads struct {
	c    *conn
	held bool
	n    int
	now  proto.Millis // when the lock was taken
}

func (d *directReads) serve(req *replica.Request) error {
	c, s := d.c, d.c.s
	if replica.Exclusive(req.Op) {
		d.release()
		s.state.Lock()
		c.mu.Lock()
		fx := c.read(req, s.now())
		c.mu.Unlock()
		s.state.Unlock()
		c.awaitReader()
		return closeAfter(fx)
	}
	if !d.held {
		s.state.RLock()
		c.mu.Lock()
		d.held, d.n, d.now = true, 0, s.now()
	}
	fx := c.read(req, d.now)
	if fx.Watch.Path != "" {
		s.watching.Lock()
		s.rep.Register(&c.rc, fx.Watch)
		s.watching.Unlock()
	}
	if d.n++; d.n >= maxDirectReads || c.unsent > busyReadBuffer {
		d.release()
		c.awaitReader()
	}
	return closeAfter(fx)
}

func closeAfter(fx replica.Effect) error {
	if fx.Close {
		return errClose
	}
	return nil
}

func (d *directReads) release() {
	if !d.held {
		return
	}
	d.held = false
	d.c.mu.Unlock()
	d.c.s.state.RUnlock()
}

// read runs one read into the outbox at the time now. The caller holds the state's and the connection's lock.
func (c *conn) read(req *replica.Request, now proto.Millis) replica.Effect {
	c.ensureOut()
	n := len(c.out)
	var fx replica.Effect
	c.out, fx = c.s.rep.Read(&c.rc, req, c.out)
	size := len(c.out) - n
	if size == 0 {
		return fx // the replica has let go of the connection
	}
	c.unsent += size
	c.received(1)
	c.record(req.Op, req.Xid, c.s.rep.Applied(), req.At, now, size)
	c.s.met.ReadLatency.Observe(max(0, int64(now-req.At)))
	if fx.Err == proto.OK {
		c.s.countRead(req, size)
	}
	return fx
}

// reply appends a reply made by the shell itself: authentication, refusals. Such replies carry zxid 0.
func (c *conn) reply(req *replica.Request, code proto.ErrCode, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ensureOut()
	n := len(c.out)
	hdr := proto.ReplyHeader{Xid: req.Xid, Err: code}
	c.out = proto.AppendInt32(c.out, int32(16+len(body)))
	c.out = append(hdr.Append(c.out), body...)
	c.unsent += len(c.out) - n
	c.received(1)
	c.record(req.Op, req.Xid, 0, req.At, c.s.now(), len(c.out)-n)
}

func (c *conn) countReceived(n int64) {
	c.mu.Lock()
	c.received(n)
	c.mu.Unlock()
}
