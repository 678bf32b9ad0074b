package election

import (
	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/quorum"
)

// Times of an election, in milliseconds.
const (
	// finalizeWait is how long a quorum's candidate is held back in case a better one turns up.
	finalizeWait proto.Millis = 200
	// DefaultMinNotification and DefaultMaxNotification bound the wait between two rounds of notifications that bring
	// no decision; it doubles each time.
	DefaultMinNotification proto.Millis = 200
	DefaultMaxNotification proto.Millis = 60_000
)

// avoidance is how long a server does not vote for one that it could not reach when it was to follow it: for an election, if there
// is one to be had without that server.
const avoidance proto.Millis = 1000

// noZxid is the last zxid of a server that must not take part, having lost its data (ZOOKEEPER-2325).
const noZxid proto.Zxid = -1

// Options describe a server. Configurations must have passed [quorum.Config.Check]; whether this server votes, observes
// or is no member is read from them.
type Options struct {
	ID        proto.ServerID
	Committed *quorum.Config // the committed configuration
	LastSeen  *quorum.Config // the last proposed one, nil if that is the committed one
	Reconfig  bool           // reconfigEnabled: adopt newer configurations from notifications
	// MinNotification and MaxNotification (fastleader.minNotificationInterval, fastleader.maxNotificationInterval)
	// replace the defaults unless 0.
	MinNotification, MaxNotification proto.Millis
}

// Election is one server's part in all elections of its life. The zero value is of no use; see [New].
type Election struct {
	id       proto.ServerID
	reconfig bool
	min, max proto.Millis

	committed, lastSeen *quorum.Config
	text                string          // committed's
	base                quorum.Verifier // committed's rule for quorums
	rule                quorum.Verifier // joined with lastSeen's if that is newer
	voters              quorum.Set      // of either configuration
	oracle              quorum.Oracle

	started bool
	veteran bool        // has been through an election
	round   proto.Round // the logical clock
	state   proto.PeerState
	zxid    proto.Zxid  // this server's, at the start of the election
	epoch   proto.Epoch // likewise
	vote    Vote        // the candidate while Looking, else what was decided

	received ballots      // votes of this round
	outside  ballots      // votes of servers that follow or lead, of any round
	early    ballots      // votes of servers that began the next election before this one
	earlyAt  proto.Millis // when the first of them came
	down     quorum.Set   // peers that refuse connections
	askers   quorum.Set   // non-voters that were told a candidate and want to know the outcome
	backers  quorum.Set   // for counting

	heir heir

	avoided proto.ServerID // cannot be reached
	avoidTo proto.Millis   // until then it is not voted for

	interval proto.Millis // between notifications without an outcome
	resendAt proto.Millis // when notifications are due again, while Looking
	finalAt  proto.Millis // when the quorum's candidate is elected, 0 while there is none
	answers  answers
	ready    Ready
}

// Message is a notification to be sent. Transport may drop it for a later one to the same server.
type Message struct {
	To           proto.ServerID
	Notification proto.Notification
}

// Decision ends an election.
type Decision struct {
	State proto.PeerState // Leading, Following or Observing
	Vote  Vote
}

// Ready is everything that inputs have caused since the last call of [Election.Ready].
type Ready struct {
	Messages []Message
	// Decision is nil unless an election ended. The server has left it: notifications of others are answered as the
	// decision says, from now on and before the server has done anything about it (spec 7.3).
	Decision *Decision
	// Config is a newer committed configuration that came in a notification and has been adopted, else nil. The server
	// must keep it, as it would if it had been committed (spec 11.4).
	Config *quorum.Config
	// Wake is when [Election.Tick] wants to be called at the latest, 0 for never.
	Wake proto.Millis
}

// New returns a server that has not started yet: it says nothing and hears nothing until the first [Election.Start].
func New(o Options) *Election {
	e := &Election{id: o.ID, reconfig: o.Reconfig, min: o.MinNotification, max: o.MaxNotification}
	if e.min <= 0 {
		e.min = DefaultMinNotification
	}
	if e.max <= 0 {
		e.max = DefaultMaxNotification
	}
	e.setConfigs(o.Committed, o.LastSeen)
	return e
}

// State is what this server is doing, for all that elections know.
func (e *Election) State() proto.PeerState { return e.state }

// Round is the logical clock.
func (e *Election) Round() proto.Round { return e.round }

// Vote is the candidate of a server that is Looking, the outcome of the last election for others.
func (e *Election) Vote() Vote { return e.vote }

// Committed is the committed configuration.
func (e *Election) Committed() *quorum.Config { return e.committed }

// Ready returns what is to be done and forgets it. The messages are valid until the next input.
func (e *Election) Ready() Ready {
	r := e.ready
	if e.started && e.state == proto.Looking {
		r.Wake = e.resendAt
		if e.finalAt != 0 {
			r.Wake = e.finalAt
		}
		if e.heir.until != 0 {
			r.Wake = min(r.Wake, e.heir.until)
		}
	}
	e.ready = Ready{Messages: e.ready.Messages[:0]}
	return r
}

// Start begins an election: when the server has started, and whenever its role has ended. The zxid is that of the last
// transaction in its log, all of which has been read back (ZOOKEEPER-2845), or -1 if the server has lost its data. The epoch is its
// currentEpoch, which is not less than that of any transaction it holds (ZOOKEEPER-582).
func (e *Election) Start(now proto.Millis, zxid proto.Zxid, epoch proto.Epoch) {
	e.started = true
	e.zxid, e.epoch = zxid, epoch
	e.begin(now)
}

func (e *Election) begin(now proto.Millis) {
	e.state = proto.Looking
	e.round++
	e.received.clear()
	e.outside.clear()
	e.propose(now, e.initial(now))
	e.consider(now)
	e.countEarly(now)
}

// initial returns the vote of a server that knows of nobody better than itself or the heir, or of nobody at all if it does
// not vote.
func (e *Election) initial(now proto.Millis) Vote {
	v := Vote{Leader: proto.NoServer, Zxid: e.zxid, Epoch: e.epoch}
	if m := e.committed.Member(e.id); m != nil && !m.Observer {
		v.Leader = e.id
		if e.favours(now) {
			return e.heir.vote
		}
	} else { // any candidate is better, also for one that a pending configuration makes a voter
		v.Zxid, v.Epoch = -1<<63, -1<<63
	}
	return v
}

// propose makes v this server's candidate and tells everybody. It may be that nobody listens: then it is said again
// soon, however long this server had been waiting for others before.
func (e *Election) propose(now proto.Millis, v Vote) {
	v.Round = e.round
	e.vote = v
	e.finalAt = 0
	e.interval = e.min
	if e.takesPart() && e.voters.Has(e.id) && e.voters.Has(v.Leader) {
		e.received.put(ballot{Vote: v, from: e.id})
	}
	e.broadcast(now)
}

// takesPart says whether votes mean anything to this server.
func (e *Election) takesPart() bool { return e.zxid != noZxid }

// broadcast sends the candidate to every other voter.
func (e *Election) broadcast(now proto.Millis) {
	for _, id := range e.voters.IDs() {
		if id != e.id {
			e.send(id, e.vote)
		}
	}
	e.resendAt = now + e.interval
}

func (e *Election) send(to proto.ServerID, v Vote) {
	e.ready.Messages = append(e.ready.Messages, Message{to, proto.Notification{
		State: e.state, Leader: v.Leader, Zxid: v.Zxid, Round: v.Round, PeerEpoch: v.Epoch,
		Version: proto.NotificationVersion, Config: e.text,
	}})
}

// Tick tells the time. Calls before the time asked for do no harm.
func (e *Election) Tick(now proto.Millis) {
	if !e.started || e.state != proto.Looking || e.tireOfHeir(now) {
		return
	}
	if e.finalAt != 0 {
		if now >= e.finalAt {
			e.decide(e.vote)
		}
		return
	}
	if now >= e.resendAt {
		e.interval = min(2*e.interval, e.max)
		e.broadcast(now)
	}
}

// PeerUp says that there is a connection to a peer. It is told the candidate, in case what was said before got lost.
func (e *Election) PeerUp(now proto.Millis, id proto.ServerID) {
	e.down.Remove(id)
	if e.started && e.state == proto.Looking && e.voters.Has(id) && id != e.id {
		e.send(id, e.vote)
	}
}

// PeerDown says that a peer refuses connections: its host answers, but no server does. A mere silence is not told.
func (e *Election) PeerDown(now proto.Millis, id proto.ServerID) {
	if e.voters.Has(id) && e.down.Add(id) && e.started && e.state == proto.Looking && !e.tireOfHeir(now) {
		e.consider(now)
	}
}

// Synced says that this server, as the leader or a learner, has entered a new epoch: votes of the ensemble's members
// must be equal for newcomers to recognise their leader, whichever epoch each of them had in its files before.
func (e *Election) Synced(epoch proto.Epoch) {
	if e.state != proto.Looking {
		e.vote.Epoch = epoch
		e.answers.clear()
	}
}

// Designate says that a committed reconfiguration has named the next leader, at zxid: servers take the role that this
// gives them without an election (spec 11.4). The epoch is not known before [Election.Synced], nor to any other server.
func (e *Election) Designate(leader proto.ServerID, zxid proto.Zxid) {
	e.settle(Vote{Leader: leader, Zxid: zxid, Round: e.round, Epoch: -1})
}

// Unreachable says that this server was to follow another and could not connect to it, and was not refused either. If the one is
// heard and cannot be reached (a network may pass one direction only), those who vote for it would elect it again and
// again; for a while this server votes for others.
func (e *Election) Unreachable(now proto.Millis, id proto.ServerID) {
	e.avoided, e.avoidTo = id, now+avoidance
}

// SetOracle says what is known of the oracle of an ensemble of two.
func (e *Election) SetOracle(now proto.Millis, o quorum.Oracle) {
	e.oracle = o
	if e.started && e.state == proto.Looking {
		e.consider(now)
	}
}

// SetConfigs says which configurations are in force: after a reconfiguration was proposed or committed. A nil lastSeen
// is the committed one. If the members have changed, a running election starts over.
func (e *Election) SetConfigs(now proto.Millis, committed, lastSeen *quorum.Config) {
	same := e.committed.SameMembers(committed)
	e.setConfigs(committed, lastSeen)
	switch {
	case !e.started || e.state != proto.Looking:
	case same:
		e.consider(now) // by the new rule for quorums
	default:
		e.begin(now)
	}
}

func (e *Election) setConfigs(committed, lastSeen *quorum.Config) {
	if lastSeen == nil {
		lastSeen = committed
	}
	e.committed, e.lastSeen, e.text = committed, lastSeen, committed.String()
	e.base = committed.Verifier()
	e.rule = e.base
	if lastSeen.Version > committed.Version {
		e.rule = quorum.NewJoint(e.rule, lastSeen.Verifier())
	}
	e.voters = committed.Voters().Union(lastSeen.Voters())
}

// consider ends the election if there is nothing left to wait for, and sees to it that it ends later if a quorum names
// this server's candidate.
func (e *Election) consider(now proto.Millis) {
	own := ballot{Vote: e.vote}
	switch {
	case !e.takesPart() || !e.voters.Has(e.vote.Leader) || !e.hasQuorum(e.rule, e.received, &own) && !mutant.On(mutant.ElectedByMinority):
		e.finalAt = 0
	case e.awaitsHeir(&own):
		e.finalAt = 0
	case e.unanimous(&own):
		e.decide(e.vote)
	case e.finalAt == 0:
		e.finalAt = now + finalizeWait
	}
}

// hasQuorum says whether those who agree with b are a quorum by a rule.
func (e *Election) hasQuorum(rule quorum.Verifier, bs ballots, b *ballot) bool {
	e.backers.Clear()
	for i := range bs {
		if b.agrees(&bs[i]) {
			e.backers.Add(bs[i].from)
		}
	}
	return e.oracle.HasQuorum(rule, e.backers)
}

// unanimous says whether no better candidate than b can turn up in this round, because everybody has spoken for this
// one. Servers without weight may never do so. After the first election links to all peers exist, and a peer that
// refuses new ones has just died; before, it may be about to start.
func (e *Election) unanimous(b *ballot) bool {
	for _, id := range e.voters.IDs() {
		if e.rule.Weight(id) == 0 || e.veteran && e.down.Has(id) {
			continue
		}
		if o := e.received.get(id); o == nil || !b.agrees(o) {
			return false
		}
	}
	return true
}

// settle gives this server the role that v implies.
func (e *Election) settle(v Vote) {
	e.state = proto.Following
	if v.Leader == e.id {
		e.state = proto.Leading
	} else if m := e.committed.Member(e.id); m != nil && m.Observer {
		e.state = proto.Observing
	}
	e.vote, e.finalAt, e.veteran = v, 0, true
	e.heir.until = 0
	e.answers.clear()
}

func (e *Election) decide(v Vote) {
	e.settle(v)
	e.ready.Decision = &Decision{State: e.state, Vote: v}
	for _, id := range e.askers.IDs() {
		e.send(id, v)
	}
	e.askers.Clear()
}
