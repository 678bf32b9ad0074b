package session

import "zebu/proto"

// Owner names whoever serves a session's connection: the leader itself or one of its learner links. The caller
// numbers them; 0 is nobody.
type Owner int64

// Bucket is one instant of expiry and the sessions that are due then.
type Bucket struct {
	Deadline proto.Millis // monotonic
	IDs      []proto.SessionID
}

// Tracker decides when sessions expire. The leader keeps one for all global sessions, any server one for its local
// sessions, and a standalone server one for all. It is not part of the replicated state: a new leader tracks every
// session of the [Table] afresh.
type Tracker struct {
	tick proto.Millis
}

// NewTracker returns an empty tracker. Deadlines are multiples of tick, the server's tickTime.
func NewTracker(tick proto.Millis) *Tracker { return &Tracker{tick: max(tick, 1)} }

// Track starts to track a session whose timeout is in milliseconds, or renews one that is tracked with that timeout,
// which a resumed session may have negotiated anew. It reports whether the session is new.
func (t *Tracker) Track(id proto.SessionID, timeout int32, now proto.Millis) bool { return false }

// Touch moves a session's deadline to its timeout from now. False means that the session is not tracked or closing.
func (t *Tracker) Touch(id proto.SessionID, now proto.Millis) bool { return false }

// Due appends to dst the sessions whose deadline has passed and which are not closing yet, earliest first. They stay
// tracked and due until the caller touches, closes or removes them.
func (t *Tracker) Due(now proto.Millis, dst []proto.SessionID) []proto.SessionID { return dst }

// SetClosing marks a session whose closeSession is on its way: it takes no more requests and is not due again. It
// reports whether the session is tracked.
func (t *Tracker) SetClosing(id proto.SessionID) bool { return false }

// Check says whether a request from owner in the session may go on: ErrSessionExpired if the session is unknown or
// closing, ErrSessionMoved if it has another owner. A session without owner becomes owner's.
func (t *Tracker) Check(id proto.SessionID, owner Owner) proto.ErrCode { return proto.ErrSessionExpired }

// SetOwner gives the session to owner. False means that the session is not tracked or closing.
func (t *Tracker) SetOwner(id proto.SessionID, owner Owner) bool { return false }

// Owner returns who serves the session, 0 for nobody.
func (t *Tracker) Owner(id proto.SessionID) Owner { return 0 }

// Timeout returns a tracked session's timeout in milliseconds, and whether the session is tracked.
func (t *Tracker) Timeout(id proto.SessionID) (int32, bool) { return 0, false }

// Remove stops tracking a session and reports whether it was tracked.
func (t *Tracker) Remove(id proto.SessionID) bool { return false }

// Len returns the number of tracked sessions.
func (t *Tracker) Len() int { return 0 }

// Buckets lists all deadlines in order, each with its sessions in order of their ids: what the `dump` word prints.
func (t *Tracker) Buckets() []Bucket { return nil }
