package server

import (
	"cmp"
	"slices"

	"zebu/proto"
	"zebu/quorum"
	"zebu/status"
	"zebu/zab"
)

// advance tells the time at the beginning of a turn.
func (e *ensemble) advance() {
	e.stats.now = e.s.clock()
	e.m.Advance(e.stats.now)
}

// describe adds to a part what only reports want to know.
func (e *ensemble) describe(p *part) {
	p.self, p.state, p.stage, p.census = e.self, e.m.State(), status.Election, e.m.Census()
	if stage, engaged := e.m.Stage(); engaged {
		p.stage = [...]status.Stage{
			zab.Discovery: status.Discovery, zab.Synchronization: status.Synchronization, zab.Broadcast: status.Broadcast,
		}[stage]
	}
	e.stats.reach(p.stage, p.state)
	p.leads, p.master, p.hosts = e.stats.leads, p.leader, e.m.ServesObservers()
	if p.state == proto.Observing {
		p.master = e.masters.id
		if p.serving {
			e.masters.reached()
		}
	}
}

// Ensemble implements [status.Source].
func (s *Server) Ensemble() *status.Ensemble {
	p := s.part.Load()
	if p == nil || p.self == nil {
		return nil
	}
	q := &s.cfg.Quorum
	e := &status.Ensemble{
		State: p.state, Stage: p.stage, Leader: p.leader, Config: p.config, Me: p.self, Client: s.clientAddress(p.self),
		InitLimit: q.InitLimit, SyncLimit: q.SyncLimit, LocalSessions: q.LocalSessions,
		Master: p.master, ServesObservers: p.hosts, SyncedObservers: p.census.SyncedObservers,
	}
	if p.serving && p.state == proto.Leading {
		e.Leading = &status.Leading{
			Since: p.leads, Learners: p.census.Learners, SyncedFollowers: p.census.SyncedFollowers,
			NonVotingFollowers: p.census.NonVotingFollowers, SyncedObservers: p.census.SyncedObservers,
			PendingSyncs: p.census.PendingSyncs, Proposals: s.loop.e.stats.proposals.load(),
		}
	}
	return e
}

// clientAddress is where clients reach this server: as its line has it, or zoo.cfg; "" for nowhere.
func (s *Server) clientAddress(self *quorum.Member) string {
	a := s.cfg.Client.Addr
	switch {
	case self.Client.Port != 0:
		return self.Client.String()
	case !a.IsSet():
		return ""
	}
	return proto.HostPort{Host: cmp.Or(a.Host, "0.0.0.0"), Port: a.Port}.String()
}

// Observers implements [status.Source].
func (s *Server) Observers() []status.ObserverLink {
	var out []status.ObserverLink
	e := s.loop.e
	if e == nil {
		return nil
	}
	s.loop.do(func() error {
		for id, l := range e.stats.links {
			link := e.links[id]
			if link == nil || !l.observer || !l.synced {
				continue
			}
			packets, bytes := link.Queued()
			out = append(out, status.ObserverLink{
				Remote: link.Peer().String(), ID: id, Established: l.established, Queued: int64(packets), QueuedBytes: int64(bytes),
				Received: l.received, Sent: l.sent, Requests: l.requests, LastZxid: l.lastZxid,
			})
		}
		return nil
	})
	slices.SortFunc(out, func(a, b status.ObserverLink) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// ResetObservers implements [status.Source].
func (s *Server) ResetObservers() {
	if e := s.loop.e; e != nil {
		s.loop.do(func() error {
			for _, l := range e.stats.links {
				l.received, l.sent, l.requests, l.lastZxid = 0, 0, 0, -1
			}
			return nil
		})
	}
}
