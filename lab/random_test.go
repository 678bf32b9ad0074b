package lab

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

var randomSeeds = flag.Uint64("lab.seeds", 5, "how many random scenarios TestRandomFaults runs under each protocol")

// randomScenario makes a scenario in which much goes wrong, and nothing any more in the end.
func randomScenario(seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 77))
	var b strings.Builder
	fmt.Fprintf(&b, "servers %d\nduration 16s\nsnapshot 60\nretain 500\nwriters 3 every 30ms\nwriters 1 every 50ms spread\n", 3+2*r.IntN(2))
	fmt.Fprintf(&b, "readers 2 local every 100ms\nreaders 2 leader every 100ms\nreaders 2 quorum every 100ms\nheartbeat 50ms\ntimeout 300ms\nfsync %dus\n", 200+r.IntN(4000))
	someone := func() string {
		return [...]string{"leader", "follower 1", "follower 2", "server 1", "server 2", "server 3", "leader follower 1", "all"}[r.IntN(8)]
	}
	for range 4 + r.IntN(20) {
		var step string
		switch r.IntN(9) {
		case 0:
			step = "crash " + someone()
		case 1:
			step = "power " + someone()
		case 2, 3:
			step = "start down"
		case 4:
			step = "isolate " + someone()
		case 5:
			step = "cut " + someone() + " > " + someone()
		case 6:
			step = "heal"
		case 7:
			step = fmt.Sprintf("disk %s x%d", someone(), 1+r.IntN(30))
		case 8:
			step = fmt.Sprintf("flap %s off %dms on %dms times %d", someone(), 50+r.IntN(800), 50+r.IntN(300), 1+r.IntN(3))
		}
		on := [...]string{"", "", "on propose ", "on commit "}[r.IntN(4)]
		fmt.Fprintf(&b, "at %dms %s%s\n", r.IntN(6000), on, step)
	}
	for _, at := range []string{"8s", "9s", "10s"} { // some steps wait for a commit, which may come only now
		fmt.Fprintf(&b, "at %[1]s heal\nat %[1]s disk all x1\nat %[1]s start down\n", at)
	}
	return b.String()
}

// TestRandomFaults: whatever goes wrong, no protocol breaks its promises, and when nothing is wrong any more, all serve again and agree.
func TestRandomFaults(t *testing.T) {
	for seed := uint64(1); seed <= *randomSeeds; seed++ {
		sc, err := ParseScenario("random", randomScenario(seed))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range Protocols() {
			r, err := Execute(sc, p, seed, true)
			if err != nil {
				t.Fatal(err)
			}
			checkRun(t, r)
			last := Micros(0)
			for _, c := range r.Commands {
				if c.Op == "write" && c.OK {
					last = max(last, c.Done)
				}
			}
			if len(r.Violations) > 0 || last < 15900*Millisecond {
				t.Errorf("seed %d, %s: last answer at %d, %v\n%s", seed, p, last, r.Violations, sc.Text)
			}
		}
	}
}
