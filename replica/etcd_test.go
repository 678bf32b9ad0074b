package replica

import (
	"errors"
	"math"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
	"zebu/quorum"
	"zebu/zab"
)

// etcdBench is a bench with a key space in memory.
func etcdBench(t *testing.T, o mvcc.Options) *bench {
	t.Helper()
	b := &bench{t: t, r: New(Options{ServerID: 1, Tick: 1000, ReapInterval: 60000, ReapPerCheck: 100, StrictDigest: true, Etcd: true})}
	b.advance(1)
	store, err := mvcc.Open(new(mvcc.Memory), o)
	if err != nil {
		t.Fatal(err)
	}
	b.r.AttachEtcd(store)
	if err := b.r.Lead(); err != nil {
		t.Fatal(err)
	}
	b.r.LendLog(&b.log)
	return b
}

// ask makes a call.
func (b *bench) ask(c *Call) *Call {
	b.r.Call(c)
	return c
}

func (b *bench) propose(m mvcc.Message) *Call {
	b.t.Helper()
	record, err := mvcc.NewRecord(m).Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	return b.ask(&Call{Kind: Propose, Record: record})
}

// done counts the calls that have been answered, each without an error.
func (b *bench) done() int {
	b.t.Helper()
	calls := b.r.TakeCalls()
	for _, c := range calls {
		if c.Err != nil {
			b.t.Fatalf("%+v", c)
		}
	}
	return len(calls)
}

// What is applied must not lead to proposals there and then, and renewals that wait are not to be proposed for again and again.
func TestRenewalsOfLeasesWithCheckpoints(t *testing.T) {
	b := etcdBench(t, mvcc.Options{})
	const n = 20
	check := &pb.LeaseCheckpointRequest{}
	for id := range int64(n) {
		b.propose(&pb.LeaseGrantRequest{ID: id + 1, TTL: 1000})
		check.Checkpoints = append(check.Checkpoints, &pb.LeaseCheckpoint{ID: id + 1, Remaining_TTL: 400})
	}
	b.propose(check)
	b.commit()
	b.done()
	for range 2 {
		for id := range mvcc.LeaseID(n) {
			b.ask(&Call{Kind: Renew, Lease: id + 1})
		}
	}
	if len(b.log.txns) != n {
		t.Errorf("%d transactions", len(b.log.txns))
	}
	planned := b.log.txns
	b.log.txns = nil
	for i, txn := range planned {
		if err := b.r.Apply(txn); err != nil {
			t.Fatal(err)
		}
		if len(b.log.txns) > 0 {
			t.Fatalf("%d planned while transaction %d was applied", len(b.log.txns), i)
		}
	}
	if got := b.done(); got != 2*n {
		t.Errorf("%d answers", got)
	}
	for _, l := range b.r.Etcd().Leases() {
		if l.Remaining != 0 {
			t.Errorf("%+v", l)
		}
	}
}

// A lease that was granted although the answer is that there is no more space ends like every other.
func TestLeaseBeyondTheQuotaExpires(t *testing.T) {
	b := etcdBench(t, mvcc.Options{Quota: 1})
	b.propose(&pb.LeaseGrantRequest{ID: 7, TTL: 5})
	b.commit()
	calls := b.r.TakeCalls()
	if len(calls) != 1 || calls[0].Result.Err != mvcc.ErrNoSpace || b.r.Etcd().NumLeases() != 1 {
		t.Fatalf("%+v, %d leases", calls[0], b.r.Etcd().NumLeases())
	}
	for range 10 {
		b.advance(700)
		b.r.Tick()
		b.commit()
	}
	if b.r.Etcd().NumLeases() != 0 {
		t.Error("it is still there")
	}
}

// Calls are answered although their numbers have gone round.
func TestCallsGoRound(t *testing.T) {
	b := etcdBench(t, mvcc.Options{})
	b.r.kv.cxid = math.MaxInt32 - 2
	for range 5 {
		b.propose(&pb.PutRequest{Key: []byte("k")})
	}
	b.commit()
	if got := b.done(); got != 5 {
		t.Errorf("%d answers", got)
	}
}

// Answers of the leader find their questions in whatever order they come.
func TestAnswersToQuestions(t *testing.T) {
	leader := etcdBench(t, mvcc.Options{})
	b := etcdBench(t, mvcc.Options{})
	b.r.retire()
	if err := b.r.learn(leader.r.applied); err != nil {
		t.Fatal(err)
	}
	for id := range mvcc.LeaseID(4) {
		b.ask(&Call{Kind: Renew, Lease: id})
	}
	for n, i := range []int{2, 0, 2, 3, 1, 1} { // some come twice, or were never asked
		a, err := proto.DecodeAsk(b.r.upstream.packets[i].Data)
		if err != nil {
			t.Fatal(err)
		}
		a.Value = int64(i) + 10
		b.r.answered(a)
		want := []int{1, 1, 0, 1, 1, 0}[n]
		calls := b.r.TakeCalls()
		if len(calls) != want || want > 0 && calls[0].Value != int64(calls[0].Lease)+10 {
			t.Errorf("answer %d: %d calls", n, len(calls))
		}
	}
	if len(b.r.kv.asks) != 0 {
		t.Errorf("%d questions are left", len(b.r.kv.asks))
	}
}

// A leader that is cut off answers keepalives for a while; the next one does not end these leases before.
func TestLeasesOutliveALeaderThatIsCutOff(t *testing.T) {
	b := etcdBench(t, mvcc.Options{})
	b.r.opt.SyncLimit = 20
	b.propose(&pb.LeaseGrantRequest{ID: 1, TTL: 5})
	b.commit()
	b.r.retire()
	if err := b.r.Lead(); err != nil {
		t.Fatal(err)
	}
	for b.now < 25_000 {
		b.advance(900)
		b.r.Tick()
	}
	if len(b.log.txns) != 0 {
		t.Errorf("it ends at %d", b.now)
	}
}

// A server whose key space came from the leader compacts, when it leads, as every other.
func TestAdoptedKeySpaceIsCompacted(t *testing.T) {
	b := etcdBench(t, mvcc.Options{})
	opt := b.r.opt
	opt.Compact.Keep = 10
	r := New(opt)
	r.adopt(b.r)
	if r.kv.compact == nil {
		t.Error("it is not")
	}
}

// A leader that has no part in the etcd API, as one whose configuration lost its port, cannot bring a server that has keys up to date.
func TestSnapshotWithoutTheKeys(t *testing.T) {
	for _, used := range []bool{false, true} {
		b := etcdBench(t, mvcc.Options{})
		if used {
			b.propose(&pb.PutRequest{Key: []byte("k")})
			b.commit()
		}
		m := NewMember(MemberOptions{ID: 1, Committed: &quorum.Config{}}, b.r, Disk{})
		m.learner = zab.NewLearner(zab.LearnerOptions{}, 0)
		if err := m.SnapshotLoaded(m.NewLoader(), 100); errors.Is(err, errWithoutEtcd) != used {
			t.Errorf("with keys: %t; %v", used, err)
		}
	}
}
