package quorum

import (
	"slices"
	"strconv"
	"strings"

	"zebu/proto"
)

// Set is a set of servers, in ascending order of id. The zero value is empty. Copies of a Set share their members until
// one of them changes: whoever adds to or removes from a copy clones it first.
type Set struct {
	ids []proto.ServerID
}

// NewSet returns the set of ids, in whatever order and however often they are given.
func NewSet(ids ...proto.ServerID) Set {
	s := Set{slices.Clone(ids)}
	slices.Sort(s.ids)
	s.ids = slices.Compact(s.ids)
	return s
}

// Add adds id and says whether it was missing.
func (s *Set) Add(id proto.ServerID) bool {
	at, found := slices.BinarySearch(s.ids, id)
	if !found {
		s.ids = slices.Insert(s.ids, at, id)
	}
	return !found
}

// Remove removes id and says whether it was there.
func (s *Set) Remove(id proto.ServerID) bool {
	at, found := slices.BinarySearch(s.ids, id)
	if found {
		s.ids = slices.Delete(s.ids, at, at+1)
	}
	return found
}

// Clear empties s and keeps its memory.
func (s *Set) Clear() { s.ids = s.ids[:0] }

// Has says whether id is in s.
func (s Set) Has(id proto.ServerID) bool {
	_, found := slices.BinarySearch(s.ids, id)
	return found
}

// Len is the number of servers in s.
func (s Set) Len() int { return len(s.ids) }

// IDs returns the members in ascending order, to be read only and only until s changes.
func (s Set) IDs() []proto.ServerID { return s.ids }

// Clone returns a set of its own with s's members.
func (s Set) Clone() Set { return Set{slices.Clone(s.ids)} }

// Equal says whether s and o have the same members.
func (s Set) Equal(o Set) bool { return slices.Equal(s.ids, o.ids) }

// Union returns the set of the members of either.
func (s Set) Union(o Set) Set {
	u := s.Clone()
	for _, id := range o.ids {
		u.Add(id)
	}
	return u
}

// String prints the members as "1,2,3".
func (s Set) String() string {
	var b strings.Builder
	for i, id := range s.ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(int64(id), 10))
	}
	return b.String()
}
