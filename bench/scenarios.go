package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"zebu/proto"
)

// phase is one load of the load scenario.
type phase struct {
	name   string
	mix    string
	single bool // one connection, one request at a time
}

// phases run in this order, since the deletes take away what the creates made.
var phases = []phase{
	{name: "get", mix: "get"},
	{name: "set", mix: "set"},
	{name: "create", mix: "create"},
	{name: "delete", mix: "delete"},
	{name: "90 % get, 10 % set", mix: "get=90,set=10"},
	{name: "one get at a time", mix: "get", single: true},
	{name: "one set at a time", mix: "set", single: true},
}

// rival is a server in the load scenario, which has all of them up at once.
type rival struct {
	*server
	many, one *tree
	failed    bool
}

// loadScenario measures throughput, latency and CPU time. All servers are up, one is loaded at a time, in turns, so that
// whatever else happens on the machine meets all alike. The echo server comes along for the floor.
func loadScenario(ctx context.Context, c *comparison) error {
	echo, err := contestants(ctx, []string{"echo"}, "")
	if err != nil {
		return err
	}
	var rivals []*rival
	defer func() {
		for _, r := range rivals {
			r.close()
		}
	}()
	for _, m := range append(c.makers[:len(c.makers):len(c.makers)], echo...) {
		r, err := c.startRival(ctx, m)
		if err != nil {
			c.note(m, "load", err)
			continue
		}
		rivals = append(rivals, r)
	}
	for round := range c.size.rounds {
		for _, p := range phases {
			for _, r := range rivals {
				if r.failed {
					continue
				}
				if err := c.phase(ctx, r, p, round); err != nil {
					r.failed = true
					c.note(r.maker, p.name, err)
				}
			}
		}
	}
	return ctx.Err()
}

// startRival starts m, fills its tree and warms it up with what will be measured.
func (c *comparison) startRival(ctx context.Context, m *contestant) (r *rival, err error) {
	dir, err := os.MkdirTemp(c.dir, m.name+"-")
	if err != nil {
		return nil, err
	}
	s, err := m.start(ctx, dir, options{pprof: c.profiles != "" && m.name == "zebu"})
	if err != nil {
		return nil, err
	}
	r = &rival{server: s}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.many, err = openTree(ctx, []string{s.Addr}, connections, dataSize, c.seed); err != nil {
		return nil, err
	}
	if r.one, err = openTree(ctx, []string{s.Addr}, 1, dataSize, c.seed); err != nil {
		return nil, err
	}
	if _, err := r.many.fill(ctx, c.size.keys); err != nil {
		return nil, err
	}
	r.one.keys, r.one.space = r.many.keys, r.many.space
	for _, mix := range []string{"get", "set", "create=1,delete=1"} {
		if _, err := r.many.mixed(ctx, mustMix(mix), Run{Depth: depth, Duration: c.size.warmUp}); err != nil {
			return nil, err
		}
	}
	_, err = r.many.mixed(ctx, only(opDelete), Run{Depth: depth})
	return r, err
}

func (r *rival) close() {
	for _, t := range []*tree{r.many, r.one} {
		if t != nil {
			t.close()
		}
	}
	r.Kill()
}

// mustMix parses a mix written in this program.
func mustMix(s string) Mix {
	var m Mix
	if err := m.Set(s); err != nil {
		panic(err)
	}
	return m
}

// phase runs p once on r and adds the result to what earlier rounds measured.
func (c *comparison) phase(ctx context.Context, r *rival, p phase, round int) error {
	run, t := Run{Depth: depth, Duration: c.size.phase}, r.many
	switch {
	case p.single:
		run.Depth, t = 1, r.one
	case p.name == "create":
		run.Duration, run.Ops = 0, c.size.creates // as many for all: a larger tree costs more
	case p.name == "delete":
		run.Duration = 0
	}
	name := strings.ReplaceAll(strings.ReplaceAll(p.name, " % ", "-"), " ", "-")
	file := filepath.Join(c.profiles, fmt.Sprintf("%s-%d.pprof", name, round))
	res, err := r.measure(func() (*Result, error) {
		return withProfile(ctx, r.admin, c.size.phase, file, func() (*Result, error) { return t.mixed(ctx, mustMix(p.mix), run) })
	})
	if err == nil {
		err = complete(ctx, res)
	}
	if err != nil {
		return err
	}
	byPhase := c.loads[r.maker.name]
	if byPhase == nil {
		byPhase = make(map[string]*Result)
		c.loads[r.maker.name] = byPhase
	}
	if byPhase[p.name] == nil {
		byPhase[p.name] = new(Result)
	}
	byPhase[p.name].Merge(res)
	fmt.Fprintf(c.progress, "%-7s %-20s %8.0f/s  CPU %6.2f us, generator %5.2f us  p99 %v\n", r.maker.name, p.name, res.Rate(),
		res.perOp(res.ServerCPU), res.perOp(res.ClientCPU), res.Latency.Quantile(.99))
	return nil
}

const megabyte = 1e6

// treeScenario measures a large tree: the memory it takes, how long a server needs to start with it, and what writes
// wait while it is written to a snapshot.
func treeScenario(ctx context.Context, c *comparison) error {
	return c.each(ctx, "tree", func(m *contestant, dir string) error {
		return errors.Join(c.fillTree(ctx, m, dir), c.restartTree(ctx, m, dir), c.snapshotTree(ctx, m, dir))
	})
}

func (c *comparison) fillTree(ctx context.Context, m *contestant, dir string) error {
	s, err := m.start(ctx, dir, options{})
	if err != nil {
		return err
	}
	defer s.Kill()
	t, err := openTree(ctx, []string{s.Addr}, connections, dataSize, c.seed)
	if err != nil {
		return err
	}
	defer t.close()
	res, err := s.measure(func() (*Result, error) { return t.fill(ctx, c.size.tree) })
	if err != nil {
		return err
	}
	if err := s.confirm("srvr", "Node count: ", c.size.tree); err != nil {
		return err
	}
	c.set(m, "tree.fill.rate", res.Rate())
	c.set(m, "tree.fill.cpu", res.perOp(res.ServerCPU))
	mem, err := settledMemory(s.PID())
	if err != nil {
		return err
	}
	c.set(m, "tree.memory", float64(mem.rss)/megabyte)
	c.set(m, "tree.peak", float64(mem.peak)/megabyte)
	return s.Stop()
}

func (c *comparison) restartTree(ctx context.Context, m *contestant, dir string) error {
	s, err := m.start(ctx, dir, options{})
	if err != nil {
		return err
	}
	defer s.Kill()
	if err := s.confirm("srvr", "Node count: ", c.size.tree); err != nil {
		return err
	}
	c.set(m, "tree.start", s.startTime.Seconds())
	mem, err := settledMemory(s.PID())
	if err != nil {
		return err
	}
	c.set(m, "tree.restarted", float64(mem.rss)/megabyte)
	return s.Stop()
}

// snapshotRate is the load beside snapshots, in writes a second: far from what a server can do, so that a wait is the
// snapshot's doing.
const snapshotRate = 1000

// snapshotTree times writes without and with snapshots under way, in turns, each for the same time and after a start of its own: with
// a snapCount that is never reached, and with one that is reached again every few seconds. What counts is the median of
// the turns: the longest of thousands of syncs differs from one to the next, snapshot or not.
func (c *comparison) snapshotTree(ctx context.Context, m *contestant, dir string) error {
	measured := map[string][]float64{}
	var all snapshots
	for range c.size.snapshotRounds {
		quiet, none, err := c.pacedWrites(ctx, m, dir, 100_000_000)
		if err != nil {
			return err
		}
		if none.count != 0 {
			return fmt.Errorf("%v snapshots were written when there should have been none", none.count)
		}
		busy, taken, err := c.pacedWrites(ctx, m, dir, 3*snapshotRate)
		if err != nil {
			return err
		}
		if taken.count == 0 {
			return fmt.Errorf("no snapshot was completed in %v", busy.Elapsed)
		}
		all.count += taken.count
		all.millis += taken.millis
		for prefix, h := range map[string]*Histogram{"quiet.": &quiet.Latency, "snapshot.": &busy.Latency} {
			measured[prefix+"p999"] = append(measured[prefix+"p999"], millis(h.Quantile(.999)))
			measured[prefix+"max"] = append(measured[prefix+"max"], millis(h.Max()))
		}
	}
	for key, values := range measured {
		c.set(m, key, median(values))
	}
	c.set(m, "snapshot.count", all.count)
	c.set(m, "snapshot.time", all.millis/all.count/1000)
	c.set(m, "snapshot.extra", median(measured["snapshot.max"])-median(measured["quiet.max"]))
	return nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// snapshots is how many a server has written, and the time that it took, in milliseconds.
type snapshots struct{ count, millis float64 }

func (s *server) snapshots() (snapshots, error) {
	count, err := s.number("mntr", "zk_cnt_snapshottime")
	if err != nil {
		return snapshots{}, err
	}
	sum, err := s.number("mntr", "zk_sum_snapshottime")
	return snapshots{count, sum}, err
}

// pacedWrites starts m on the tree in dir and returns the latencies of writes, and the snapshots that
// were completed meanwhile.
func (c *comparison) pacedWrites(ctx context.Context, m *contestant, dir string, snapCount int) (*Result, snapshots, error) {
	s, err := m.start(ctx, dir, options{lines: []string{fmt.Sprintf("snapCount=%d", snapCount)}})
	if err != nil {
		return nil, snapshots{}, err
	}
	defer s.Kill()
	t, err := openTree(ctx, []string{s.Addr}, 4, dataSize, c.seed)
	if err != nil {
		return nil, snapshots{}, err
	}
	defer t.close()
	t.keys = c.size.tree
	if _, err := t.mixed(ctx, only(opSet), Run{Rate: snapshotRate, Duration: c.size.warmUp}); err != nil {
		return nil, snapshots{}, err
	}
	before, err := s.snapshots()
	if err != nil {
		return nil, snapshots{}, err
	}
	res, err := t.mixed(ctx, only(opSet), Run{Rate: snapshotRate, Duration: c.size.snapshots})
	if err == nil {
		err = complete(ctx, res)
	}
	if err != nil {
		return nil, snapshots{}, err
	}
	after, err := s.snapshots()
	if err != nil {
		return nil, snapshots{}, err
	}
	return res, snapshots{after.count - before.count, after.millis - before.millis}, s.Stop()
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// sessionsScenario measures the memory of idle sessions.
func sessionsScenario(ctx context.Context, c *comparison) error {
	return c.each(ctx, "sessions", func(m *contestant, dir string) error {
		return c.withSessions(ctx, m, dir, func(s *server, _ *pool, empty int64) error {
			mem, err := settledMemory(s.PID())
			if err != nil {
				return err
			}
			c.set(m, "sessions.memory", float64(mem.rss)/megabyte)
			c.set(m, "sessions.added", float64(mem.rss-empty)/megabyte)
			return nil
		})
	})
}

// withSessions calls f with a fresh server, many sessions on it, and the memory that it had taken before them.
func (c *comparison) withSessions(ctx context.Context, m *contestant, dir string, f func(s *server, p *pool, empty int64) error) error {
	s, err := m.start(ctx, dir, options{})
	if err != nil {
		return err
	}
	defer s.Kill()
	empty, err := settledMemory(s.PID())
	if err != nil {
		return err
	}
	begin := time.Now()
	p, err := dialPool(ctx, []string{s.Addr}, c.size.sessions)
	if err != nil {
		return err
	}
	defer p.close()
	c.set(m, "sessions.rate", float64(c.size.sessions)/time.Since(begin).Seconds())
	return f(s, p, empty.rss)
}

// watchesScenario measures the memory of watches in two shapes: every session watches nodes of its own, and all sessions
// watch the same few.
func watchesScenario(ctx context.Context, c *comparison) error {
	n := c.size.watches
	shapes := []struct {
		name  string
		first func(conn int) int
	}{
		{"watches.distinct", func(conn int) int { return conn * n }},
		{"watches.shared", func(int) int { return 0 }},
	}
	for _, shape := range shapes {
		err := c.each(ctx, shape.name, func(m *contestant, dir string) error {
			return c.withSessions(ctx, m, dir, func(s *server, p *pool, empty int64) error {
				before, err := settledMemory(s.PID())
				if err != nil {
					return err
				}
				if err := watchAll(ctx, p, n, shape.first); err != nil {
					return err
				}
				if err := s.confirm("wchs", "Total watches:", n*len(p.conns)); err != nil {
					return err
				}
				mem, err := settledMemory(s.PID())
				if err != nil {
					return err
				}
				c.set(m, shape.name+".memory", float64(mem.rss)/megabyte)
				c.set(m, shape.name+".added", float64(mem.rss-before.rss)/megabyte)
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// watchAll leaves n watches for each connection, on the nodes from first(connection) on, a group of connections at a
// time.
func watchAll(ctx context.Context, p *pool, n int, first func(conn int) int) error {
	const group = 100
	for from := 0; from < len(p.conns); from += group {
		part := &pool{conns: p.conns[from:min(from+group, len(p.conns))]}
		sources := make([]source, len(part.conns))
		for i := range sources {
			key := first(from + i)
			sources[i] = &watcher{key: key, stop: key + n}
		}
		res, err := part.run(ctx, Run{Depth: 10, Accept: proto.ErrNoNode}, sources)
		if err == nil {
			err = complete(ctx, res)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
