// Package metrics counts what a server does, under ZooKeeper's metric names: [Counter], [Summary], sets of them by key,
// and gauges that are asked when somebody looks. Recording is a few atomic additions, never waits and never allocates
// (but for the first value under a new key), so that it can stand on every request's path.
//
// The mntr word, the AdminServer's monitor command and the Prometheus endpoint all read one [Registry].
package metrics

import (
	"sync"
	"sync/atomic"
)

// Metric is one named thing a [Registry] holds: a *[Counter], *[Summary], *[Gauge] or a set of one of these.
type Metric interface {
	// Name is ZooKeeper's name, without the zk_ of mntr.
	Name() string
	// Values calls yield with each line that mntr prints of the metric: names without zk_, values int64 or float64.
	Values(yield func(name string, value any))
	// Reset makes the metric as new, but for gauges, which are not recorded here.
	Reset()
}

// Counter is a number that only grows, unless it is reset.
type Counter struct {
	name string
	v    atomic.Int64
	_    [40]byte // keeps two busy counters off one cache line
}

// Inc adds one.
func (c *Counter) Inc() { c.v.Add(1) }

// Add adds n.
func (c *Counter) Add(n int64) { c.v.Add(n) }

// Count is the number so far.
func (c *Counter) Count() int64 { return c.v.Load() }

// Name implements [Metric].
func (c *Counter) Name() string { return c.name }

// Values implements [Metric].
func (c *Counter) Values(yield func(string, any)) { yield(c.name, c.v.Load()) }

// Reset implements [Metric].
func (c *Counter) Reset() { c.v.Store(0) }

// Gauge is a number that is asked for when somebody looks.
type Gauge struct {
	name string
	ask  func() any
}

// Name implements [Metric].
func (g *Gauge) Name() string { return g.name }

// Value is the number now: int64 or float64.
func (g *Gauge) Value() any { return g.ask() }

// Values implements [Metric].
func (g *Gauge) Values(yield func(string, any)) { yield(g.name, g.ask()) }

// Reset implements [Metric]: it does nothing.
func (g *Gauge) Reset() {}

// GaugeSet is a gauge for each of a number of keys.
type GaugeSet struct {
	name string
	ask  func(yield func(key string, value int64))
}

// Each calls yield for each key, in the order of what is asked.
func (g *GaugeSet) Each(yield func(key string, value int64)) { g.ask(yield) }

// Name implements [Metric].
func (g *GaugeSet) Name() string { return g.name }

// Values implements [Metric]: the key stands before the name.
func (g *GaugeSet) Values(yield func(string, any)) {
	g.ask(func(key string, v int64) { yield(key+"_"+g.name, v) })
}

// Reset implements [Metric]: it does nothing.
func (g *GaugeSet) Reset() {}

// Registry holds metrics in the order in which they were added. Adding and iterating are safe from any goroutine.
type Registry struct {
	mu   sync.Mutex
	list []Metric // guarded by mu; only ever appended to
}

// Add puts m at the end.
func (r *Registry) Add(m Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, m)
}

// Gauge adds a gauge whose value is what ask returns. Ask is called from any goroutine and must not wait.
func (r *Registry) Gauge(name string, ask func() int64) {
	r.Add(&Gauge{name: name, ask: func() any { return ask() }})
}

// FloatGauge adds a gauge with a fraction.
func (r *Registry) FloatGauge(name string, ask func() float64) {
	r.Add(&Gauge{name: name, ask: func() any { return ask() }})
}

// GaugeSet adds a set of gauges; ask yields every key with its value, and is called like that of a gauge.
func (r *Registry) GaugeSet(name string, ask func(yield func(key string, value int64))) {
	r.Add(&GaugeSet{name: name, ask: ask})
}

// All returns the metrics in order.
func (r *Registry) All() []Metric {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list[:len(r.list):len(r.list)]
}

// Values calls yield with every line that mntr prints of the registry, in order.
func (r *Registry) Values(yield func(name string, value any)) {
	for _, m := range r.All() {
		m.Values(yield)
	}
}

// Reset makes every metric as new: what ZooKeeper's srst does besides resetting the server's own numbers.
func (r *Registry) Reset() {
	for _, m := range r.All() {
		m.Reset()
	}
}
