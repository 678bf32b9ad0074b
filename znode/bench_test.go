package znode

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"zebu/proto"
)

// benchTree makes n nodes of 100 bytes, 100 to a parent: /p000000/c00.
func benchTree(tb testing.TB, n int) (*Tree, []string) {
	l := NewLoader(Options{})
	st := proto.StatPersisted{}
	data := make([]byte, 100)
	paths := make([]string, 0, n)
	add := func(p string) {
		if err := l.AddNode(p, data, -1, &st); err != nil {
			tb.Fatal(err)
		}
		paths = append(paths, p)
	}
	if err := l.AddNode("", []byte{}, -1, &st); err != nil {
		tb.Fatal(err)
	}
	for i := 0; len(paths) < n; i++ {
		p := fmt.Sprintf("/p%06d", i)
		add(p)
		for j := 0; j < 99 && len(paths) < n; j++ {
			add(fmt.Sprintf("%s/c%02d", p, j))
		}
	}
	t, err := l.Finish(1)
	if err != nil {
		tb.Fatal(err)
	}
	return t, paths
}

func BenchmarkLookup(b *testing.B) {
	t, paths := benchTree(b, 100_000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(paths)
		if t.Lookup(paths[i]) == nil {
			b.Fatal(paths[i])
		}
	}
}

func header(op proto.OpCode, z proto.Zxid) *proto.TxnHeader {
	return &proto.TxnHeader{ClientID: 1, Zxid: z, Time: proto.Millis(z), Type: op}
}

func BenchmarkApplySetData(b *testing.B) {
	t, paths := benchTree(b, 100_000)
	bodies := make([][]byte, 1000)
	for i := range bodies {
		r := proto.SetDataTxn{Path: paths[i*100], Data: make([]byte, 100), Version: 1}
		bodies[i] = r.Append(nil)
	}
	var res Result
	h := header(proto.OpSetData, 2)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		h.Zxid++
		if err := t.Apply(h, bodies[i%len(bodies)], &res); err != nil || res.Err != proto.OK {
			b.Fatal(err, res.Err)
		}
		i++
	}
}

// BenchmarkApplyCreateDelete counts a creation and a deletion as one.
func BenchmarkApplyCreateDelete(b *testing.B) {
	t, _ := benchTree(b, 100_000)
	c := proto.CreateTxn{Path: "/p000000/new", Data: make([]byte, 100), ACL: openACL, ParentCVersion: -1}
	create, del := c.Append(nil), (&proto.DeleteTxn{Path: c.Path}).Append(nil)
	var res Result
	h := header(proto.OpCreate, 2)
	b.ReportAllocs()
	for b.Loop() {
		h.Zxid++
		h.Type = proto.OpCreate
		if err := t.Apply(h, create, &res); err != nil || res.Err != proto.OK {
			b.Fatal(err, res.Err)
		}
		h.Type = proto.OpDelete
		if err := t.Apply(h, del, &res); err != nil || res.Err != proto.OK {
			b.Fatal(err, res.Err)
		}
	}
}

// BenchmarkPlan plans setData with 1000 outstanding, and applied now and then.
func BenchmarkPlan(b *testing.B) {
	t, paths := benchTree(b, 100_000)
	for _, op := range []proto.OpCode{proto.OpSetData, proto.OpCreate} {
		b.Run(op.String(), func(b *testing.B) {
			bodies := make([][]byte, len(paths)/10)
			for i := range bodies {
				s := proto.SetDataRequest{Path: paths[i*10], Data: make([]byte, 100), Version: -1}
				c := proto.CreateRequest{Path: paths[i*10] + "/n", Data: s.Data, ACL: openACL}
				if op == proto.OpCreate {
					bodies[i] = c.Append(nil)
				} else {
					bodies[i] = s.Append(nil)
				}
			}
			p := NewPlanner(t)
			r := Request{Op: op, IDs: []proto.ID{{Scheme: "ip", ID: "127.0.0.1"}}}
			buf := make([]byte, 0, 1024)
			z := proto.Zxid(2)
			b.ReportAllocs()
			for b.Loop() {
				z++
				r.Body = bodies[int(z)%len(bodies)]
				if buf = p.Plan(buf[:0], &r, z, proto.Millis(z)); buf[31] != byte(op) {
					b.Fatal("an error")
				}
				p.Applied(z - 1000)
			}
		})
	}
}

// BenchmarkMillion loads a million nodes of 100 bytes. It reports their live heap, and how long a view's clone takes.
func BenchmarkMillion(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		l := NewLoader(Options{})
		st := proto.StatPersisted{}
		data := make([]byte, 100)
		if err := l.AddNode("", nil, -1, &st); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		path := make([]byte, 0, 64)
		for i := range 10_000 {
			path = fmt.Appendf(path[:0], "/p%06d", i)
			for j := range 100 {
				if j > 0 {
					path = fmt.Appendf(path[:8], "/child%02d", j)
				}
				if err := l.AddNode(string(path), data, -1, &st); err != nil {
					b.Fatal(err)
				}
			}
		}
		t, err := l.Finish(1)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "load-ms")
		l = nil
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "heap-MB")
		start = time.Now()
		v := t.View()
		b.ReportMetric(float64(time.Since(start).Microseconds()), "view-us")
		start = time.Now()
		n := 0
		v.Nodes(func(string, []byte, int64, *proto.StatPersisted) bool { n++; return true })
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "walk-ms")
		runtime.KeepAlive(t)
	}
}

// BenchmarkSetDataBesideView changes nodes all over a tree of 100,000 of which a view is held: each is the first change
// of its chunk since, as far as there are so many.
func BenchmarkSetDataBesideView(b *testing.B) {
	t, paths := benchTree(b, 100_000)
	hdr := header(proto.OpSetData, t.LastZxid())
	data := make([]byte, 100)
	var res Result
	var view *View
	var body []byte
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if i%300 == 0 {
			view = t.View()
		}
		hdr.Zxid++
		txn := proto.SetDataTxn{Path: paths[i*331%len(paths)], Data: data, Version: int32(i)}
		body = txn.Append(body[:0])
		if err := t.Apply(hdr, body, &res); err != nil || res.Err != proto.OK {
			b.Fatal(err, res.Err)
		}
	}
	if view.NumNodes() == 0 {
		b.Fatal("empty view")
	}
}
