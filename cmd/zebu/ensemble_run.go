package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"zebu/status"
)

const (
	pollInterval = 200 * time.Millisecond
	pollTimeout  = time.Second
	stopTimeout  = 10 * time.Second
)

// errAllEnded ends an ensemble that nobody can start again.
var errAllEnded = errors.New("no server is left running")

// ensemble runs the servers of a layout as child processes. Its loop, run, is the only goroutine that touches it.
type ensemble struct {
	layout  *layout
	command func(config string) *exec.Cmd // runs a server in the foreground
	out     io.Writer

	// patience is how long a server may take to stop before it is killed.
	patience time.Duration

	members []*member
	exits   chan exit
	sights  chan sighting
	looks   sync.WaitGroup
}

// sighting is what a look at a process found.
type sighting struct {
	process *process
	sight   sight
}

func newEnsemble(l *layout, command func(config string) *exec.Cmd, out io.Writer) *ensemble {
	e := &ensemble{
		layout: l, command: command, out: out, patience: stopTimeout,
		exits: make(chan exit, l.size()), sights: make(chan sighting),
	}
	for id := 1; id <= l.size(); id++ {
		e.members = append(e.members, &member{id: id, address: l.address(id), config: l.config(id), log: l.log(id)})
	}
	return e
}

// run starts all servers, obeys the commands in lines, and stops all when ctx ends or "quit" is read. It returns an error
// if a server cannot be started, or when the last has ended and no command can start one again.
func (e *ensemble) run(ctx context.Context, lines <-chan string) error {
	defer e.stopAll()
	for _, m := range e.members {
		if err := m.start(e.command(m.config), e.exits); err != nil {
			return err
		}
	}
	e.greet()
	defer e.looks.Wait()
	looking, cancel := context.WithCancel(ctx)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, more := <-lines:
			if !more {
				lines = nil
			} else if e.obey(ctx, line) {
				return nil
			}
		case x := <-e.exits:
			e.ended(x)
		case <-tick.C:
			e.lookAround(looking)
		case found := <-e.sights:
			e.tellChange(found)
		}
		if e.running() == 0 && (lines == nil || e.allFailed()) && len(e.exits) == 0 {
			return errAllEnded
		}
	}
}

// greet tells where the servers are and what can be done with them.
func (e *ensemble) greet() {
	l := e.layout
	fmt.Fprintf(e.out, "%s, data in %s\nConnect with: zebu cli --server %s\n         or: etcdctl --endpoints %s\n\n", l.describe(), l.dir, l.connectString(), l.endpoints())
	tw := tabwriter.NewWriter(e.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "SERVER\tCLIENTS\tPID\tLOG")
	for _, m := range e.members {
		fmt.Fprintf(tw, "%d\t%s\t%d\t%s\n", m.id, m.address, m.pid(), filepath.Join(strconv.Itoa(m.id), filepath.Base(m.log)))
	}
	_ = tw.Flush() // nobody is left to tell that nothing can be told
	fmt.Fprintln(e.out)
	if l.voters > 2 {
		fmt.Fprintf(e.out, "Kill one with 'kill leader', 'kill 1', or 'kill -9 %d' elsewhere, and see the others go on.\n", e.members[0].pid())
	}
	fmt.Fprintf(e.out, "%s\n\n", ensembleCommands)
}

const ensembleCommands = "Commands: status, kill N, stop N, start N, help, quit; N is a number or 'leader'. Ctrl-C stops all."

// tell prints what happened to a server.
func (e *ensemble) tell(m *member, format string, args ...any) {
	fmt.Fprintf(e.out, "%s  server %d  %s\n", time.Now().Format("15:04:05.0"), m.id, fmt.Sprintf(format, args...))
}

func (e *ensemble) running() int {
	n := 0
	for _, m := range e.members {
		if m.process != nil {
			n++
		}
	}
	return n
}

// allFailed says that no server ended because somebody wanted it to.
func (e *ensemble) allFailed() bool {
	for _, m := range e.members {
		if !m.failed {
			return false
		}
	}
	return true
}

func (e *ensemble) ended(x exit) {
	m := x.process.member
	e.tell(m, "down: %s. 'start %d' starts it again", m.ended(x.state), m.id)
}

// lookAround looks at every running server, unless the last look at it is not over.
func (e *ensemble) lookAround(ctx context.Context) {
	for _, m := range e.members {
		p, last := m.process, m.seen
		if p == nil || p.looking {
			continue
		}
		p.looking = true
		e.looks.Go(func() {
			limited, cancel := context.WithTimeout(ctx, pollTimeout)
			defer cancel()
			found := sighting{p, look(limited, m.address, last)}
			select {
			case e.sights <- found:
			case <-ctx.Done():
			}
		})
	}
}

// tellChange prints what a look found, if that is new.
func (e *ensemble) tellChange(found sighting) {
	m := found.process.member
	found.process.looking = false
	if m.process != found.process || m.asked != "" || m.seen == found.sight {
		m.missed = false
		return // the server is another process by now, or on its way down
	}
	if found.sight.role == roleDown && !m.missed {
		m.missed = true // once is not enough: its end may be about to be told, or the machine is busy
		return
	}
	m.missed = false
	m.seen = found.sight
	role := string(m.seen.role)
	if m.seen.role == roleDown {
		role = "does not answer"
	}
	e.tell(m, "%s%s", role, m.seen.detail)
}

// obey carries a command out; true for quit.
func (e *ensemble) obey(ctx context.Context, line string) bool {
	words := strings.Fields(line)
	switch {
	case len(words) == 0:
	case len(words) == 1 && (words[0] == "quit" || words[0] == "exit"):
		return true
	case len(words) == 1 && words[0] == "status":
		var b strings.Builder
		ask(ctx, e.layout.addresses(), pollTimeout).writeTable(&b)
		fmt.Fprint(e.out, b.String())
	case len(words) == 2 && (words[0] == "start" || words[0] == "stop" || words[0] == "kill"):
		if err := e.obeyFor(words[0], words[1]); err != nil {
			fmt.Fprintln(e.out, err)
		}
	case len(words) == 1 && words[0] == "help":
		fmt.Fprintln(e.out, ensembleCommands)
	default:
		fmt.Fprintf(e.out, "%q is no command here. %s\n", line, ensembleCommands)
	}
	return false
}

// obeyFor carries out a command about one server.
func (e *ensemble) obeyFor(verb, which string) error {
	m, err := e.find(which)
	switch {
	case err != nil:
		return err
	case verb == "start" && m.process != nil:
		return fmt.Errorf("server %d is running, pid %d", m.id, m.pid())
	case verb == "start":
		if err := m.start(e.command(m.config), e.exits); err != nil {
			return err
		}
		e.tell(m, "started, pid %d", m.pid())
	case m.process == nil:
		return fmt.Errorf("server %d is down", m.id)
	case verb == "kill":
		m.kill()
	default:
		m.stop()
	}
	return nil
}

// find returns the server with a number, or the leader.
func (e *ensemble) find(which string) (*member, error) {
	for _, m := range e.members {
		if which == strconv.Itoa(m.id) || which == "leader" && m.seen.role == status.Leader {
			return m, nil
		}
	}
	if which == "leader" {
		return nil, errors.New("there is no leader now")
	}
	return nil, fmt.Errorf("no server %s: expected 1 to %d, or leader", which, len(e.members))
}

// stopAll stops what runs, and kills what has not stopped in time or when another signal comes.
func (e *ensemble) stopAll() {
	if e.running() == 0 {
		return
	}
	fmt.Fprintln(e.out, "Stopping; Ctrl-C again kills what has not stopped.")
	for _, m := range e.members {
		if m.process != nil {
			m.stop()
		}
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, e.patience)
	defer cancel()
	impatient := ctx.Done()
	for e.running() > 0 {
		select {
		case x := <-e.exits:
			x.process.member.ended(x.state)
		case <-impatient:
			impatient = nil
			for _, m := range e.members {
				if m.process != nil {
					e.tell(m, "has not stopped: killed")
					m.kill()
				}
			}
		}
	}
	fmt.Fprintf(e.out, "All stopped; the data stays in %s.\n", e.layout.dir)
}

// readLines passes the lines of in on until its end, and then closes the channel; it gives up when ctx ends, though a
// read that nothing ends, such as a terminal's, lasts as long as the process.
func readLines(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}
