package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"

	"zebu/proto"
)

// peer is what a mesh knows of another server. The mesh's lock guards all but id and wake.
type peer struct {
	m    *Mesh
	id   proto.ServerID
	wake chan struct{} // holds one; run looks at the peer when it comes

	known bool // listed by SetPeers
	addrs []proto.HostPort
	slot  []byte // the newest message, if it has not been sent
	last  []byte // the one that was sent last
	conn  *conn  // nil while there is none
	down  bool   // the owner was told PeerDown

	hint    []proto.HostPort   // where the peer has just said that it is
	called  bool               // it wants to be dialed
	dialing context.CancelFunc // ends a dial, nil while there is none
	dialAt  time.Time          // when to try next
	backoff time.Duration      // between that and the one after it
}

// run dials the peer while there is no connection, and writes to it while there is one.
func (p *peer) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		c, message, dialAt, end := p.next()
		switch {
		case end:
			return
		case message != nil:
			p.write(c, message)
		case c == nil && !time.Now().Before(dialAt):
			p.dial()
		case c == nil:
			timer.Reset(time.Until(dialAt))
			select {
			case <-p.wake:
			case <-timer.C:
			case <-p.m.ctx.Done():
			}
		default:
			select {
			case <-p.wake:
			case <-p.m.ctx.Done():
			}
		}
	}
}

// next says what to do: to end, to write a message to c, to wait for one if there is a connection, or to dial.
func (p *peer) next() (c *conn, message []byte, dialAt time.Time, end bool) {
	m := p.m
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ctx.Err() != nil:
		return nil, nil, dialAt, true
	case p.conn != nil:
		message = p.slot
		if message != nil {
			p.slot, p.last = nil, message
		}
		return p.conn, message, dialAt, false
	case !p.known && !p.called:
		delete(m.peers, p.id)
		m.strangers--
		return nil, nil, dialAt, true
	}
	return nil, nil, p.dialAt, false
}

func (p *peer) write(c *conn, message []byte) {
	err := c.SetWriteDeadline(time.Now().Add(p.m.opts.HandshakeTimeout))
	if err == nil {
		_, err = c.Write(message)
	}
	if err != nil {
		p.lost(c, err)
	}
}

// use makes c the connection to the peer, and returns the one that it replaces. The caller holds the lock.
func (p *peer) use(c *conn) (old *conn) {
	old, p.conn = p.conn, c
	c.since = time.Now()
	p.down, p.called, p.hint = false, false, nil
	if p.dialing != nil {
		p.dialing()
	}
	if p.slot == nil {
		p.slot = p.last
	}
	p.m.inbox.put(PeerUp{p.id})
	p.m.running.Go(func() { p.lost(c, p.read(c)) })
	wake(p.wake)
	return old
}

// lost closes a connection, and has another made if it was not replaced yet.
func (p *peer) lost(c *conn, err error) {
	_ = c.Close()
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if p.conn != c {
		return
	}
	p.conn = nil
	if p.m.ctx.Err() != nil {
		return
	}
	p.m.log.Info("election connection lost", zap.Int64("id", int64(p.id)), zap.Stringer("peer", c.RemoteAddr()), zap.Error(err))
	p.dialAt = time.Now()
	if time.Since(c.since) >= settled {
		p.backoff = minBackoff
	} else {
		p.wait()
	}
	wake(p.wake)
}

// wait puts the next try off. The caller holds the lock.
func (p *peer) wait() {
	p.dialAt = time.Now().Add(p.backoff)
	p.backoff = min(2*p.backoff, maxBackoff)
}

// read receives notifications until the connection breaks, or something comes that is none.
func (p *peer) read(c *conn) error {
	var body []byte
	for {
		var head [4]byte
		if _, err := io.ReadFull(c.br, head[:]); err != nil {
			return err
		}
		size := int(int32(binary.BigEndian.Uint32(head[:])))
		if size < 1 || size > proto.MaxNotification {
			return fmt.Errorf("a notification of %d bytes", size)
		}
		if cap(body) < size {
			body = make([]byte, size)
		}
		body = body[:size]
		if _, err := io.ReadFull(c.br, body); err != nil {
			return fmt.Errorf("a notification of %d bytes: %w", size, err)
		}
		r := Received{From: p.id}
		if err := r.Notification.Decode(body); err != nil {
			return err
		}
		p.m.inbox.put(r)
	}
}

// dial connects to the peer, or asks it to connect if its id is larger.
func (p *peer) dial() {
	m := p.m
	ctx, cancel := context.WithCancel(m.ctx)
	defer cancel()
	m.mu.Lock()
	if p.conn != nil {
		m.mu.Unlock()
		return
	}
	addrs, hinted := p.addrs, len(p.hint) > 0
	if hinted {
		addrs = p.hint
	}
	p.hint, p.called, p.dialing = nil, false, cancel
	m.mu.Unlock()

	c, err := p.greet(ctx, addrs)
	m.mu.Lock()
	keep := err == nil && p.id < m.opts.ID && !m.closed
	first := p.backoff == minBackoff
	p.dialing = nil
	var old *conn
	switch {
	case keep:
		old = p.use(c)
	case p.conn != nil || m.ctx.Err() != nil:
	case err != nil && hinted && p.known:
		p.dialAt = time.Time{} // at the configured addresses
	default:
		p.wait()
		if errors.Is(err, ErrRefused) && !hinted && !p.down {
			p.down = true
			m.inbox.put(PeerDown{p.id})
		}
	}
	m.mu.Unlock()
	if c != nil && !keep {
		_ = c.Close()
	}
	if old != nil {
		_ = old.Close()
	}
	if err != nil && ctx.Err() == nil && first {
		m.log.Warn("election: cannot connect; trying on", zap.Int64("id", int64(p.id)), zap.Error(err))
	}
}

// greet opens a connection, says hello and authenticates.
func (p *peer) greet(ctx context.Context, addrs []proto.HostPort) (*conn, error) {
	o := &p.m.opts
	c, err := o.dialAny(ctx, addrs, o.ConnectTimeout)
	if err != nil {
		return nil, err
	}
	stop := guard(ctx, c)
	hello := proto.ElectionHello{ID: o.ID, Addrs: o.Addrs, MultiAddress: o.MultiAddress}
	if !o.MultiAddress {
		hello.Addrs = o.Addrs[:1]
	}
	if err = c.SetDeadline(time.Now().Add(o.HandshakeTimeout)); err == nil {
		_, err = c.Write(hello.Append(nil))
	}
	if err == nil {
		err = o.Auth.dialed(c)
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}
