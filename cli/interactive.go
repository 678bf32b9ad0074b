package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/reeflective/readline"
	"github.com/reeflective/readline/inputrc"
)

// editor reads lines from the terminal. The library draws from the goroutine that reads, so what others print while a
// line is being edited is queued and printed by a command of the library's own, bound to printKey.
type editor struct {
	rl      *readline.Shell
	out     *output
	editing atomic.Bool
	queued  chan string
}

// printKey is a key that no keyboard has.
const printKey = "\x1b[9917~"

// queuedTexts bounds what waits to be printed while a line is edited; beyond it, it is printed over the line.
const queuedTexts = 1024

func newEditor(s *shell) *editor {
	e := &editor{rl: readline.NewShell(inputrc.WithApp("zebu")), out: s.out, queued: make(chan string, queuedTexts)}
	// Not every terminal answers where the cursor is, and what was typed ahead would be taken for the answer.
	_ = e.rl.Config.Set("cursor-position-probe", false)
	_ = e.rl.Config.Set("completion-ignore-case", true)
	e.rl.Prompt.Primary(s.prompt)
	e.rl.Completer = s.complete
	e.rl.History.Add("commands", newHistory(s.o.History))
	e.rl.Keymap.Register(map[string]func(){"zebu-print": e.printQueued, "zebu-interrupt": e.interrupt})
	// The first Tab completes as far as there is no choice and shows what there is; the next ones choose.
	_ = e.rl.Config.Set("menu-complete-display-prefix", true)
	for keymap, binds := range e.rl.Config.Binds {
		_ = e.rl.Config.Bind(keymap, printKey, "zebu-print", false)
		_ = e.rl.Config.Bind(keymap, "\x03", "zebu-interrupt", false)
		if binds["\t"].Action == "complete" {
			_ = e.rl.Config.Bind(keymap, "\t", "menu-complete", false)
		}
	}
	e.rl.SyntaxHighlighter = func(line []rune) string { // what the library calls whenever it draws, in its goroutine
		if len(e.queued) > 0 {
			e.rl.Keys.Feed(false, []rune(printKey)...)
		}
		return string(line)
	}
	s.out.redirect(e.print)
	return e
}

// print is where the shell's output goes: false if no line is being edited.
func (e *editor) print(text string) bool {
	if !e.editing.Load() {
		return false
	}
	select {
	case e.queued <- text:
		e.rl.Keys.RequestRefresh()
		return true
	default:
		return false
	}
}

// printQueued prints above the line being edited; the prompt then shows the state of the session anew.
func (e *editor) printQueued() {
	text := e.drain()
	if text == "" {
		return
	}
	_, _ = e.rl.PrintTransientf("%s", strings.TrimSuffix(text, "\n")) // a terminal that is gone ends the next read
}

// interrupt gives the line up. The library's own command for Ctrl-C looks at the next key, and loses both if there is one.
func (e *editor) interrupt() {
	fmt.Fprint(os.Stdout, "^C")
	e.rl.Display.AcceptLine()
	e.rl.History.Accept(false, false, readline.ErrInterrupt)
}

func (e *editor) drain() string {
	var b strings.Builder
	for {
		select {
		case text := <-e.queued:
			b.WriteString(text)
		default:
			return b.String()
		}
	}
}

// line reads one line. io.EOF is the end, an empty line may be Ctrl-C.
func (e *editor) line() (string, error) {
	e.editing.Store(true)
	line, err := e.rl.Readline()
	e.editing.Store(false)
	if text := e.drain(); text != "" {
		fmt.Fprint(e.out, text)
	}
	if errors.Is(err, readline.ErrInterrupt) {
		return "", nil
	}
	return line, err
}

// prompt is zkCli's.
func (s *shell) prompt() string {
	state := "CLOSED"
	if c := s.client(); c != nil {
		state = c.State().String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("[zk: %s(%s) %d] ", s.host, state, len(s.history))
}

// interact runs a session on the terminal.
func (s *shell) interact(ctx context.Context) int {
	if s.o.Compat {
		fmt.Fprintln(s.out, "Welcome to ZooKeeper!")
	}
	fmt.Fprintln(s.out, "help lists the commands, Tab completes them and paths, Ctrl-R searches the history, Ctrl-D ends.")
	e := newEditor(s)
	for !s.quit && ctx.Err() == nil {
		line, err := e.line()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return s.fail(fmt.Errorf("read the terminal: %w", err))
			}
			fmt.Fprintln(s.out)
			break
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		words := split(line)
		if len(words) == 0 {
			continue
		}
		s.mu.Lock()
		s.history = append(s.history, line)
		s.mu.Unlock()
		s.runInterruptible(ctx, words)
	}
	return 0
}

// withoutSlash takes the slash off that completion leaves at the end of a path. To create it means something.
func withoutSlash(words []string) []string {
	if words[0] == "create" {
		return words
	}
	for i, w := range words[1:] {
		if len(w) > 1 && w[0] == '/' {
			words[i+1] = strings.TrimSuffix(w, "/")
		}
	}
	return words
}
