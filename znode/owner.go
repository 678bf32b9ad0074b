package znode

import "zebu/proto"

// ownerKind is what a raw ephemeral owner means (spec 2.3).
type ownerKind uint8

const (
	ownerNone ownerKind = iota
	ownerSession
	ownerContainer
	ownerTTL
)

// kind tells what owner means. An owner with TTLOwnerPrefix and reserved bits set is not something a server with valid
// ids can make; where Apache ZooKeeper throws, it counts as a session here.
func (o *Options) kind(owner proto.SessionID) ownerKind {
	switch {
	case owner == 0:
		return ownerNone
	case owner == proto.ContainerOwner:
		return ownerContainer
	case o.ExtendedTypes && owner < 0 && (o.Emulate353TTL || owner&^proto.SessionID(proto.MaxTTL) == proto.TTLOwnerPrefix):
		return ownerTTL
	}
	return ownerSession
}

// ttl returns the time to live that a TTL owner encodes.
func ttl(owner proto.SessionID) proto.Millis { return proto.Millis(int64(owner) & proto.MaxTTL) }

// ttlOwner encodes a time to live, which must be in 1..proto.MaxTTL to be valid. Values outside, which only a log from
// elsewhere can hold, are cut to the bits there are.
func ttlOwner(ttl int64) proto.SessionID {
	return proto.TTLOwnerPrefix | proto.SessionID(ttl&proto.MaxTTL)
}

// owned lists nodes that must be found without looking at all: those of each session, containers, TTL nodes. Order
// depends on the history of the list alone.
type owned struct {
	sessions   map[proto.SessionID][]uint32
	containers []uint32
	ttls       []uint32
	pos        map[uint32]uint32 // node -> position in its list
	ephemerals int
}

func newOwned() owned {
	return owned{sessions: map[proto.SessionID][]uint32{}, pos: map[uint32]uint32{}}
}

func (w *owned) add(kind ownerKind, owner proto.SessionID, idx uint32) {
	switch kind {
	case ownerSession:
		l := w.sessions[owner]
		w.pos[idx] = uint32(len(l))
		w.sessions[owner] = append(l, idx)
		w.ephemerals++
	case ownerContainer:
		w.pos[idx] = uint32(len(w.containers))
		w.containers = append(w.containers, idx)
	case ownerTTL:
		w.pos[idx] = uint32(len(w.ttls))
		w.ttls = append(w.ttls, idx)
	}
}

func (w *owned) remove(kind ownerKind, owner proto.SessionID, idx uint32) {
	switch kind {
	case ownerSession:
		if l := w.cut(w.sessions[owner], idx); len(l) == 0 {
			delete(w.sessions, owner)
		} else {
			w.sessions[owner] = l
		}
		w.ephemerals--
	case ownerContainer:
		w.containers = w.cut(w.containers, idx)
	case ownerTTL:
		w.ttls = w.cut(w.ttls, idx)
	}
}

// cut takes idx out of l by moving the last element to its place.
func (w *owned) cut(l []uint32, idx uint32) []uint32 {
	p, last := w.pos[idx], l[len(l)-1]
	l[p] = last
	w.pos[last] = p
	delete(w.pos, idx)
	return l[:len(l)-1]
}
