package proto

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
)

// PeerState is what a member of an ensemble is doing, as it stands in a [Notification] (spec 7.2).
type PeerState int32

// States of a member.
const (
	Looking   PeerState = 0 // in an election
	Following PeerState = 1
	Leading   PeerState = 2
	Observing PeerState = 3
)

// String names the state as ZooKeeper does.
func (s PeerState) String() string {
	switch s {
	case Looking:
		return "LOOKING"
	case Following:
		return "FOLLOWING"
	case Leading:
		return "LEADING"
	case Observing:
		return "OBSERVING"
	}
	return fmt.Sprintf("state(%d)", int32(s))
}

// Round numbers the elections that a server has taken part in since it was started: the logical clock of fast leader
// election, "electionEpoch" in ZooKeeper's sources. It has nothing to do with [Epoch].
type Round int64

// NoServer is the proposed leader of a server that may not be elected itself and knows no candidate yet.
const NoServer ServerID = math.MinInt64

// Limits of the election port (spec 7.1, 7.2).
const (
	// MaxNotification bounds the length, in bytes, that precedes every message.
	MaxNotification = 512 << 10
	// NotificationVersion is the form that every release since 3.5 sends.
	NotificationVersion int32 = 2

	maxHelloAddrs = 2048
)

// Sizes of the forms of a notification, in bytes.
const (
	notificationNoEpoch   = 28 // before ZooKeeper 3.4
	notificationNoVersion = 40 // 3.4: the last four bytes are not looked at
	notificationHeader    = 44 // version 2, without the text of the configuration
)

var errNotification = errors.New("notification: wrong size")

// Notification is what servers tell each other on the election port: a vote, its author's state and, since version 2,
// its author's committed configuration (spec 7.2).
type Notification struct {
	State     PeerState
	Leader    ServerID // the server voted for, or followed
	Zxid      Zxid     // the last zxid of that server, as it was at the election
	Round     Round    // of the author
	PeerEpoch Epoch    // the currentEpoch of that server
	// Version is 2, 1 if no configuration follows, 0 if not even the version does.
	Version int32
	// Config is the text of spec 11.1. A server must never send one without a participant: Apache ZooKeeper's
	// election does not survive it.
	Config string
}

// Append appends n in the form of version 2, whatever n.Version says.
func (n *Notification) Append(b []byte) []byte {
	b = AppendInt32(b, int32(n.State))
	b = AppendInt64(b, int64(n.Leader))
	b = AppendInt64(b, int64(n.Zxid))
	b = AppendInt64(b, int64(n.Round))
	b = AppendInt64(b, int64(n.PeerEpoch))
	b = AppendInt32(b, NotificationVersion)
	return AppendStr(b, n.Config)
}

// Decode reads a whole message, in any form that ZooKeeper 3.9 understands. Bytes behind it are ignored, as ZooKeeper
// does. A message of 40 bytes counts as version 0 even if its last four bytes say 1, again as in ZooKeeper. Nothing
// of b is kept.
func (n *Notification) Decode(b []byte) error {
	*n = Notification{}
	if len(b) < notificationNoEpoch {
		return errNotification
	}
	d := NewDecoder(b)
	n.State = PeerState(d.Int32())
	n.Leader = ServerID(d.Int64())
	n.Zxid = Zxid(d.Int64())
	n.Round = Round(d.Int64())
	if n.State < Looking || n.State > Observing {
		return fmt.Errorf("notification: unknown %v", n.State)
	}
	if len(b) == notificationNoEpoch {
		n.PeerEpoch = n.Zxid.Epoch()
		return nil
	}
	n.PeerEpoch = Epoch(d.Int64())
	if len(b) == notificationNoVersion {
		return nil
	}
	n.Version = d.Int32()
	if n.Version >= NotificationVersion {
		size := d.Int32()
		if size < 0 {
			return ErrLength
		}
		n.Config = string(d.take(int(size)))
	}
	if err := d.Err(); err != nil {
		return fmt.Errorf("notification of %d bytes: %w", len(b), err)
	}
	return nil
}

// HostPort is an address as configurations and peers write it: a name or an IP address, and a port.
type HostPort struct {
	Host string
	Port int
}

// String puts an IPv6 address in brackets.
func (a HostPort) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// ParseHostPort reads what [HostPort.String] writes.
func ParseHostPort(s string) (HostPort, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return HostPort{}, fmt.Errorf("address %q: expected host:port, an IPv6 address in brackets", s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return HostPort{}, fmt.Errorf("address %q: expected a port from 0 to 65535", s)
	}
	return HostPort{Host: host, Port: int(n)}, nil
}

// First numbers of an [ElectionHello].
const (
	helloV1 int64 = -65536
	helloV2 int64 = -65535
)

// AnonymousObserver is the id by which an observer asks the acceptor to give it any unused (negative) one.
const AnonymousObserver ServerID = math.MaxInt64

// ElectionHello is the first thing that the initiator of a connection to an election port says, and says only once
// (spec 7.1).
type ElectionHello struct {
	ID ServerID
	// Addrs are the initiator's election addresses: one, several only if MultiAddress, and none in the bare form of
	// old releases. A wildcard among them says nothing about where to dial.
	Addrs []HostPort
	// MultiAddress (multiAddress.enabled) chooses version 2, which 3.5 and older do not understand.
	MultiAddress bool
}

// Append appends h in version 1 or 2.
func (h *ElectionHello) Append(b []byte) []byte {
	version := helloV1
	if h.MultiAddress {
		version = helloV2
	}
	b = AppendInt64(b, version)
	b = AppendInt64(b, int64(h.ID))
	at := len(b)
	b = AppendInt32(b, 0)
	for i, a := range h.Addrs {
		if i > 0 {
			b = append(b, '|')
		}
		b = append(b, a.String()...)
	}
	PutInt32(b[at:], int32(len(b)-at-4))
	return b
}

// ElectionHelloSize says how many bytes of a connection to read before [ElectionHello.Decode] can be called, given the
// first ones: a caller reads up to the answer and asks again until it has as many bytes as the answer says.
func ElectionHelloSize(prefix []byte) (int, error) {
	d := NewDecoder(prefix)
	first := d.Int64()
	if d.Err() != nil {
		return 8, nil
	}
	if first >= 0 {
		return 8, nil
	}
	if first != helloV1 && first != helloV2 {
		return 0, fmt.Errorf("election hello: unknown version %d", first)
	}
	d.Int64()
	size := d.Int32()
	if d.Err() != nil {
		return 20, nil
	}
	if size <= 0 || size > maxHelloAddrs {
		return 0, fmt.Errorf("election hello: %d bytes of addresses: %w", size, ErrLength)
	}
	return 20 + int(size), nil
}

// Decode reads a hello of exactly the size that [ElectionHelloSize] finds. Nothing of b is kept.
func (h *ElectionHello) Decode(b []byte) error {
	*h = ElectionHello{}
	size, err := ElectionHelloSize(b)
	if err != nil {
		return err
	}
	if len(b) != size {
		return fmt.Errorf("election hello of %d bytes, expected %d: %w", len(b), size, ErrShort)
	}
	d := NewDecoder(b)
	first := d.Int64()
	if first >= 0 {
		h.ID = ServerID(first)
		return nil
	}
	h.MultiAddress = first == helloV2
	h.ID = ServerID(d.Int64())
	for s := range strings.SplitSeq(string(d.Buf()), "|") {
		a, err := ParseHostPort(s)
		if err != nil {
			return fmt.Errorf("election hello of server %d: %w", h.ID, err)
		}
		h.Addrs = append(h.Addrs, a)
	}
	return d.Err()
}
