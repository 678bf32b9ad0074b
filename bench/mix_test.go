package main

import (
	"math/rand/v2"
	"testing"
)

func TestMixParsing(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"get", "get=1"},
		{"get=90,set=10", "get=90,set=10"},
		{" set=1 , get=2,set=3", "get=2,set=4"},
		{"create,delete,children,exists", "create=1,delete=1,children=1,exists=1"},
		{"get=0,set", "set=1"},
	} {
		var m Mix
		if err := m.Set(c.in); err != nil || m.String() != c.out {
			t.Errorf("%q: %q, %v, want %q", c.in, m.String(), err, c.out)
		}
	}
}

func TestMixRefuses(t *testing.T) {
	for _, in := range []string{"", "get=", "get=-1", "get=x", "sync=1", "get=0", "get=1;set=2", "get=99999999"} {
		m := only(opExists)
		if err := m.Set(in); err == nil {
			t.Errorf("%q became %q", in, m.String())
		}
		if m != only(opExists) {
			t.Errorf("%q was refused but changed the mix", in)
		}
	}
}

func TestMixPicksByWeight(t *testing.T) {
	m := mustMix("get=3,create=1")
	var n [opKinds]int
	rng := rand.NewPCG(1, 1)
	for range 40_000 {
		n[m.pick(rng)]++
	}
	if n[opGet]+n[opCreate] != 40_000 || n[opGet] < 29_000 || n[opGet] > 31_000 {
		t.Errorf("drew %v from %v", n, &m)
	}
}
