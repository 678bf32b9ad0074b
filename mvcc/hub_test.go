package mvcc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"zebu/proto"
)

// watchModel drives a Store and a Hub at random, and knows what each watch must have been told.
type watchModel struct {
	t       *testing.T
	g       *rand.Rand
	mem     *Memory
	store   *Store
	hub     *Hub
	zxid    proto.Zxid
	flights []*Batch
	history []*mvccpb.Event // all there ever were, with their previous values
	before  map[string]*mvccpb.KeyValue
	watches map[[2]int64]*watchedModel
	job     *CatchUp
	view    View
	blocked map[StreamID]bool
	seen    map[string]int // which situations came up
}

// watchedModel is one watch as its client sees it.
type watchedModel struct {
	request *pb.WatchCreateRequest
	from    int64 // the first revision it must be told of
	got     []*mvccpb.Event
	ended   bool
}

func newWatchModel(t *testing.T, seed uint64) *watchModel {
	m := &watchModel{
		t: t, g: rand.New(rand.NewPCG(seed, 1)), mem: &Memory{}, before: map[string]*mvccpb.KeyValue{},
		watches: map[[2]int64]*watchedModel{}, blocked: map[StreamID]bool{}, seen: map[string]int{},
	}
	var err error
	if m.store, err = Open(m.mem, Options{}); err != nil {
		t.Fatal(err)
	}
	m.hub = NewHub(m.store.Revision())
	return m
}

func (m *watchModel) key() []byte { return []byte{byte('a' + m.g.IntN(6))} }

func (m *watchModel) apply(r Message) {
	m.t.Helper()
	if Check(r, MaxTxnOps) != nil {
		return
	}
	m.zxid++
	result, err := m.store.Apply(m.zxid, encode(m.t, r))
	if err != nil {
		m.t.Fatal(err)
	}
	for _, e := range result.Events {
		key := string(e.Kv.Key)
		m.history = append(m.history, &mvccpb.Event{Type: e.Type, Kv: e.Kv, PrevKv: m.before[key]})
		if m.before[key] = e.Kv; e.Type == mvccpb.DELETE {
			delete(m.before, key)
		}
	}
	out, err := m.hub.Publish(result.Revision, result.Events, m.store)
	if err != nil {
		m.t.Fatal(err)
	}
	m.deliver(out)
}

func (m *watchModel) write() {
	switch m.g.IntN(8) {
	case 0:
		m.apply(&pb.DeleteRangeRequest{Key: m.key(), RangeEnd: m.key()})
	case 1:
		var ops []*pb.RequestOp
		for range m.g.IntN(4) {
			ops = append(ops, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: m.key()}}})
		}
		m.apply(&pb.TxnRequest{Success: ops})
	case 2:
		if m.g.IntN(6) == 0 {
			m.apply(&pb.CompactionRequest{Revision: m.store.Revision() - int64(m.g.IntN(40))})
		}
		m.store.CompactStep(2)
	default:
		m.apply(&pb.PutRequest{Key: m.key(), Value: fmt.Append(nil, m.zxid)})
	}
}

func (m *watchModel) persist() {
	if b := m.store.Take(); b != nil {
		m.flights = append(m.flights, b)
	}
	for len(m.flights) > 0 && m.g.IntN(3) == 0 {
		m.mem.Commit(m.flights[0])
		m.store.Stored(m.flights[0])
		m.flights = m.flights[1:]
	}
}

func (m *watchModel) create(stream StreamID) {
	r := &pb.WatchCreateRequest{Key: m.key(), PrevKv: m.g.IntN(3) == 0, ProgressNotify: m.g.IntN(2) == 0, WatchId: int64(m.g.IntN(4))}
	switch m.g.IntN(4) {
	case 0:
		r.RangeEnd = []byte{0}
	case 1:
		r.RangeEnd = m.key()
	}
	switch m.g.IntN(4) {
	case 0:
		r.StartRevision = max(0, m.store.Revision()-int64(m.g.IntN(60)))
	case 1:
		r.StartRevision = m.store.Revision() + int64(m.g.IntN(10))
	}
	if m.g.IntN(4) == 0 {
		r.Filters = []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_FilterType(m.g.IntN(2))}
	}
	d := m.hub.Create(stream, r)
	if !d.Created {
		m.t.Fatalf("created: %+v", d)
	}
	if d.Canceled {
		m.seen["refused: "+d.Reason]++
		if d.Watch != NoWatch {
			m.t.Fatalf("refused: %+v", d)
		}
		return
	}
	id := [2]int64{int64(stream), d.Watch}
	if w := m.watches[id]; w != nil && !w.ended {
		m.t.Fatalf("watch %v is there twice", id)
	}
	w := &watchedModel{request: r, from: r.StartRevision}
	if w.from == 0 {
		w.from = m.store.Revision() + 1
	}
	m.watches[id] = w
}

// expected is what a watch must have been told once it has been told of everything up to a revision.
func (m *watchModel) expected(w *watchedModel, upto int64) (list []*mvccpb.Event) {
	keys := makeInterval(w.request.Key, w.request.RangeEnd)
	for _, e := range m.history {
		rev := e.Kv.ModRevision
		filter := pb.WatchCreateRequest_NOPUT
		if e.Type == mvccpb.DELETE {
			filter = pb.WatchCreateRequest_NODELETE
		}
		if rev < w.from || rev > upto || !keys.contains(string(e.Kv.Key)) || len(w.request.Filters) > 0 && w.request.Filters[0] == filter {
			continue
		}
		list = append(list, e)
	}
	return list
}

func (m *watchModel) deliver(out []Delivery) {
	m.t.Helper()
	for _, d := range out {
		if m.blocked[d.Stream] && len(d.Events) > 0 {
			m.t.Fatalf("a blocked stream was sent %+v", d)
		}
		if d.Watch == NoWatch {
			m.seen["progress of a stream"]++
			for id, w := range m.watches {
				if StreamID(id[0]) == d.Stream && !w.ended {
					m.promised(w, d.Revision)
				}
			}
			continue
		}
		w := m.watches[[2]int64{int64(d.Stream), d.Watch}]
		switch {
		case w == nil || w.ended:
			m.t.Fatalf("for no watch: %+v", d)
		case d.Canceled:
			m.seen["canceled by compaction"]++
			if d.CompactRevision != m.store.Compacted() || d.Revision != 0 || d.Reason != "" {
				m.t.Fatalf("canceled: %+v", d)
			}
			w.ended = true
		case len(d.Events) == 0:
			m.seen["progress"]++
			m.promised(w, d.Revision)
		default:
			m.told(w, d)
		}
	}
}

func (m *watchModel) told(w *watchedModel, d Delivery) {
	m.t.Helper()
	if n := len(w.got); n > 0 && w.got[n-1].Kv.ModRevision >= d.Events[0].Kv.ModRevision {
		m.t.Fatalf("revision %d again, or torn: %+v", w.got[n-1].Kv.ModRevision, d)
	}
	for _, e := range d.Events {
		if d.Revision < e.Kv.ModRevision {
			m.t.Fatalf("header before its event: %+v", d)
		}
		if w.request.PrevKv && e.PrevKv == nil && e.Kv.ModRevision-1 < m.store.Compacted() {
			m.seen["previous value compacted"]++
			e = m.history[m.find(e)]
		}
		w.got = append(w.got, e)
	}
}

func (m *watchModel) find(e *mvccpb.Event) int {
	for i, h := range m.history {
		if h.Kv.ModRevision == e.Kv.ModRevision && bytes.Equal(h.Kv.Key, e.Kv.Key) && h.Type == e.Type {
			return i
		}
	}
	m.t.Fatalf("never happened: %v", e)
	return -1
}

// promised checks that a watch was told of all up to a revision, no more and no less.
func (m *watchModel) promised(w *watchedModel, rev int64) {
	m.t.Helper()
	want := m.expected(w, rev)
	if len(want) != len(w.got) {
		m.t.Fatalf("watch %v from %d: told of %d events up to %d, not %d", w.request, w.from, len(w.got), rev, len(want))
	}
	for i, e := range want {
		if !w.request.PrevKv {
			e = &mvccpb.Event{Type: e.Type, Kv: e.Kv}
		}
		got := w.got[i]
		if !w.request.PrevKv {
			got = &mvccpb.Event{Type: got.Type, Kv: got.Kv}
		}
		if e.String() != got.String() {
			m.t.Fatalf("watch %v: event %d is %v, not %v", w.request, i, got, e)
		}
	}
}

// catchUp does one of the three steps of a round.
func (m *watchModel) catchUp() {
	m.t.Helper()
	switch {
	case m.job == nil:
		out, job, err := m.hub.StartCatchUp(m.store)
		if err != nil {
			m.t.Fatal(err)
		}
		m.deliver(out)
		if m.job = job; job != nil {
			m.view = m.store.storage.View()
		}
	case m.view != nil:
		if err := m.job.Read(m.view); err != nil {
			m.t.Fatal(err)
		}
		m.view = nil
	default:
		out, err := m.hub.FinishCatchUp(m.job, m.store)
		if err != nil {
			m.t.Fatal(err)
		}
		m.seen["round from history"]++
		m.deliver(out)
		m.job = nil
	}
}

func (m *watchModel) step() {
	stream := StreamID(m.g.IntN(4))
	switch n := m.g.IntN(100); {
	case n < 50:
		m.write()
	case n < 60:
		m.persist()
	case n < 68:
		m.create(stream)
	case n < 72:
		id := int64(m.g.IntN(8))
		for _, d := range m.hub.Cancel(stream, id) {
			w := m.watches[[2]int64{int64(d.Stream), d.Watch}]
			if w == nil || w.ended || !d.Canceled || d.CompactRevision != 0 {
				m.t.Fatalf("canceled: %+v", d)
			}
			w.ended = true
		}
	case n < 76:
		if m.hub.streams[stream] == nil {
			break
		}
		m.blocked[stream] = !m.blocked[stream]
		if m.blocked[stream] {
			m.hub.Block(stream)
		} else {
			m.hub.Unblock(stream)
		}
	case n < 77:
		m.hub.CloseStream(stream)
		delete(m.blocked, stream)
		for id, w := range m.watches {
			if id[0] == int64(stream) {
				w.ended = true
			}
		}
	case n < 80:
		m.deliver(m.hub.Progress(stream))
	case n < 82:
		m.deliver(m.hub.ProgressTick())
	case n < 83:
		m.hub.Reset(m.store.Revision())
	default:
		m.catchUp()
	}
}

// TestWatchModel runs at random, lets all watches catch up, and compares what each was told.
func TestWatchModel(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(60) {
		m := newWatchModel(t, seed)
		m.seen = seen
		for range 1500 {
			m.step()
		}
		for s := range StreamID(4) {
			m.hub.Unblock(s)
			m.blocked[s] = false
		}
		for i := 0; m.hub.Lagging() > 0 || m.job != nil; i++ {
			m.persist()
			m.catchUp()
			if i > 5000 {
				t.Fatalf("seed %d: %d watches still lag", seed, m.hub.Lagging())
			}
		}
		for _, w := range m.watches {
			if !w.ended {
				m.promised(w, m.store.Revision())
			}
		}
		if n := m.hub.Watches(); n > len(m.watches) {
			t.Fatalf("%d watches", n)
		}
	}
	t.Log(seen)
	for _, what := range []string{
		"progress", "progress of a stream", "canceled by compaction", "previous value compacted", "round from history",
		"refused: " + reasonDuplicate, "refused: " + reasonEmpty,
	} {
		if seen[what] == 0 {
			t.Errorf("never came up: %s", what)
		}
	}
}

// TestWatchLongHistory has more history than memory keeps, and than one round reads.
func TestWatchLongHistory(t *testing.T) {
	m := newWatchModel(t, 0)
	for i := range 3*maxRoundRevisions + 10 {
		m.apply(&pb.PutRequest{Key: []byte("k"), Value: fmt.Append(nil, i)})
	}
	b := m.store.Take()
	m.mem.Commit(b)
	m.store.Stored(b)
	d := m.hub.Create(1, &pb.WatchCreateRequest{Key: []byte("k"), StartRevision: 2})
	if d.Watch != 0 || d.Revision != m.store.Revision() {
		t.Fatalf("%+v", d)
	}
	w := &watchedModel{request: &pb.WatchCreateRequest{Key: []byte("k")}, from: 2}
	m.watches[[2]int64{1, 0}] = w
	rounds := 0
	for ; m.hub.Lagging() > 0; rounds++ {
		m.catchUp()
	}
	m.promised(w, m.store.Revision())
	if rounds < 6 || len(w.got) != 3*maxRoundRevisions+10 {
		t.Errorf("%d rounds, %d events", rounds, len(w.got))
	}
}

// TestWatchShares checks that watches of the same keys share one slice of events, which is encoded once.
func TestWatchShares(t *testing.T) {
	h := NewHub(1)
	for s := range StreamID(3) {
		h.Create(s, &pb.WatchCreateRequest{Key: []byte("a"), RangeEnd: []byte("b")})
	}
	out, err := h.Publish(2, []*mvccpb.Event{{Kv: &mvccpb.KeyValue{Key: []byte("a1"), ModRevision: 2}}}, nil)
	if err != nil || len(out) != 3 || &out[0].Events[0] != &out[1].Events[0] || &out[0].Events[0] != &out[2].Events[0] {
		t.Fatal(out, err)
	}
}

type failing struct{}

var errDisk = errors.New("disk")

func (failing) PrevKV([]byte, int64) (*mvccpb.KeyValue, error) { return nil, errDisk }

func TestWatchStorageFails(t *testing.T) {
	h := NewHub(1)
	h.Create(1, &pb.WatchCreateRequest{Key: []byte("a"), PrevKv: true})
	_, err := h.Publish(2, []*mvccpb.Event{{Type: mvccpb.DELETE, Kv: &mvccpb.KeyValue{Key: []byte("a"), ModRevision: 2}}}, failing{})
	if !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
}

func TestIntervals(t *testing.T) {
	g := rand.New(rand.NewPCG(5, 6))
	var tree intervals
	there := map[interval]*interest{}
	random := func() interval {
		b := func() []byte { return []byte{byte('a' + g.IntN(8)), byte('a' + g.IntN(3))} }
		if g.IntN(5) == 0 {
			return makeInterval(b(), []byte{0})
		}
		return makeInterval(b(), b())
	}
	for range 20000 {
		r := random()
		if got := tree.find(r); got != there[r] {
			t.Fatalf("find %v", r)
		}
		if there[r] != nil {
			tree.remove(r)
			delete(there, r)
		} else {
			there[r] = &interest{keys: r}
			tree.insert(there[r])
		}
		key := string([]byte{byte('a' + g.IntN(8)), byte('a' + g.IntN(3))})
		hit := map[*interest]bool{}
		tree.stab(key, func(on *interest) { hit[on] = true })
		for r, on := range there {
			if r.contains(key) != hit[on] {
				t.Fatalf("%q in %v: %v", key, r, hit[on])
			}
		}
	}
}

// TestWatchMemory holds what 100,000 watches of as many keys on 1,000 streams cost.
func TestWatchMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	h := NewHub(1)
	for i := range 100_000 {
		r := &pb.WatchCreateRequest{Key: fmt.Appendf(nil, "/registry/pods/namespace/%06d", i)}
		if i%2 == 0 {
			r.RangeEnd = append(bytes.Clone(r.Key), 0xff)
		}
		if d := h.Create(StreamID(i%1000), r); d.Canceled {
			t.Fatalf("%+v", d)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := (after.HeapAlloc - before.HeapAlloc) >> 20
	t.Logf("%d MiB", used)
	if used > 100 {
		t.Errorf("%d MiB", used)
	}
	out, err := h.Publish(2, []*mvccpb.Event{{Kv: &mvccpb.KeyValue{Key: []byte("/registry/pods/namespace/000002"), ModRevision: 2}}}, nil)
	if err != nil || len(out) != 1 {
		t.Error(out, err)
	}
}

func BenchmarkPublish(b *testing.B) {
	h := NewHub(1)
	for i := range 100_000 {
		h.Create(StreamID(i%1000), &pb.WatchCreateRequest{Key: fmt.Appendf(nil, "/registry/pods/%06d", i), RangeEnd: fmt.Appendf(nil, "/registry/pods/%06d/", i)})
	}
	rev := int64(1)
	for b.Loop() {
		rev++
		key := fmt.Appendf(nil, "/registry/pods/%06d", rev%100_000)
		if out, err := h.Publish(rev, []*mvccpb.Event{{Kv: &mvccpb.KeyValue{Key: key, ModRevision: rev}}}, nil); err != nil || len(out) != 1 {
			b.Fatal(out, err)
		}
	}
}

// TestWatchLargeHistory catches up on large values: what is read at a time is bounded, and nothing is left out.
func TestWatchLargeHistory(t *testing.T) {
	s := newSpace(t, Options{})
	value := strings.Repeat("v", 1<<20)
	const n = 3 * maxRoundBytes >> 20
	for range n {
		s.do(put("k", value, 0), nil)
	}
	s.store()
	h := NewHub(s.Revision())
	h.Create(1, &pb.WatchCreateRequest{Key: []byte("k"), StartRevision: 1})
	got := int64(1)
	for h.Lagging() > 0 {
		out, job, err := h.StartCatchUp(s.Store)
		if err != nil || job == nil {
			t.Fatal(out, job, err)
		}
		if err := job.Read(s.mem.View()); err != nil {
			t.Fatal(err)
		}
		if len(job.history) > maxRoundBytes>>20+1 {
			t.Fatalf("%d MiB at once", len(job.history))
		}
		if out, err = h.FinishCatchUp(job, s.Store); err != nil {
			t.Fatal(err)
		}
		for _, d := range out {
			for _, e := range d.Events {
				if got++; e.Kv.ModRevision != got {
					t.Fatalf("revision %d after %d", e.Kv.ModRevision, got-1)
				}
			}
			if d.Bytes < len(d.Events)<<20 {
				t.Errorf("%d events are said to have %d bytes", len(d.Events), d.Bytes)
			}
		}
	}
	if got != n+1 {
		t.Errorf("it ends at revision %d", got)
	}
}

// TestHolesAreNoticed takes a change out of the storage: nobody is told a history, or given a copy, without it.
func TestHolesAreNoticed(t *testing.T) {
	s := newSpace(t, Options{})
	for i := range 20 {
		s.do(put(fmt.Sprint(i), "v", 0), nil)
	}
	s.do(&pb.CompactionRequest{Revision: 5}, nil)
	for s.CompactStep(100) {
	}
	s.store()
	for rev := int64(6); rev <= s.Revision(); rev++ {
		holed := s.mem.Copy()
		if _, ok := holed.records.Delete(string(appendChangeKey(nil, Revision{Main: rev}, false))); !ok {
			t.Fatal(rev)
		}
		for _, whole := range []bool{true, false} {
			view := s.mem.View()
			if !whole {
				view = holed.View()
			}
			job := &CatchUp{from: 5, to: s.Revision()}
			_, contents := ReadContents(view, nothing{})
			for what, err := range map[string]error{"history": job.Read(view), "image": WriteImage(io.Discard, view), "contents": contents} {
				if whole != (err == nil) || err != nil && !errors.Is(err, ErrDamaged) {
					t.Errorf("%s without revision %d (%t): %v", what, rev, !whole, err)
				}
			}
		}
	}
}

// nothing takes the contents of a state for nothing.
type nothing struct{}

func (nothing) Change(_, _ []byte) error      { return nil }
func (nothing) Lease(Lease) error             { return nil }
func (nothing) Alarm(*pb.AlarmMember) error   { return nil }
func (nothing) Auth(_ string, _ []byte) error { return nil }
