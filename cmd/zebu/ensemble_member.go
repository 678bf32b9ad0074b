package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"zebu/internal/fourletter"
	"zebu/status"
)

// member is one server of a trial ensemble. The ensemble's loop owns it.
type member struct {
	id      int
	address string
	config  string
	log     string

	process *process // nil while it is down
	asked   string   // "stopped" or "killed" once that was asked for
	seen    sight    // as last told
	missed  bool     // it did not answer to the last look
	failed  bool     // it ended by itself, and with an error
}

// process is a running server.
type process struct {
	member  *member
	cmd     *exec.Cmd
	looking bool // a look at it is under way
}

// exit is the end of a process.
type exit struct {
	process *process
	state   *os.ProcessState
}

// sight is what a look at a running server found.
type sight struct {
	role   status.Mode // "" before it answers for the first time
	detail string      // of the role
}

// start runs the server. Its end goes to exits, which must have room.
func (m *member) start(cmd *exec.Cmd, exits chan<- exit) error {
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	confine(cmd)
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start server %d: %w", m.id, err), log.Close())
	}
	p := &process{member: m, cmd: cmd}
	m.process, m.asked, m.seen, m.missed, m.failed = p, "", sight{}, false, false
	go func() {
		_ = cmd.Wait()  // ProcessState says it too
		_ = log.Close() // the server's lines went past this handle
		exits <- exit{p, cmd.ProcessState}
	}()
	return nil
}

func (m *member) pid() int { return m.process.cmd.Process.Pid }

// kill is kill -9.
func (m *member) kill() {
	m.asked = "killed"
	_ = m.process.cmd.Process.Kill() // fails only if the process is gone
}

func (m *member) stop() {
	m.asked = "stopped"
	terminate(m.process.cmd.Process)
}

// ended notes the end of the process and says how it came.
func (m *member) ended(state *os.ProcessState) string {
	m.process, m.seen = nil, sight{}
	switch {
	case m.asked != "":
		return m.asked
	case state.ExitCode() < 0:
		return state.String() // "signal: killed"
	}
	m.failed = true
	return fmt.Sprintf("%v; %s ends: %s", state, m.log, lastLine(m.log))
}

// lastLine is the last line of a log, which tells why a server ended.
func lastLine(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil {
		_, _ = f.Seek(max(0, st.Size()-1000), io.SeekStart) // from the start then
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// look asks a server what it does. One that never answered before, last is the zero sight, may be starting still.
func look(ctx context.Context, address string, last sight) sight {
	s, err := summary(ctx, address)
	switch {
	case errors.Is(err, fourletter.ErrNotServing):
		return sight{role: roleLooking, detail: " for a leader"}
	case err != nil && last.role == "":
		return last
	case err != nil:
		return sight{role: roleDown, detail: ": " + reason(err, pollTimeout)}
	case s.Mode == status.Leader:
		return sight{role: s.Mode, detail: fmt.Sprintf(" of epoch %d", s.Zxid.Epoch())}
	}
	return sight{role: s.Mode}
}
