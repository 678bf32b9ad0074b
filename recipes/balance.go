package recipes

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
)

// Balancer chooses among instances, of which there is at least one. Balancers of this package are safe for use by several goroutines.
type Balancer interface {
	Pick(from []Instance, key string) (Instance, func())
}

// RoundRobin picks one after the other. The zero value is ready.
type RoundRobin struct {
	mu sync.Mutex
	n  uint
}

// Pick implements [Balancer].
func (b *RoundRobin) Pick(from []Instance, _ string) (Instance, func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	return from[(b.n-1)%uint(len(from))], func() {}
}

// LeastConnections picks the instance that was picked and not yet done with least often, by this balancer; among equals the first in
// the list. The zero value is ready.
type LeastConnections struct {
	mu   sync.Mutex
	used map[string]int // by ID; no zeros
}

// Pick implements [Balancer].
func (b *LeastConnections) Pick(from []Instance, _ string) (Instance, func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used == nil {
		b.used = map[string]int{}
	}
	i := slices.MinFunc(from, func(x, y Instance) int { return cmp.Compare(b.used[x.ID], b.used[y.ID]) })
	b.used[i.ID]++
	return i, sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.used[i.ID]--; b.used[i.ID] == 0 {
			delete(b.used, i.ID)
		}
	})
}

// Weighted picks each instance as often as its weight says, and spreads the picks of a heavy one between those of others: the smooth
// weighted round robin of nginx. The zero value is ready.
type Weighted struct {
	mu     sync.Mutex
	credit map[string]int // by ID
}

// Pick implements [Balancer].
func (b *Weighted) Pick(from []Instance, _ string) (Instance, func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	total, best := 0, 0
	credit := make(map[string]int, len(from)) // those that are gone are forgotten
	for n, i := range from {
		total += i.weight()
		credit[i.ID] = b.credit[i.ID] + i.weight()
		if credit[i.ID] > credit[from[best].ID] {
			best = n
		}
	}
	credit[from[best].ID] -= total
	b.credit = credit
	return from[best], func() {}
}

// ringPoints is how many points an instance of usual weight has on the ring of [ConsistentHash].
const ringPoints = 100

// ConsistentHash picks the same instance for the same key, as long as that is there: when one of n instances comes or goes, the picks for about
// one key in n change. Instances get keys by their weights. The zero value is ready.
type ConsistentHash struct {
	mu   sync.Mutex
	of   []Instance // that the ring is of
	ring []point
}

type point struct {
	hash uint64
	at   int // in of
}

// Pick implements [Balancer].
func (b *ConsistentHash) Pick(from []Instance, key string) (Instance, func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.EqualFunc(b.of, from, func(x, y Instance) bool { return x.ID == y.ID && x.weight() == y.weight() }) {
		b.build(from)
	}
	h := hash(key)
	n, _ := slices.BinarySearchFunc(b.ring, h, func(p point, h uint64) int { return cmp.Compare(p.hash, h) })
	return from[b.ring[n%len(b.ring)].at], func() {}
}

func (b *ConsistentHash) build(from []Instance) {
	b.of, b.ring = slices.Clone(from), nil
	for at, i := range from {
		for n := range max(1, ringPoints*i.weight()/100) {
			b.ring = append(b.ring, point{hash(i.ID + "#" + strconv.Itoa(n)), at})
		}
	}
	slices.SortFunc(b.ring, func(x, y point) int { return cmp.Compare(x.hash, y.hash) })
}

// hash is FNV-1a with MurmurHash3's last step, which spreads texts that differ only at the end.
func hash(s string) uint64 {
	f := fnv.New64a()
	_, _ = f.Write([]byte(s)) // never fails
	h := f.Sum64()
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
