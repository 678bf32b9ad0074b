package metrics

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// MaxKeys bounds the keys of a set, because clients choose some of them (a namespace is the first element of a path).
// What comes under further keys is recorded under the key [OtherKey].
const (
	MaxKeys  = 256
	OtherKey = "other"
)

// keyed is a map that only grows and is read without a lock.
type keyed[M any] struct {
	mu  sync.Mutex
	all atomic.Pointer[map[string]*M] // never written once it is stored
}

// get returns what is under key, made by make if need be. The key may alias a buffer.
func (k *keyed[M]) get(key string, create func(key string) *M) *M {
	if all := k.all.Load(); all != nil {
		if m := (*all)[key]; m != nil {
			return m
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var old map[string]*M
	if all := k.all.Load(); all != nil {
		old = *all
	}
	if len(old) >= MaxKeys && key != OtherKey {
		key = OtherKey
	}
	if m := old[key]; m != nil {
		return m
	}
	key = strings.Clone(key)
	grown := make(map[string]*M, len(old)+1)
	maps.Copy(grown, old)
	m := create(key)
	grown[key] = m
	k.all.Store(&grown)
	return m
}

// each calls yield in key order.
func (k *keyed[M]) each(yield func(key string, m *M)) {
	all := k.all.Load()
	if all == nil {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(*all)) {
		yield(key, (*all)[key])
	}
}

// SummarySet is a summary for each of a number of keys.
type SummarySet struct {
	name     string
	advanced bool
	by       keyed[Summary]
}

// Observe adds a value under key. The key may alias a buffer that changes later.
func (s *SummarySet) Observe(key string, v int64) { s.by.get(key, s.create).Observe(v) }

func (s *SummarySet) create(key string) *Summary {
	m := newSummary(s.name, s.advanced)
	m.label = key + "_" + s.name
	return m
}

// Advanced says whether the summaries keep percentiles.
func (s *SummarySet) Advanced() bool { return s.advanced }

// Each calls yield for each key in order.
func (s *SummarySet) Each(yield func(key string, m *Summary)) { s.by.each(yield) }

// Name implements [Metric].
func (s *SummarySet) Name() string { return s.name }

// Values implements [Metric]: the key stands before the name.
func (s *SummarySet) Values(yield func(string, any)) {
	s.by.each(func(_ string, m *Summary) { m.Values(yield) })
}

// Reset implements [Metric]; the keys stay.
func (s *SummarySet) Reset() { s.by.each(func(_ string, m *Summary) { m.Reset() }) }

// CounterSet is a counter for each of a number of keys.
type CounterSet struct {
	name string
	by   keyed[Counter]
}

// Add adds n under key. The key may alias a buffer that changes later.
func (s *CounterSet) Add(key string, n int64) { s.by.get(key, s.create).Add(n) }

func (s *CounterSet) create(key string) *Counter { return &Counter{name: key + "_" + s.name} }

// Each calls yield for each key in order.
func (s *CounterSet) Each(yield func(key string, m *Counter)) { s.by.each(yield) }

// Name implements [Metric].
func (s *CounterSet) Name() string { return s.name }

// Values implements [Metric]: the key stands before the name.
func (s *CounterSet) Values(yield func(string, any)) {
	s.by.each(func(_ string, m *Counter) { m.Values(yield) })
}

// Reset implements [Metric]; the keys stay.
func (s *CounterSet) Reset() { s.by.each(func(_ string, m *Counter) { m.Reset() }) }
