package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// Options say how a shell runs.
type Options struct {
	Server   string        // connect string; ZooKeeper's default if empty
	Timeout  time.Duration // session timeout; 30 s if zero
	ReadOnly bool          // take a server cut off from its quorum
	Wait     bool          // wait for the connection, up to Timeout, before the first command
	JSON     bool          // results as JSON lines
	Compat   bool          // banners, messages and exit codes of zkCli
	MaxFrame int           // largest answer to accept, in bytes; 0 for the client's default
	Version  string        // told by the version command
	History  string        // file of past commands; "" for none
	In       io.Reader
	Out, Err io.Writer
	Terminal bool     // In and Out are the process's own terminal: edit lines
	Command  []string // the one command to run; without one, commands come from In
}

// defaultServer is where zkCli connects to.
const defaultServer = "localhost:2181"

// goodbye is how long the end of a session may take.
const goodbye = 2 * time.Second

// Run runs the shell and returns the process's exit code. Errors have been printed.
func Run(ctx context.Context, o Options) int {
	if o.Server == "" {
		o.Server = defaultServer
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	s := newShell(o)
	defer func() {
		s.ending.Store(true)
		s.close()
	}()
	if o.Compat {
		fmt.Fprintln(o.Out, "Connecting to "+o.Server)
	}
	if err := s.connect(o.Server); err != nil {
		return s.fail(&usageError{err.Error()})
	}
	if o.Wait {
		waiting, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		if err := s.client().Connected(waiting); err != nil {
			return s.fail(err)
		}
	}
	switch {
	case len(o.Command) > 0:
		return s.runInterruptible(ctx, o.Command)
	case o.Terminal:
		return s.interact(ctx)
	}
	return s.script(ctx)
}

// script runs the lines of the input, as zkCli does without a terminal: the exit code is that of the last.
func (s *shell) script(ctx context.Context) int {
	if s.o.Compat {
		fmt.Fprint(s.out, "Welcome to ZooKeeper!\nJLine support is disabled\n")
	}
	lines := bufio.NewReader(s.o.In)
	code := 0
	for !s.quit && ctx.Err() == nil {
		line, err := lines.ReadString('\n')
		if line = trimEOL(line); line != "" {
			code = s.line(ctx, line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return s.fail(fmt.Errorf("read commands: %w", err))
		}
	}
	return code
}

func trimEOL(line string) string {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line
}

// runInterruptible runs one command, which Ctrl-C ends.
func (s *shell) runInterruptible(ctx context.Context, words []string) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	return s.run(ctx, words)
}
