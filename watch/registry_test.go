package watch

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"zebu/proto"
)

// TestFire tells the rules of spec 4.2 one by one.
func TestFire(t *testing.T) {
	const created, deleted = proto.EventNodeCreated, proto.EventNodeDeleted
	const changed, children = proto.EventNodeDataChanged, proto.EventNodeChildrenChanged
	type fire struct {
		ev   proto.EventType
		path string
		want []ConnID
	}
	tests := []struct {
		name  string
		add   func(r *Registry)
		fires []fire
	}{
		{"a standard data watch fires once", func(r *Registry) { r.AddData("/a", 1, Standard) },
			[]fire{{children, "/a", nil}, {changed, "/a", []ConnID{1}}, {changed, "/a", nil}}},
		{"a standard child watch fires once", func(r *Registry) { r.AddChild("/a", 1, Standard) },
			[]fire{{changed, "/a", nil}, {created, "/a", nil}, {children, "/a", []ConnID{1}}, {children, "/a", nil}}},
		{"deletion reaches a connection once and consumes both its watches",
			func(r *Registry) {
				r.AddData("/a", 1, Standard)
				r.AddChild("/a", 1, Standard)
				r.AddChild("/a", 2, Standard)
			},
			[]fire{{deleted, "/a", []ConnID{1, 2}}, {deleted, "/a", nil}}},
		{"a persistent watch stays, and sees the node and its children set", func(r *Registry) { r.Add("/a", 1, Persistent) },
			[]fire{{created, "/a", []ConnID{1}}, {changed, "/a", []ConnID{1}}, {children, "/a", []ConnID{1}},
				{deleted, "/a", []ConnID{1}}, {created, "/a", []ConnID{1}}, {created, "/a/b", nil}}},
		{"a recursive watch sees the subtree and never its children sets", func(r *Registry) { r.Add("/a", 1, Recursive) },
			[]fire{{created, "/a", []ConnID{1}}, {created, "/a/b/c", []ConnID{1}}, {children, "/a", nil}, {children, "/a/b", nil},
				{deleted, "/a/b/c", []ConnID{1}}, {changed, "/ab", nil}}},
		{"a recursive watch on the root", func(r *Registry) { r.Add("/", 1, Recursive) },
			[]fire{{changed, "/", []ConnID{1}}, {created, "/a", []ConnID{1}}, {created, "/a/b", []ConnID{1}}}},
		{"one event however many modes and ancestors match",
			func(r *Registry) { r.Add("/a/b", 1, allModes); r.Add("/a", 1, Recursive); r.Add("/", 1, Recursive) },
			[]fire{{deleted, "/a/b", []ConnID{1}}, {changed, "/a/b", []ConnID{1}}}},
		{"a recursive watch notified of a deletion does not get it again from the child table",
			func(r *Registry) { r.Add("/", 1, Recursive); r.AddChild("/a", 1, Standard) },
			[]fire{{deleted, "/a", []ConnID{1}}, {children, "/a", nil}}},
		{"a standard watch consumed leaves the persistent one of the same path",
			func(r *Registry) { r.AddData("/a", 1, Standard); r.Add("/a", 1, Persistent) },
			[]fire{{changed, "/a", []ConnID{1}}, {changed, "/a", []ConnID{1}}}},
		{"a standard watch on an ancestor is not recursive",
			func(r *Registry) { r.AddData("/a", 1, Standard); r.Add("/b", 2, Recursive) },
			[]fire{{changed, "/a/c", nil}, {changed, "/a", []ConnID{1}}}},
		{"order is of registration, the path before its ancestors", func(r *Registry) {
			r.Add("/", 9, Recursive)
			r.AddData("/a", 3, Standard)
			r.AddData("/a", 1, Standard)
			r.AddData("/a", 2, Standard)
			r.AddData("/a", 3, Standard)
		}, []fire{{changed, "/a", []ConnID{3, 1, 2, 9}}, {changed, "/a", []ConnID{9}}}},
		{"a path that is no path is nobody's child", func(r *Registry) { r.Add("/", 1, Recursive); r.AddData("", 2, Standard) },
			[]fire{{changed, "x", nil}, {changed, "", []ConnID{2}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := New()
			tt.add(r)
			for _, f := range tt.fires {
				if got := r.Fire(nil, f.ev, f.path); !slices.Equal(got, f.want) {
					t.Errorf("Fire(%d, %q) = %v, want %v", f.ev, f.path, got, f.want)
				}
			}
		})
	}
}

func TestAddCopiesPath(t *testing.T) {
	r := New()
	buf := []byte("/node")
	r.AddData(string(buf), 1, Standard)
	for _, size := range []int{40, arenaLarge - 8, arenaLarge, 2 * arenaChunk} {
		path := "/" + strings.Repeat("p", size)
		r.AddData(path, 1, Standard)
		if !r.Contains(1, path, proto.WatcherData) || r.Contains(1, path[1:], proto.WatcherData) {
			t.Errorf("path of %d bytes is not what was added", len(path))
		}
	}
}

// TestRoundWraps makes sure that a connection notified 2^32 rounds ago is not taken for notified now.
func TestRoundWraps(t *testing.T) {
	r := New()
	r.AddData("/a", 1, Persistent)
	for range 3 {
		r.fired = []uint32{0, 1}
		r.round = ^uint32(0)
		if got := r.Fire(nil, proto.EventNodeDataChanged, "/a"); len(got) != 1 {
			t.Fatalf("Fire = %v", got)
		}
	}
}

// TestArenaIsBounded lets paths come and go while a few stay: the space of those gone must come back.
func TestArenaIsBounded(t *testing.T) {
	r := New()
	for i := range 200000 {
		r.AddData(fmt.Sprintf("/some/parent/that/is/long/%d", i), ConnID(i%10), Standard)
		if i%100 != 0 {
			r.Fire(nil, proto.EventNodeDeleted, fmt.Sprintf("/some/parent/that/is/long/%d", i))
		}
	}
	total, live := 0, 0
	for _, c := range r.data.arena.chunks {
		total += cap(c.buf)
		live += c.live
	}
	if limit := 3*live + 2*arenaChunk; total > limit {
		t.Errorf("%d bytes of arena for %d bytes of paths, want at most %d", total, live, limit)
	}
	if got := r.Stats().Data; got.Watches != 2000 || got.Paths != 2000 {
		t.Errorf("stats %+v", got)
	}
	for i := 0; i < 200000; i += 100 {
		if got := r.Fire(nil, proto.EventNodeDeleted, fmt.Sprintf("/some/parent/that/is/long/%d", i)); len(got) != 1 {
			t.Fatalf("path %d: %v", i, got)
		}
	}
}

// shapes are the two extremes of a million watches on ten thousand connections.
var shapes = []struct {
	name string
	add  func(r *Registry)
}{
	{"1000000 paths x 1 watcher", func(r *Registry) {
		for i := range 1000000 {
			r.AddData(wide(i), ConnID(i%10000), Standard)
		}
	}},
	{"100 paths x 10000 watchers", func(r *Registry) {
		for c := range ConnID(10000) {
			for p := range 100 {
				r.AddData(wide(p), c, Standard)
			}
		}
	}},
}

// wide returns the i-th of many paths of 30 bytes.
func wide(i int) string { return fmt.Sprintf("/services/payments/node%07d", i) }

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestMemoryPerWatch(t *testing.T) {
	if testing.Short() {
		t.Skip("a million watches")
	}
	const limit = 100 << 20
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			before := heapInUse()
			r := New()
			shape.add(r)
			used := heapInUse() - before
			t.Logf("%d MB, %.1f bytes per watch", used>>20, float64(used)/1e6)
			if used > limit {
				t.Errorf("%d bytes for a million watches, want at most %d", used, limit)
			}
			for c := range ConnID(10000) {
				r.RemoveConn(c)
			}
			if left := heapInUse() - before; int64(left) > 1<<20 {
				t.Errorf("%d bytes kept after every connection has gone", left)
			}
			runtime.KeepAlive(r)
		})
	}
}

func TestFireWithoutWatchersAllocatesNothing(t *testing.T) {
	r := New()
	for i := range 1000 {
		r.AddData(wide(i), 1, Standard)
	}
	dst := make([]ConnID, 0, 4)
	if n := testing.AllocsPerRun(100, func() { dst = r.Fire(dst[:0], proto.EventNodeDataChanged, "/services/none") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFireMiss(b *testing.B) {
	r := New()
	shapes[0].add(r)
	var dst []ConnID
	path := "/services/payments/node-none"
	for b.Loop() {
		dst = r.Fire(dst[:0], proto.EventNodeDataChanged, path)
	}
}

func BenchmarkFireNoWatches(b *testing.B) {
	r := New()
	var dst []ConnID
	for b.Loop() {
		dst = r.Fire(dst[:0], proto.EventNodeDataChanged, "/services/payments/node")
	}
}

// BenchmarkAddFire adds a watch and fires it, among a million others.
func BenchmarkAddFire(b *testing.B) {
	r := New()
	shapes[0].add(r)
	paths := make([]string, 4096)
	for i := range paths {
		paths[i] = fmt.Sprintf("/other/place/%d", i)
	}
	var dst []ConnID
	i := 0
	for b.Loop() {
		path := paths[i%len(paths)]
		r.AddData(path, ConnID(i%10000), Standard)
		dst = r.Fire(dst[:0], proto.EventNodeDataChanged, path)
		i++
	}
}

// BenchmarkFanOut fires a path with 10,000 persistent watchers.
func BenchmarkFanOut(b *testing.B) {
	r := New()
	for c := range ConnID(10000) {
		r.AddData("/a", c, Persistent)
	}
	var dst []ConnID
	for b.Loop() {
		dst = r.Fire(dst[:0], proto.EventNodeDataChanged, "/a")
	}
}

func BenchmarkAddMillion(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			for b.Loop() {
				shape.add(New())
			}
		})
	}
}
