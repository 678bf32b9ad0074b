package etcdtest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/lease"
	etcdmvcc "go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.uber.org/zap"

	"zebu/backend"
	ours "zebu/mvcc"
	"zebu/proto"
)

var (
	opsFlag  = flag.Int("ops", 0, "operations in all; 0 is as many as fit into some seconds")
	seedFlag = flag.Uint64("seed", 0, "run this seed alone")
)

// opsPerSeed is the length of one history.
const opsPerSeed = 4000

// TestDifferential runs histories until time or operations are used up.
func TestDifferential(t *testing.T) {
	histories(t, opsPerSeed, 8*time.Second, history)
}

// histories runs those of seeds from 1 on for a time, or with -ops those of seeds never seen until the operations are done. Several run at
// once, for etcd's watches make them wait. It returns the number of operations.
func histories(t *testing.T, opsPerSeed int, limit time.Duration, run func(*testing.T, uint64)) (ops int) {
	t.Helper()
	if *seedFlag != 0 {
		run(t, *seedFlag)
		return opsPerSeed
	}
	var seeds, done atomic.Uint64
	if *opsFlag > 0 {
		seeds.Store(uint64(time.Now().UnixNano()))
	}
	start := time.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for !t.Failed() && (*opsFlag == 0 && time.Since(start) < limit || int(done.Load())*opsPerSeed < *opsFlag) {
				seed := seeds.Add(1)
				if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { run(t, seed) }) {
					t.Errorf("go test . -run '%s$' -seed %d", t.Name(), seed)
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	ops = int(done.Load()) * opsPerSeed
	t.Logf("%d operations in %v", ops, time.Since(start).Round(time.Second))
	return ops
}

// pair is the two under comparison.
type pair struct {
	t       *testing.T
	g       *generator
	etcd    *etcd
	memory  *ours.Memory
	badger  *backend.Backend // instead of memory, if it is not nil
	store   *ours.Store
	zxid    proto.Zxid
	flights []*ours.Batch // taken, not committed
	dir     string        // of badger
	floors  map[int64]bool
	trace   []string
}

func history(t *testing.T, seed uint64) {
	p := &pair{
		t:      t,
		g:      &generator{Rand: rand.New(rand.NewPCG(seed, 0)), revision: 1, compacted: -1},
		etcd:   newEtcd(t),
		memory: &ours.Memory{},
		floors: map[int64]bool{},
	}
	if seed%8 == 0 {
		p.openBadger(t.TempDir())
	}
	p.open()
	for range opsPerSeed {
		p.step()
	}
	p.compareHistory()
}

func (p *pair) open() {
	p.t.Helper()
	var err error
	if p.badger != nil {
		p.store, err = ours.Open(p.badger, ours.Options{})
	} else {
		p.store, err = ours.Open(p.memory, ours.Options{})
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// openBadger has the storage on disk, until the end of the history or of a run.
func (p *pair) openBadger(dir string) {
	p.t.Helper()
	b, err := backend.Open(dir, zap.NewNop())
	if err != nil {
		p.t.Fatal(err)
	}
	p.badger, p.dir = b, dir
	p.t.Cleanup(func() {
		if p.badger == b {
			p.closeBadger()
		}
	})
}

func (p *pair) closeBadger() {
	p.t.Helper()
	if err := p.badger.Close(); err != nil {
		p.t.Error(err)
	}
}

func (p *pair) commit(b *ours.Batch) {
	p.t.Helper()
	if p.badger == nil {
		p.memory.Commit(b)
	} else if err := p.badger.Commit(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) step() {
	r := p.g.next()
	p.trace = append(p.trace, fmt.Sprintf("%T %v", r, r))
	want, wantErr := p.etcd.do(p.t, r)
	got, events, gotErr := p.do(r)
	if wantErr != gotErr || wantErr == nil && fmt.Sprint(want) != fmt.Sprint(got) {
		p.fail("etcd answers %v, %v\nzebu answers %v, %v", want, wantErr, got, gotErr)
	}
	compareEvents(p, p.etcd.changed(), events)
	if p.store.Revision() != p.etcd.kv.Rev() {
		p.fail("etcd is at revision %d, zebu at %d", p.etcd.kv.Rev(), p.store.Revision())
	}
	if p.store.Compacted() > p.g.compacted {
		p.floors[p.store.Compacted()] = true
	}
	p.g.revision, p.g.compacted = p.store.Revision(), p.store.Compacted()
	p.persist()
	if p.g.flip(50) {
		p.compareHash()
		p.compareLeases()
	}
	if p.g.flip(500) {
		p.compareHistory()
	}
}

func (p *pair) fail(format string, args ...any) {
	p.t.Helper()
	for _, line := range p.trace[max(0, len(p.trace)-8):] {
		p.t.Log(line)
	}
	p.t.Fatalf(format, args...)
}

// do gives a request to our store as a server would.
func (p *pair) do(r ours.Message) (ours.Message, []*mvccpb.Event, error) {
	p.t.Helper()
	switch r := r.(type) {
	case *pb.RangeRequest:
		resp, err := p.store.Range(r)
		return resp, nil, err
	case *pb.TxnRequest:
		if ours.ReadOnly(r) {
			read, err := p.store.StartReadTxn(r)
			if err != nil {
				return nil, nil, err
			}
			resp, err := read.Finish()
			return resp, nil, err
		}
	}
	record, err := ours.NewRecord(r).Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	p.zxid++
	result, err := p.store.Apply(p.zxid, record)
	if err != nil {
		p.fail("apply: %v", err)
	}
	return result.Response, result.Events, result.Err
}

// persist lets batches take their way to the storage at random times, and now and then starts again from there.
func (p *pair) persist() {
	if p.g.flip(4) {
		p.store.CompactStep(p.g.IntN(6))
	}
	if p.g.flip(3) {
		if b := p.store.Take(); b != nil {
			p.flights = append(p.flights, b)
		}
	}
	if len(p.flights) > 0 && p.g.flip(3) {
		b := p.flights[0]
		p.flights = p.flights[1:]
		p.commit(b)
		p.store.Stored(b)
	}
	if p.g.flip(200) {
		for _, b := range append(p.flights, p.store.Take()) {
			if b != nil {
				p.commit(b)
			}
		}
		p.flights = nil
		size := p.store.Size()
		if p.badger != nil {
			p.closeBadger()
			p.openBadger(p.dir)
		}
		p.open()
		if p.store.Size() != size {
			p.fail("size %d became %d when opened again", size, p.store.Size())
		}
	}
}

func (p *pair) compareHash() {
	p.t.Helper()
	rev := max(0, p.g.some())
	if p.floors[rev] {
		return // etcd has a hash of that from its compaction, see ours.Store.HashKV
	}
	want, current, wantErr := p.etcd.kv.(interface{ HashStorage() etcdmvcc.HashStorage }).HashStorage().HashByRev(rev)
	got, gotErr := p.store.HashKV(rev)
	wantErr = grpcError(p.t, wantErr)
	if wantErr != gotErr || wantErr == nil && got != (ours.Hash{Hash: want.Hash, CompactRevision: want.CompactRevision, HashRevision: want.Revision, Revision: current}) {
		p.fail("hash at %d: etcd %+v %d %v, zebu %+v %v", rev, want, current, wantErr, got, gotErr)
	}
}

// compareLeases compares which keys belong to which lease.
func (p *pair) compareLeases() {
	p.t.Helper()
	for id := range int64(8) {
		var want []string
		if l := p.etcd.lessor.Lookup(lease.LeaseID(id)); l != nil {
			want = l.Keys()
			slices.Sort(want)
		}
		if got := p.store.LeaseKeys(ours.LeaseID(id)); !slices.Equal(got, want) {
			p.fail("lease %d: etcd has %q, zebu %q", id, want, got)
		}
	}
}

// compareHistory watches all there is.
func (p *pair) compareHistory() {
	p.t.Helper()
	from := max(1, p.g.compacted)
	var got []*mvccpb.Event
	history, err := p.store.History(from, p.store.Revision())
	if err != nil {
		p.fail("history: %v", err)
	}
	for _, h := range history {
		got = append(got, h.Events...)
	}
	compareEvents(p, p.etcd.history(p.t, from), got)
}

func compareEvents(p *pair, want, got []*mvccpb.Event) {
	p.t.Helper()
	if len(want) != len(got) {
		p.fail("etcd has %d events, zebu %d:\n%v\n%v", len(want), len(got), want, got)
	}
	for i := range want {
		if want[i].String() != got[i].String() {
			p.fail("event %d: etcd %v, zebu %v", i, want[i], got[i])
		}
	}
}
