package proto

import "fmt"

// PacketType is the type field of a [QuorumPacket] (spec 8.1).
type PacketType int32

// Types of quorum packets. L is a learner (a follower F or an observer O), M the leader or whoever feeds an observer in
// its place.
const (
	PacketRequest           PacketType = 1  // L to M: a client's write or sync; data is a [ForwardedRequest]
	PacketProposal          PacketType = 2  // M to F: a transaction to log
	PacketAck               PacketType = 3  // F to M: logged up to here
	PacketCommit            PacketType = 4  // M to F: apply the next proposal
	PacketPing              PacketType = 5  // M to L, and back with [Touch] values
	PacketRevalidate        PacketType = 6  // L to M with a [Touch], and back with a [Revalidation]
	PacketSync              PacketType = 7  // M to L: a sync is done
	PacketInform            PacketType = 8  // M to O: a committed transaction
	PacketCommitAndActivate PacketType = 9  // M to F: commit of a reconfiguration; data names the next leader
	PacketNewLeader         PacketType = 10 // M to L: the history of the epoch is complete; data is a configuration
	PacketFollowerInfo      PacketType = 11 // F to M: first packet; data is a [LearnerInfo]
	PacketUpToDate          PacketType = 12 // M to L: serve clients
	PacketDiff              PacketType = 13 // M to L: keep your history, more follows
	PacketTrunc             PacketType = 14 // M to L: cut your history behind zxid
	PacketSnap              PacketType = 15 // M to L: a snapshot follows this packet, not framed as a packet
	PacketObserverInfo      PacketType = 16 // O to M: first packet; data is a [LearnerInfo]
	PacketLeaderInfo        PacketType = 17 // M to L: the new epoch; data is a protocol version
	PacketAckEpoch          PacketType = 18 // L to M: last zxid; data is the currentEpoch or -1
	PacketInformAndActivate PacketType = 19 // M to O: a committed reconfiguration, with the next leader before it

	lastPacketType = PacketInformAndActivate

	// PacketAsk is a question of the etcd API's for the leader, and back with the answer; data is an [Ask]. It goes only
	// between servers that have told each other of [ExtEtcd].
	PacketAsk PacketType = 0x7a65
	// PacketHandOver tells a learner whom its leader, which is about to stop leading, wants to be the next one, and comes back when the
	// learner knows; zxid is the last one of that server, and data is an [Heir]. It goes only to servers that have told of [ExtHandOver].
	PacketHandOver PacketType = 0x7a66
)

// Extensions are what zebu's servers can do beyond ZooKeeper's, a set of bits. They stand behind what ZooKeeper knows in the data of
// FOLLOWERINFO, OBSERVERINFO and LEADERINFO, where its servers do not look.
type Extensions uint32

const (
	// ExtEtcd says that a server applies transactions of the etcd API.
	ExtEtcd Extensions = 1 << iota
	// ExtDurable says that a server's history is durable when it acknowledges NEWLEADER, as an observer too. ZooKeeper's observers keep a
	// log only if they are told to.
	ExtDurable
	// ExtHandOver says that a server understands [PacketHandOver].
	ExtHandOver
)

const extensionMagic int32 = 0x7a656275 // "zebu"

// Where extensions begin in packets' data.
const (
	learnerInfoSize = 20
	leaderInfoSize  = 4
)

// Append appends the extensions to a packet's data.
func (e Extensions) Append(data []byte) []byte {
	if e == 0 {
		return data
	}
	return AppendInt32(AppendInt32(data, extensionMagic), int32(e))
}

// PacketExtensions reads the extensions that FOLLOWERINFO, OBSERVERINFO or LEADERINFO tells of, 0 for every other packet.
func PacketExtensions(p *QuorumPacket) Extensions {
	size := learnerInfoSize
	switch p.Type {
	case PacketLeaderInfo:
		size = leaderInfoSize
	case PacketFollowerInfo, PacketObserverInfo:
	default:
		return 0
	}
	if len(p.Data) < size+8 {
		return 0
	}
	d := NewDecoder(p.Data[size:])
	if d.Int32() != extensionMagic {
		return 0
	}
	return Extensions(d.Int32())
}

// Ask is the data of a [PacketAsk]: a question from a learner, or the answer to it.
type Ask struct {
	Kind  int32 // the asking package's
	ID    int64 // the learner's, repeated by the answer
	Value int64 // what the question is about, or the answer
	Text  string
}

// Append appends the encoded question.
func (a Ask) Append(b []byte) []byte {
	b = AppendInt64(AppendInt64(AppendInt32(b, a.Kind), a.ID), a.Value)
	if a.Text != "" {
		b = AppendStr(b, a.Text)
	}
	return b
}

// DecodeAsk reads the data of a [PacketAsk].
func DecodeAsk(data []byte) (Ask, error) {
	d := NewDecoder(data)
	a := Ask{Kind: d.Int32(), ID: d.Int64(), Value: d.Int64()}
	if d.Err() == nil && d.Remaining() > 0 {
		a.Text = d.Str()
	}
	return a, d.Err()
}

// Heir is the data of a [PacketHandOver].
type Heir struct {
	ID    ServerID
	Epoch Epoch // its currentEpoch
}

// Append appends the encoded heir.
func (h Heir) Append(b []byte) []byte {
	return AppendInt32(AppendInt64(b, int64(h.ID)), int32(h.Epoch))
}

// DecodeHeir reads the data of a [PacketHandOver].
func DecodeHeir(data []byte) (Heir, error) {
	d := NewDecoder(data)
	h := Heir{ServerID(d.Int64()), Epoch(d.Int32())}
	return h, d.Err()
}

// QuorumProtocolVersion is the version in LEADERINFO and in a [LearnerInfo]: ZAB 1.0, ZooKeeper 3.4 and later.
const QuorumProtocolVersion int32 = 0x10000

var packetNames = [lastPacketType + 1]string{
	PacketRequest: "REQUEST", PacketProposal: "PROPOSAL", PacketAck: "ACK", PacketCommit: "COMMIT", PacketPing: "PING",
	PacketRevalidate: "REVALIDATE", PacketSync: "SYNC", PacketInform: "INFORM",
	PacketCommitAndActivate: "COMMITANDACTIVATE", PacketNewLeader: "NEWLEADER", PacketFollowerInfo: "FOLLOWERINFO",
	PacketUpToDate: "UPTODATE", PacketDiff: "DIFF", PacketTrunc: "TRUNC", PacketSnap: "SNAP",
	PacketObserverInfo: "OBSERVERINFO", PacketLeaderInfo: "LEADERINFO", PacketAckEpoch: "ACKEPOCH",
	PacketInformAndActivate: "INFORMANDACTIVATE",
}

// Known says whether there is such a type.
func (t PacketType) Known() bool {
	return t > 0 && t <= lastPacketType || t == PacketAsk || t == PacketHandOver
}

// String names the type as ZooKeeper's logs do.
func (t PacketType) String() string {
	switch t {
	case PacketAsk:
		return "ASK"
	case PacketHandOver:
		return "HANDOVER"
	}
	if t > 0 && t <= lastPacketType {
		return packetNames[t]
	}
	return fmt.Sprintf("packet(%d)", int32(t))
}

// DecodeLearnerInfo reads the data of FOLLOWERINFO and OBSERVERINFO. Old learners leave out the configuration version, older ones
// the protocol version as well; what is left out is 0.
func DecodeLearnerInfo(data []byte) (LearnerInfo, error) {
	var li LearnerInfo
	d := NewDecoder(data)
	li.ServerID = ServerID(d.Int64())
	if len(data) >= 12 {
		li.ProtocolVersion = d.Int32()
	}
	if len(data) >= 20 {
		li.ConfigVersion = d.Int64()
	}
	return li, d.Err()
}

// DecodeInt32 reads data that is one number: the protocol version in LEADERINFO, the currentEpoch in ACKEPOCH.
func DecodeInt32(data []byte) (int32, error) {
	d := NewDecoder(data)
	return d.Int32(), d.Err()
}

// Touch says that a session has been heard of. Timeout is in milliseconds.
type Touch struct {
	Session SessionID
	Timeout int32
}

// AppendTouches appends the data of a learner's PING, or, with one touch, of its REVALIDATE.
func AppendTouches(b []byte, touches ...Touch) []byte {
	for _, t := range touches {
		b = AppendInt32(AppendInt64(b, int64(t.Session)), t.Timeout)
	}
	return b
}

// DecodeTouches appends the touches in data to dst.
func DecodeTouches(dst []Touch, data []byte) ([]Touch, error) {
	d := NewDecoder(data)
	for d.Remaining() > 0 {
		t := Touch{Session: SessionID(d.Int64()), Timeout: d.Int32()}
		if d.Err() != nil {
			return dst, d.Err()
		}
		dst = append(dst, t)
	}
	return dst, nil
}

// Revalidation is the leader's answer to a REVALIDATE: whether the session still exists.
type Revalidation struct {
	Session SessionID
	Valid   bool
}

// Append appends r as data of a packet.
func (r *Revalidation) Append(b []byte) []byte {
	return AppendBool(AppendInt64(b, int64(r.Session)), r.Valid)
}

// DecodeRevalidation reads the data of a leader's REVALIDATE.
func DecodeRevalidation(data []byte) (Revalidation, error) {
	d := NewDecoder(data)
	r := Revalidation{Session: SessionID(d.Int64()), Valid: d.Bool()}
	return r, d.Err()
}

// ForwardedRequest is what a learner passes on for a client. The client's identities travel in the packet's AuthInfo,
// null for createSession.
type ForwardedRequest struct {
	Session SessionID
	Cxid    int32
	Op      OpCode
	Body    []byte // as it came from the client, aliasing the packet
}

// Append appends r as data of a packet.
func (r *ForwardedRequest) Append(b []byte) []byte {
	b = AppendInt64(b, int64(r.Session))
	b = AppendInt32(b, r.Cxid)
	b = AppendInt32(b, int32(r.Op))
	return append(b, r.Body...)
}

// DecodeForwardedRequest reads the data of a REQUEST.
func DecodeForwardedRequest(data []byte) (ForwardedRequest, error) {
	d := NewDecoder(data)
	r := ForwardedRequest{Session: SessionID(d.Int64()), Cxid: d.Int32(), Op: OpCode(d.Int32())}
	r.Body = d.Rest()
	return r, d.Err()
}

// AppendActivation appends the data of COMMITANDACTIVATE, with a txn that of INFORMANDACTIVATE.
func AppendActivation(b []byte, leader ServerID, txn []byte) []byte {
	return append(AppendInt64(b, int64(leader)), txn...)
}

// DecodeActivation reads the data of COMMITANDACTIVATE and INFORMANDACTIVATE: the server that shall lead the new
// configuration, and the transaction that follows, which aliases data.
func DecodeActivation(data []byte) (leader ServerID, txn []byte, err error) {
	d := NewDecoder(data)
	leader = ServerID(d.Int64())
	return leader, d.Rest(), d.Err()
}
