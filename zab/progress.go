package zab

// Stage is how far a role has come in its epoch.
type Stage uint8

// Stages, by ZooKeeper's names.
const (
	Discovery       Stage = iota // the epoch is being chosen
	Synchronization              // the leader's history is being spread
	Broadcast                    // transactions are
)

// Stage says how far the leader has come.
func (l *Leader) Stage() Stage {
	switch l.phase {
	case choosing, accepting, electing:
		return Discovery
	case synchronising:
		return Synchronization
	}
	return Broadcast
}

// Stage says how far the learner has come.
func (l *Learner) Stage() Stage {
	switch {
	case l.phase == registering || l.phase == promising:
		return Discovery
	case l.serving:
		return Broadcast
	}
	return Synchronization
}

// Census counts a leader's learners, and what they wait for.
type Census struct {
	Learners           int // with a link
	SyncedFollowers    int // that have the epoch's history
	NonVotingFollowers int // of these, those that are no participants of the configuration in force
	SyncedObservers    int
	PendingSyncs       int // that wait for transactions to be committed
}

// Census counts the leader's learners.
func (l *Leader) Census() Census {
	c := Census{Learners: len(l.peers), PendingSyncs: len(l.syncs)}
	for _, p := range l.peers {
		switch {
		case !p.synced:
		case p.observer:
			c.SyncedObservers++
		default:
			c.SyncedFollowers++
			if m := l.committed.Member(p.id); m == nil || m.Observer {
				c.NonVotingFollowers++
			}
		}
	}
	return c
}
