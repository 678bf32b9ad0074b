package quorum

import (
	"math/rand/v2"
	"slices"
	"testing"

	"zebu/proto"
)

func config(t *testing.T, text string) *Config {
	t.Helper()
	c, err := ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	three = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer\n"
	nine  = "server.1=a:1:2\nserver.2=a:1:2\nserver.3=a:1:2\nserver.4=a:1:2\nserver.5=a:1:2\nserver.6=a:1:2\n" +
		"server.7=a:1:2\nserver.8=a:1:2\nserver.9=a:1:2\ngroup.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9\n"
)

func TestQuorums(t *testing.T) {
	for _, c := range []struct {
		name, text string
		yes, no    [][]proto.ServerID
	}{
		{
			"majority", three,
			[][]proto.ServerID{{1, 2}, {2, 3}, {1, 2, 3}, {1, 3, 4}},
			[][]proto.ServerID{{}, {1}, {1, 4}, {4, 5, 6}},
		},
		{
			"two", "server.1=a:1:2\nserver.2=b:1:2",
			[][]proto.ServerID{{1, 2}},
			[][]proto.ServerID{{1}, {2}, {}},
		},
		{
			"one", "server.1=a:1:2\nserver.2=b:1:2:observer",
			[][]proto.ServerID{{1}, {1, 2}},
			[][]proto.ServerID{{2}, {}},
		},
		{
			"groups", nine,
			[][]proto.ServerID{{1, 2, 4, 5}, {1, 2, 3, 5, 6}, {4, 6, 7, 9}},
			[][]proto.ServerID{{1, 2, 3}, {1, 4, 7}, {1, 2, 3, 4, 7}, {1, 2}},
		},
		{
			"weights", nine + "weight.1=5\nweight.7=0\nweight.8=0\nweight.9=0\n",
			[][]proto.ServerID{{1, 4, 5}, {1, 2, 5, 6}}, // group 3 weighs nothing: two groups are left, both are needed
			[][]proto.ServerID{{1, 7, 8, 9}, {2, 3, 4, 5, 6}, {4, 5, 6, 7, 8, 9}},
		},
		{
			"more groups than one counts on the stack",
			"server.0=a:1:2\nserver.1=a:1:2\nserver.2=a:1:2\nserver.3=a:1:2\nserver.4=a:1:2\nserver.5=a:1:2\nserver.6=a:1:2\n" +
				"server.7=a:1:2\nserver.8=a:1:2\ngroup.0=0\ngroup.1=1\ngroup.2=2\ngroup.3=3\ngroup.4=4\ngroup.5=5\ngroup.6=6\n" +
				"group.7=7\ngroup.8=8\n",
			[][]proto.ServerID{{0, 2, 4, 6, 8}},
			[][]proto.ServerID{{0, 2, 4, 6}},
		},
		{
			"a weighed observer in a group", three + "group.1=1:2:3:4\nweight.4=2",
			[][]proto.ServerID{{1, 2, 3}},
			[][]proto.ServerID{{1, 2, 4}, {1, 2}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := config(t, c.text).Verifier()
			for _, ids := range c.yes {
				if !v.HasQuorum(NewSet(ids...)) {
					t.Errorf("%v is a quorum", ids)
				}
			}
			for _, ids := range c.no {
				if v.HasQuorum(NewSet(ids...)) {
					t.Errorf("%v is not a quorum", ids)
				}
			}
		})
	}
}

func TestJoint(t *testing.T) {
	old, next := config(t, three).Verifier(), config(t, "server.3=a:1:2\nserver.5=a:1:2\nserver.6=a:1:2").Verifier()
	j := NewJoint(old, next)
	if got := j.Voters().String(); got != "1,2,3,5,6" {
		t.Errorf("voters %s", got)
	}
	for ids, want := range map[string]bool{"1,2": false, "5,6": false, "1,3,5": true, "1,2,5,6": true, "2,3,4": false} {
		if j.HasQuorum(parseSet(t, ids)) != want {
			t.Errorf("%s: a quorum of both: not %v", ids, want)
		}
	}
	heavy := config(t, nine+"weight.1=5\nweight.2=0")
	for id, want := range map[proto.ServerID]int64{1: 5, 2: 0, 3: 1, 5: 1, 11: 1, 12: 0} {
		j := NewJoint(heavy.Verifier(), config(t, "server.5=a:1:2\nserver.11=b:1:2").Verifier())
		if got := j.Weight(id); got != want {
			t.Errorf("weight of %d is %d, want %d", id, got, want)
		}
	}
}

func parseSet(t *testing.T, text string) Set {
	t.Helper()
	var s Set
	n := proto.ServerID(0)
	for _, c := range text + "," {
		if c == ',' {
			s.Add(n)
			n = 0
		} else {
			n = 10*n + proto.ServerID(c-'0')
		}
	}
	return s
}

func TestOracle(t *testing.T) {
	two := config(t, "server.1=a:1:2\nserver.2=b:1:2").Verifier()
	for _, c := range []struct {
		o    Oracle
		v    Verifier
		acks Set
		want bool
	}{
		{Oracle{}, two, NewSet(1), false},
		{Oracle{Needed: true}, two, NewSet(1), false},
		{Oracle{Grants: true}, two, NewSet(1), false},
		{Oracle{Needed: true, Grants: true}, two, NewSet(1), true},
		{Oracle{}, two, NewSet(1, 2), true},
		{Oracle{Needed: true, Grants: true}, config(t, three).Verifier(), NewSet(1), false},
	} {
		if got := c.o.HasQuorum(c.v, c.acks); got != c.want {
			t.Errorf("%+v with %v of %v: %v", c.o, c.acks, c.v.Voters(), got)
		}
	}
}

// TestQuorumsIntersect checks what everything else relies on, with random groups and weights.
func TestQuorumsIntersect(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := 1 + r.IntN(7)
		c := &Config{}
		groups := 1 + r.IntN(3)
		c.Groups = make([]Group, groups)
		for g := range c.Groups {
			c.Groups[g].ID = int64(g)
		}
		for i := range n {
			id := proto.ServerID(i + 1)
			c.Members = append(c.Members, Member{ID: id, Addrs: []PeerAddr{{"a", 1, 2}}})
			g := r.IntN(groups)
			c.Groups[g].Servers = append(c.Groups[g].Servers, id)
			c.Weights = append(c.Weights, Weight{id, r.Int64N(4)})
		}
		if r.IntN(3) == 0 {
			c.Groups, c.Weights = nil, nil
		}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		v := c.Verifier()
		for mask := range 1 << n {
			var a, b Set
			for i := range n {
				if mask>>i&1 == 1 {
					a.Add(proto.ServerID(i + 1))
				} else {
					b.Add(proto.ServerID(i + 1))
				}
			}
			if v.HasQuorum(a) && v.HasQuorum(b) {
				t.Fatalf("%v: %v and %v are quorums", c, a, b)
			}
		}
	}
}

func TestSet(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var s Set
	model := map[proto.ServerID]bool{}
	for range 2000 {
		id := proto.ServerID(r.IntN(20))
		switch r.IntN(3) {
		case 0, 1:
			if s.Add(id) == model[id] {
				t.Fatalf("Add(%d)", id)
			}
			model[id] = true
		default:
			if s.Remove(id) != model[id] {
				t.Fatalf("Remove(%d)", id)
			}
			delete(model, id)
		}
		if s.Len() != len(model) || !slices.IsSorted(s.IDs()) || s.Has(id) != model[id] {
			t.Fatalf("%v, %v", s, model)
		}
	}
	u := NewSet(3, 1, 3).Union(NewSet(2))
	if u.String() != "1,2,3" || !u.Equal(NewSet(1, 2, 3)) || u.Equal(NewSet(1, 2)) {
		t.Errorf("union %v", u)
	}
	c := u.Clone()
	c.Clear()
	if u.Len() != 3 || c.Len() != 0 {
		t.Errorf("a clone is not apart: %v %v", u, c)
	}
}

func TestHasQuorumAllocatesNothing(t *testing.T) {
	acks := NewSet(1, 2, 4, 5)
	for _, text := range []string{three, nine} {
		v := config(t, text).Verifier()
		if n := testing.AllocsPerRun(100, func() { v.HasQuorum(acks) }); n != 0 {
			t.Errorf("%v: %v allocations", v.Voters(), n)
		}
	}
}
