package mvcc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/proto"
)

func encode(t *testing.T, m Message) []byte {
	t.Helper()
	b, err := NewRecord(m).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// space is a Store on Memory that tests give requests to.
type space struct {
	*Store
	t    *testing.T
	mem  *Memory
	opts Options
}

func newSpace(t *testing.T, o Options) *space {
	s := &space{t: t, mem: &Memory{}, opts: o}
	s.open()
	return s
}

// open opens what is stored.
func (s *space) open() {
	s.t.Helper()
	var err error
	if s.Store, err = Open(s.mem, s.opts); err != nil {
		s.t.Fatal(err)
	}
}

// store commits what is to be committed.
func (s *space) store() {
	for b := s.Take(); b != nil; b = s.Take() {
		s.mem.Commit(b)
		s.Stored(b)
	}
}

// do applies a request, which must end as wanted, and returns the response.
func (s *space) do(m Message, want error) Message {
	s.t.Helper()
	result, err := s.Apply(s.Applied()+1, encode(s.t, m))
	if err != nil || result.Err != want || want == nil && result.Response == nil {
		s.t.Fatalf("%T %v: %+v, %v; want %v", m, m, result, err, want)
	}
	return result.Response
}

func put(key, value string, lease int64) *pb.PutRequest {
	return &pb.PutRequest{Key: []byte(key), Value: []byte(value), Lease: lease}
}

func TestReopen(t *testing.T) {
	s := newSpace(t, Options{})
	for i := range 3 {
		s.do(put("a", fmt.Sprint(i), 0), nil)
	}
	want, err := s.Range(&pb.RangeRequest{Key: []byte("a")})
	if err != nil || want.Kvs[0].Version != 3 || string(want.Kvs[0].Value) != "2" {
		t.Fatal(want, err)
	}
	s.store()
	s.Advance(100)
	if s.Take() != nil {
		t.Error("a batch for the zxid alone")
	}
	b := s.TakeMark()
	s.mem.Commit(b)
	s.Stored(b)
	if s.TakeMark() != nil {
		t.Error("a batch for nothing")
	}
	s.open()
	got, err := s.Range(&pb.RangeRequest{Key: []byte("a")})
	if err != nil || got.String() != want.String() || s.Applied() != 100 {
		t.Fatal(got, err, s.Applied())
	}
	if s.Take() != nil {
		t.Error("something to commit although nothing happened")
	}
}

// TestOpenDamaged takes one record after the other out of the storage: it is noticed, or it was one that a compaction made superfluous.
func TestOpenDamaged(t *testing.T) {
	s := newSpace(t, Options{})
	for i := range 20 {
		s.do(put(fmt.Sprint(i%3), "v", 0), nil)
		if i%5 == 4 {
			s.do(&pb.DeleteRangeRequest{Key: []byte("1")}, nil)
		}
	}
	s.do(&pb.CompactionRequest{Revision: 4}, nil)
	for s.CompactStep(10) {
	}
	s.store()
	var keys []string
	s.mem.records.Scan(func(k string, _ []byte) bool {
		keys = append(keys, k)
		return true
	})
	for _, k := range keys {
		r, _, isChange := parseChangeKey([]byte(k))
		if isChange && r.Main <= 4 {
			continue
		}
		value, _ := s.mem.records.Delete(k)
		_, err := Open(s.mem, Options{})
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("without %q: %v", k, err)
		}
		s.mem.records.Set(k, value)
		for i := range value {
			damaged := bytes.Clone(value)
			damaged[i] ^= 0x55
			s.mem.records.Set(k, damaged)
			if _, err := Open(s.mem, Options{}); err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("with %q: %v", k, err)
			}
		}
		s.mem.records.Set(k, value)
	}
	s.open()
}

// TestParts holds the parts of an answer against the whole, with what is stored, what is not, and compaction in between.
func TestParts(t *testing.T) {
	s := newSpace(t, Options{})
	for i := range 40 {
		if i == 25 {
			s.store()
		}
		s.do(put(fmt.Sprintf("%03d", i), "value", 0), nil)
	}
	for _, r := range []*pb.RangeRequest{
		{Key: []byte{0}, RangeEnd: []byte{0}},
		{Key: []byte{0}, RangeEnd: []byte{0}, Limit: 17, KeysOnly: true},
		{Key: []byte{0}, RangeEnd: []byte{0}, Limit: 40, SortOrder: pb.RangeRequest_ASCEND},
		{Key: []byte{0}, RangeEnd: []byte{0}, CountOnly: true, Revision: 7},
		{Key: []byte("none")},
	} {
		want, err := s.Range(r)
		if err != nil || !InParts(r) {
			t.Fatal(err)
		}
		read, err := s.StartRange(r)
		if err != nil {
			t.Fatal(err)
		}
		s.do(put("020", "other", 0), nil)
		s.store()
		got, last := &pb.RangeResponse{}, false
		for !last {
			var part *pb.RangeResponse
			if part, last, err = read.Part(7); err != nil || len(part.Kvs) > 7 || !last && part.Header != nil {
				t.Fatal(part, err)
			}
			part.Kvs = append(got.Kvs, part.Kvs...)
			got = part
		}
		if got.String() != want.String() {
			t.Errorf("%v: in parts %v, at once %v", r, got, want)
		}
	}
	if InParts(&pb.RangeRequest{SortTarget: pb.RangeRequest_MOD}) || InParts(&pb.RangeRequest{MinModRevision: 1}) || InParts(&pb.RangeRequest{SortOrder: pb.RangeRequest_DESCEND}) {
		t.Error("in parts although sorted or filtered")
	}
}

func TestCompact(t *testing.T) {
	s := newSpace(t, Options{})
	s.do(put("a", "1", 0), nil)                         // 2
	s.do(put("b", "1", 0), nil)                         // 3
	s.do(put("a", "2", 0), nil)                         // 4
	s.do(&pb.DeleteRangeRequest{Key: []byte("b")}, nil) // 5
	s.do(put("c", "1", 0), nil)                         // 6
	s.do(&pb.CompactionRequest{Revision: 7}, ErrFutureRev)
	s.do(&pb.CompactionRequest{Revision: 0}, nil) // the floor is -1
	s.do(&pb.CompactionRequest{Revision: 0}, ErrCompacted)
	r := s.do(&pb.CompactionRequest{Revision: 5}, nil)
	if r.(*pb.CompactionResponse).Header.Revision != 6 {
		t.Error(r)
	}
	for rev, want := range map[int64]error{4: ErrCompacted, 5: nil, 6: nil, 7: ErrFutureRev, -5: nil} {
		if _, err := s.Range(&pb.RangeRequest{Key: []byte("a"), Revision: rev}); err != want {
			t.Errorf("range at %d: %v, want %v", rev, err, want)
		}
	}
	size := s.Size()
	for s.CompactStep(1) {
	}
	if s.Size() >= size {
		t.Errorf("size was %d and is %d", size, s.Size())
	}
	history, err := s.History(5, 6)
	if err != nil || len(history) != 2 || history[0].Revision != 5 {
		t.Errorf("the deletion at the compaction is gone: %v, %v", history, err)
	}
	s.do(&pb.CompactionRequest{Revision: 6}, nil)
	s.store()
	s.open() // before the compaction was carried out
	if !s.Compacting() || s.Revision() != 6 {
		t.Errorf("revision %d, compacting %v", s.Revision(), s.Compacting())
	}
	for s.CompactStep(1) {
	}
	s.store()
	changes := 0
	s.mem.View().Scan([]byte{prefixChange}, []byte{prefixChange + 1}, func(_, _ []byte) error {
		changes++
		return nil
	})
	if changes != 2 {
		t.Errorf("%d changes are left of two keys", changes)
	}
}

// TestCompactLarge has more to delete than goes into one batch, and nothing else happens meanwhile.
func TestCompactLarge(t *testing.T) {
	s := newSpace(t, Options{})
	for i := range 6*maxDrops + 10 { // a key with many versions, and many with some
		s.do(put(fmt.Sprint(max(0, i-4*maxDrops)%100), "", 0), nil)
		if i == 2*maxDrops {
			s.do(&pb.DeleteRangeRequest{Key: []byte("0")}, nil)
		}
	}
	s.do(&pb.CompactionRequest{Revision: s.Revision() - 10}, nil)
	s.store()
	before := s.state()
	steps := 0
	for s.CompactStep(1 << 20) {
		b := s.Take()
		if b == nil || len(b.Ops) > maxDrops+1 {
			t.Fatalf("step %d: %v", steps, b)
		}
		s.mem.Commit(b)
		s.Stored(b)
		steps++
		if after := s.state(); after != before {
			t.Fatalf("step %d: %s, and before %s", steps, after, before)
		}
		size := s.Size()
		if s.open(); s.Size() != size || s.state() != before {
			t.Fatalf("step %d: size %d, was %d; %s, was %s", steps, s.Size(), size, s.state(), before)
		}
	}
	s.store()
	if steps < 5 {
		t.Errorf("%d steps", steps)
	}
	size := s.Size()
	if s.open(); s.Size() != size || s.Compacting() || s.state() != before {
		t.Errorf("size %d, was %d", s.Size(), size)
	}
}

// state is what can be read now and just after the compaction.
func (s *space) state() string {
	s.t.Helper()
	text := ""
	for _, rev := range []int64{0, s.Compacted()} {
		resp, err := s.Range(&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, Revision: rev})
		if err != nil {
			s.t.Fatal(err)
		}
		h, err := s.HashKV(rev)
		if err != nil {
			s.t.Fatal(err)
		}
		text += fmt.Sprintf("%v %+v ", resp, h)
	}
	return text
}

// TestBatchesAreBounded applies so much at once that is no new change that it has to be committed in several batches.
func TestBatchesAreBounded(t *testing.T) {
	s := newSpace(t, Options{})
	const n = 3*maxLate + 7
	for i := range int64(n) {
		s.do(&pb.LeaseGrantRequest{ID: i + 1, TTL: 10}, nil)
	}
	if got, bytes := s.Untaken(); got < n || bytes < n*leaseRecordLen {
		t.Errorf("%d untaken, of %d bytes", got, bytes)
	}
	leases := 0
	for b := s.Take(); b != nil; b = s.Take() {
		if len(b.Ops) > maxLate+1 {
			t.Errorf("a batch of %d", len(b.Ops))
		}
		leases += len(b.Ops) - 1
		s.mem.Commit(b)
		s.Stored(b)
		other, err := Open(s.mem.Copy(), Options{})
		if err != nil || other.NumLeases() != leases || other.Applied() != proto.Zxid(leases) {
			t.Fatal(leases, other.NumLeases(), other.Applied(), err)
		}
	}
	if leases != n {
		t.Errorf("%d leases in batches", leases)
	}
}

// TestRevisionStays compacts a deletion that is the newest change: the revision must not go back (etcd issue 17780).
func TestRevisionStays(t *testing.T) {
	s := newSpace(t, Options{})
	s.do(put("a", "1", 0), nil)
	s.do(&pb.DeleteRangeRequest{Key: []byte("a")}, nil)
	s.do(put("b", "1", 0), nil)
	s.do(&pb.DeleteRangeRequest{Key: []byte("b")}, nil)
	s.do(&pb.CompactionRequest{Revision: 5}, nil)
	for s.CompactStep(10) {
	}
	s.store()
	s.open()
	if s.Revision() != 5 {
		t.Errorf("revision %d", s.Revision())
	}
}

func TestLeases(t *testing.T) {
	s := newSpace(t, Options{})
	s.do(&pb.LeaseGrantRequest{ID: 0, TTL: 5}, ErrLeaseNotFound)
	s.do(&pb.LeaseGrantRequest{ID: 1, TTL: MaxTTL + 1}, ErrLeaseTooLarge)
	s.do(&pb.LeaseGrantRequest{ID: 1, TTL: 5}, nil)
	s.do(&pb.LeaseGrantRequest{ID: 1, TTL: 5}, ErrLeaseExists)
	s.do(&pb.LeaseGrantRequest{ID: 2, TTL: 5}, nil)
	s.do(put("x", "", 3), ErrLeaseNotFound)
	for _, key := range []string{"c", "a", "b", "d"} {
		s.do(put(key, "", 1), nil)
	}
	s.do(put("b", "", 2), nil) // moves
	s.do(put("d", "", 0), nil) // leaves
	s.do(&pb.LeaseCheckpointRequest{Checkpoints: []*pb.LeaseCheckpoint{{ID: 2, Remaining_TTL: 3}, {ID: 9, Remaining_TTL: 3}}}, nil)
	check := func(when string) {
		t.Helper()
		if got := s.LeaseKeys(1); !slices.Equal(got, []string{"a", "c"}) {
			t.Errorf("%s: keys of 1: %v", when, got)
		}
		if got := s.LeaseKeys(2); !slices.Equal(got, []string{"b"}) {
			t.Errorf("%s: keys of 2: %v", when, got)
		}
		if got := s.Leases(); !slices.Equal(got, []Lease{{1, 5, 0}, {2, 5, 3}}) {
			t.Errorf("%s: %v", when, got)
		}
	}
	check("applied")
	s.store()
	s.open()
	check("opened")
	before := s.Revision()
	result, err := s.Apply(s.Applied()+1, encode(t, &pb.LeaseRevokeRequest{ID: 1}))
	if err != nil || result.Revision != before+1 || len(result.Events) != 2 || string(result.Events[0].Kv.Key) != "a" {
		t.Errorf("revoke: %+v, %v", result, err)
	}
	s.do(&pb.LeaseRevokeRequest{ID: 1}, ErrLeaseNotFound)
	s.do(&pb.DeleteRangeRequest{Key: []byte("b")}, nil)
	before = s.Revision()
	s.do(&pb.LeaseRevokeRequest{ID: 2}, nil)
	if s.Revision() != before || len(s.Leases()) != 0 {
		t.Errorf("revision %d, was %d; %v", s.Revision(), before, s.Leases())
	}
}

func TestCompleteGrant(t *testing.T) {
	s := newSpace(t, Options{})
	r := &pb.LeaseGrantRequest{TTL: -3}
	s.CompleteGrant(r, 2, 1<<63)
	if r.ID != 1 || r.TTL != 2 {
		t.Error(r)
	}
	s.do(r, nil)
	r = &pb.LeaseGrantRequest{TTL: 60}
	s.CompleteGrant(r, 2, 1)
	if r.ID != 2 || r.TTL != 60 {
		t.Error(r)
	}
	r = &pb.LeaseGrantRequest{ID: 1}
	if s.CompleteGrant(r, 2, 9); r.ID != 1 {
		t.Error(r)
	}
}

func TestAlarms(t *testing.T) {
	s := newSpace(t, Options{})
	alarm := func(a pb.AlarmRequest_AlarmAction, member uint64, kind pb.AlarmType, want ...uint64) {
		t.Helper()
		var got []uint64
		for _, m := range s.do(&pb.AlarmRequest{Action: a, MemberID: member, Alarm: kind}, nil).(*pb.AlarmResponse).Alarms {
			got = append(got, m.MemberID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v %d %v: %v, want %v", a, member, kind, got, want)
		}
	}
	txn := func(list ...*pb.RequestOp) Message { return &pb.TxnRequest{Failure: list} }
	alarm(pb.AlarmRequest_ACTIVATE, 1, pb.AlarmType_NONE)
	alarm(pb.AlarmRequest_ACTIVATE, 2, pb.AlarmType_NOSPACE, 2)
	alarm(pb.AlarmRequest_ACTIVATE, 2, pb.AlarmType_NOSPACE, 2)
	alarm(pb.AlarmRequest_ACTIVATE, 1, pb.AlarmType_NOSPACE, 1)
	s.store()
	s.open()
	s.do(put("a", "", 0), ErrNoSpace)
	s.do(txn(putOp("a")), ErrNoSpace)
	s.do(txn(txnOp([]*pb.RequestOp{putOp("a")}, nil)), ErrNoSpace)
	s.do(txn(delOp("a", "")), nil)
	s.do(&pb.LeaseGrantRequest{ID: 1, TTL: 5}, ErrNoSpace)
	s.do(&pb.DeleteRangeRequest{Key: []byte("a")}, nil)
	s.do(&pb.LeaseRevokeRequest{ID: 1}, ErrLeaseNotFound)
	s.do(&pb.CompactionRequest{Revision: 1}, nil)
	alarm(pb.AlarmRequest_GET, 0, pb.AlarmType_NONE, 1, 2)
	alarm(pb.AlarmRequest_GET, 0, pb.AlarmType_CORRUPT)
	alarm(pb.AlarmRequest_DEACTIVATE, 1, pb.AlarmType_NOSPACE, 1)
	alarm(pb.AlarmRequest_DEACTIVATE, 1, pb.AlarmType_NOSPACE)
	s.do(put("a", "", 0), ErrNoSpace)
	alarm(pb.AlarmRequest_DEACTIVATE, 2, pb.AlarmType_NOSPACE, 2)
	s.do(put("a", "", 0), nil)
	alarm(pb.AlarmRequest_ACTIVATE, 3, pb.AlarmType_CORRUPT, 3)
	for _, m := range []Message{put("a", "", 0), &pb.DeleteRangeRequest{Key: []byte("a")}, txn(), &pb.CompactionRequest{}, &pb.LeaseGrantRequest{ID: 1}, &pb.LeaseRevokeRequest{ID: 1}} {
		s.do(m, ErrCorrupt)
	}
	s.do(&pb.LeaseCheckpointRequest{}, nil)
	s.do(&pb.AuthEnableRequest{}, ErrNoAuth)
	if _, err := s.Range(&pb.RangeRequest{Key: []byte("a")}); err != nil {
		t.Error(err)
	}
}

func TestQuota(t *testing.T) {
	s := newSpace(t, Options{Quota: 1000})
	if err := s.Admit(put("a", "", 0)); err != nil {
		t.Error(err)
	}
	large := put("a", string(make([]byte, 800)), 0)
	if err := s.Admit(large); err != ErrNoSpace {
		t.Error(err)
	}
	s.do(large, ErrNoSpace) // admitted by a server with more space: it has its effect
	if got, err := s.Range(&pb.RangeRequest{Key: []byte("a")}); err != nil || got.Count != 1 {
		t.Error(got, err)
	}
	if err := s.Admit(&pb.LeaseGrantRequest{}); err != nil && s.Size() < 900 || err == nil && s.Size() > 936 {
		t.Error(s.Size(), err)
	}
	if err := s.Admit(&pb.DeleteRangeRequest{}); err != nil {
		t.Error(err)
	}
	s = newSpace(t, Options{Quota: -1})
	if err := s.Admit(put("a", string(make([]byte, 1<<20)), 0)); err != nil {
		t.Error(err)
	}
}

// judge permits what "root" does, and counts users in a record.
type judge struct {
	s *Store
}

func (j *judge) Permit(r Record) error {
	if r.User != "root" {
		return ErrEmptyKey // any outcome will do
	}
	return nil
}

func (j *judge) Apply(_ proto.Zxid, request Message) (Message, error) {
	if r, ok := request.(*pb.AuthUserAddRequest); ok {
		j.s.SetAuth("user/"+r.Name, []byte(r.HashedPassword))
		return &pb.AuthUserAddResponse{}, nil
	}
	j.s.RemoveAuth("user/" + request.(*pb.AuthUserDeleteRequest).Name)
	return &pb.AuthUserDeleteResponse{}, nil
}

func TestAuthority(t *testing.T) {
	s := newSpace(t, Options{Authority: func(s *Store) (Authority, error) { return &judge{s}, nil }})
	s.do(put("a", "", 0), ErrEmptyKey)
	as := func(m Message) {
		t.Helper()
		r := NewRecord(m)
		r.User = "root"
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if result, err := s.Apply(s.Applied()+1, b); err != nil || result.Err != nil {
			t.Fatal(result, err)
		}
	}
	size := s.Size()
	as(&pb.AuthUserAddRequest{Name: "u", HashedPassword: "h"})
	as(&pb.AuthUserAddRequest{Name: "v", HashedPassword: "1"})
	as(&pb.AuthUserAddRequest{Name: "v", HashedPassword: "234"})
	s.store()
	var image bytes.Buffer
	if err := WriteImage(&image, s.mem.View()); err != nil {
		t.Fatal(err)
	}
	s.mem = &Memory{}
	if _, err := ReadImage(&image, func(b *Batch) error { s.mem.Commit(b); return nil }); err != nil {
		t.Fatal(err)
	}
	s.open()
	if j, ok := s.Authority().(*judge); !ok || j.s != s.Store {
		t.Error("the Authority is another Store's")
	}
	as(&pb.AuthUserDeleteRequest{Name: "u"})
	as(&pb.AuthUserDeleteRequest{Name: "u"})
	var users []string
	s.AuthFrom("user/", func(key string, _ []byte) bool {
		users = append(users, key)
		return true
	})
	if h, ok := s.Auth("user/v"); !ok || string(h) != "234" || !slices.Equal(users, []string{"user/v"}) || s.Size() != size+10 {
		t.Errorf("%q, %v, %v, size %d", h, ok, users, s.Size()-size)
	}
}
