package sim

import (
	"errors"
	"flag"
	"fmt"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
	"zebu/replica"
)

var movesFlag = flag.Uint64("sim.moves", 20, "run so many seeds in which the leader is moved besides")

// mover moves the leader now and then, and puts keys of its own meanwhile, of each of which it remembers what it was told.
type mover struct {
	*World
	every Time
	moves []*replica.Call
	puts  []*replica.Call // the i-th is of key m<i>
	ended bool
}

// move asks the leader to make room for a voter.
func (m *mover) move() {
	if m.ended {
		return
	}
	m.after(m.every/2+Time(m.intn(int(m.every))), m.move)
	for _, h := range m.hosts {
		if h.up && !h.paused && h.m != nil && h.m.Serving() && h.m.State() == proto.Leading {
			call := &replica.Call{Kind: replica.HandOver, To: m.hosts[m.intn(m.o.Voters)].id}
			m.moves = append(m.moves, call)
			m.tracef("server %d shall make room for %d", h.id, call.To)
			h.input(func() { h.m.Call(call) })
		}
	}
}

// put asks any server for a key that nobody has put before.
func (m *mover) put() {
	if m.ended {
		return
	}
	m.after(Time(m.intn(int(40*Millisecond+2*m.o.Fsync))), m.put)
	h := m.hosts[m.intn(len(m.hosts))]
	if !h.up || h.paused || h.m == nil || m.o.EtcdUsers == 0 {
		return
	}
	record, err := mvcc.NewRecord(&pb.PutRequest{Key: fmt.Appendf(nil, "m%d", len(m.puts))}).Encode()
	if err != nil {
		m.failf("%v", err)
		return
	}
	call := &replica.Call{Kind: replica.Propose, Record: record}
	m.puts = append(m.puts, call)
	h.input(func() { h.m.Call(call) })
}

// verify holds what is there to what was told. A put that was refused for want of a leader may be asked for again: it must not be done.
func (m *mover) verify(t *testing.T) (done, refused, unknown int) {
	t.Helper()
	for _, h := range m.members() {
		store := h.rep.Etcd()
		for i, call := range m.puts {
			resp, err := store.Range(&pb.RangeRequest{Key: fmt.Appendf(nil, "m%d", i)})
			switch {
			case err != nil:
				t.Fatal(err)
			case call.Err == nil && call.Result.Revision > 0:
				if done++; len(resp.Kvs) != 1 || resp.Kvs[0].ModRevision != call.Result.Revision {
					t.Fatalf("server %d: m%d was put at revision %d, and is %v", h.id, i, call.Result.Revision, resp.Kvs)
				}
			case errors.Is(call.Err, mvcc.ErrNoLeader):
				if refused++; len(resp.Kvs) != 0 {
					t.Fatalf("server %d: m%d was not proposed, and is %v", h.id, i, resp.Kvs)
				}
			default:
				unknown++
			}
		}
	}
	return done, refused, unknown
}

// TestMoveLeader moves the leader of an ensemble to which nothing else happens: it goes where it is told to, each time with one election.
func TestMoveLeader(t *testing.T) {
	for _, voters := range []int{2, 3, 5} {
		s := play(t, uint64(voters), func(o *Options) {
			o.Voters, o.Observers, o.Clients, o.EtcdUsers, o.SessionTimeout = voters, 1, 3, 3, 10_000
		})
		for _, c := range s.clients {
			c.idle = false
			c.work()
		}
		m := &mover{World: s.World}
		m.put()
		s.await("the first put", func() bool { return len(m.puts) > 0 && m.puts[0].Result.Revision > 0 })
		var longest Time
		for i := range 6 * voters {
			s.RunUntil(s.now + Time(s.intn(int(300*Millisecond))))
			from := s.theLeader()
			to := s.hosts[(from.index+1+i%(voters-1))%voters]
			epoch := from.m.Vote().Epoch
			call := &replica.Call{Kind: replica.HandOver, To: to.id}
			from.input(func() { from.m.Call(call) })
			start := s.now
			s.await(fmt.Sprintf("server %d leads", to.id), func() bool {
				if call.Err != nil {
					t.Fatalf("from %d to %d: %v", from.id, to.id, call.Err)
				}
				return s.served() && from.m.State() != proto.Leading
			})
			longest = max(longest, s.now-start)
			if got := s.theLeader(); got != to || got.m.Vote().Epoch != epoch+1 {
				t.Fatalf("server %d leads epoch %d; server %d led epoch %d and was to make room for %d", got.id, got.m.Vote().Epoch, from.id, epoch, to.id)
			}
		}
		m.ended = true
		s.finish()
		done, refused, unknown := m.verify(t)
		if done == 0 || unknown > 0 {
			t.Errorf("%d puts were done, of %d nobody knows", done, unknown)
		}
		t.Logf("%d voters: longest %v, %d puts done, %d refused", voters, longest, done, refused)
	}
}

// TestMoveLeaderUnderFaults moves the leader in ensembles to which everything else happens too.
func TestMoveLeaderUnderFaults(t *testing.T) {
	first, last := *fromFlag, *fromFlag+*movesFlag-1
	if *seedFlag != 0 {
		first, last = *seedFlag, *seedFlag
	}
	var moved, gaveUp, done, refused, unknown int
	for seed := first; seed <= last; seed++ {
		p := NewPlan(seed)
		p.Options.EtcdUsers = max(1, p.Options.EtcdUsers)
		p.Options.Pipeline, p.Options.InitLimit = min(5, p.Options.Pipeline), 10 // there is more to do than plans reckon with
		w := NewWorld(seed, p.Options)
		m := &mover{World: w, every: 700 * Millisecond}
		trace := &Tail{Size: *lastFlag}
		w.trace = trace.Add
		w.Start()
		m.move()
		m.put()
		for i := range p.Faults {
			f := p.Faults[i]
			w.at(f.At, func() { w.harm(&f, p.Long) })
		}
		w.hooks.role = w.crashBeginner
		if w.RunUntil(p.Length) {
			m.ended = true
			w.settle(true)
		}
		if w.Err() != nil {
			for _, line := range trace.Lines() {
				t.Log(line)
			}
			t.Fatalf("%v\nrerun: go test ./sim -run TestMoveLeaderUnderFaults -sim.seed=%d -v", w.Err(), seed)
		}
		d, r, u := m.verify(t)
		done, refused, unknown = done+d, refused+r, unknown+u
		for _, call := range m.moves {
			switch {
			case errors.Is(call.Err, replica.ErrGaveUp):
				gaveUp++
			case call.Err == nil:
				moved++
			}
		}
	}
	t.Logf("%d leaders left, %d gave up; by server, %d puts were done, %d refused, of %d nobody knows", moved, gaveUp, done, refused, unknown)
	if first != last && (moved == 0 || gaveUp == 0 || refused == 0) {
		t.Error("that is not much")
	}
}
