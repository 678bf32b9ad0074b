package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	"zebu/proto"
)

const (
	dialTimeout    = 10 * time.Second
	callTimeout    = 30 * time.Second
	sessionTimeout = 5 * time.Minute // asked for; nobody pings, so it must outlast a run
	maxReply       = 64 << 20        // a longer frame means that the stream is out of step
	firstBuffer    = 2 << 10         // per connection, since there are runs with 10,000 of them
	replyHeader    = 16
)

// conn is one client connection, used by one goroutine at a time. Requests are appended to out and written together;
// in[r:w] has been read and not consumed. Neither direction allocates once the buffers have grown.
type conn struct {
	nc        net.Conn
	session   proto.SessionID
	xid       int32 // of the last request
	answered  int32 // xid of the last reply
	out, in   []byte
	r, w      int
	events    int64 // watch events received
	ownership ownership
}

// dial connects to addr and opens a session.
func dial(addr string) (*conn, error) {
	nc, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		return nil, err
	}
	c := &conn{nc: nc, in: make([]byte, firstBuffer)}
	if err := c.handshake(); err != nil {
		nc.Close()
		return nil, fmt.Errorf("session on %s: %w", addr, err)
	}
	return c, nil
}

func (c *conn) handshake() error {
	req := proto.ConnectRequest{Timeout: int32(sessionTimeout / time.Millisecond), Passwd: make([]byte, 16), HasReadOnly: true}
	c.out = req.Append(proto.AppendInt32(c.out, 0))
	c.end(0)
	if err := c.nc.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	body, err := c.await()
	if err != nil {
		return err
	}
	d := proto.NewDecoder(body)
	var resp proto.ConnectResponse
	if resp.Decode(&d); d.Err() != nil {
		return d.Err()
	}
	if resp.Timeout <= 0 {
		return errors.New("refused")
	}
	c.session = resp.SessionID
	return nil
}

// begin appends a frame's length, to be filled in by end, and a request header. It returns where the frame begins.
func (c *conn) begin(op proto.OpCode) int {
	mark := len(c.out)
	c.xid = nextXid(c.xid)
	c.out = proto.AppendInt32(c.out, 0)
	c.out = proto.AppendInt32(c.out, c.xid)
	c.out = proto.AppendInt32(c.out, int32(op))
	return mark
}

func (c *conn) end(mark int) { proto.PutInt32(c.out[mark:], int32(len(c.out)-mark-4)) }

// nextXid counts from 1; what is not positive has a meaning of its own.
func nextXid(x int32) int32 {
	if x == math.MaxInt32 {
		return 1
	}
	return x + 1
}

// flush writes all requests appended so far with one call.
func (c *conn) flush() error {
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	return err
}

// fill reads once, whatever there is, making room first.
func (c *conn) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	need := 4
	if c.w-c.r >= 4 {
		need += int(binary.BigEndian.Uint32(c.in[c.r:])) // checked by frame
	}
	if len(c.in)-c.r < need {
		grown := c.in
		if len(c.in) < need {
			grown = make([]byte, 2*need)
		}
		c.r, c.w = 0, copy(grown, c.in[c.r:c.w])
		c.in = grown
	}
	n, err := c.nc.Read(c.in[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return err
}

// frame consumes the next frame if all of it has been read, else returns nil. The frame is valid until fill.
func (c *conn) frame() ([]byte, error) {
	if c.w-c.r < 4 {
		return nil, nil
	}
	n := int(binary.BigEndian.Uint32(c.in[c.r:]))
	if n < replyHeader || n > maxReply {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	if c.w-c.r < 4+n {
		return nil, nil
	}
	body := c.in[c.r+4 : c.r+4+n]
	c.r += 4 + n
	return body, nil
}

// await returns the next frame, reading until it is whole.
func (c *conn) await() ([]byte, error) {
	for {
		if body, err := c.frame(); body != nil || err != nil {
			return body, err
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// settle checks that a frame answers the oldest unanswered request, and returns its outcome. Watch events are counted
// and reported with isReply false.
func (c *conn) settle(frame []byte) (code proto.ErrCode, isReply bool, err error) {
	xid := int32(binary.BigEndian.Uint32(frame))
	if xid == proto.XidWatcherEvent {
		c.events++
		return proto.OK, false, nil
	}
	c.answered = nextXid(c.answered)
	if xid != c.answered {
		return proto.OK, false, fmt.Errorf("reply to request %d while waiting for %d", xid, c.answered)
	}
	return proto.ErrCode(int32(binary.BigEndian.Uint32(frame[12:]))), true, nil
}

// record is what a request's body is made of.
type record interface{ Append([]byte) []byte }

// call sends one request and waits for its reply. The body is valid until the next use of c.
func (c *conn) call(op proto.OpCode, req record) (body []byte, code proto.ErrCode, err error) {
	mark := c.begin(op)
	c.out = req.Append(c.out)
	c.end(mark)
	if err := c.nc.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return nil, 0, err
	}
	if err := c.flush(); err != nil {
		return nil, 0, err
	}
	for {
		frame, err := c.await()
		if err != nil {
			return nil, 0, fmt.Errorf("%v: %w", op, err)
		}
		code, isReply, err := c.settle(frame)
		if isReply || err != nil {
			return frame[replyHeader:], code, err
		}
	}
}

// makeNode creates a persistent node, or leaves the one that is there.
func (c *conn) makeNode(path string) error {
	req := proto.CreateRequest{Path: path, ACL: openACL}
	_, code, err := c.call(proto.OpCreate, &req)
	if err == nil && code != proto.OK && code != proto.ErrNodeExists {
		err = code
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return nil
}

// drop closes the connection without ending the session.
func (c *conn) drop() { c.nc.Close() }
