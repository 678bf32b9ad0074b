package interop

import (
	"fmt"
	"syscall"
	"testing"

	"zebu/proto"
)

// faultRounds is how often each fault is brought about.
func faultRounds(long int) int {
	if testing.Short() {
		return 1
	}
	return long
}

// TestFaultKill kills members of an ensemble of three under load with SIGKILL: the leader, a follower, all.
func TestFaultKill(t *testing.T) {
	t.Parallel()
	c := newFaultCluster(t, 3, newPlainNet(t, 3))
	l := startFaultLoad(t, c.addrs())
	for range faultRounds(2) {
		for _, role := range []string{"leader", "follower", "all"} {
			l.progress(200)
			leader := c.leader()
			victims := c.members
			switch role {
			case "leader":
				victims = []*faultMember{leader}
			case "follower":
				victims = c.others(leader)[:1]
			}
			t.Logf("killing %s", role)
			c.kill(victims...)
			if len(victims) == 1 {
				l.progress(200)
			}
			for _, m := range victims {
				c.start(m)
			}
			c.awaitServing(c.members...)
		}
	}
	l.progress(200)
	l.verify(c)
}

// TestFaultKillTwoOfFive kills the leader and a follower of five at the same moment.
func TestFaultKillTwoOfFive(t *testing.T) {
	t.Parallel()
	c := newFaultCluster(t, 5, newPlainNet(t, 5))
	l := startFaultLoad(t, c.addrs())
	for i := range faultRounds(3) {
		l.progress(200)
		leader := c.leader()
		victims := []*faultMember{leader, c.others(leader)[i%4]}
		c.kill(victims...)
		l.progress(200)
		for _, m := range victims {
			c.start(m)
		}
		c.awaitServing(c.members...)
	}
	l.progress(200)
	l.verify(c)
}

// TestFaultPause suspends the leader past its timeouts and resumes it, while requests wait in its sockets. It must not acknowledge
// writes that its successor does not know, nor answer a read behind a sync with what its successor has replaced.
func TestFaultPause(t *testing.T) {
	t.Parallel()
	c := newFaultCluster(t, 3, newPlainNet(t, 3))
	l := startFaultLoad(t, c.addrs())
	for range faultRounds(3) {
		l.progress(200)
		old := c.leader()
		w, err := connectWire(old.addr, faultSession)
		if err != nil {
			t.Fatal(err)
		}
		c.signal(old, syscall.SIGSTOP)
		stale := l.ask(t, w, old.id)
		heir := c.leader(c.others(old)...)
		l.progress(200)
		c.signal(old, syscall.SIGCONT)
		l.answered(w, stale)
		w.Close()
		poll(t, recoveryLimit, "return of the old leader as a follower", func() bool { return old.mode() == "follower" })
		if heir.mode() != "leader" {
			t.Errorf("member %d leads no more since member %d is back", heir.id, old.id)
		}
	}
	l.progress(200)
	l.verify(c)
}

// ask writes to a member that is suspended, and has it sync and read: a write and a read of register 0.
func (l *faultLoad) ask(t *testing.T, w *wire, id int) [2]faultOp {
	t.Helper()
	l.mu.Lock()
	n := len(l.extra)
	l.mu.Unlock()
	value := fmt.Sprintf("stale-%d-%d", id, n)
	ops := [2]faultOp{
		{client: faultClients + 1, write: true, value: value, call: l.now(), ret: never},
		{client: faultClients + 2, call: l.now(), ret: never},
	}
	path := registerPath(0)
	for _, r := range []struct {
		op   proto.OpCode
		body record
	}{
		{proto.OpSetData, &proto.SetDataRequest{Path: path, Data: []byte(value), Version: -1}},
		{proto.OpSync, &proto.PathRequest{Path: path}},
		{proto.OpGetData, &proto.PathWatchRequest{Path: path}},
	} {
		if _, err := w.send(r.op, r.body); err != nil {
			t.Fatal(err)
		}
	}
	return ops
}

// answered takes what a member answers to ask, if it does, into the history.
func (l *faultLoad) answered(w *wire, ops [2]faultOp) {
	var replies []frame
	for len(replies) < 3 {
		f, err := w.read()
		if err != nil || f.Err != proto.OK {
			break
		}
		replies = append(replies, f)
	}
	if len(replies) > 0 {
		ops[0].ret, ops[0].mzxid = l.now(), int64(replies[0].Zxid)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.extra = append(l.extra, ops[0])
	if len(replies) == 3 {
		var n proto.GetDataResponse
		d := proto.NewDecoder(replies[2].Body)
		n.Decode(&d)
		ops[1].ret, ops[1].value, ops[1].mzxid = l.now(), string(n.Data), int64(n.Stat.Mzxid)
		l.extra = append(l.extra, ops[1])
	}
	l.t.Logf("the resumed leader answered %d of 3", len(replies))
}
