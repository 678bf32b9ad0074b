//go:build unix

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// TestEnsemble runs the program with real servers: a leader is found, writes outlive it, Ctrl-C leaves nothing running.
func TestEnsemble(t *testing.T) {
	l := newLayout(t, 3, 1)
	cmd := exec.Command(os.Args[0], "ensemble", "--observers", "1", "--dir", l.dir, "--base-port", strconv.Itoa(l.base))
	cmd.Env = append(os.Environ(), programVariable+"=1")
	said := newTranscript()
	cmd.Stdout, cmd.Stderr = said, said
	commands, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	r := &trial{transcript: said, layout: l, commands: commands, done: ended, stop: func() { _ = cmd.Process.Signal(syscall.SIGINT) }}
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = cmd.Process.Kill()
			<-ended
		}
	})

	leader := r.await(t, `server ([123])  leader`)[1]
	r.read = 0
	r.await(t, `server 4  observer\n`)
	r.read = 0
	r.await(t, `server [123]  follower\n(?s:.*)server [123]  follower\n`)
	c := connect(t, l.addresses())
	persist(t, c, "/before")
	for id := 1; id <= 4; id++ { // each server has something of the epoch
		one := connect(t, []string{l.address(id)})
		if _, err := one.Sync("/"); err != nil {
			t.Fatalf("sync with server %d: %v", id, err)
		}
		one.Close()
	}
	r.command("status")
	for id := 1; id <= 4; id++ {
		role := "follower"
		switch {
		case strconv.Itoa(id) == leader:
			role = "leader"
		case id == 4:
			role = "observer"
		}
		r.await(t, `(?m)^`+regexp.QuoteMeta(l.address(id))+` +[0-9-]+ +`+role+` +1 +0x1[0-9a-f]{8} `)
	}

	findAll(t, l, l.etcdPort(2), "at first")
	r.command("kill leader")
	r.await(t, "server "+leader+"  down: killed. ")
	if next := r.await(t, `server ([123])  leader of epoch`)[1]; next == leader {
		t.Errorf("server %s leads again", next)
	}
	persist(t, c, "/after")
	r.command("start " + leader)
	r.await(t, "server "+leader+"  follower\n")
	id, err := strconv.Atoi(leader)
	if err != nil {
		t.Fatal(err)
	}
	late := connect(t, []string{l.address(id)})
	for _, path := range []string{"/before", "/after"} {
		if _, err := late.Sync(path); err != nil {
			t.Errorf("sync: %v", err)
		}
		if data, _, err := late.Get(path); err != nil || string(data) != path {
			t.Errorf("%s on the server that was killed: %q, %v", path, data, err)
		}
	}
	late.Close()
	c.Close()
	findAll(t, l, l.etcdPort(id), "at the one that was killed")

	r.stop()
	stopped = true
	if err := <-ended; err != nil {
		t.Errorf("ended with %v:\n%s", err, r.text)
	}
	r.gone(t)
	pids := regexp.MustCompile(`(?m)^[1-4] +127.0.0.1:[0-9]+ +([0-9]+) |started, pid ([0-9]+)$`).FindAllStringSubmatch(r.text, -1)
	if len(pids) != 5 {
		t.Errorf("%d pids told, expected 5:\n%s", len(pids), r.text)
	}
	for _, p := range pids {
		pid, err := strconv.Atoi(p[1] + p[2])
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d: %v, expected none", pid, err)
		}
	}
	if t.Failed() {
		t.Log(r.text)
	}
}

// findAll has an etcd client that knows one server ask it for the others, each of which has a port of its own.
func findAll(t *testing.T, l *layout, port int, when string) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{net.JoinHostPort(loopback, strconv.Itoa(port))}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var want []string
	for id := 1; id <= l.size(); id++ {
		want = append(want, "http://"+net.JoinHostPort(loopback, strconv.Itoa(l.etcdPort(id))))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		var got []string
		list, err := c.MemberList(ctx)
		if err == nil {
			for _, m := range list.Members {
				got = append(got, m.ClientURLs...)
			}
			err = c.Sync(ctx)
		}
		// The client leaves learners out.
		if err == nil && slices.Equal(got, want) && len(c.Endpoints()) == l.voters {
			return
		}
		select {
		case <-ctx.Done():
			t.Errorf("%s: endpoints %q, %v", when, got, err)
			return
		case <-time.After(50 * time.Millisecond): // a server that has just come is about to tell the leader
		}
	}
}

// connect opens a session and waits until it is there.
func connect(t *testing.T, servers []string) *zk.Conn {
	t.Helper()
	c, events, err := zk.Connect(servers, 20*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	limit := time.After(30 * time.Second)
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return c
			}
		case <-limit:
			t.Fatalf("no session with %v", servers)
		}
	}
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// persist creates a node that holds its own path, however often the connection is lost meanwhile.
func persist(t *testing.T, c *zk.Conn, path string) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); ; {
		_, err := c.Create(path, []byte(path), 0, zk.WorldACL(zk.PermAll))
		if err == nil || errors.Is(err, zk.ErrNodeExists) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("create %s: %v", path, err)
		}
	}
}
