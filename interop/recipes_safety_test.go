package interop

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zebu/recipes"
)

// referee is the resource that a lock protects, and checks who uses it. It lets nobody in with a token smaller than the greatest it has
// seen. And it knows who should never have come: a worker in its section while another's is open, unless that one is suspended or dead.
type referee struct {
	t     *testing.T
	ln    net.Listener
	fence recipes.Fence

	mu        sync.Mutex
	inside    int64 // token of the section that is open; 0: none
	holder    int   // pid
	entered   int   // sections
	by        map[int]int
	suspended map[int]bool
	stays     int             // pid of who is told to stay inside
	fenced    map[int]int     // refusals, by pid
	took      map[string]int  // by name of the node: what is put twice, because it is not known whether it was, is two items
	acked     map[string]bool // by what is in it
	gone      map[string]bool // acknowledged, by name
	strike    func(pid int)   // called, once, with who takes an item, before it has its answer
	changed   chan struct{}   // closed and replaced at every line
}

func newReferee(t *testing.T) *referee {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &referee{
		t: t, ln: ln, by: map[int]int{}, suspended: map[int]bool{}, fenced: map[int]int{}, took: map[string]int{}, acked: map[string]bool{}, gone: map[string]bool{},
		changed: make(chan struct{}),
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

func (r *referee) serve(c net.Conn) {
	defer c.Close()
	pid := 0
	for s := bufio.NewScanner(c); s.Scan(); {
		if _, err := fmt.Fprintln(c, r.rule(&pid, strings.Fields(s.Text()))); err != nil {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.holder == pid { // the dead use nothing
		r.inside, r.holder = 0, 0
	}
}

// rule answers a line.
func (r *referee) rule(pid *int, w []string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { close(r.changed); r.changed = make(chan struct{}) }()
	var token int64
	if _, err := fmt.Sscan(w[1], &token); err != nil {
		token = 0 // of an item
	}
	switch w[0] {
	case "pid":
		*pid = int(token)
	case "took":
		r.took[w[2]]++
		if r.strike != nil {
			r.strike(*pid)
			r.strike = nil
		}
		if r.gone[w[2]] {
			r.t.Errorf("%s, %s, is delivered after its acknowledgement", w[1], w[2])
		}
	case "acked":
		r.acked[w[1]], r.gone[w[2]] = true, true
	case "leave":
		if r.inside == token {
			r.inside, r.holder = 0, 0
		}
	default:
		return r.use(*pid, w[0], token)
	}
	return "ok"
}

// use is one use of the resource; r.mu is held.
func (r *referee) use(pid int, what string, token int64) string {
	if r.fence.Admit(token) != nil {
		r.fenced[pid]++
		return "fenced"
	}
	switch {
	case what == "work" && r.inside != token:
		r.t.Errorf("worker %d works under %d, but %d is inside", pid, token, r.inside)
	case what == "enter":
		if r.inside != 0 && !r.suspended[r.holder] {
			r.t.Errorf("worker %d enters under %d while worker %d, which is not suspended, is inside under %d", pid, token, r.holder, r.inside)
		}
		r.inside, r.holder = token, pid
		r.entered++
		r.by[pid]++
	}
	if pid == r.stays {
		return "stay"
	}
	return "ok"
}

// await waits until the workers' doings fulfil a condition, which is asked with r.mu held.
func (r *referee) await(what string, f func() bool) {
	r.t.Helper()
	limit := time.NewTimer(2 * recipeLimit)
	defer limit.Stop()
	for {
		r.mu.Lock()
		done, changed := f(), r.changed
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			r.t.Fatalf("%s: not within %v", what, 2*recipeLimit)
		}
	}
}

// progress waits for some more sections.
func (r *referee) progress(n int) {
	r.t.Helper()
	r.mu.Lock()
	goal := r.entered + n
	r.mu.Unlock()
	r.await(fmt.Sprintf("%d more sections", n), func() bool { return r.entered >= goal })
}

// catch runs f with the pid of a worker while it is inside.
func (r *referee) catch(f func(pid int)) {
	r.t.Helper()
	r.await("a worker inside", func() bool {
		if r.holder == 0 {
			return false
		}
		f(r.holder)
		return true
	})
}

// crew is a set of workers at an ensemble of three.
type crew struct {
	e       *ensemble
	r       *referee
	task    string
	servers []string
	workers map[int]*exec.Cmd
}

func newCrew(t *testing.T, task string, n int) *crew {
	t.Helper()
	e := ensembleOf(t, "zebu", "zebu", "zebu")
	e.start(1, 2, 3)
	c := &crew{e: e, r: newReferee(t), task: task, workers: map[int]*exec.Cmd{}}
	for _, m := range e.members {
		c.servers = append(c.servers, m.addr())
	}
	for range n {
		c.hire(c.servers)
	}
	return c
}

func (c *crew) hire(servers []string) int {
	c.e.t.Helper()
	w := startWorker(c.e.t, c.task, c.r.ln.Addr().String(), servers)
	c.workers[w.Process.Pid] = w
	return w.Process.Pid
}

// disturb kills the leader of the ensemble and a follower, one after the other, and starts them again, with progress in between.
func (c *crew) disturb(progress func()) {
	c.e.t.Helper()
	leader := c.e.leader()
	c.e.kill(leader)
	progress()
	c.e.start(leader)
	follower := leader%3 + 1
	c.e.kill(follower)
	progress()
	c.e.start(follower)
}

// TestMutualExclusion kills and cuts off workers in their sections, and servers: no two are ever inside.
func TestMutualExclusion(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: waits for sessions to expire")
	}
	t.Parallel()
	for _, task := range []string{"mutex", "election"} {
		t.Run(task, func(t *testing.T) {
			t.Parallel()
			c := newCrew(t, task, 3)
			c.r.progress(5)
			c.disturb(func() { c.r.progress(3) })
			for range 2 { // the death of a holder
				c.r.catch(func(pid int) {
					_ = c.workers[pid].Process.Kill() // its Wait is the cleanup's
				})
				c.hire(c.servers)
				c.r.progress(3)
			}
			var cut []*proxy // a partition: one worker, beside the servers
			var addrs []string
			for _, s := range c.servers {
				p := newProxy(t, s)
				cut, addrs = append(cut, p), append(addrs, p.addr())
			}
			pid := c.hire(addrs)
			c.r.await("the worker behind the proxies to be inside", func() bool {
				if c.r.holder != pid {
					return false
				}
				c.r.stays = pid
				for _, p := range cut {
					p.set(p.target, true)
				}
				return true
			})
			c.r.progress(4) // it has left by itself, before the others came
			c.r.mu.Lock()
			c.r.stays = 0
			c.r.mu.Unlock()
			for _, p := range cut {
				p.set(p.target, false)
			}
			c.r.mu.Lock()
			before := c.r.by[pid]
			c.r.mu.Unlock()
			c.r.await("the worker behind the proxies to be inside again", func() bool { return c.r.by[pid] > before })
		})
	}
}

// TestFencingStopsSuspended suspends a worker in its section for longer than its session lasts. It does not look whether it still has the
// lock when it goes on; its token stops it.
func TestFencingStopsSuspended(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: waits for sessions to expire")
	}
	t.Parallel()
	c := newCrew(t, "careless", 3)
	c.r.progress(3)
	for range 2 {
		old := 0
		c.r.catch(func(pid int) {
			old = pid
			c.r.suspended[pid] = true
			if err := c.workers[pid].Process.Signal(syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
		})
		c.r.progress(2) // others have the lock
		if err := c.workers[old].Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		c.r.await("the suspended worker to be refused", func() bool { return c.r.fenced[old] > 0 })
		c.r.mu.Lock()
		c.r.suspended[old] = false
		before := c.r.by[old]
		c.r.mu.Unlock()
		c.r.await("it to be inside again, under another token", func() bool { return c.r.by[old] > before })
	}
}

// TestDelivery kills workers that take from a queue, and servers: every item is delivered, and none after its acknowledgement.
func TestDelivery(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: waits for sessions to expire")
	}
	t.Parallel()
	c := newCrew(t, "queue", 3)
	ctx, cancel := context.WithTimeout(t.Context(), 3*recipeLimit)
	defer cancel()
	q := recipes.NewQueue(recipesClient(t, c.servers...), "/safety/queue", recipes.QueueOptions{})
	put := 0
	more := func(n int) {
		for range n {
			if err := q.Put(ctx, fmt.Appendf(nil, "item%d", put)); err != nil {
				t.Fatal(err)
			}
			put++
		}
	}
	more(30)
	c.disturb(func() { more(20) })
	for range 2 {
		c.r.mu.Lock()
		c.r.strike = func(pid int) {
			_ = c.workers[pid].Process.Kill() // its Wait is the cleanup's
			delete(c.workers, pid)
		}
		c.r.mu.Unlock()
		more(20)
		c.r.await("a worker to die with an item", func() bool { return c.r.strike == nil })
		c.hire(c.servers)
	}
	c.r.await("all items to be acknowledged", func() bool { return len(c.r.acked) == put })
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	again := 0
	for _, n := range c.r.took {
		again += n - 1
	}
	if again < 2 {
		t.Errorf("%d items were delivered again; two workers died with one", again)
	}
	t.Logf("%d items, %d delivered again", put, again)
}
