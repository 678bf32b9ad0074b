package replica

import (
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
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
