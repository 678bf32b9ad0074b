package server

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"zebu/proto"
	"zebu/replica"
	"zebu/session"
	"zebu/status"
)

// The methods in this file make Server a [status.Source].
var _ status.Source = (*Server)(nil)

// Server implements [status.Source].
func (s *Server) Server() status.Server {
	st := status.Server{Serving: !s.ending.Load(), Mode: status.Standalone, StartTime: s.start, Outstanding: s.inflight.Load()}
	if p := s.part.Load(); p != nil {
		st.Mode, st.Serving, st.ServerID = p.mode, st.Serving && p.serving, s.cfg.Quorum.ServerID
	}
	leading := st.Mode == status.Leader && st.Serving
	s.state.RLock()
	tree := s.rep.Tree()
	if st.Zxid = s.rep.Applied(); leading {
		st.Zxid = s.rep.Reached()
	}
	st.NodeCount, st.EphemeralCount, st.DataSize = tree.NodeCount(), tree.EphemeralCount(), tree.DataSize()
	st.GlobalSessions, st.LocalSessions = s.rep.Sessions().Len(), s.rep.LocalSessions()
	s.watching.Lock()
	ws := s.rep.Watches().Stats()
	s.watching.Unlock()
	s.state.RUnlock()
	st.WatchCount = ws.Data.Watches + ws.Child.Watches

	s.connMu.Lock()
	sum := s.past
	st.Connections = len(s.conns)
	for c := range s.conns {
		c.mu.Lock()
		sum.add(&c.total)
		c.mu.Unlock()
	}
	s.connMu.Unlock()
	st.Received, st.Sent = sum.received, sum.sent
	st.LatencyMin, st.LatencyMax, st.LatencyAvg = sum.minLatency(), sum.high, sum.avgLatency()
	st.ResponseLast, st.ResponseMin, st.ResponseMax = sum.lastResp, sum.minResp, sum.maxResp
	return st
}

// Conns implements [status.Source].
func (s *Server) Conns() []status.Conn {
	s.connMu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.connMu.Unlock()
	out := make([]status.Conn, 0, len(conns))
	for _, c := range conns {
		out = append(out, s.describe(c))
	}
	slices.SortFunc(out, func(a, b status.Conn) int { return a.Established.Compare(b.Established) })
	return out
}

func (s *Server) describe(c *conn) status.Conn {
	s.state.RLock()
	id, timeout := c.rc.Session, c.rc.Timeout
	s.state.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	st := &c.stats
	interest := 1 // OP_READ
	if c.word {
		interest = 0
	}
	return status.Conn{
		Remote: c.remote, Session: id, Timeout: timeout, Queued: c.inflight.Load(), Received: st.received, Sent: st.sent,
		InterestOps: interest, LastOp: st.lastOp, Established: c.opened, LastCxid: st.lastCxid, LastZxid: st.lastZxid,
		LastResponse: s.start.Add(st.lastResponse), LastLatency: st.lastLatency, MinLatency: st.minLatency(),
		AvgLatency: int64(st.avgLatency()), MaxLatency: st.high,
	}
}

// Sessions implements [status.Source].
func (s *Server) Sessions() []status.Session {
	var out []status.Session
	add := func(tracker *session.Tracker, local bool) {
		for _, b := range tracker.Buckets() {
			for _, id := range b.IDs {
				timeout, _ := tracker.Timeout(id)
				expiry := s.start.Add(time.Duration(b.Deadline) * time.Millisecond)
				out = append(out, status.Session{ID: id, Timeout: timeout, Expiry: expiry, Local: local})
			}
		}
	}
	s.loop.do(func() error {
		if locals := s.rep.LocalTracker(); locals != nil {
			add(locals, true)
		}
		if tracker := s.rep.Tracker(); tracker != nil {
			add(tracker, false)
			return nil
		}
		for id, timeout := range s.rep.Sessions().All { // only a leader knows when they expire
			out = append(out, status.Session{ID: id, Timeout: timeout})
		}
		return nil
	})
	return out
}

// Ephemerals implements [status.Source].
func (s *Server) Ephemerals() map[proto.SessionID][]string {
	s.state.RLock()
	defer s.state.RUnlock()
	out := map[proto.SessionID][]string{}
	for id := range s.rep.Tree().EphemeralOwners() {
		paths := s.rep.Tree().Ephemerals(id)
		slices.Sort(paths)
		out[id] = paths
	}
	return out
}

// Watches implements [status.Source].
func (s *Server) Watches(yield func(path string, session proto.SessionID) bool) {
	type pair struct {
		path string
		id   proto.SessionID
	}
	var all []pair
	s.state.RLock()
	s.watching.Lock()
	for path, c := range s.rep.Watches().Data {
		if rc := s.rep.ConnOf(c); rc != nil {
			all = append(all, pair{string([]byte(path)), rc.Session})
		}
	}
	s.watching.Unlock()
	s.state.RUnlock()
	for _, p := range all {
		if !yield(p.path, p.id) {
			return
		}
	}
}

// WatchSummary implements [status.Source].
func (s *Server) WatchSummary() status.WatchSummary {
	s.state.RLock()
	defer s.state.RUnlock()
	s.watching.Lock()
	defer s.watching.Unlock()
	d := s.rep.Watches().Stats().Data
	return status.WatchSummary{Connections: d.Connections, Paths: d.Paths, Watches: d.Watches}
}

// Digests implements [status.Source].
func (s *Server) Digests() []status.Digest {
	s.state.RLock()
	defer s.state.RUnlock()
	var out []status.Digest
	for _, d := range s.rep.Digests() {
		out = append(out, status.Digest(d))
	}
	return out
}

// Dirs implements [status.Source].
func (s *Server) Dirs() status.Dirs {
	data, log := s.store.Sizes()
	return status.Dirs{DataSize: data, LogSize: log}
}

// LastSnapshot implements [status.Source].
func (s *Server) LastSnapshot() status.Snapshot {
	info, ok := s.store.LastSnapshot()
	if !ok {
		return status.Snapshot{Zxid: -1}
	}
	return status.Snapshot{Zxid: info.Zxid, Size: info.Size, Time: info.ModTime}
}

// Etcd implements [status.Source].
func (s *Server) Etcd() *status.Etcd {
	if s.etcd == nil {
		return nil
	}
	st := s.Status()
	return &st
}

// ResetServer implements [status.Source].
func (s *Server) ResetServer() {
	if e := s.loop.e; e != nil {
		e.stats.proposals.reset()
	}
	s.connMu.Lock()
	defer s.connMu.Unlock()
	s.past = newTally()
	for c := range s.conns {
		c.mu.Lock()
		c.total = newTally()
		c.mu.Unlock()
	}
}

// ResetConns implements [status.Source].
func (s *Server) ResetConns() {
	s.connMu.Lock()
	defer s.connMu.Unlock()
	for c := range s.conns {
		c.mu.Lock()
		c.stats = newConnStats()
		c.mu.Unlock()
	}
}

// image returns the state at the zxid applied last. A server of an ensemble that does not serve has none to give: it may still
// have to cut off what it holds (ZOOKEEPER-4837).
func (s *Server) image() (*replica.Image, error) {
	var img *replica.Image
	if !s.loop.do(func() error {
		if s.loop.e == nil || s.loop.e.m.Serving() {
			img = s.rep.Image()
		}
		return nil
	}) {
		return nil, errStopping
	}
	if img == nil {
		return nil, errors.New(status.ErrNotServing) //nolint:staticcheck // ZooKeeper's sentence
	}
	return img, nil
}

// Allowed implements [status.Source].
func (s *Server) Allowed(scheme string, auth []byte, remote netip.Addr, perms int32) (authenticated, allowed bool) {
	ids, code, _ := s.auth.authenticate(scheme, auth, remote)
	if code != proto.OK {
		return false, false
	}
	s.state.RLock()
	defer s.state.RUnlock()
	tree := s.rep.Tree()
	acl := tree.ACL(tree.Lookup("/"))
	for bit := int32(1); bit <= proto.PermAdmin; bit <<= 1 { // every bit on its own (CVE-2025-58457)
		if perms&bit != 0 && !tree.Permits(acl, bit, ids) {
			return true, false
		}
	}
	return true, true
}
