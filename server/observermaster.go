package server

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"

	"zebu/conf"
	"zebu/proto"
	"zebu/transport"
)

// observerCache is how many bytes of transactions this server keeps for observers while it follows, 0 if it serves none.
func observerCache(q *conf.Quorum) int {
	if q.ObserverMasterPort == 0 {
		return 0
	}
	return q.ObserverMasterCache
}

// listenForObservers opens observerMasterPort on this server's quorum addresses. If that fails, observers turn to others, and this
// server goes on as a follower, where Apache's would leave its leader, again and again.
func (e *ensemble) listenForObservers() {
	q := &e.s.cfg.Quorum
	e.ports.Wait() // the port may be open from an earlier role
	addrs := atPort(quorumAddrs(e.self), q.ObserverMasterPort)
	l, err := transport.Listen(context.Background(), transport.ListenOptions{
		Net:   transport.Net{Auth: e.auth, KeepAlive: q.KeepAlive, Nagle: !q.LeaderNoDelay, Log: e.s.log},
		Addrs: addrs, ListenAllIPs: q.ListenOnAllIPs, HandshakeTimeout: e.ticks(q.InitLimit), Link: e.linkOptions(),
	})
	if err != nil {
		e.s.log.Error("no observers are served", zap.Int("observerMasterPort", q.ObserverMasterPort), zap.Error(err))
		return
	}
	e.listener = l
	e.s.log.Info("observers are served", zap.Int("observerMasterPort", q.ObserverMasterPort))
}

func atPort(addrs []proto.HostPort, port int) []proto.HostPort {
	for i := range addrs {
		addrs[i].Port = port
	}
	return addrs
}

// masters are the servers that an observer may learn from instead of its leader.
type masters struct {
	order []proto.ServerID // the voters, as they are tried: an order of this observer's own
	next  int              // in order
	tried int              // since it last learned from one
	id    proto.ServerID   // whom the observer learns from, or tries to
}

// pick names the next one: each of the voters that do not lead has its turn, and when all have been tried in vain, the leader.
func (p *masters) pick(voters []proto.ServerID, leader proto.ServerID) proto.ServerID {
	known := slices.Sorted(slices.Values(p.order))
	if !slices.Equal(known, voters) {
		p.order, p.next, p.tried = slices.Clone(voters), 0, 0
		rand.Shuffle(len(p.order), func(i, j int) { p.order[i], p.order[j] = p.order[j], p.order[i] })
	}
	for ; p.tried < len(p.order); p.tried++ {
		p.id = p.order[p.next]
		p.next = (p.next + 1) % len(p.order)
		if p.id != leader {
			p.tried++
			return p.id
		}
	}
	p.tried, p.id = 0, leader
	return leader
}

// reached says that the observer learns from the one picked.
func (p *masters) reached() { p.tried = 0 }

// learnFrom says where an observer connects to, and how long it waits before: with observerMasterPort set, to one
// server after the other (observer.reconnectDelayMs is a wait between two rounds then), else to the leader.
func (e *ensemble) learnFrom(leader proto.ServerID, addrs []proto.HostPort) ([]proto.HostPort, time.Duration) {
	q := &e.s.cfg.Quorum
	e.masters.id = leader
	if q.ObserverMasterPort != 0 && e.s.etcd == nil { // the etcd API needs the leader itself
		config := e.m.Config()
		if id := e.masters.pick(config.Voters().IDs(), leader); id != leader {
			e.s.log.Info("learns from an observer master", zap.Int64("server", int64(id)))
			return atPort(quorumAddrs(config.Member(id)), q.ObserverMasterPort), 0
		}
	}
	return addrs, upTo(q.ObserverReconnectDelay)
}

// upTo is a random time less than d.
func upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}

// pause waits, or for ctx to end.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
