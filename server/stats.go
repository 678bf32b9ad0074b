package server

import (
	"math"
	"strings"
	"time"

	"zebu/proto"
	"zebu/replica"
)

// tally sums packets, latencies and response sizes. Every connection keeps two, one for cons and one for srvr, because the
// two are reset apart; both are guarded by the connection's lock, so that counting shares nothing between connections.
type tally struct {
	received, sent   int64
	latencies, sum   int64 // milliseconds
	low, high        int64
	lastResp         int64 // bytes, -1 before the first response
	minResp, maxResp int64
	lastRespAt       time.Duration // since the server's start, to find the newest of several
}

func newTally() tally { return tally{low: math.MaxInt64, lastResp: -1, minResp: -1, maxResp: -1} }

func (t *tally) reply(latency, size int64, at time.Duration) {
	t.sent++
	t.latencies++
	t.sum += latency
	t.low, t.high = min(t.low, latency), max(t.high, latency)
	if t.minResp < 0 || size < t.minResp {
		t.minResp = size
	}
	t.lastResp, t.maxResp, t.lastRespAt = size, max(t.maxResp, size), at
}

func (t *tally) add(o *tally) {
	t.received += o.received
	t.sent += o.sent
	t.latencies += o.latencies
	t.sum += o.sum
	t.low, t.high = min(t.low, o.low), max(t.high, o.high)
	if o.lastResp < 0 {
		return
	}
	if t.minResp < 0 || o.minResp < t.minResp {
		t.minResp = o.minResp
	}
	t.maxResp = max(t.maxResp, o.maxResp)
	if t.lastResp < 0 || o.lastRespAt > t.lastRespAt {
		t.lastResp, t.lastRespAt = o.lastResp, o.lastRespAt
	}
}

func (t *tally) minLatency() int64 {
	if t.latencies == 0 {
		return 0
	}
	return t.low
}

func (t *tally) avgLatency() float64 {
	if t.latencies == 0 {
		return 0
	}
	return float64(t.sum) / float64(t.latencies)
}

// connStats are what cons and stat say of one connection. Guarded by the connection's lock.
type connStats struct {
	tally
	lastOp       proto.OpCode
	lastCxid     int64
	lastZxid     proto.Zxid
	lastResponse time.Duration // since the server's start
	lastLatency  int64         // milliseconds
}

func newConnStats() connStats {
	return connStats{tally: newTally(), lastOp: proto.OpNotification, lastCxid: -1, lastZxid: -1}
}

// record notes a reply of size bytes to a request that arrived at at. The caller holds c.mu; now is the server's clock.
func (c *conn) record(op proto.OpCode, xid int32, z proto.Zxid, at, now proto.Millis, size int) {
	latency := max(0, int64(now-at))
	size -= 4 // ZooKeeper does not count the length
	t := time.Duration(now) * time.Millisecond
	c.stats.reply(latency, int64(size), t)
	c.total.reply(latency, int64(size), t)
	c.stats.lastOp, c.stats.lastCxid, c.stats.lastZxid = op, int64(xid), z
	c.stats.lastResponse, c.stats.lastLatency = t, latency
}

// received counts n packets. The caller holds c.mu.
func (c *conn) received(n int64) {
	c.stats.received += n
	c.total.received += n
}

// namespace is the first element of a path, "" for the root. It aliases the path.
func namespace(path string) string {
	if len(path) < 2 || path[0] != '/' {
		return ""
	}
	ns, _, _ := strings.Cut(path[1:], "/")
	return ns
}

// countRead counts a read that found its node, with the size of its reply, under its namespace. Others are not counted:
// clients could fill the set with names that do not exist.
func (s *Server) countRead(req *replica.Request, size int) {
	switch req.Op {
	case proto.OpExists, proto.OpGetData, proto.OpGetChildren, proto.OpGetChildren2:
		d := proto.NewDecoder(req.Body)
		if ns := namespace(d.Str()); ns != "" {
			s.met.ReadPerNamespace.Observe(ns, int64(size))
		}
	}
}

// countFired counts the last changes under their namespaces, and the watches that they fired by kind of event.
func (s *Server) countFired() {
	for _, f := range s.rep.TakeFired() {
		if ns := namespace(f.Path); ns != "" && f.Type != proto.EventNodeChildrenChanged {
			s.met.WritePerNamespace.Observe(ns, int64(len(f.Path)+f.Size))
		}
		if f.Watches == 0 {
			continue
		}
		n := int64(f.Watches)
		switch f.Type {
		case proto.EventNodeCreated:
			s.met.NodeCreatedWatcher.Observe(n)
		case proto.EventNodeDeleted:
			s.met.NodeDeletedWatcher.Observe(n)
		case proto.EventNodeDataChanged:
			s.met.NodeChangedWatcher.Observe(n)
		case proto.EventNodeChildrenChanged:
			s.met.NodeChildrenWatcher.Observe(n)
		}
	}
}
