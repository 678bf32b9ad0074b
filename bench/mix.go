package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// opKind is an operation that the generator knows how to send.
type opKind int

const (
	opGet opKind = iota
	opSet
	opCreate
	opDelete
	opChildren
	opExists
	opKinds int = iota
)

var opKindNames = [opKinds]string{"get", "set", "create", "delete", "children", "exists"}

func (k opKind) String() string { return opKindNames[k] }

// Mix is a weighted choice of operations. It is a pflag.Value; the zero value holds no operation.
type Mix struct {
	weight [opKinds]int
	total  int
}

// only returns the mix of k alone.
func only(k opKind) Mix {
	var m Mix
	m.weight[k], m.total = 1, 1
	return m
}

// Set parses "get=90,set=10"; an operation without a weight has weight 1.
func (m *Mix) Set(s string) error {
	var parsed Mix
	for part := range strings.SplitSeq(s, ",") {
		name, number, weighted := strings.Cut(strings.TrimSpace(part), "=")
		weight := 1
		if weighted {
			w, err := strconv.ParseUint(number, 10, 20)
			if err != nil {
				return fmt.Errorf("weight of %q: %q is not a number from 0 to %d", name, number, 1<<20-1)
			}
			weight = int(w)
		}
		k, err := kindOf(name)
		if err != nil {
			return err
		}
		parsed.weight[k] += weight
		parsed.total += weight
	}
	if parsed.total == 0 {
		return fmt.Errorf("mix %q: all weights are 0", s)
	}
	*m = parsed
	return nil
}

func kindOf(name string) (opKind, error) {
	for k, n := range opKindNames {
		if n == name {
			return opKind(k), nil
		}
	}
	return 0, fmt.Errorf("unknown operation %q, expected one of %s", name, strings.Join(opKindNames[:], " "))
}

// String prints m as Set reads it.
func (m *Mix) String() string {
	var parts []string
	for k, w := range m.weight {
		if w > 0 {
			parts = append(parts, fmt.Sprintf("%v=%d", opKind(k), w))
		}
	}
	return strings.Join(parts, ",")
}

// Type names the flag's value in the help text.
func (m *Mix) Type() string { return "mix" }

// pick draws an operation; m must hold one. A mix of one operation draws no random number.
func (m *Mix) pick(rng *rand.PCG) opKind {
	n := 0
	if m.total > 1 {
		n = int(rng.Uint64() % uint64(m.total))
	}
	for k, w := range m.weight {
		if n < w {
			return opKind(k)
		}
		n -= w
	}
	return opGet
}
