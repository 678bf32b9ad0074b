package watch

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestIndexCollisions keeps many members under few hashes.
func TestIndexCollisions(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var x index
	in := map[uint32]uint32{} // member to hash
	for range 20000 {
		i := 1 + rng.Uint32N(300)
		if _, ok := in[i]; ok {
			x.remove(i)
			delete(in, i)
		} else {
			in[i] = rng.Uint32N(40) << (8 * rng.Uint32N(3))
			x.insert(i, in[i])
		}
		hash := rng.Uint32N(40) << (8 * rng.Uint32N(3))
		found := map[uint32]bool{}
		for i := x.first(hash); i != 0; i = x.next(i) {
			found[i] = true
		}
		for i, h := range in {
			if (h == hash) != found[i] {
				t.Fatalf("member %d of hash %#x: found under %#x: %v", i, h, hash, found[i])
			}
		}
	}
}

// TestPathsOfEqualHash makes sure that paths are told apart by their bytes.
func TestPathsOfEqualHash(t *testing.T) {
	var tab table
	tab.reset(nil)
	for i := range 50 {
		tab.add(fmt.Sprint("/", i), 7, ConnID(i), Standard)
	}
	for i := range 50 {
		path := fmt.Sprint("/", i)
		if tab.get(path, 7, ConnID(i)) != Standard || tab.get(path, 7, ConnID(i+1)) != 0 {
			t.Errorf("%s is not watched by %d alone", path, i)
		}
		if !tab.remove(path, 7, ConnID(i), Standard) {
			t.Errorf("%s: nothing to remove", path)
		}
	}
}
