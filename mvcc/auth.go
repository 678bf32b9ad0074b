package mvcc

import (
	"github.com/tidwall/btree"

	"zebu/proto"
)

// Authority is the part of the replicated state that knows users and roles. It keeps its records in its Store, with
// [Store.SetAuth], so that they change in the same batch as everything else. It must be deterministic: what was drawn or hashed
// is in the request. Package auth has etcd's.
type Authority interface {
	// Permit says whether the record's user may do this, at the time when it is applied: nil, or the outcome for the client.
	Permit(r Record) error
	// Apply applies an authentication request.
	Apply(z proto.Zxid, request Message) (Message, error)
}

// authRecords are the Authority's, by their keys without the prefix. They are few and all in memory.
type authRecords struct {
	records btree.Map[string, []byte]
}

func authKey(key string) []byte { return append([]byte{prefixAuth}, key...) }

// SetAuth sets a record of the Authority's; it keeps value.
func (s *Store) SetAuth(key string, value []byte) {
	s.RemoveAuth(key)
	s.auth.records.Set(key, value)
	s.set(authKey(key), value)
	s.size += int64(1 + len(key) + len(value))
}

// RemoveAuth removes a record of the Authority's, if it is there.
func (s *Store) RemoveAuth(key string) {
	if value, ok := s.auth.records.Delete(key); ok {
		s.remove(authKey(key))
		s.size -= int64(1 + len(key) + len(value))
	}
}

// Authority is that of the Store, nil if it has none.
func (s *Store) Authority() Authority { return s.judge }

// Auth returns a record of the Authority's.
func (s *Store) Auth(key string) ([]byte, bool) { return s.auth.records.Get(key) }

// AuthFrom calls visit with the Authority's records from a key on, in order, until it returns false.
func (s *Store) AuthFrom(key string, visit func(key string, value []byte) bool) {
	s.auth.records.Ascend(key, visit)
}
