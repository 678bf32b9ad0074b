package replica

import (
	"slices"

	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/session"
	"zebu/znode"
)

// Lead makes a standalone server's replica plan writes, after the last zxid applied: it starts to track all known sessions,
// with their full timeouts, and drops ephemeral nodes left without a session (spec 10.3, scenario 35).
func (r *Replica) Lead() error {
	for _, s := range r.orphans() {
		// No transaction says so, as in ZooKeeper; if there were any ([Counts].Orphans) the caller must write a snapshot, because
		// the log that follows does not fit the state on disk.
		r.tree.KillSession(s, r.applied)
	}
	r.alone = true
	return r.lead(r.applied)
}

// lead makes the replica plan writes after a zxid.
func (r *Replica) lead(after proto.Zxid) error {
	if err := r.prepareSessions(); err != nil {
		return err
	}
	r.role = leading
	r.planner = znode.NewPlanner(r.tree)
	r.planner.MaxNeverUsed = r.opt.MaxNeverUsed
	r.tracker = session.NewTracker(r.opt.Tick)
	r.proposed, r.begun = after, after
	r.barrier = 0
	r.nextReap = r.now.Mono + r.opt.ReapInterval
	for id, timeout := range r.table.All {
		r.tracker.Track(id, timeout, r.now.Mono)
	}
	return r.serveEtcd()
}

// prepareSessions prepares for new sessions: their ids, of which a server makes one row for its whole life, and, if there
// are local sessions, their expiry.
func (r *Replica) prepareSessions() (err error) {
	if r.opt.LocalSessions {
		r.locals = session.NewTracker(r.opt.Tick)
	}
	if r.ids == nil {
		r.ids, err = session.NewIDs(r.opt.ServerID, r.now.Wall, r.opt.Znode.ExtendedTypes)
	}
	return err
}

// learn makes the replica forward writes to the leader, in the epoch that begins with a zxid.
func (r *Replica) learn(beginning proto.Zxid) error {
	if err := r.prepareSessions(); err != nil {
		return err
	}
	r.role, r.begun = learning, beginning
	return r.serveEtcd()
}

// readOnlyService lets clients that want it read what this server knows, without a leader (spec 13.2).
func (r *Replica) readOnlyService() error {
	if err := r.prepareSessions(); err != nil {
		return err
	}
	r.role = readOnly
	return nil
}

// retire ends every connection and forgets what was on its way: it is not known whether it will be committed, and clients
// are not told either way. The state stays.
func (r *Replica) retire() {
	r.role, r.begun = idle, 0
	r.retireEtcd()
	for _, c := range r.conns {
		if c != nil && !mutant.On(mutant.ClientsOutliveRole) {
			r.hangUp(c)
		}
	}
	for _, v := range r.upstream.revalidating {
		r.hangUp(v.conn)
	}
	for _, d := range r.doubts {
		r.hangUp(d.conn)
	}
	r.doubts = nil
	r.upstream.clear()
	r.pending.clear()
	clear(r.runnable)
	r.runnable = r.runnable[:0]
	r.planner, r.tracker, r.locals, r.past = nil, nil, nil, pastSessions{}
}

// hangUp ends a connection without an answer.
func (r *Replica) hangUp(c *Conn) {
	r.emit(Output{Conn: c, Start: len(r.buf), End: len(r.buf), Close: true})
	r.Disconnect(c)
}

// orphans returns the sessions that own ephemeral nodes and do not exist, in order.
func (r *Replica) orphans() []proto.SessionID {
	var orphans []proto.SessionID
	for s := range r.tree.EphemeralOwners() {
		if _, ok := r.table.Timeout(s); !ok {
			orphans = append(orphans, s)
		}
	}
	slices.Sort(orphans)
	r.counts.Orphans += int64(len(orphans))
	return orphans
}

// adopt takes over the state of another replica, which is given up. Nobody may be connected.
func (r *Replica) adopt(o *Replica) {
	r.tree, r.table, r.applied, r.fuzzyUntil, r.digests = o.tree, o.table, o.applied, o.fuzzyUntil, o.digests
	r.unproven = o.unproven
	r.kv.adopt(&o.kv, o.applied)
	r.compactByItself()
	r.counts.DigestMismatches += o.counts.DigestMismatches
}
