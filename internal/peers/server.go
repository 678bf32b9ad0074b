package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"zebu/internal/freeport"
)

// Config is one server's configuration. The zero value of everything but Dir will do.
type Config struct {
	Dir        string   // holds zoo.cfg, server.log and, unless Extra sets dataDir, data
	Extra      []string // more lines for zoo.cfg; they win over the lines written by default
	Properties []string // Java system properties, "zookeeper.extendedTypesEnabled=true"
	Port       int      // of clients; 0: one that is free
	KeepFile   bool     // zoo.cfg is there and stays as it is; then Port says what it has for clients
}

// startTimeout bounds a start: a Java server on a loaded machine may take ten seconds.
const startTimeout = 60 * time.Second

// stopTimeout bounds a clean stop.
const stopTimeout = 30 * time.Second

// Server is a running server process.
type Server struct {
	Maker  Maker
	Config Config
	// Addr is the client address, host and port.
	Addr string

	cmd  *exec.Cmd
	log  *os.File
	done chan struct{} // closed when the process is gone
	err  error         // of Wait; read after done
}

// Start runs a server and waits until it answers the four-letter word srvr as one that serves. A port that was taken
// between choosing and binding is tried again with another.
func Start(ctx context.Context, m Maker, c Config) (*Server, error) {
	var err error
	for range 3 {
		var s *Server
		if s, err = start(ctx, m, c); err == nil {
			return s, nil
		}
		if !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			break
		}
	}
	return nil, fmt.Errorf("start %s: %w", m.Name(), err)
}

func start(ctx context.Context, m Maker, c Config) (*Server, error) {
	s, err := Launch(m, c)
	if err != nil {
		return nil, err
	}
	if err := s.AwaitServing(ctx); err != nil {
		s.Kill()
		return nil, fmt.Errorf("%w; its log ends:\n%s", err, s.LogTail(40))
	}
	return s, nil
}

// Launch runs a server and does not wait for anything: a server of an ensemble serves when others are there.
func Launch(m Maker, c Config) (*Server, error) {
	port := c.Port
	if port == 0 {
		var err error
		if port, err = freeport.Next(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	cfg := filepath.Join(c.Dir, "zoo.cfg")
	if !c.KeepFile {
		if err := os.WriteFile(cfg, []byte(configText(c, port)), 0o644); err != nil {
			return nil, err
		}
	}
	log, err := os.OpenFile(filepath.Join(c.Dir, "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	s := &Server{Maker: m, Config: c, Addr: net.JoinHostPort("127.0.0.1", fmt.Sprint(port)), log: log, done: make(chan struct{})}
	s.cmd = m.Command(cfg, c.Properties)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.Dir = c.Dir
	dieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		log.Close()
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		log.Close()
		close(s.done)
	}()
	return s, nil
}

func configText(c Config, port int) string {
	lines := []string{
		"tickTime=500",
		"dataDir=" + filepath.Join(c.Dir, "data"),
		"clientPortAddress=127.0.0.1",
		fmt.Sprintf("clientPort=%d", port),
		"maxClientCnxns=0",
		"4lw.commands.whitelist=*",
		"admin.enableServer=false",
	}
	for _, e := range c.Extra {
		key, _, _ := strings.Cut(e, "=")
		for i, l := range lines {
			if strings.HasPrefix(l, key+"=") {
				lines = append(lines[:i], lines[i+1:]...)
				break
			}
		}
		lines = append(lines, e)
	}
	return strings.Join(lines, "\n") + "\n"
}

// AwaitServing waits until the server answers the four-letter word srvr as one that serves.
func (s *Server) AwaitServing(ctx context.Context) error {
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if text, err := fourLetterWord(s.Addr, "srvr", time.Second); err == nil && strings.Contains(text, "Mode: ") {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("exited before serving: %v", s.err)
		case <-deadline.C:
			return fmt.Errorf("not serving after %v", startTimeout)
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
}

// FourLetterWord sends a four-letter word and returns the whole answer.
func FourLetterWord(addr, word string) (string, error) {
	return fourLetterWord(addr, word, 10*time.Second)
}

// fourLetterWord has a limit because a Java server that is just starting may leave a connection unanswered for ever.
func fourLetterWord(addr, word string, limit time.Duration) (string, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	if _, err := c.Write([]byte(word)); err != nil {
		return "", err
	}
	text, err := io.ReadAll(c)
	return string(text), err
}

// PID is the server's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the server with SIGTERM and waits for it.
func (s *Server) Stop() error {
	select {
	case <-s.done:
		return fmt.Errorf("%s had ended by itself: %v", s.Maker.Name(), s.err)
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", s.Maker.Name(), err)
	}
	select {
	case <-s.done:
		return nil
	case <-time.After(stopTimeout):
		s.Kill()
		return fmt.Errorf("%s did not stop within %v of SIGTERM", s.Maker.Name(), stopTimeout)
	}
}

// Kill ends the server with SIGKILL and waits for it; no harm if it is gone already.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // fails only if the process is gone, which is what is wanted
	<-s.done
}

// Log is everything the server has printed, over all starts in its folder.
func (s *Server) Log() string {
	b, err := os.ReadFile(filepath.Join(s.Config.Dir, "server.log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// LogTail is the last n lines of [Server.Log].
func (s *Server) LogTail(n int) string {
	lines := bytes.Split(bytes.TrimRight([]byte(s.Log()), "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}
