package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"zebu/internal/sock"
	"zebu/proto"
)

// Limits of a link, unless options say otherwise.
const (
	DefaultMaxPacket    = 2 << 20   // bytes; twice jute.maxbuffer's default
	DefaultQueuePackets = 1 << 20   // packets
	DefaultQueueBytes   = 128 << 20 // bytes
)

// Why links end, apart from what the network says.
var (
	ErrQueueFull = errors.New("quorum link: the peer takes too little for what is sent to it")
	ErrSilent    = errors.New("quorum link: the peer neither sends nor takes anything")
	ErrClosed    = errors.New("quorum link: closed")
)

// LinkOptions describe links.
type LinkOptions struct {
	// Events is the owner's inbox. The owner takes from it as long as there are links.
	Events chan<- LinkEvent
	// Timeout is how long the peer may be silent, 0 for ever: tickTime*initLimit to begin with. See [Link.SetTimeout].
	Timeout time.Duration
	// MaxPacket bounds a packet that is received, and QueuePackets and QueueBytes the queue of those to be sent; the
	// defaults if 0.
	MaxPacket, QueuePackets, QueueBytes int
}

// LinkEvent is what a link tells its owner. One of Packets, Sent and Err is set.
type LinkEvent struct {
	Link *Link
	// Packets are some that have been received, in their order. They alias a buffer of some 64 kB; who keeps something
	// for long clones it.
	Packets []proto.QuorumPacket
	// Snapshot, unless nil, is what follows the last of Packets, a SNAP: the owner has it read as far as the snapshot
	// goes, by whatever goroutine, and then calls [Link.Resume]. No packets come before that. If the link ends, so does
	// Snapshot, with an error.
	Snapshot *bufio.Reader
	// Sent says that what was given to [Link.Stream] has been written. What the peer answers may come before.
	Sent bool
	// Err says why the link has ended. It is the last event, and does not come after [Link.Close].
	Err error
}

// Link is a connection between a leader and a learner. It carries packets in their order until it ends, for whatever
// reason; there are no gaps and no second try.
type Link struct {
	conn    net.Conn
	o       LinkOptions
	packets packetReader
	resumed chan struct{}

	closed  chan struct{} // by Close
	closing sync.Once
	running sync.WaitGroup
	written chan struct{} // closed when the writer has ended
	release func()        // called after the last event, unless nil

	clock clock
	queue queue
}

// newLink starts a link on a connection. If it is a learner's, snapshots follow SNAP packets.
func newLink(c *conn, learner bool, o LinkOptions, release func()) *Link {
	o.MaxPacket = orDefault(o.MaxPacket, DefaultMaxPacket)
	o.QueuePackets = orDefault(o.QueuePackets, DefaultQueuePackets)
	o.QueueBytes = orDefault(o.QueueBytes, DefaultQueueBytes)
	l := &Link{
		conn: c.Conn, o: o, resumed: make(chan struct{}, 1), closed: make(chan struct{}), written: make(chan struct{}), release: release,
		clock: clock{conn: c.Conn, timeout: o.Timeout},
		queue: queue{maxPackets: o.QueuePackets, maxBytes: o.QueueBytes, wake: make(chan struct{}, 1), dead: make(chan struct{})},
	}
	if w := sock.NewWriter(c.Conn); w != nil {
		l.queue.direct = func(b []byte) int {
			if l.clock.beforeWrite() != nil {
				return 0
			}
			n, _ := w.Try(b) // why it was no more, the next ordinary write finds out
			return n
		}
	}
	ahead, _ := c.br.Peek(c.br.Buffered()) // there are as many
	l.packets = packetReader{r: linkReader{l}, max: o.MaxPacket, snaps: learner, chunk: ahead}
	l.running.Go(l.read)
	l.running.Go(l.write)
	return l
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Peer is the address at the other end.
func (l *Link) Peer() net.Addr { return l.conn.RemoteAddr() }

// Err says why the link has ended, nil while it has not.
func (l *Link) Err() error { return l.queue.reason() }

// Queued is how much waits to be sent: packets, and their bytes.
func (l *Link) Queued() (packets, bytes int) { return l.queue.size() }

// Send sends packets behind all that was sent before. It does not wait and keeps nothing of them. If the queue is full,
// the link ends; a link that has ended drops what it is given.
func (l *Link) Send(packets ...proto.QuorumPacket) {
	if err := l.queue.put(packets); err != nil {
		l.fail(err)
	}
}

// Stream sends what src writes behind all that was sent before, and before all that will be: a snapshot behind a SNAP, or
// packets read from the log. The writer's goroutine calls src; if it fails, the link ends. The event Sent tells that
// it is done.
func (l *Link) Stream(src io.WriterTo) { l.queue.putStream(src) }

// SetTimeout says how long the peer may be silent from now on: tickTime*syncLimit once a learner is synchronised.
func (l *Link) SetTimeout(d time.Duration) { l.clock.setTimeout(d) }

// Resume says that the snapshot of the last event has been read to its end.
func (l *Link) Resume() {
	select {
	case l.resumed <- struct{}{}:
	default:
	}
}

// Close ends the link with a reason, which [Link.Err] returns if there was none before, and waits until nothing of it is left.
// What has not been sent is dropped. No events come after Close.
func (l *Link) Close(reason error) {
	if reason == nil {
		reason = ErrClosed
	}
	l.closing.Do(func() { close(l.closed) })
	l.fail(reason)
	l.running.Wait()
}

// fail ends the link without waiting. The connection itself is closed when nobody uses it any more.
func (l *Link) fail(err error) {
	if l.queue.fail(err) {
		l.clock.expire()
	}
}

func (l *Link) tell(e LinkEvent) {
	e.Link = l
	select {
	case l.o.Events <- e:
	case <-l.closed:
	}
}

// read receives packets until the link ends.
func (l *Link) read() {
	l.fail(l.receive())
	<-l.written
	_ = l.conn.Close()
	l.tell(LinkEvent{Err: l.Err()})
	if l.release != nil {
		l.release()
	}
}

func (l *Link) receive() error {
	for {
		batch, err := l.packets.next()
		if err != nil {
			return fmt.Errorf("receive from %v: %w", l.Peer(), err)
		}
		if last := batch[len(batch)-1]; !l.packets.snaps || last.Type != proto.PacketSnap {
			l.tell(LinkEvent{Packets: batch})
			continue
		}
		select {
		case <-l.resumed: // without need
		default:
		}
		stream := l.packets.stream()
		l.tell(LinkEvent{Packets: batch, Snapshot: stream.br})
		select {
		case <-l.resumed:
			stream.resume()
		case <-l.queue.dead:
			return ErrClosed // the reason has been noted
		}
	}
}

// write sends what is in the queue until the link ends.
func (l *Link) write() {
	defer close(l.written)
	for {
		s, ok := l.queue.take()
		if !ok {
			return
		}
		var err error
		if s.stream != nil {
			l.clock.streaming()
			_, err = s.stream.WriteTo(linkWriter{l, true})
		} else {
			_, err = linkWriter{l, false}.Write(s.bytes)
		}
		if err != nil {
			l.fail(fmt.Errorf("send to %v: %w", l.Peer(), err))
			return
		}
		l.queue.done(s)
		if s.stream != nil {
			l.tell(LinkEvent{Sent: true})
		}
	}
}
