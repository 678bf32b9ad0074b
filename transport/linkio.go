package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"zebu/proto"
)

// writeSlice is how much is written under one deadline.
const writeSlice = 256 << 10

// clock sets the deadlines of a connection.
type clock struct {
	conn net.Conn

	mu      sync.Mutex
	timeout time.Duration
	expired bool
	stream  time.Time // when the peer last took something of a stream
}

// beforeRead and beforeWrite give the peer the timeout from now on. They fail once the clock has expired.
func (c *clock) beforeRead() error  { return c.set(c.conn.SetReadDeadline) }
func (c *clock) beforeWrite() error { return c.set(c.conn.SetWriteDeadline) }

func (c *clock) set(deadline func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.expired:
		return ErrClosed
	case c.timeout == 0:
		return deadline(time.Time{})
	}
	return deadline(time.Now().Add(c.timeout))
}

// setTimeout holds for a read that is under way, too.
func (c *clock) setTimeout(d time.Duration) {
	c.mu.Lock()
	c.timeout = d
	c.mu.Unlock()
	_ = c.beforeRead() // fails if the connection is broken, which shows elsewhere
}

// expire interrupts all reads and writes, for good.
func (c *clock) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expired = true
	_ = c.conn.SetDeadline(time.Unix(1, 0)) // likewise
}

// streaming says that a stream begins, or that the peer has taken a part of it.
func (c *clock) streaming() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream = time.Now()
}

// taking says whether the peer has taken a part of a stream within the timeout.
func (c *clock) taking() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.expired && time.Since(c.stream) < c.timeout
}

// linkReader reads from a link's connection. A peer that is being sent a snapshot, or much of a log, has nothing to say as
// long as that takes; the timeout begins when it has it.
type linkReader struct{ l *Link }

func (r linkReader) Read(b []byte) (int, error) {
	l := r.l
	for {
		if err := l.clock.beforeRead(); err != nil {
			return 0, err
		}
		n, err := l.conn.Read(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if !l.clock.taking() {
			return 0, ErrSilent
		}
	}
}

// linkWriter writes to a link's connection, so much at a time that a slow peer is not taken for a dead one.
type linkWriter struct {
	l      *Link
	stream bool
}

func (w linkWriter) Write(b []byte) (int, error) {
	for at := 0; at < len(b); {
		if err := w.l.clock.beforeWrite(); err != nil {
			return at, err
		}
		n, err := w.l.conn.Write(b[at:min(at+writeSlice, len(b))])
		at += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = ErrSilent
		}
		if err != nil {
			return at, err
		}
		if w.stream {
			w.l.clock.streaming()
		}
	}
	return len(b), nil
}

// section is a part of a link's queue: encoded packets, or something that will write itself.
type section struct {
	bytes   []byte
	packets int
	stream  io.WriterTo
}

// queue is what a link has to send.
type queue struct {
	maxPackets, maxBytes int
	wake                 chan struct{} // holds one
	dead                 chan struct{} // closed by fail

	// direct writes what the socket takes at once, and returns how much that was; nil if that cannot be done.
	direct func(b []byte) int

	mu      sync.Mutex
	err     error // why the link has ended
	busy    bool  // the writer has a section
	waiting []section
	packets int    // waiting, and in the section taken last; a stream counts as one
	bytes   int    // likewise
	spare   []byte // to be used again
}

// maxSpare is the largest buffer that is kept for the next packets.
const maxSpare = 1 << 20

// put appends packets. The error says that there is no room for them.
func (q *queue) put(packets []proto.QuorumPacket) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil || len(packets) == 0 {
		return nil
	}
	if n := len(q.waiting); n == 0 || q.waiting[n-1].stream != nil {
		q.waiting = append(q.waiting, section{bytes: q.spare[:0]})
		q.spare = nil
	}
	s := &q.waiting[len(q.waiting)-1]
	before := len(s.bytes)
	for i := range packets {
		s.bytes = packets[i].Append(s.bytes)
	}
	s.packets += len(packets)
	q.packets += len(packets)
	q.bytes += len(s.bytes) - before
	if q.packets > q.maxPackets || q.bytes > q.maxBytes {
		return ErrQueueFull
	}
	if q.direct == nil || q.busy || len(q.waiting) > 1 || len(s.bytes) > maxDirect || !q.putDirectly(s) {
		wake(q.wake)
	}
	return nil
}

// maxDirect is how much a sender writes itself if nothing is before it: another goroutine for a few packets costs more than they do, and the peer
// waits for it. With more the sender has other things to do.
const maxDirect = 1 << 10

// putDirectly writes the only section. It returns false if something is left for the writer. The caller holds mu.
func (q *queue) putDirectly(s *section) bool {
	n := q.direct(s.bytes)
	q.bytes -= n
	if n < len(s.bytes) {
		s.bytes = append(s.bytes[:0], s.bytes[n:]...)
		return false
	}
	q.packets -= s.packets
	q.spare = s.bytes
	q.waiting[0] = section{}
	q.waiting = q.waiting[:0]
	return true
}

func (q *queue) putStream(src io.WriterTo) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.waiting = append(q.waiting, section{stream: src, packets: 1})
		q.packets++
		wake(q.wake)
	}
}

// take waits for something to send. It returns false when the link has ended.
func (q *queue) take() (section, bool) {
	for {
		q.mu.Lock()
		if q.err != nil {
			q.mu.Unlock()
			return section{}, false
		}
		if len(q.waiting) > 0 {
			s := q.waiting[0]
			q.waiting = slices.Delete(q.waiting, 0, 1)
			q.busy = true
			q.mu.Unlock()
			return s, true
		}
		q.mu.Unlock()
		select {
		case <-q.wake:
		case <-q.dead:
		}
	}
}

// done says that a section has been sent.
func (q *queue) done(s section) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy = false
	q.packets -= s.packets
	q.bytes -= len(s.bytes)
	if cap(s.bytes) <= maxSpare {
		q.spare = s.bytes
	}
}

// fail ends the queue, and drops what it holds. It returns false if it had ended before.
func (q *queue) fail(err error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return false
	}
	q.err = err
	q.waiting, q.spare = nil, nil
	close(q.dead)
	return true
}

func (q *queue) reason() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

func (q *queue) size() (packets, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.packets, q.bytes
}
