package interop

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"zebu/internal/peers"
)

// terminal is a terminal of 100 by 30 that a program runs in, in tmux.
type terminal struct {
	t    *testing.T
	args []string // of tmux: its socket
}

func newTerminal(t *testing.T, command string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		have(t, &peers.Missing{What: "a terminal", Why: "no tmux (Debian package tmux)"})
	}
	term := &terminal{t, []string{"-f", "/dev/null", "-S", filepath.Join(t.TempDir(), "tmux")}}
	term.tmux("new-session", "-d", "-x", "100", "-y", "30", command)
	t.Cleanup(func() { _ = exec.Command("tmux", append(term.args, "kill-server")...).Run() })
	return term
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	out, err := exec.Command("tmux", append(term.args, args...)...).CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// press sends keys, by tmux's names.
func (term *terminal) press(keys ...string) {
	term.t.Helper()
	term.tmux(append([]string{"send-keys"}, keys...)...)
}

// say types a text and Enter.
func (term *terminal) say(text string) {
	term.t.Helper()
	term.tmux("send-keys", "-l", text)
	term.press("Enter")
}

// shows waits until the screen shows all of some texts.
func (term *terminal) shows(texts ...string) {
	term.t.Helper()
	screen := ""
	poll(term.t, 15*time.Second, strings.Join(texts, ", "), func() bool {
		screen = term.tmux("capture-pane", "-p")
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	}, &screen)
}

// TestTerminal is a newcomer's session with the shell, as it looks.
func TestTerminal(t *testing.T) {
	t.Parallel()
	s := start(t, zebu(t), scenarioConfig(t.TempDir()))
	term := newTerminal(t, zebu(t).Binary+" cli --server "+s.Addr+"; echo ended $?; sleep 1000")
	term.shows(s.Addr)
	term.say("create /fruit x")
	term.shows("Created /fruit")
	term.say("create /fruit/apple red")
	term.shows("Created /fruit/apple")
	term.say("create /fruit/pear green")
	term.shows("Created /fruit/pear")

	term.press("C-l")
	term.tmux("send-keys", "-l", "get /fruit/ap") // a live path is completed
	term.press("Tab")
	term.shows("get /fruit/apple")
	term.press("Enter")
	term.shows("red")

	term.press("C-l")
	term.tmux("send-keys", "-l", "getAllCh") // a command is
	term.press("Tab")
	term.shows("getAllChildrenNumber")
	term.tmux("send-keys", "-l", " /fruit")
	term.press("Enter")
	term.shows("2")

	term.press("C-l")
	term.press("Up", "Up", "Up") // history: the third last command
	term.shows("create /fruit/pear green")
	term.press("C-u")
	term.say("tree /fruit")
	term.shows("apple", "pear")
	term.say("get /nothing")
	term.shows("Node does not exist: /nothing")
	term.say("watch /fruit")
	term.shows("watch /fruit")
	other := connect(t, 10*time.Second, s.Addr)
	for n := 0; !strings.Contains(term.tmux("capture-pane", "-p"), "/fruit/plum"); n++ { // until it watches
		if n > 200 {
			t.Fatalf("the shell does not follow:\n%s", term.tmux("capture-pane", "-p"))
		}
		if _, err := other.Create("/fruit/plum", nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
			_ = other.Delete("/fruit/plum", -1)
		}
	}
	term.press("C-c")
	term.say("whoami")
	term.shows("Auth scheme")
	term.say("quit")
	term.shows("ended 0")
}
