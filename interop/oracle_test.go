package interop

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestOracle has one of two servers go on alone when the other one dies, because its oracle lets it (oraclePath). The
// oracle of the other denies it, as it should be, and so that one follows when it is back.
func TestOracle(t *testing.T) {
	for _, kinds := range [][]string{{"zebu", "zebu"}, {"zebu", "3.9"}, {"3.9", "zebu"}} {
		t.Run(kinds[0]+"_"+kinds[1], func(t *testing.T) {
			t.Parallel()
			e := ensembleOf(t, kinds...)
			e.lines = append(e.lines, "oraclePath=./oracle")
			says := func(id int, word string) {
				if err := os.WriteFile(filepath.Join(e.seat(id).dir, "oracle"), []byte(word), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			says(1, "0")
			says(2, "0")
			e.lead(2)
			e.through(10 * time.Second)[0].mustCreate("/both", "", 0)

			// The leader dies. Nobody serves before the oracle speaks.
			e.kill(2)
			poll(t, stepTimeout, "end of service", func() bool { return e.seat(1).mode() == "" })
			says(1, "1")
			poll(t, stepTimeout, "lonely leader", func() bool { return e.seat(1).mode() == "leader" })
			c := connect(t, 10*time.Second, e.seat(1).addr())
			c.mustCreate("/alone", "", 0)

			// The other one comes back, and what has been written meanwhile is there.
			e.start(2)
			if got := e.seat(2).mode(); got != "follower" {
				t.Errorf("it is a %s", got)
			}
			e.same()

			// The follower dies: the leader stays, and its session too.
			session := c.SessionID()
			e.kill(2)
			c.mustCreate("/again", "", 0)
			if c.SessionID() != session || e.seat(1).mode() != "leader" {
				t.Error("the leader did not go on")
			}
			e.start(2)
			e.same()
		})
	}
}
