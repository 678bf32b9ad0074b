package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func runSim(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRootCommand()
	root.SetArgs(append([]string{"sim"}, args...))
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.Execute()
	return out.String(), err
}

// TestSimSeed runs one seed twice, and then others.
func TestSimSeed(t *testing.T) {
	hash := regexp.MustCompile(`hash [0-9a-f]{16}`)
	a, err := runSim(t, "--seed", "7")
	if err != nil {
		t.Fatal(err)
	}
	b, err := runSim(t, "--seed", "7")
	if err != nil || hash.FindString(a) == "" || hash.FindString(a) != hash.FindString(b) {
		t.Errorf("%v, %s, then %s", err, a, b)
	}
	c, err := runSim(t, "--seed", "7", "--noise", "1", "--faults", "0,1", "--clients", "1")
	if err != nil || hash.FindString(c) == hash.FindString(a) {
		t.Errorf("%v, %s", err, c)
	}
	if out, err := runSim(t, "--seeds", "1..2"); err != nil || !strings.Contains(out, "\n2 seeds, ") {
		t.Errorf("%v, %s", err, out)
	}
}

// TestSimInvalid checks what is said to a wrong invocation.
func TestSimInvalid(t *testing.T) {
	for _, args := range [][]string{{}, {"--seeds", "3"}, {"--seeds", "3..1"}, {"--seed", "1", "--faults", "a"}, {"--seed", "1", "--voters", "0"}, {"x"}} {
		if out, err := runSim(t, args...); exitCode(err) != exitInvalid {
			t.Errorf("%v: %v, %s", args, err, out)
		}
	}
}
