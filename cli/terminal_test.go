package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"zebu/internal/client"
	"zebu/server/servertest"
)

// TestMain runs the shell instead of the tests if the environment names a server: for tests on a terminal.
func TestMain(m *testing.M) {
	if server := os.Getenv("CLI_TEST_SERVER"); server != "" {
		os.Exit(Run(context.Background(), Options{
			Server: server, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: true, History: os.Getenv("CLI_TEST_HISTORY"),
		}))
	}
	os.Exit(m.Run())
}

// terminal is a shell on a pseudo-terminal.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	f      *os.File
	output chan string
	seen   string // what came and was not awaited yet, without control sequences
}

func openTerminal(t *testing.T, server, history string) *terminal {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "CLI_TEST_SERVER="+server, "CLI_TEST_HISTORY="+history, "TERM=xterm", "HOME="+t.TempDir(), "INPUTRC=/dev/null")
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	if errors.Is(err, pty.ErrUnsupported) {
		t.Skip("LEFT OUT: the shell on a terminal, for want of pseudo-terminals")
	}
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, cmd: cmd, f: f, output: make(chan string)}
	go func() {
		defer close(x.output)
		b := make([]byte, 4096)
		for {
			n, err := f.Read(b)
			if n > 0 {
				x.output <- string(b[:n])
			}
			if err != nil {
				return // the shell is gone
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill() // if it still runs
		f.Close()
		for range x.output {
		}
	})
	return x
}

// control are the sequences that move the cursor or colour the text.
var control = regexp.MustCompile("\x1b\\[[0-9;?<>= ]*[a-zA-Z]|\x1b[=>]|\r")

// await reads until text has come.
func (x *terminal) await(text string) {
	x.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		plain := control.ReplaceAllString(x.seen, "")
		if i := strings.Index(plain, text); i >= 0 {
			x.seen = plain[i+len(text):]
			return
		}
		select {
		case more, ok := <-x.output:
			if !ok {
				x.t.Fatalf("the shell ended before %q:\n%s", text, plain)
			}
			x.seen += more
		case <-limit:
			x.t.Fatalf("no %q in\n%s", text, plain)
		}
	}
}

func (x *terminal) send(keys string) {
	x.t.Helper()
	if _, err := io.WriteString(x.f, keys); err != nil {
		x.t.Fatal(err)
	}
}

// ended waits for the end and returns the exit code.
func (x *terminal) ended() int {
	x.t.Helper()
	drained := make(chan struct{})
	go func() {
		for range x.output {
		}
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(20 * time.Second):
		x.t.Fatal("the shell does not end")
	}
	x.cmd.Wait()
	return x.cmd.ProcessState.ExitCode()
}

// TestTerminal types into a shell as a person would: completion of commands and of live paths, watch events above the
// line being typed, Ctrl-C, the history of the shell before.
func TestTerminal(t *testing.T) {
	o := bench(t)
	history := filepath.Join(t.TempDir(), "state", "history")
	x := openTerminal(t, o.Server, history)
	x.await("(CONNECTED) 0] ")

	x.send("ls /a\t")
	x.await("ls /app/")
	x.send("a\t")
	x.await("/app/a/")
	x.send("\r")
	x.await("[x]\n")
	x.await("(CONNECTED) 1] ")

	x.send("getE\t/app\r")
	x.await("getEphemerals /app")
	x.await("[]\n")

	x.send("get\t")
	x.await("getAllChildrenNumber")
	x.await("getEphemerals")
	x.send("\x03")
	x.await("(CONNECTED) 2] ")

	x.send("get -w /app/b\r")
	x.await("two words")
	x.await("(CONNECTED) 3] ")
	x.send("half a li")
	x.await("half a li")
	run(t, o, "set /app/b new\n")
	x.await("WatchedEvent state:SyncConnected type:NodeDataChanged path:/app/b")
	x.await("half a li")
	x.send("\x03")
	x.await("(CONNECTED) 3] ")

	x.send("watch /app\r")
	x.await("Ctrl-C ends it.")
	run(t, o, "set /app/a 1\n")
	x.await("changed  /app/a")
	x.send("\x03")
	x.await("(CONNECTED) 4] ")

	x.send("addauth digest u:secret\r")
	x.await("(CONNECTED) 5] ")
	x.send("redo 0\r")
	x.await("[x]")
	x.await("(CONNECTED) 6] ")
	x.send("nope\r")
	x.await("Command not found: nope")
	x.send("close\r")
	x.await("(CLOSED) 8] ")
	x.send("ls /\r")
	x.await("Not connected\n  connect opens a session.")
	x.send("connect\r")
	x.await("(CONNECTED) 10] ")
	x.send("\x04")
	if code := x.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	text, err := os.ReadFile(history)
	if err != nil || !strings.Contains(string(text), "get -w /app/b\n") || strings.Contains(string(text), "secret") {
		t.Errorf("%v\n%s", err, text)
	}
	if st, err := os.Stat(history); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	x = openTerminal(t, o.Server, history)
	x.await("(CONNECTED) 0] ")
	x.send("\x12get -w") // Ctrl-R
	x.await("get -w /app/b")
	x.send("\r")
	x.await("new\n")
	x.send("quit\r")
	if code := x.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestPromptWithoutServer expects the prompt at once, and a message that says why there is no answer.
func TestPromptWithoutServer(t *testing.T) {
	x := openTerminal(t, "127.0.0.1:1", "")
	x.await("(CONNECTING) 0] ")
	x.send("ls /\r")
	x.await("KeeperErrorCode = ConnectionLoss for /")
	x.await("Is the server running")
	x.await("(CONNECTING) 1] ")
	x.send("ls /\t")
	x.await("ls /")
	x.send("\x03")
	x.await("(CONNECTING) 1] ")
	x.send("quit\r")
	if code := x.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestHistoryFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "h")
	var b strings.Builder
	for range 3 * keptLines {
		b.WriteString("old\n")
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHistory(file)
	if h.Len() != keptLines {
		t.Errorf("%d lines", h.Len())
	}
	for _, line := range []string{"old", "new", " new ", "", "two\nlines"} {
		h.Write(line)
	}
	if line, err := h.GetLine(keptLines); line != "new" || err != nil || h.Len() != keptLines+1 {
		t.Errorf("%q %v %d", line, err, h.Len())
	}
	if _, err := h.GetLine(-1); err == nil {
		t.Error("a line before the first")
	}
	if again := newHistory(file); again.Len() != keptLines {
		t.Errorf("%d lines in the file", again.Len())
	}
	// One that cannot be kept is none.
	lost := newHistory(filepath.Join(file, "x"))
	if n, err := lost.Write("ls /"); n != 1 || err != nil {
		t.Errorf("%d %v", n, err)
	}
}

func TestCandidates(t *testing.T) {
	s := newShell(Options{})
	for text, want := range map[string]string{
		"":             strings.Join(names(), " "),
		"delq":         "delquota",
		"GETE":         "getEphemerals",
		"help delq":    "delquota",
		"ls -":         "-s -w -R -o",
		"reconfig -me": "-members",
		"nope ":        "",
		"ls /":         "",
	} {
		if got, _ := s.candidates(text); strings.Join(got, " ") != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if err := s.connect(servertest.Start(t)); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for text, want := range map[string]string{
		"ls /":           "/zookeeper/",
		"ls ":            "/zookeeper/",
		"ls /zookeeper/": "/zookeeper/config /zookeeper/quota",
		"get -s /zoo":    "/zookeeper/",
		"ls /none/":      "",
		"whoami ":        "",
	} {
		if got, _ := s.candidates(text); strings.Join(got, " ") != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if s.client().State() != client.Connected {
		t.Error(s.client().State())
	}
}
