package session

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"zebu/proto"
)

// PasswordLen is the length of a session password in bytes.
const PasswordLen = 16

// passwordSalt keeps the generator's seeds apart from the ids themselves.
const passwordSalt = 0xB3415C00

// Password returns the password of a session. It is a function of the id alone, the same on every server, Apache
// ZooKeeper's included, so that a session survives moving between them: the first 16 bytes of java.util.Random seeded
// with the salted id (spec 1.5). It keeps honest clients apart and is no secret.
func Password(id proto.SessionID) [PasswordLen]byte {
	const (
		multiplier = 0x5DEECE66D
		increment  = 0xB
		mask       = 1<<48 - 1
	)
	s := (uint64(id) ^ passwordSalt ^ multiplier) & mask
	var p [PasswordLen]byte
	for i := 0; i < PasswordLen; i += 4 {
		s = (s*multiplier + increment) & mask
		binary.LittleEndian.PutUint32(p[i:], uint32(s>>16))
	}
	return p
}

// CheckPassword says whether passwd is the password of the session, in time that does not depend on its content.
func CheckPassword(id proto.SessionID, passwd []byte) bool {
	want := Password(id)
	return subtle.ConstantTimeCompare(want[:], passwd) == 1
}

// Largest server ids that can make session ids. With extended node types the highest byte 0xFF of an ephemeral owner
// means a TTL node, so no session may carry it.
const (
	maxServerID         proto.ServerID = 255
	maxExtendedServerID proto.ServerID = 254
)

var errServerID = errors.New("server id out of range for session ids")

// IDs makes session ids: the server id in the highest byte, then the low 40 bits of the start time, then a counter
// (spec 1.5).
type IDs struct{ next proto.SessionID }

// NewIDs returns the ids of a server that starts at wallClock, milliseconds since the Unix epoch. Wall-clock time, not
// the monotonic clock of a Java server, because the latter starts over when the machine does, and ids with it. A
// standalone server uses server id 1. The error says that the id does not fit: 0 to 255, with extendedTypes 0 to 254.
func NewIDs(server proto.ServerID, wallClock proto.Millis, extendedTypes bool) (*IDs, error) {
	limit := maxServerID
	if extendedTypes {
		limit = maxExtendedServerID
	}
	if server < 0 || server > limit {
		return nil, fmt.Errorf("server id %d, want 0 to %d: %w", server, limit, errServerID)
	}
	seed := uint64(wallClock) << 24 >> 8
	return &IDs{next: proto.SessionID(uint64(server)<<56 | seed)}, nil
}

// Next returns a new id. It never returns 0, which asks for a new session, nor the owner that marks containers. The
// caller checks the id against the sessions that live and takes another if it is in use.
func (g *IDs) Next() proto.SessionID {
	for g.next == 0 || g.next == proto.ContainerOwner {
		g.next++
	}
	id := g.next
	g.next++
	return id
}

// Negotiate returns the timeout that a client gets for the one it asks for: the nearest within [lo, hi], the server's
// minSessionTimeout and maxSessionTimeout. All are milliseconds.
func Negotiate(requested, lo, hi int32) int32 { return min(max(requested, lo), hi) }
