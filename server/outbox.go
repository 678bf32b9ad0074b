package server

import (
	"sync"

	"zebu/proto"
	"zebu/replica"
)

// buffers lends read buffers and outboxes of busyReadBuffer bytes to connections that are busy. It keeps a few more than
// two processors can have in use; the rest is garbage. (A sync.Pool would allocate a slice header for each return.)
var buffers struct {
	mu   sync.Mutex
	free [][]byte
}

const maxFreeBuffers = 64

func getBuffer() []byte {
	buffers.mu.Lock()
	defer buffers.mu.Unlock()
	n := len(buffers.free) - 1
	if n < 0 {
		return make([]byte, 0, busyReadBuffer)
	}
	b := buffers.free[n]
	buffers.free = buffers.free[:n]
	return b
}

// putBuffer takes a buffer back. One of another size is left to the garbage collector.
func putBuffer(b []byte) {
	if cap(b) != busyReadBuffer {
		return
	}
	buffers.mu.Lock()
	defer buffers.mu.Unlock()
	if len(buffers.free) < maxFreeBuffers {
		buffers.free = append(buffers.free, b[:0])
	}
}

// ensureOut gives the outbox a buffer. The caller holds c.mu.
func (c *conn) ensureOut() {
	if c.out == nil {
		c.out = getBuffer()
	}
}

// take appends one output of the loop to the outbox and reports whether the connection needs a flush. The caller holds
// the state lock; now is the server's clock.
func (c *conn) take(o *replica.Output, buf []byte, now proto.Millis) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.Reply && (o.Lost || c.dead) {
		c.s.met.StaleReplies.Inc() // nobody is there to take it
	}
	if o.Lost {
		c.auditReply(o, buf[o.Start:o.End])
		return false
	}
	size := o.End - o.Start
	if o.Reply {
		c.answered(o, buf[o.Start:o.End], now)
	}
	if o.Close {
		c.hangUp()
		select {
		case c.connected <- false: // refused without an answer
		default:
		}
	}
	if c.dead {
		return false
	}
	if !o.Reply && size > 0 {
		c.s.met.WatchBytes.Add(int64(size))
		if c.unsent+size > eventHighWater {
			c.die()
			return false
		}
	}
	if size > 0 {
		c.ensureOut()
		c.out = append(c.out, buf[o.Start:o.End]...)
		c.unsent += size
	}
	return true
}

// answered keeps the books of a reply. The caller holds c.mu.
func (c *conn) answered(o *replica.Output, frame []byte, now proto.Millis) {
	c.record(o.Op, o.Xid, o.Zxid, o.At, now, len(frame))
	if o.Op == proto.OpCreateSession {
		c.connected <- o.Err == proto.OK
		return
	}
	c.s.inflight.Add(-1)
	if c.inflight.Add(-1) == 0 {
		c.drained.Broadcast()
	}
	if len(c.larges) > 0 {
		c.s.largeBytes.Add(-c.larges[0])
		c.larges = c.larges[1:]
	}
	if !replica.IsWrite(o.Op) {
		c.queued.Add(-1)
	} else {
		c.s.met.UpdateLatency.Observe(max(0, int64(now-o.At)))
		if c.s.loop.e == nil { // a member observes it by the batch
			c.s.met.PropagationLatency.Observe(max(0, int64(now-o.At)))
		}
		c.auditReply(o, frame)
	}
}

// over says whether more than n bytes wait for the client.
func (c *conn) over(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unsent > n
}

// awaitReader waits, if too much is owed to the client, until it has taken enough for more replies to be made.
func (c *conn) awaitReader() {
	if !c.over(readHighWater) {
		return
	}
	c.flush()
	c.mu.Lock()
	for c.unsent > readHighWater && !c.dead {
		c.drained.Wait()
	}
	c.mu.Unlock()
}

// flush writes the outbox to the socket, unless another goroutine is at it, and closes the connection if that was its end.
func (c *conn) flush() { c.write(false) }

// flushSoon is flush for the loop, which must not block: it writes what the socket takes at once and leaves the rest to
// a goroutine.
func (c *conn) flushSoon() {
	if c.sock == nil {
		c.s.tasks.Go(c.flush)
		return
	}
	c.write(true)
}

func (c *conn) write(try bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flushing {
		return
	}
	c.flushing = true
	for len(c.out) > 0 && !c.dead {
		buf := c.out
		c.out = nil
		c.mu.Unlock()
		left, err := c.send(buf, try)
		c.s.met.ResponseBytes.Add(int64(len(buf) - len(left)))
		c.mu.Lock()
		if c.dead {
			break
		}
		c.unsent -= len(buf) - len(left)
		if err != nil {
			c.die()
			break
		}
		if len(left) > 0 {
			// The socket is full. What came meanwhile goes behind the rest.
			c.out = append(append(make([]byte, 0, len(left)+len(c.out)), left...), c.out...)
			c.s.tasks.Go(func() { c.resume() })
			return // flushing stays set: resume goes on
		}
		putBuffer(buf)
		c.drained.Broadcast()
	}
	c.finishFlush()
}

// resume takes over a flush whose socket was full.
func (c *conn) resume() {
	c.mu.Lock()
	c.flushing = false
	c.mu.Unlock()
	c.flush()
}

// finishFlush ends a flush. The caller holds c.mu.
func (c *conn) finishFlush() {
	c.flushing = false
	if c.closing && !c.dead {
		c.die()
	}
}

// send writes buf; with try it writes only what the socket takes at once and returns the rest.
func (c *conn) send(buf []byte, try bool) (left []byte, err error) {
	if !try {
		_, err = c.nc.Write(buf)
		return nil, err
	}
	n, err := c.sock.Try(buf)
	return buf[n:], err
}
