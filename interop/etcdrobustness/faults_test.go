package etcdrobustness

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// A fault is done to an ensemble under traffic, and undone.
type fault struct {
	name string
	do   func(*ensemble)
}

var faults = []fault{
	{"kill the leader", func(e *ensemble) { e.restart(e.leader()) }},
	{"stop a follower", func(e *ensemble) { e.stop(time.Second, e.follower()) }},
	{"stop the leader", func(e *ensemble) {
		e.stop(3*time.Second, e.leader()) // longer than syncLimit: another one is elected, and it wakes up in the belief that it leads
	}},
	{"stop all", func(e *ensemble) { e.stop(3*time.Second, e.members...) }},
	{"kill a follower", func(e *ensemble) { e.restart(e.follower()) }},
	{"kill one leader after the other", func(e *ensemble) {
		for range 3 {
			e.restart(e.leader())
		}
	}},
	{"kill all", func(e *ensemble) { e.restart(e.members...) }},
	{"cut the leader off", func(e *ensemble) { e.cut(e.leader(), both) }},
	{"nobody hears the leader", func(e *ensemble) { e.cut(e.leader(), mute) }},
	{"the leader hears nobody", func(e *ensemble) { e.cut(e.leader(), deaf) }},
	{"cut a follower off", func(e *ensemble) { e.cut(e.follower(), both) }},
	{"take a follower's disk", func(e *ensemble) { e.take(e.follower(), "version-2") }},
	{"take the leader's disk", func(e *ensemble) { e.take(e.leader(), "version-2") }},
	{"take a follower's key space", func(e *ensemble) { e.take(e.follower(), "version-2/etcd") }},
	{"power loss", (*ensemble).powerLoss},
	{"move the leader", func(e *ensemble) {
		for range 3 {
			e.move()
		}
	}},
}

// restart kills servers and starts them again.
func (e *ensemble) restart(members ...*member) {
	e.t.Helper()
	for _, m := range members {
		m.process.Kill()
	}
	for _, m := range members {
		e.launch(m)
	}
	for _, m := range members {
		e.serving(m)
	}
}

func (e *ensemble) stop(d time.Duration, members ...*member) {
	e.t.Helper()
	e.signal(syscall.SIGSTOP, members...)
	e.wait(d)
	e.signal(syscall.SIGCONT, members...)
	for _, m := range members {
		e.serving(m)
	}
}

func (e *ensemble) signal(s syscall.Signal, members ...*member) {
	e.t.Helper()
	for _, m := range members {
		if err := syscall.Kill(m.process.PID(), s); err != nil {
			e.t.Fatal(err)
		}
	}
}

// cut takes a server's ways to the others for longer than syncLimit: if it leads, the others elect, and clients go on asking all three.
func (e *ensemble) cut(m *member, how cut) {
	e.t.Helper()
	e.net.cut(m.id, how)
	e.wait(2500*time.Millisecond + rand.N(2*time.Second))
	e.net.heal()
	e.serving(m)
}

// move has the leader hand over to another voter.
func (e *ensemble) move() {
	e.t.Helper()
	from := e.leader()
	to := from.id%voters + 1
	for _, m := range e.members {
		e.serving(m)
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{from.etcd}, Logger: zap.NewNop()})
	if err != nil {
		e.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(e.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := c.MoveLeader(ctx, uint64(to)); err != nil {
		e.t.Errorf("move the leader from %d to %d: %v", from.id, to, err)
	}
	e.wait(300 * time.Millisecond)
}

// take removes files of a server while it is down and the others are at work. What was committed before is theirs: they are in sync before
// it starts again. The logs are kept for [committed].
func (e *ensemble) take(m *member, files string) {
	e.t.Helper()
	m.process.Kill()
	e.leader()
	for _, o := range e.members {
		if o != m {
			e.serving(o)
		}
	}
	m.losses++
	if err := os.Rename(filepath.Join(m.data(), files), filepath.Join(m.data(), fmt.Sprint("lost.", m.losses))); err != nil {
		e.t.Fatal(err)
	}
	e.launch(m)
	e.serving(m)
}

// powerLoss ends all servers at once, and what they had not synced is not there when they start again: the key space is as it was some time
// before, unless they have said since that they have synced it, and of a transaction that was being logged there is a part.
func (e *ensemble) powerLoss() {
	kept := map[*member]string{}
	for _, m := range e.members {
		kept[m] = e.t.TempDir()
		e.signal(syscall.SIGSTOP, m) // files that are written meanwhile are not of one moment
		err := os.CopyFS(kept[m], os.DirFS(filepath.Join(m.data(), "version-2", "etcd")))
		e.signal(syscall.SIGCONT, m)
		if err != nil {
			e.t.Fatal(err)
		}
	}
	e.wait(time.Second)
	for _, m := range e.members {
		m.process.Kill()
	}
	for _, m := range e.members {
		own := filepath.Join(m.data(), "version-2", "etcd")
		before, err := os.ReadFile(filepath.Join(kept[m], "CURRENT"))
		now, err2 := os.ReadFile(filepath.Join(own, "CURRENT"))
		if err != nil || err2 != nil {
			e.t.Fatal(err, err2)
		}
		if err := tear(m.data()); err != nil {
			e.t.Fatal(err)
		}
		if !bytes.Equal(before, now) {
			continue
		}
		if err := os.RemoveAll(own); err != nil {
			e.t.Fatal(err)
		}
		if err := os.CopyFS(own, os.DirFS(kept[m])); err != nil {
			e.t.Fatal(err)
		}
	}
	e.restart(e.members...)
}
