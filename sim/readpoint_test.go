package sim

import (
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
	"zebu/replica"
)

// ask has a user of the etcd API ask a server for something.
func (s *script) ask(u *etcdUser, h *Host, kind replica.CallKind, request mvcc.Message) {
	s.t.Helper()
	op := &etcdOp{user: u, kind: kind, request: request, floor: s.etcd.seen, begun: s.etcd.tick()}
	op.call = &replica.Call{Kind: kind, Handle: op}
	if kind == replica.Propose {
		record, err := mvcc.NewRecord(request).Encode()
		if err != nil {
			s.t.Fatal(err)
		}
		op.call.Record = record
	}
	u.op = op
	s.etcd.ops = append(s.etcd.ops, op)
	h.input(func() { h.m.Call(op.call) })
}

// Two of five machines are suspended, the leader's and a follower's, and the others go on without them. Back again the two still follow each
// other: what they agree on is not what a quorum says.
func twoOfFiveReadNothing(t testing.TB) {
	for seed := range uint64(10) {
		s := play(t, seed, func(o *Options) { o.Voters, o.EtcdUsers, o.SessionTimeout = 5, 1, 30_000 })
		u, old := s.users[0], s.theLeader()
		follower := s.others(old)[0]
		u.idle = true
		answered := func() bool { return u.op == nil }
		s.await("the user", answered)
		s.ask(u, old, replica.Propose, &pb.PutRequest{Key: []byte("k0"), Value: []byte("old")})
		s.await("a put", answered)
		s.ask(u, follower, replica.ReadPoint, &pb.RangeRequest{Key: []byte("k0")})
		s.await("a read", answered)
		old.Suspend()
		follower.Suspend()
		s.awaitAnotherLeader(old)
		for _, h := range s.others(old) {
			if h.m.Serving() && h.m.State() == proto.Leading {
				s.ask(u, h, replica.Propose, &pb.PutRequest{Key: []byte("k0"), Value: []byte("new")})
			}
		}
		s.await("another put", answered)
		follower.Resume()
		old.Resume()
		u.idle = false // goes on after that
		s.ask(u, follower, replica.ReadPoint, &pb.RangeRequest{Key: []byte("k0")})
		s.finish()
	}
}
