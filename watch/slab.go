package watch

const (
	slabBits = 10
	slabSize = 1 << slabBits
)

// slab is a growing array in chunks that never move, so that growth costs one chunk and no copy. Index 0 is nobody's:
// it stands for "none" in every link.
type slab[T any] struct {
	chunks []*[slabSize]T
	used   uint32 // highest index given out
}

// at returns the element of an index that [slab.extend] has returned.
func (s *slab[T]) at(i uint32) *T { return &s.chunks[i>>slabBits][i&(slabSize-1)] }

// extend returns an index never used before.
func (s *slab[T]) extend() uint32 {
	s.used++
	s.cover(s.used)
	return s.used
}

// cover makes sure that at(i) works.
func (s *slab[T]) cover(i uint32) {
	for int(i>>slabBits) >= len(s.chunks) {
		s.chunks = append(s.chunks, nil)
	}
	if s.chunks[i>>slabBits] == nil {
		s.chunks[i>>slabBits] = new([slabSize]T)
	}
}
