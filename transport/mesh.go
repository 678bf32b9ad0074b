package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"zebu/proto"
	"zebu/quorum"
)

// Peer is a server of the ensemble and its election addresses.
type Peer struct {
	ID    proto.ServerID
	Addrs []proto.HostPort
}

// ElectionPeers lists the members of some configurations, such as the committed and the last seen one (nil ones
// count as empty), with all the election addresses that they have in any.
func ElectionPeers(configs ...*quorum.Config) []Peer {
	var peers []Peer
	for _, c := range configs {
		if c == nil {
			continue
		}
		for i := range c.Members {
			m := &c.Members[i]
			at := slices.IndexFunc(peers, func(p Peer) bool { return p.ID == m.ID })
			if at < 0 {
				at = len(peers)
				peers = append(peers, Peer{ID: m.ID})
			}
			for _, a := range m.Addrs {
				hp := proto.HostPort{Host: a.Host, Port: a.Election}
				if p := &peers[at]; !slices.Contains(p.Addrs, hp) {
					p.Addrs = append(p.Addrs, hp)
				}
			}
		}
	}
	return peers
}

// MeshOptions describe one server's place in a mesh.
type MeshOptions struct {
	Net
	ID proto.ServerID
	// Addrs are this server's own election addresses, to listen on and to be told to peers: one, more only if
	// MultiAddress (multiAddress.enabled), which peers of release 3.5 and older do not understand.
	Addrs        []proto.HostPort
	MultiAddress bool
	ListenAllIPs bool // quorumListenOnAllIPs
	// BindTries (electionPortBindRetry) is how often to try each address, a second apart; 0 for ever.
	BindTries int
	// HandshakeTimeout (quorumCnxnTimeoutMs, else tickTime*syncLimit) bounds what comes before the first notification,
	// and the sending of each one. ConnectTimeout (cnxTimeout) bounds connecting, with the handshake of WrapDialed.
	HandshakeTimeout, ConnectTimeout time.Duration
	// Peers are whom to connect to; this server itself among them does no harm.
	Peers []Peer
}

// Waits of a mesh.
const (
	// minBackoff doubles up to maxBackoff with each try to connect.
	minBackoff = 10 * time.Millisecond
	maxBackoff = 3 * time.Second
	// settled is the age at which a connection counts as one that works. Before, the next try after its loss is not at
	// once, and a peer that asks for a new one is not heard: what it asked for has just been done. Otherwise two servers
	// could go on closing the connection that answers the question before last.
	settled = 500 * time.Millisecond
)

// maxStrangers is how many peers a mesh talks to that it was not told of: observers that are in no configuration, and
// servers that know a newer one.
const maxStrangers = 64

// Mesh keeps one connection to each peer's election port and carries notifications over it. Of two servers the one with the
// larger id dials; the other only asks to be dialed, by a connection on which it says no more than hello.
//
// A Mesh is made for one set of own addresses; when they change, its owner closes it and starts another.
type Mesh struct {
	opts     MeshOptions
	log      *zap.Logger
	inbox    inbox
	acceptor acceptor
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup // peers' goroutines

	mu        sync.Mutex
	peers     map[proto.ServerID]*peer
	strangers int            // of them
	anonymous proto.ServerID // the last id given to an anonymous observer
	closed    bool
}

// StartMesh listens and begins to connect. It waits until the election port is bound, which it tries as often as the
// options say, or until ctx ends; a server whose StartMesh fails cannot take part in elections and should exit.
func StartMesh(ctx context.Context, o MeshOptions) (*Mesh, error) {
	m, err := startMesh(ctx, o, bindDelay)
	if err != nil {
		return nil, fmt.Errorf("election port: %w", err)
	}
	return m, nil
}

func startMesh(ctx context.Context, o MeshOptions, bindDelay time.Duration) (*Mesh, error) {
	if len(o.Addrs) == 0 {
		return nil, errors.New("no address of its own")
	}
	m := &Mesh{opts: o, log: o.Net.log(), peers: map[proto.ServerID]*peer{}}
	m.inbox.wake = make(chan struct{}, 1)
	listeners, err := listen(ctx, &m.opts.Net, o.Addrs, o.ListenAllIPs, o.BindTries, bindDelay)
	if err != nil {
		return nil, err
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.SetPeers(o.Peers)
	m.acceptor = acceptor{net: &m.opts.Net, timeout: o.HandshakeTimeout, handle: m.accepted}
	m.acceptor.start(listeners)
	return m, nil
}

// Wake receives a value when there are events to take.
func (m *Mesh) Wake() <-chan struct{} { return m.inbox.wake }

// Events takes the events since the last call, in their order, nil if there are none.
func (m *Mesh) Events() []Event { return m.inbox.take() }

// Send sends a notification instead of any that has not gone to that server yet. It never waits. What is for a server that is not
// known is dropped; what is for this one comes back as an event.
func (m *Mesh) Send(to proto.ServerID, n *proto.Notification) {
	if to == m.opts.ID {
		m.inbox.put(Received{From: to, Notification: *n})
		return
	}
	frame := n.Append(make([]byte, 4, 256))
	proto.PutInt32(frame, int32(len(frame)-4))
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.peers[to]; p != nil {
		p.slot = frame
		wake(p.wake)
	}
}

// SetPeers says whom to connect to from now on. Connections to servers that are not listed any more stay until they
// break, so that a removed server can be told so; new addresses are used when the next connection is made.
func (m *Mesh) SetPeers(peers []Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	for _, p := range m.peers {
		if p.known && !slices.ContainsFunc(peers, func(n Peer) bool { return n.ID == p.id }) {
			p.known = false
			m.strangers++
			wake(p.wake)
		}
	}
	for _, n := range peers {
		if n.ID == m.opts.ID {
			continue
		}
		p := m.peers[n.ID]
		if p == nil {
			p = m.add(n.ID, true)
		} else if !p.known {
			p.known = true
			m.strangers--
		}
		if !slices.Equal(p.addrs, n.Addrs) {
			p.addrs = slices.Clone(n.Addrs)
			p.dialAt = time.Time{}
			wake(p.wake)
		}
	}
}

// add starts a peer. The caller holds the lock.
func (m *Mesh) add(id proto.ServerID, known bool) *peer {
	p := &peer{m: m, id: id, known: known, wake: make(chan struct{}, 1), backoff: minBackoff}
	if !known {
		m.strangers++
	}
	m.peers[id] = p
	m.running.Go(p.run)
	return p
}

// peerOf returns the peer that a connection has come from, nil if the mesh is closed or talks to too many strangers. The
// caller holds the lock.
func (m *Mesh) peerOf(id proto.ServerID) *peer {
	p := m.peers[id]
	if m.closed || p == nil && m.strangers >= maxStrangers {
		return nil
	}
	if p == nil {
		p = m.add(id, false)
	}
	return p
}

// Close closes all connections and waits for all goroutines.
func (m *Mesh) Close() {
	m.cancel()
	m.acceptor.close()
	var open []*conn
	m.mu.Lock()
	m.closed = true
	for _, p := range m.peers {
		if p.conn != nil {
			open = append(open, p.conn)
		}
	}
	m.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
	m.running.Wait()
}

// accepted takes a connection that a peer has opened.
func (m *Mesh) accepted(ctx context.Context, c *conn) {
	stop := guard(ctx, c)
	defer stop()
	hello, err := readHello(c.br)
	if err == nil {
		err = m.opts.Auth.accepted(c)
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	log := m.log.With(zap.Stringer("peer", c.RemoteAddr()), zap.Int64("id", int64(hello.ID)))
	switch {
	case err != nil:
		log.Warn("election port: connection refused", zap.Error(err))
	case hello.ID == m.opts.ID:
		log.Warn("election port: another server has this server's id")
	case hello.ID < m.opts.ID:
		if !m.call(hello) {
			log.Warn("election port: too many unknown servers")
		}
	case !stop():
	case m.adopt(hello.ID, c):
		return
	default:
		log.Warn("election port: too many unknown servers")
	}
	_ = c.Close()
}

// readHello reads what the initiator of a connection says first.
func readHello(r io.Reader) (proto.ElectionHello, error) {
	var b []byte
	var h proto.ElectionHello
	for {
		n, err := proto.ElectionHelloSize(b)
		if err != nil {
			return h, err
		}
		if n == len(b) {
			return h, h.Decode(b)
		}
		have := len(b)
		b = append(b, make([]byte, n-have)...)
		if _, err := io.ReadFull(r, b[have:]); err != nil {
			return h, fmt.Errorf("election hello: %w", err)
		}
	}
}

// call lets the peer with the smaller id that said hello be dialed, at the addresses that it named, because it has
// lost the connection that there may have been.
func (m *Mesh) call(h proto.ElectionHello) bool {
	var old *conn
	m.mu.Lock()
	p := m.peerOf(h.ID)
	if p != nil && (p.conn == nil || time.Since(p.conn.since) >= settled) {
		old, p.conn = p.conn, nil
		p.hint = slices.DeleteFunc(h.Addrs, func(a proto.HostPort) bool { return isWildcard(a.Host) || a.Port == 0 })
		p.called = true
		p.dialAt = time.Time{}
		wake(p.wake)
	}
	m.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	return p != nil
}

// adopt takes a connection into use that a peer with a larger id has opened. An observer without an id is given one.
func (m *Mesh) adopt(id proto.ServerID, c *conn) bool {
	m.mu.Lock()
	if id == proto.AnonymousObserver {
		m.anonymous--
		id = m.anonymous
	}
	p := m.peerOf(id)
	if p == nil {
		m.mu.Unlock()
		return false
	}
	old := p.use(c)
	m.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	return true
}
