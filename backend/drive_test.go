package backend

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
)

// server drives a key space as mvcc's documentation says: a loop that applies, a committer, readers beside them.
type server struct {
	t       *testing.T
	backend *Backend
	mu      sync.RWMutex // guards the rest
	store   *mvcc.Store
	hub     *mvcc.Hub
	told    map[int64]int64 // revision that each watch was told of last
	batches chan *mvcc.Batch
	done    chan struct{}
}

// turn applies one write to three keys at once, and gives the batch to the committer.
func (s *server) turn(n int) {
	var ops []*pb.RequestOp
	for _, key := range []string{"a", "b", "c"} {
		put := &pb.PutRequest{Key: []byte(key), Value: fmt.Append(nil, n)}
		ops = append(ops, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}})
	}
	var m mvcc.Message = &pb.TxnRequest{Success: ops}
	if n%50 == 49 {
		m = &pb.CompactionRequest{Revision: int64(n*49/50 - 30)}
	}
	record, err := mvcc.NewRecord(m).Encode()
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	result, err := s.store.Apply(s.store.Applied()+1, record)
	if err != nil || result.Err != nil {
		s.t.Error(result, err)
	}
	out, err := s.hub.Publish(result.Revision, result.Events, s.store)
	if err != nil {
		s.t.Error(err)
	}
	s.deliver(out)
	s.store.CompactStep(2)
	b := s.store.Take()
	s.mu.Unlock()
	if b != nil {
		s.batches <- b
	}
}

// deliver checks that no watch misses a revision: all are of the three keys, which each write changes.
func (s *server) deliver(out []mvcc.Delivery) {
	for _, d := range out {
		id := int64(d.Stream)<<32 + d.Watch
		if d.Canceled {
			delete(s.told, id)
			continue
		}
		for i, e := range d.Events {
			if last := s.told[id]; last != 0 && e.Kv.ModRevision != last+int64((3-i%3)/3) {
				s.t.Errorf("watch %x: revision %d after %d", id, e.Kv.ModRevision, last)
			}
			s.told[id] = e.Kv.ModRevision
		}
	}
}

func (s *server) commit() {
	for b := range s.batches {
		if err := s.backend.Commit(b); err != nil {
			s.t.Error(err)
		}
		s.mu.Lock()
		s.store.Stored(b)
		s.mu.Unlock()
	}
	close(s.done)
}

// read reads the three keys at some revision: they have the same value.
func (s *server) read(g *rand.Rand) {
	s.mu.RLock()
	oldest, newest := max(2, s.store.Compacted()), s.store.Revision()
	r := &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("d")}
	if newest > oldest && g.IntN(2) == 0 {
		r.Revision = oldest + g.Int64N(newest-oldest)
	}
	read, err := s.store.StartRange(r)
	s.mu.RUnlock()
	if err != nil {
		s.t.Error(err)
		return
	}
	got, err := read.Finish()
	if err != nil {
		s.t.Error(err)
		return
	}
	for _, kv := range got.Kvs {
		if kv.ModRevision != got.Kvs[0].ModRevision || string(kv.Value) != string(got.Kvs[0].Value) || r.Revision != 0 && kv.ModRevision != r.Revision {
			s.t.Errorf("at %d: %v", r.Revision, got)
		}
	}
}

// hash hashes the same revisions twice.
func (s *server) hash() {
	var hashes [2]mvcc.Hash
	s.mu.RLock()
	rev := s.store.Revision()
	for i := range hashes {
		h, err := s.store.StartHash(rev)
		s.mu.RUnlock()
		if err != nil {
			s.t.Error(err)
			return
		}
		if hashes[i], err = h.Finish(); err != nil {
			s.t.Error(err)
		}
		s.mu.RLock()
		if hashes[i].CompactRevision != s.store.Compacted() {
			break
		}
	}
	same := hashes[1] == mvcc.Hash{} || hashes[0].CompactRevision != hashes[1].CompactRevision || hashes[0].Hash == hashes[1].Hash
	s.mu.RUnlock()
	if !same {
		s.t.Errorf("%+v", hashes)
	}
}

// watch begins a watch in the past and does a round of catching up.
func (s *server) watch(g *rand.Rand, stream mvcc.StreamID) {
	s.mu.Lock()
	d := s.hub.Create(stream, &pb.WatchCreateRequest{Key: []byte("a"), RangeEnd: []byte("d"), PrevKv: g.IntN(2) == 0, StartRevision: max(2, s.store.Revision()-g.Int64N(60))})
	if d.Canceled {
		s.t.Errorf("%+v", d)
	}
	if g.IntN(4) == 0 {
		for _, d := range s.hub.Cancel(stream, g.Int64N(d.Watch+1)) {
			delete(s.told, int64(d.Stream)<<32+d.Watch)
		}
	}
	s.mu.Unlock()
	s.catchUp()
}

func (s *server) catchUp() {
	s.mu.Lock()
	out, job, err := s.hub.StartCatchUp(s.store)
	s.deliver(out)
	s.mu.Unlock()
	if err != nil || job == nil {
		return
	}
	view := s.backend.View()
	err = job.Read(view)
	view.Close()
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if out, err = s.hub.FinishCatchUp(job, s.store); err != nil {
		s.t.Error(err)
	}
	s.deliver(out)
}

// TestDrive has writers, the committer, readers, hashes, watches and images at once.
func TestDrive(t *testing.T) {
	b, store := must(t, ramDir(t), 1<<20)
	s := &server{
		t: t, backend: b, store: store, hub: mvcc.NewHub(store.Revision()),
		told: map[int64]int64{}, batches: make(chan *mvcc.Batch, 8), done: make(chan struct{}),
	}
	go s.commit()
	var all sync.WaitGroup
	stop := make(chan struct{})
	beside := func(f func(g *rand.Rand)) {
		g := rand.New(rand.NewPCG(1, 1))
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f(g)
				}
			}
		})
	}
	beside(s.read)
	beside(s.read)
	beside(func(*rand.Rand) { s.hash() })
	beside(func(g *rand.Rand) { s.watch(g, 1) })
	beside(func(*rand.Rand) {
		view := b.View()
		defer view.Close()
		var image counter
		if err := mvcc.WriteImage(&image, view); err != nil {
			t.Error(err)
		}
		if _, err := b.Sync(); err != nil {
			t.Error(err)
		}
		if err := b.Collect(); err != nil {
			t.Error(err)
		}
	})
	for n := range 600 {
		s.turn(n + 1)
	}
	close(stop)
	all.Wait()
	close(s.batches)
	<-s.done
	for s.hub.Lagging() > 0 {
		s.catchUp()
	}
	if len(s.told) == 0 {
		t.Error("no watch was told of anything")
	}
	for id, rev := range s.told {
		if rev != s.store.Revision() {
			t.Errorf("watch %x was told up to %d", id, rev)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// counter counts what is written.
type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
