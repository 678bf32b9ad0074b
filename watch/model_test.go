package watch

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"zebu/proto"
)

// model is the registry as spec 4.2 tells it, with a map and no cleverness.
type model struct{ data, child map[string][]modelWatch }

type modelWatch struct {
	conn ConnID
	mode Mode
}

func newModel() *model { return &model{map[string][]modelWatch{}, map[string][]modelWatch{}} }

func modelAdd(t map[string][]modelWatch, path string, c ConnID, m Mode) {
	if m == 0 {
		return
	}
	for i := range t[path] {
		if t[path][i].conn == c {
			t[path][i].mode |= m
			return
		}
	}
	t[path] = append(t[path], modelWatch{c, m})
}

func modelClear(t map[string][]modelWatch, path string, match func(ConnID) bool, m Mode) bool {
	found := false
	var left []modelWatch
	for _, w := range t[path] {
		if match(w.conn) {
			found = found || w.mode&m != 0
			w.mode &^= m
		}
		if w.mode != 0 {
			left = append(left, w)
		}
	}
	if t[path] = left; left == nil {
		delete(t, path)
	}
	return found
}

func (m *model) mode(t map[string][]modelWatch, path string, c ConnID) Mode {
	for _, w := range t[path] {
		if w.conn == c {
			return w.mode
		}
	}
	return 0
}

func parents(path string) []string {
	var out []string
	for path != "/" {
		path = path[:strings.LastIndex(path, "/")]
		if path == "" {
			path = "/"
		}
		out = append(out, path)
	}
	return out
}

func (m *model) fire(ev proto.EventType, path string) []ConnID {
	var out []ConnID
	hit := func(c ConnID) {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	all := func(ConnID) bool { return true }
	if ev != proto.EventNodeChildrenChanged {
		for _, w := range m.data[path] {
			hit(w.conn)
		}
		for _, p := range parents(path) {
			for _, w := range m.data[p] {
				if w.mode&Recursive != 0 {
					hit(w.conn)
				}
			}
		}
		modelClear(m.data, path, all, Standard)
	}
	if ev == proto.EventNodeChildrenChanged || ev == proto.EventNodeDeleted {
		for _, w := range m.child[path] {
			hit(w.conn)
		}
		modelClear(m.child, path, all, Standard)
	}
	return out
}

func (m *model) remove(c ConnID, path string, t proto.WatcherType) bool {
	is := func(x ConnID) bool { return x == c }
	switch t {
	case proto.WatcherChildren:
		return modelClear(m.child, path, is, Standard)
	case proto.WatcherData:
		return modelClear(m.data, path, is, Standard)
	case proto.WatcherPersistent:
		child := modelClear(m.child, path, is, Persistent)
		return modelClear(m.data, path, is, Persistent) || child
	case proto.WatcherPersistentRecursive:
		return modelClear(m.data, path, is, Recursive)
	case proto.WatcherAny:
		child := modelClear(m.child, path, is, allModes)
		return modelClear(m.data, path, is, allModes) || child
	}
	return false
}

func (m *model) removeConn(c ConnID) {
	for _, t := range []map[string][]modelWatch{m.data, m.child} {
		for _, path := range slices.Collect(maps.Keys(t)) {
			modelClear(t, path, func(x ConnID) bool { return x == c }, allModes)
		}
	}
}

func modelStats(t map[string][]modelWatch) (s TableStats, recursive int) {
	conns := map[ConnID]bool{}
	s.Paths = len(t)
	for _, ws := range t {
		s.Watches += len(ws)
		for _, w := range ws {
			conns[w.conn] = true
			if w.mode&Recursive != 0 {
				recursive++
			}
		}
	}
	s.Connections = len(conns)
	return s, recursive
}

func (m *model) stats() (s Stats) {
	s.Data, s.Recursive = modelStats(m.data)
	s.Child, _ = modelStats(m.child)
	return s
}

// pathOf makes a tree of paths of varied length and depth: some long enough for arena chunks to fill and be reclaimed.
func pathOf(rng *rand.Rand, paths int) string {
	n := rng.IntN(paths)
	path := ""
	for ; n > 0; n /= 7 {
		path += fmt.Sprintf("/%d%s", n%7, strings.Repeat("x", n%7*n%700))
	}
	if path == "" {
		return "/"
	}
	return path
}

func TestRegistryAgainstModel(t *testing.T) {
	for _, shape := range []struct{ conns, paths, steps int }{
		{3, 20, 20000},
		{60, 6, 20000},
		{40, 3000, 20000},
	} {
		t.Run(fmt.Sprintf("%d connections %d paths", shape.conns, shape.paths), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			r, m := New(), newModel()
			for step := range shape.steps {
				path, c := pathOf(rng, shape.paths), ConnID(rng.IntN(shape.conns))
				mode := Mode(rng.IntN(int(allModes) + 1))
				kind := proto.WatcherType(rng.IntN(7))
				switch op := rng.IntN(100); {
				case op < 30:
					r.AddData(path, c, mode)
					modelAdd(m.data, path, c, mode)
				case op < 60:
					r.AddChild(path, c, mode)
					modelAdd(m.child, path, c, mode&^Recursive)
				case op < 70:
					r.Add(path, c, mode)
					modelAdd(m.data, path, c, mode)
					modelAdd(m.child, path, c, mode&^Recursive)
				case op < 85:
					ev := proto.EventType(1 + rng.IntN(4))
					if got, want := r.Fire(nil, ev, path), m.fire(ev, path); !slices.Equal(got, want) {
						t.Fatalf("step %d: Fire(%d, %.20q) = %v, want %v", step, ev, path, got, want)
					}
				case op < 98:
					if got, want := r.Remove(c, path, kind), m.remove(c, path, kind); got != want {
						t.Fatalf("step %d: Remove(%d, %.20q, %d) = %v", step, c, path, kind, got)
					}
				default:
					r.RemoveConn(c)
					m.removeConn(c)
				}
				data, child := m.mode(m.data, path, c), m.mode(m.child, path, c)
				for kind, want := range []bool{false, child&Standard != 0, data&Standard != 0, data|child != 0,
					data&Persistent != 0, data&Recursive != 0, false} {
					if got := r.Contains(c, path, proto.WatcherType(kind)); got != want {
						t.Fatalf("step %d: Contains(%d, %.20q, %d) = %v", step, c, path, kind, got)
					}
				}
				if step%100 == 0 {
					compareAll(t, r, m)
				}
			}
			compareAll(t, r, m)
			for c := range shape.conns {
				r.RemoveConn(ConnID(c))
			}
			if got := r.Stats(); got != (Stats{}) {
				t.Fatalf("after all connections are gone: %+v", got)
			}
		})
	}
}

func compareAll(t *testing.T, r *Registry, m *model) {
	t.Helper()
	if got, want := r.Stats(), m.stats(); got != want {
		t.Fatalf("Stats = %+v, want %+v", got, want)
	}
	type pair struct {
		path string
		c    ConnID
	}
	var got, want []pair
	r.Data(func(path string, c ConnID) bool { got = append(got, pair{path, c}); return true })
	for _, path := range slices.Sorted(maps.Keys(m.data)) {
		for _, w := range m.data[path] {
			want = append(want, pair{path, w.conn})
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("Data yields %d pairs, want %d, or others", len(got), len(want))
	}
}
