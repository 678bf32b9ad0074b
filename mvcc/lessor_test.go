package mvcc

import (
	"fmt"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/proto"
)

func TestLessor(t *testing.T) {
	l := NewLessor(0, []Lease{{ID: 1, TTL: 10}, {ID: 2, TTL: 100, Remaining: 20}}, 500)
	expired := func(now proto.Millis, want ...LeaseID) {
		t.Helper()
		if got := l.Expired(now, 100); !slices.Equal(got, want) {
			t.Errorf("expired at %d: %v, want %v", now, got, want)
		}
	}
	renew := func(now proto.Millis, id LeaseID, ttl int64, want Renewal) {
		t.Helper()
		if got, r := l.Renew(now, id); got != ttl || r != want {
			t.Errorf("renew %d at %d: %d, %v, want %d, %v", id, now, got, r, ttl, want)
		}
	}
	l.Granted(0, 3, 5)
	expired(4999)
	if at, ok := l.Next(); !ok || at != 5000 {
		t.Error("next", at, ok)
	}
	renew(4999, 3, 5, Renewed)
	expired(5000)
	expired(9999, 3)
	renew(9999, 3, 0, Expired)
	expired(10000)
	expired(9999+RevokeRetry, 1, 3) // 3 was not revoked yet
	l.Revoked(3)
	renew(13000, 3, 0, Missing)
	if got := l.Remaining(13000, 3); got != -1 {
		t.Error("remaining of none", got)
	}
	if got := l.Remaining(13000, 2); got != 7 {
		t.Error("remaining after a checkpoint", got)
	}
	renew(13000, 2, 0, Unchecked)
	l.Checkpointed(13000, 2, 0)
	renew(13000, 2, 100, Renewed)
	expired(112999, 1)
	expired(113000, 2)
}

func TestLessorCheckpoints(t *testing.T) {
	l := NewLessor(0, []Lease{{ID: 1, TTL: 3600}, {ID: 2, TTL: 200}}, 0)
	if got := l.Checkpoints(CheckpointInterval-1, 10); got != nil {
		t.Error("early:", got)
	}
	got := l.Checkpoints(CheckpointInterval, 10)
	if fmt.Sprint(got) != fmt.Sprint([]*pb.LeaseCheckpoint{{ID: 1, Remaining_TTL: 3300}}) {
		t.Error(got)
	}
	if got := l.Checkpoints(10*CheckpointInterval, 10); got != nil {
		t.Error("before it was applied:", got)
	}
	l.Checkpointed(CheckpointInterval, 1, 3300)
	if got := l.Checkpoints(2*CheckpointInterval, 10); len(got) != 1 || got[0].Remaining_TTL != 3000 {
		t.Error("again:", got)
	}
}

// TestLessorSpread takes over many leases of the same TTL: they expire at a rate, none before its TTL.
func TestLessorSpread(t *testing.T) {
	var leases []Lease
	for id := range LeaseID(100_000) {
		leases = append(leases, Lease{ID: id + 1, TTL: 10})
	}
	l := NewLessor(0, leases, 0)
	if got := l.Expired(9999, 1); got != nil {
		t.Fatal("before its TTL:", got)
	}
	total := 0
	for second := proto.Millis(10); total < len(leases); second++ {
		got := l.Expired(second*1000+999, 1<<30)
		for _, id := range got {
			l.Revoked(id)
		}
		total += len(got)
		if len(got) > promotedPerSecond {
			t.Fatalf("%d in one second", len(got))
		}
		if len(got) == 0 {
			t.Fatalf("none in second %d, %d in all", second, total)
		}
	}
}

// TestLessorClears keeps leases alive while what remains of them is on its way through the log: what is there in the end must not
// be less than what the client was told.
func TestLessorClears(t *testing.T) {
	l := NewLessor(0, []Lease{{ID: 1, TTL: 3600}}, 0)
	now := CheckpointInterval
	if got := l.Checkpoints(now, 10); len(got) != 1 {
		t.Fatal(got)
	}
	renew := func(want Renewal) {
		t.Helper()
		if ttl, r := l.Renew(now, 1); r != want || (ttl == 3600) != (want == Renewed) {
			t.Errorf("%d, %v, want %v", ttl, r, want)
		}
	}
	renew(Unchecked) // the checkpoint is not applied yet, but comes first
	renew(Clearing)
	l.Checkpointed(now, 1, 3300)
	renew(Clearing)
	now += CheckpointInterval
	if got := l.Checkpoints(now, 10); got != nil { // it would come behind
		t.Error(got)
	}
	l.Checkpointed(now, 1, 0)
	renew(Renewed)
	l.Granted(now, 1, 5) // as if it did not exist
	renew(Renewed)
	now += CheckpointInterval
	if got := l.Checkpoints(now, 10); len(got) != 1 || got[0].Remaining_TTL != 3300 {
		t.Error(got)
	}
}
