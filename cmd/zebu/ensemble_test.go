//go:build unix

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zebu/conf"
)

// The fake server is this test program, run again with this variable set.
const fakeServerVariable = "ZEBU_TEST_FAKE_SERVER"

// fakeCommand runs a fake server in place of 'zebu server --config FILE'.
func fakeCommand(config string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestFakeServer$")
	cmd.Env = append(os.Environ(), fakeServerVariable+"="+config)
	return cmd
}

// TestFakeServer is no test but the fake server. Files steer it: DIR/leader names the leader's id, without which nobody
// serves; DIR/N/broken has it end with an error, DIR/N/stubborn has it ignore SIGTERM. To srvr it answers as
// ZooKeeper; a connection that sends the word hold stays open as long as the server lives.
func TestFakeServer(t *testing.T) {
	config := os.Getenv(fakeServerVariable)
	if config == "" {
		return // this process runs tests
	}
	home := filepath.Dir(config)
	if _, err := os.Stat(filepath.Join(home, "broken")); err == nil {
		fmt.Fprintln(os.Stderr, "zebu: broken on purpose")
		os.Exit(exitInvalid)
	}
	if _, err := os.Stat(filepath.Join(home, "stubborn")); err == nil {
		signal.Ignore(syscall.SIGTERM)
	}
	c, err := conf.Load(conf.Options{File: config})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", c.Client.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	for held := []net.Conn{}; ; {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		word := make([]byte, 4)
		_, _ = io.ReadFull(conn, word)
		switch string(word) {
		case "hold":
			held = append(held, conn)
			continue
		case "srvr":
			_, _ = io.WriteString(conn, fakeAnswer(filepath.Join(filepath.Dir(home), "leader"), filepath.Base(home)))
		}
		conn.Close()
	}
}

func fakeAnswer(leaderFile, id string) string {
	leader, err := os.ReadFile(leaderFile)
	switch {
	case err != nil:
		return apacheNotServing
	case string(leader) == id:
		return srvrText(zebuVersion, "leader", "0x200000001")
	}
	return srvrText(zebuVersion, "follower", "0x200000001")
}

// transcript is what a command prints, to be awaited.
type transcript struct {
	mu      sync.Mutex
	text    string
	changed chan struct{} // closed at the next change
	read    int           // what await has passed
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text += string(p)
	close(s.changed)
	s.changed = make(chan struct{})
	return len(p), nil
}

// await waits until a pattern is printed behind what was awaited before, and returns its groups.
func (s *transcript) await(t *testing.T, pattern string) []string {
	t.Helper()
	limit := time.After(30 * time.Second)
	for expression := regexp.MustCompile(pattern); ; {
		s.mu.Lock()
		changed, found := s.changed, expression.FindStringSubmatchIndex(s.text[s.read:])
		if found != nil {
			groups := expression.FindStringSubmatch(s.text[s.read:])
			s.read += found[1]
			s.mu.Unlock()
			return groups
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("waited for %q in:\n%s", pattern, s.text)
		}
	}
}

// trial is an ensemble under test.
type trial struct {
	*transcript
	layout   *layout
	commands io.WriteCloser
	stop     context.CancelFunc // as Ctrl-C does
	done     chan error
}

// try runs an ensemble until it is stopped or the test ends.
func try(t *testing.T, l *layout, adjust func(*ensemble)) *trial {
	t.Helper()
	if err := l.write(); err != nil {
		t.Fatal(err)
	}
	in, commands := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	r := &trial{newTranscript(), l, commands, cancel, make(chan error, 1)}
	e := newEnsemble(l, fakeCommand, r.transcript)
	if adjust != nil {
		adjust(e)
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		r.done <- e.run(ctx, readLines(ctx, in))
	}()
	t.Cleanup(func() {
		cancel()
		<-finished
		commands.Close()
	})
	return r
}

func (r *trial) command(line string) { fmt.Fprintln(r.commands, line) }

// lead makes a server the leader of all; 0 for no quorum.
func (r *trial) lead(t *testing.T, id int) {
	t.Helper()
	file := filepath.Join(r.layout.dir, "leader")
	if id == 0 {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(file+".new", []byte(strconv.Itoa(id)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// awaitAll waits until servers are told of, in any order.
func (r *trial) awaitAll(t *testing.T, what map[int]string) {
	t.Helper()
	start := r.read
	end := start
	for id, role := range what {
		r.read = start
		r.await(t, fmt.Sprintf(`server %d  %s\n`, id, role))
		end = max(end, r.read)
	}
	r.read = end
}

// gone checks that nobody listens at the servers' client ports any more.
func (r *trial) gone(t *testing.T) {
	t.Helper()
	for _, a := range r.layout.addresses() {
		if c, err := net.Dial("tcp", a); err == nil {
			c.Close()
			t.Errorf("a server is left at %s", a)
		}
	}
}

// TestTrialEnsemble kills, stops and starts servers, from outside and by commands, and ends with Ctrl-C.
func TestTrialEnsemble(t *testing.T) {
	r := try(t, newLayout(t, 3, 1), nil)
	r.await(t, `(?s)An ensemble of 3 servers and an observer \(of which 1 may be lost\), data in .*zebu cli --server `+regexp.QuoteMeta(r.layout.connectString())+"\n")
	pid := r.await(t, `(?m)^3 +127.0.0.1:[0-9]+ +([0-9]+) +3/zebu.log$`)[1]
	r.await(t, `Commands: `)
	r.awaitAll(t, map[int]string{1: "looking for a leader", 2: "looking for a leader", 3: "looking for a leader", 4: "looking for a leader"})
	r.lead(t, 3)
	r.awaitAll(t, map[int]string{1: "follower", 2: "follower", 3: "leader of epoch 2", 4: "follower"})
	r.command("status")
	r.await(t, regexp.QuoteMeta(r.layout.address(3))+` +- +leader +2 +0x200000001 +0 +2 `)

	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.await(t, `server 3  down: signal: killed. 'start 3' starts it again\n`)
	r.lead(t, 0)
	r.awaitAll(t, map[int]string{1: "looking for a leader", 2: "looking for a leader", 4: "looking for a leader"})
	r.command("kill leader")
	r.await(t, "there is no leader now\n")
	r.lead(t, 2)
	r.awaitAll(t, map[int]string{1: "follower", 2: "leader of epoch 2", 4: "follower"})
	r.command("stop 3")
	r.await(t, "server 3 is down\n")
	r.command("start 3")
	r.await(t, `server 3  started, pid [0-9]+\n`)
	r.await(t, `server 3  follower\n`)
	r.command("kill leader")
	r.await(t, `server 2  down: killed. 'start 2' `)
	r.command("stop 4")
	r.await(t, `server 4  down: stopped. 'start 4' `)

	r.command("start 1")
	r.await(t, `server 1 is running, pid [0-9]+\n`)
	r.command("start 5")
	r.await(t, `no server 5: expected 1 to 4, or leader\n`)
	r.command("")
	r.command("restart 1")
	r.await(t, `"restart 1" is no command here. Commands: `)
	r.command("help")
	r.await(t, "\nCommands: ")
	r.commands.Close() // servers run: no reason to end
	r.stop()
	r.await(t, "Stopping; Ctrl-C again kills what has not stopped.\nAll stopped; the data stays in ")
	if err := <-r.done; err != nil {
		t.Errorf("ended with %v", err)
	}
	r.gone(t)
}

// TestTrialEnsembleQuits on command.
func TestTrialEnsembleQuits(t *testing.T) {
	r := try(t, newLayout(t, 1, 0), nil)
	r.lead(t, 1)
	r.await(t, `One server, data in `)
	r.await(t, `server 1  leader of epoch 2\n`)
	r.command("quit")
	if err := <-r.done; err != nil {
		t.Errorf("ended with %v", err)
	}
	r.gone(t)
}

// TestTrialEnsembleSuspended tells of a server that hangs, and stops it all the same.
func TestTrialEnsembleSuspended(t *testing.T) {
	r := try(t, newLayout(t, 2, 0), nil)
	pid := r.await(t, `(?m)^1 +127.0.0.1:[0-9]+ +([0-9]+) +1/zebu.log$`)[1]
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	r.await(t, `server 1  looking`)
	if err := syscall.Kill(n, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.await(t, `server 1  does not answer: no answer within 1s\n`)
	r.stop()
	r.await(t, "All stopped")
	if err := <-r.done; err != nil || strings.Contains(r.text, "has not stopped: killed") {
		t.Errorf("ended with %v:\n%s", err, r.text)
	}
	r.gone(t)
}

// TestTrialEnsembleStubborn kills a server that does not stop.
func TestTrialEnsembleStubborn(t *testing.T) {
	l := newLayout(t, 2, 0)
	if err := l.write(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.home(2), "stubborn"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := try(t, l, func(e *ensemble) { e.patience = 200 * time.Millisecond })
	r.awaitAll(t, map[int]string{1: "looking for a leader", 2: "looking for a leader"})
	r.stop()
	r.await(t, `server 2  has not stopped: killed\n`)
	if err := <-r.done; err != nil {
		t.Errorf("ended with %v", err)
	}
	r.gone(t)
}

// TestTrialEnsembleFails when no server can run, and when none is left that a command could start.
func TestTrialEnsembleFails(t *testing.T) {
	l := newLayout(t, 2, 0)
	if err := l.write(); err != nil {
		t.Fatal(err)
	}
	for id := 1; id <= 2; id++ {
		if err := os.WriteFile(filepath.Join(l.home(id), "broken"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := try(t, l, nil)
	if err := <-r.done; err != errAllEnded {
		t.Errorf("ended with %v", err)
	}
	r.await(t, `server [12]  down: exit status 2; .*/[12]/zebu.log ends: zebu: broken on purpose. 'start [12]' `)

	r = try(t, newLayout(t, 1, 0), nil)
	r.await(t, `server 1  looking`)
	r.command("kill 1")
	r.await(t, `server 1  down: killed`)
	r.commands.Close()
	if err := <-r.done; err != errAllEnded {
		t.Errorf("with nobody to start it again: ended with %v", err)
	}

	r = try(t, newLayout(t, 1, 0), func(e *ensemble) {
		e.command = func(string) *exec.Cmd { return exec.Command(filepath.Join(t.TempDir(), "missing")) }
	})
	if err := <-r.done; err == nil || !strings.Contains(err.Error(), "start server 1: ") {
		t.Errorf("without a binary: ended with %v", err)
	}
}

// TestDyingParent is no test but a trial ensemble of its own process, for the test below.
func TestDyingParent(t *testing.T) {
	dir := os.Getenv(fakeServerVariable + "_PARENT")
	if dir == "" {
		return // this process runs tests
	}
	before, err := earlier(dir)
	if err != nil || before == nil {
		t.Fatal(before, err)
	}
	_ = newEnsemble(before, fakeCommand, os.Stdout).run(t.Context(), make(chan string))
}

// TestTrialEnsembleDiesWithParent kills the parent: no server outlives it.
func TestTrialEnsembleDiesWithParent(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("only Linux ends children with their parent")
	}
	l := newLayout(t, 3, 0)
	if err := l.write(); err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestDyingParent$")
	parent.Env = append(os.Environ(), fakeServerVariable+"_PARENT="+l.dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	serving := 0
	for s := bufio.NewScanner(out); serving < 3 && s.Scan(); {
		if strings.Contains(s.Text(), "looking for a leader") {
			serving++
		}
	}
	var conns []net.Conn
	for _, a := range l.addresses() {
		c, err := net.Dial("tcp", a)
		if err != nil {
			t.Error(err)
			continue
		}
		defer c.Close()
		if _, err := io.WriteString(c, "hold"); err != nil {
			t.Error(err)
		}
		conns = append(conns, c)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, c := range conns {
		if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("%v outlives its parent: %v", c.RemoteAddr(), err)
		}
	}
	_ = parent.Wait() // it was killed
}
