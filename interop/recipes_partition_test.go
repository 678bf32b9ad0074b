package interop

import "testing"

// TestMutualExclusionPartition cuts the servers of those apart who share a mutex, or the lead, in one direction and in both: whoever is
// inside when its server is cut off has left before another one is let in.
func TestMutualExclusionPartition(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: waits for sessions to expire")
	}
	here, done := inLab(t)
	if done {
		return
	}
	t.Parallel()
	if !here {
		t.Skip("network namespaces are not to be had: unshare -rn")
	}
	n := newLabNet(t, 3)
	c := newFaultCluster(t, 3, n)
	var referees []*referee
	for _, task := range []string{"mutex", "election"} {
		r := newReferee(t)
		for range 2 {
			startWorker(t, task, r.ln.Addr().String(), c.addrs())
		}
		referees = append(referees, r)
	}
	progress := func(sections int) {
		t.Helper()
		for _, r := range referees {
			r.progress(sections)
		}
	}
	progress(3)
	for _, p := range partitions {
		leader := c.leader()
		others := c.others(leader)
		t.Logf("%s: member %d leads", p.name, leader.id)
		p.cut(n, leader, others)
		progress(3)
		n.heal()
		c.awaitServing(c.members...)
		progress(1)
	}
}
