package zab

import (
	"errors"

	"zebu/proto"
	"zebu/quorum"
)

// Txn is a transaction: its id and its bytes as they lie in the log (spec 9).
type Txn struct {
	Zxid proto.Zxid
	Data []byte
}

// Proposal is a transaction that a leader shall broadcast.
type Proposal struct {
	Txn
	// Config is the configuration that a reconfig transaction proposes, nil for all others.
	Config *quorum.Config
}

// WriteKind is what a [Write] does.
type WriteKind uint8

// Kinds of writes. The caller makes them durable in the order in which they come. It reports transactions with Synced, where one call
// speaks for all before it, and everything else with Wrote.
const (
	// AppendTxn appends Txn to the log.
	AppendTxn WriteKind = iota
	// AcceptEpoch replaces the acceptedEpoch file with Epoch.
	AcceptEpoch
	// EnterEpoch replaces the currentEpoch file with Epoch.
	EnterEpoch
	// Truncate cuts the history behind Zxid, exactly: transactions in the log and snapshots beyond it go, and the state in
	// memory is read again. If that cannot be, because Zxid is not in the history that the disk holds, the caller changes
	// nothing and calls [Learner.CannotTruncate]. Any other failure stops the server (ZOOKEEPER-3701).
	Truncate
	// InstallSnapshot makes the state that was loaded from the leader's snapshot the server's own, at Zxid, on disk and in
	// memory: a snapshot file, synced and renamed, instead of all snapshots and transactions there were.
	InstallSnapshot
	// SaveConfig stores the configuration in Config as the last seen one (spec 11.2), if reconfiguration is enabled.
	SaveConfig
)

// Write is one thing to be made durable.
type Write struct {
	Kind   WriteKind
	Epoch  proto.Epoch // of AcceptEpoch and EnterEpoch
	Zxid   proto.Zxid  // of Truncate and InstallSnapshot
	Txn    Txn         // of AppendTxn
	Config []byte      // of SaveConfig: its text
}

// Message is what to send to a server, behind all earlier messages to it on the same link.
type Message struct {
	To     proto.ServerID
	Packet proto.QuorumPacket
	// LogAfter and LogThrough, if LogThrough is not 0, stand for a PROPOSAL and a COMMIT for each transaction on disk
	// with LogAfter < zxid <= LogThrough, and Packet for nothing.
	LogAfter, LogThrough proto.Zxid
}

// DeliveryKind is what a [Delivery] asks for.
type DeliveryKind uint8

// Kinds of deliveries.
const (
	// Apply is a transaction to apply. A learner that is receiving a snapshot applies it to that.
	Apply DeliveryKind = iota
	// Replay is a transaction that the log holds at the end of a role without being known as committed. It is applied as a
	// restart would do it: nobody is told.
	Replay
	// Pass is a packet for the server itself: PING, REVALIDATE, ASK, HANDOVER and SYNC from a leader (the sync is the oldest that has not
	// been answered), PING, REQUEST, REVALIDATE and ASK from a learner; SYNC from itself on a leader.
	Pass
	// View asks a leader's server for a view of its state as it is now. It is the snapshot that the SNAP message to From
	// in the same Ready stands for.
	View
)

// Delivery is something for the state machine. Deliveries are to be handled in their order.
type Delivery struct {
	Kind   DeliveryKind
	From   proto.ServerID // of Pass and View
	Packet proto.QuorumPacket
	Txn    Txn
	// Activate says that Txn is a reconfiguration to be put into force, and Leader who leads then.
	Activate bool
	Leader   proto.ServerID
}

// Drop is a link to be closed.
type Drop struct {
	ID  proto.ServerID
	Err error
}

// LogQuery asks what the log on disk says about a learner's history; see [Leader.LogAnswer].
type LogQuery struct {
	ID   proto.ServerID
	Last proto.Zxid // the learner's last zxid
	Max  proto.Zxid // where the committed log takes over
}

// Ready is everything that inputs have caused since it was last taken.
type Ready struct {
	Writes   []Write
	Deliver  []Delivery
	Messages []Message
	Drop     []Drop
	Queries  []LogQuery
	// Serving says, once, that the epoch is established (leader) or that this server is in it and up to date (learner):
	// clients may be served, votes name the new epoch, and the configuration that came with NEWLEADER is in force.
	Serving bool
	// Leader is, with Serving on a leader, who shall lead the configuration that is in force now.
	Leader proto.ServerID
	// Confirmed is the last ticket of [Leader.Confirm] that has been answered, 0 if none has been since the last time.
	Confirmed uint64
	// Ended says, once, why the role is over. What the caller reports as durable after that may still have to be applied.
	Ended error
	// Wake is when Tick wants to be called at the latest, 0 for never.
	Wake proto.Millis
}

// Why roles end, apart from violations of the protocol.
var (
	ErrNoQuorum   = errors.New("zab: too few servers in time")
	ErrDisloyal   = errors.New("zab: a voter is in an election again")
	ErrSilence    = errors.New("zab: not heard from in time")
	ErrLinkDown   = errors.New("zab: link to the leader is down")
	ErrRollover   = errors.New("zab: zxids of the epoch are used up")
	ErrOldEpoch   = errors.New("zab: the leader's epoch is older than the accepted one")
	ErrLaterEpoch = errors.New("zab: a member has accepted a later epoch")
	ErrAhead      = errors.New("zab: learner is ahead of the leader")
	ErrNoHistory  = errors.New("zab: the disk does not reach back to where the leader's history ends")
	ErrResigned   = errors.New("zab: another server leads")
	ErrHandedOver = errors.New("zab: another server was asked to lead")
	ErrEnded      = errors.New("zab: role has ended")
)

// errUnexpected is a packet that does not belong where it came.
var errUnexpected = errors.New("zab: unexpected packet")

// isFirst says whether a zxid is that of an epoch's beginning, which no transaction has.
func isFirst(z proto.Zxid) bool { return z.Counter() == 0 }

// follows says whether next may come right after last in a history: there are no gaps inside an epoch
// (ZOOKEEPER-4925). What an epoch began with cannot be told from a zxid.
func follows(last, next proto.Zxid) bool {
	if next.Epoch() == last.Epoch() {
		return next == last+1
	}
	return next > last && !isFirst(next)
}

// Timing holds a server's times (spec 12.1).
type Timing struct {
	Tick                 proto.Millis // tickTime
	InitLimit, SyncLimit int          // ticks
}

func (t *Timing) init() proto.Millis { return t.Tick * proto.Millis(t.InitLimit) }
func (t *Timing) sync() proto.Millis { return t.Tick * proto.Millis(t.SyncLimit) }

// beat is the time between two pings.
func (t *Timing) beat() proto.Millis { return max(1, t.Tick/2) }
