package election

import (
	"testing"

	"zebu/proto"
)

func TestNothingBeforeStart(t *testing.T) {
	e := New(Options{ID: 1, Committed: members(t, []proto.ServerID{1, 2, 3}, nil, "")})
	n := proto.Notification{Leader: 2, Round: 1, Version: 2}
	if err := e.Recv(5, 2, &n); err != nil {
		t.Error(err)
	}
	e.PeerUp(5, 2)
	e.PeerDown(5, 3)
	e.Tick(5)
	if r := e.Ready(); len(r.Messages) != 0 || r.Decision != nil || r.Wake != 0 || e.Round() != 0 {
		t.Errorf("%+v", r)
	}
}

// TestOneVoter is an ensemble of one: it needs nobody.
func TestOneVoter(t *testing.T) {
	e := New(Options{ID: 1, Committed: members(t, []proto.ServerID{1}, nil, "")})
	e.Start(7, 0x100000003, 1)
	r := e.Ready()
	if r.Decision == nil || r.Decision.State != proto.Leading || r.Decision.Vote != (Vote{1, 0x100000003, 1, 1}) || r.Wake != 0 {
		t.Errorf("%+v", r)
	}
}

// TestOwnNotifications come back from a peer that lies about its id: they count for nothing.
func TestOwnNotifications(t *testing.T) {
	e := New(Options{ID: 1, Committed: members(t, []proto.ServerID{1, 2, 3}, nil, "")})
	e.Start(0, 0, 0)
	e.Ready()
	if err := e.Recv(1, 1, &proto.Notification{Leader: 3, Round: 1, Version: 2}); err != nil {
		t.Error(err)
	}
	if r := e.Ready(); len(r.Messages) != 0 || e.Vote().Leader != 1 {
		t.Errorf("%+v, votes %v", r, e.Vote())
	}
}

// TestIntervals are settings.
func TestIntervals(t *testing.T) {
	e := New(Options{ID: 1, Committed: members(t, []proto.ServerID{1, 2, 3}, nil, ""), MinNotification: 50, MaxNotification: 120})
	e.Start(0, 0, 0)
	var wakes []proto.Millis
	for range 4 {
		r := e.Ready()
		wakes = append(wakes, r.Wake)
		e.Tick(r.Wake)
	}
	for i, want := range []proto.Millis{50, 150, 270, 390} {
		if wakes[i] != want {
			t.Errorf("wakes at %v", wakes)
		}
	}
}

// TestManyStrangers makes sure that they do not fill the memory, nor the network in the end.
func TestManyStrangers(t *testing.T) {
	e := New(Options{ID: 1, Committed: members(t, []proto.ServerID{1, 2, 3}, nil, "")})
	e.Start(0, 0, 0)
	e.Ready()
	for id := range 10 * maxAnswers {
		n := proto.Notification{Leader: proto.NoServer, Round: 1, Version: 2}
		if err := e.Recv(1, proto.ServerID(100+id), &n); err != nil {
			t.Error(err)
		}
		if r := e.Ready(); len(r.Messages) != 1 {
			t.Fatalf("stranger %d: %d messages", id, len(r.Messages))
		}
	}
	if len(e.answers) > maxAnswers || e.askers.Len() > maxAnswers {
		t.Errorf("remembers %d and %d strangers", len(e.answers), e.askers.Len())
	}
	for _, from := range []proto.ServerID{2, 3} {
		if err := e.Recv(2, from, &proto.Notification{Leader: 3, Round: 1, Version: 2}); err != nil {
			t.Error(err)
		}
	}
	if r := e.Ready(); r.Decision == nil || len(r.Messages) > 2*maxAnswers {
		t.Errorf("%v, %d messages", r.Decision, len(r.Messages))
	}
}

// FuzzRecv lets peers say whatever they like: nothing breaks, and a decision is always for a voter.
func FuzzRecv(f *testing.F) {
	good := proto.Notification{State: proto.Leading, Leader: 3, Zxid: 1, Round: 1, PeerEpoch: 1, Config: "server.1=a:1:2\nversion=5"}
	f.Add(byte(2), good.Append(nil), byte(3), good.Append(nil))
	f.Add(byte(9), good.Append(nil), byte(3), good.Append(nil)[:40])
	f.Fuzz(func(t *testing.T, a byte, x []byte, b byte, y []byte) {
		e := New(Options{ID: 1, Committed: members(t, []proto.ServerID{1, 2, 3}, []proto.ServerID{4}, ""), Reconfig: true})
		e.Start(0, 0, 0)
		now := proto.Millis(0)
		for range 3 {
			for _, p := range []struct {
				from byte
				body []byte
			}{{a, x}, {b, y}} {
				var n proto.Notification
				if n.Decode(p.body) == nil {
					_ = e.Recv(now, proto.ServerID(p.from), &n) // an unreadable configuration is expected
				}
				r := e.Ready()
				if r.Decision != nil && !e.voters.Has(r.Decision.Vote.Leader) {
					t.Fatalf("decided on %v", r.Decision.Vote)
				}
				if (e.State() == proto.Looking) != (r.Wake > now) {
					t.Fatalf("%v wants to wake at %d, now is %d", e.State(), r.Wake, now)
				}
				now += 70
				e.Tick(now)
			}
		}
	})
}
