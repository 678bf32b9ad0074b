package interop

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// TestObserverMasters has an observer learn from followers instead of the leader (observerMasterPort), each of zebu and
// Apache ZooKeeper from the other. It goes through what clients do, and then its follower dies. The third member leads.
func TestObserverMasters(t *testing.T) {
	for _, kinds := range [][]string{
		{"zebu", "zebu", "zebu", "zebu+o"},
		{"zebu", "zebu", "3.9", "3.9+o"},
		{"3.9", "3.9", "zebu", "zebu+o"},
	} {
		t.Run(strings.Join(kinds, "_"), func(t *testing.T) {
			t.Parallel()
			e := ensembleOf(t, kinds...)
			e.observerMasters()
			e.lead(3)
			o := e.seat(4)
			e.mastered(o)
			all := e.through(10 * time.Second)
			nodes(t, all)
			errorsEverywhere(t, all)
			multis(t, all)
			ephemerals(t, all, e)
			move(t, all, e)
			expire(t, all, e)
			syncs(t, all)
			load(t, all, "/load", 300)
			e.same()

			// A session outlives the follower that its observer learns from, with its ephemeral node.
			c := connect(t, 30*time.Second, o.addr())
			c.mustCreate("/stays", "", zk.FlagEphemeral)
			session := c.SessionID()
			before := e.mastered(o)
			e.kill(before)
			after := 0
			poll(t, stepTimeout, "other master", func() bool { after = e.master(o); return after != before && after != 0 })
			poll(t, stepTimeout, "client", func() bool { _, err := c.Sync("/"); return err == nil })
			c.mustCreate("/after", "", 0)
			if _, st, err := c.Get("/stays"); err != nil || st.EphemeralOwner != session || c.SessionID() != session || c.lost() {
				t.Errorf("of session %x, now %x: %+v %v", session, c.SessionID(), st, err)
			}
			e.start(before)
			e.same()
		})
	}
}

// TestObserverMasterIsMissing has an observer look for followers that serve observers in vain: it turns to the leader.
func TestObserverMasterIsMissing(t *testing.T) {
	t.Parallel()
	e := ensembleOf(t, "zebu", "zebu", "zebu", "zebu+o")
	e.lead(3)
	e.stop(4)
	e.lines = append(e.lines, fmt.Sprintf("observerMasterPort=%d", memberPort(e.t)))
	e.start(4)
	connect(t, 10*time.Second, e.seat(4).addr()).mustCreate("/node", "", 0)
	e.same()
}

// TestObserversCatchUp has an observer come back that lacks more or less, while clients write.
func TestObserversCatchUp(t *testing.T) {
	t.Parallel()
	e := ensembleOf(t, "zebu", "zebu", "zebu", "zebu+o")
	e.observerMasters()
	e.lead(3)
	c := e.through(10 * time.Second)[:3]
	for i, n := range []int{2000, 200} { // the first time more than is kept in memory
		e.mastered(e.seat(4))
		e.stop(4)
		load(t, c, fmt.Sprintf("/away%d", i), n)
		done := make(chan struct{})
		go func() {
			defer close(done)
			load(t, c, fmt.Sprintf("/meanwhile%d", i), n)
		}()
		e.start(4)
		<-done
		e.same()
	}
}

// observerMasters gives every member an address of its own, since observerMasterPort is one for all.
func (e *ensemble) observerMasters() {
	for _, m := range e.members {
		m.host = fmt.Sprintf("127.0.0.%d", 1+m.id)
	}
	e.lines = append(e.lines, fmt.Sprintf("observerMasterPort=%d", memberPort(e.t)))
}

// syncs reads through every member what has been written through another.
func syncs(t *testing.T, all []*client) {
	t.Helper()
	all[0].mustCreate("/syncs", "", 0)
	for i := range 20 * len(all) {
		c, other := all[i%len(all)], all[(i/len(all)+1)%len(all)]
		st, err := other.Set("/syncs", nil, -1)
		if err != nil {
			t.Fatal(err)
		}
		c.mustSync()
		if _, seen, err := c.Get("/syncs"); err != nil || seen.Version < st.Version {
			t.Fatalf("through %s after a sync: %+v %v, want version %d", c.Server(), seen, err, st.Version)
		}
	}
}

// mastered waits until an observer learns from a follower, which it returns.
func (e *ensemble) mastered(o *seat) (id int) {
	e.t.Helper()
	poll(e.t, stepTimeout, "observer master", func() bool { id = e.master(o); return id != 0 })
	return id
}

// master is the follower that an observer learns from, 0 if there is none.
func (e *ensemble) master(o *seat) int {
	id, err := strconv.Atoi(wordField(o.addr(), "mntr", "zk_observer_master_id"))
	if err != nil || id < 1 || e.seat(id).server == nil || e.seat(id).mode() != "follower" {
		return 0
	}
	return id
}
