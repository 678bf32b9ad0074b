package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"zebu/proto"
)

// maxLinks is how many links a [Listener] has at a time.
const maxLinks = 1024

// ListenOptions describe a leader's quorum port, or an observer master's port.
type ListenOptions struct {
	Net
	Addrs        []proto.HostPort // this server's own
	ListenAllIPs bool             // quorumListenOnAllIPs
	// HandshakeTimeout bounds what comes before the first packet, which is FOLLOWERINFO or OBSERVERINFO.
	HandshakeTimeout time.Duration
	Link             LinkOptions
}

// Listener accepts learners. A link's first event brings the learner's first packet.
type Listener struct {
	o        ListenOptions
	acceptor acceptor

	mu     sync.Mutex
	links  map[*Link]struct{}
	closed bool
}

// Listen binds the addresses, all that it can.
func Listen(ctx context.Context, o ListenOptions) (*Listener, error) {
	l := &Listener{o: o, links: map[*Link]struct{}{}}
	listeners, err := listen(ctx, &l.o.Net, o.Addrs, o.ListenAllIPs, 1, bindDelay)
	if err != nil {
		return nil, fmt.Errorf("quorum port: %w", err)
	}
	l.acceptor = acceptor{net: &l.o.Net, timeout: o.HandshakeTimeout, handle: l.accepted}
	l.acceptor.start(listeners)
	return l, nil
}

// Close stops listening, closes all links that were accepted and waits.
func (l *Listener) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.acceptor.close()
	l.mu.Lock()
	links := make([]*Link, 0, len(l.links))
	for k := range l.links {
		links = append(links, k)
	}
	l.mu.Unlock()
	for _, k := range links {
		k.Close(ErrClosed)
	}
}

func (l *Listener) accepted(ctx context.Context, c *conn) {
	stop := guard(ctx, c)
	defer stop()
	err := l.o.Auth.accepted(c)
	if err == nil {
		err = firstPacket(c)
	}
	if !stop() && err == nil {
		err = ErrClosed
	}
	if err == nil && !l.add(c) {
		err = errors.New("too many links")
	}
	if err != nil {
		l.o.Net.log().Warn("quorum port: connection refused", zap.Stringer("peer", c.RemoteAddr()), zap.Error(err))
		_ = c.Close()
	}
}

// firstPacket waits for the beginning of a learner's first packet.
func firstPacket(c *conn) error {
	b, err := c.br.Peek(4)
	if err != nil {
		return fmt.Errorf("first packet: %w", err)
	}
	kind := proto.PacketType(binary.BigEndian.Uint32(b))
	if kind != proto.PacketFollowerInfo && kind != proto.PacketObserverInfo {
		return fmt.Errorf("first packet: %v, expected FOLLOWERINFO or OBSERVERINFO", kind)
	}
	return c.SetDeadline(time.Time{})
}

// add makes a connection a link, unless there are too many.
func (l *Listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.links) >= maxLinks {
		return false
	}
	var k *Link
	k = newLink(c, false, l.o.Link, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.links, k)
	})
	l.links[k] = struct{}{}
	return true
}
