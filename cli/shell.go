package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"

	"zebu/internal/client"
	"zebu/proto"
)

// shell is one run: the session, and what zkCli keeps between commands.
type shell struct {
	o    Options
	out  *output
	host string // connect string of the session

	mu     sync.Mutex
	c      *client.Client
	done   chan struct{} // closed when the events of c are all shown
	shown  uint64        // events of c
	showed chan struct{} // closed when one more is shown
	// A command that follows the events at and below a path takes them, and the changes of state.
	follow   chan<- client.Event
	followed string

	history []string    // lines of this run, by zkCli's numbers
	muted   atomic.Bool // watch events are not printed
	ending  atomic.Bool // the shell ends: that its session does is no news
	quit    bool
	last    int // exit code of the last command: quit leaves with it
}

// output serialises what commands and watches print.
type output struct {
	mu    sync.Mutex
	w     io.Writer
	other func(text string) bool // takes the text if it can
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.other != nil && o.other(string(p)) {
		return len(p), nil
	}
	return o.w.Write(p)
}

// redirect gives the output to take, as long as that returns true.
func (o *output) redirect(take func(text string) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.other = take
}

func newShell(o Options) *shell {
	return &shell{o: o, out: &output{w: o.Out}, showed: make(chan struct{})}
}

func (s *shell) client() *client.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.c
}

// open starts a session; nothing of the shell changes.
func (s *shell) open(server string) (*client.Client, error) {
	return client.New(client.Options{
		Servers: server, Timeout: s.o.Timeout, Patience: s.o.Timeout, ReadOnly: s.o.ReadOnly, MaxFrame: s.o.MaxFrame,
	})
}

// connect replaces the session by a new one.
func (s *shell) connect(server string) error {
	c, err := s.open(server)
	if err != nil {
		return err
	}
	s.close()
	s.mu.Lock()
	s.c, s.host, s.done, s.shown = c, server, make(chan struct{}), 0
	done := s.done
	s.mu.Unlock()
	go func() {
		defer close(done)
		for e := range c.Events() {
			s.event(e)
			s.mu.Lock()
			s.shown++
			close(s.showed)
			s.showed = make(chan struct{})
			s.mu.Unlock()
		}
	}()
	return nil
}

// settle waits until the events that came before the last reply are on the screen, so that the output is in the order of
// what happened.
func (s *shell) settle() {
	c := s.client()
	if c == nil {
		return
	}
	for want := c.Delivered(); ; {
		s.mu.Lock()
		shown, showed := s.shown, s.showed
		s.mu.Unlock()
		if shown >= want {
			return
		}
		<-showed
	}
}

// close ends the session, if there is one; the shell still knows it as closed.
func (s *shell) close() {
	c := s.client()
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = c.Close(ctx) // the server ends it by itself after the session timeout
	<-s.done
}

// event shows an event, or gives it to the command that follows events.
func (s *shell) event(e client.Event) {
	s.mu.Lock()
	follow, path := s.follow, s.followed
	s.mu.Unlock()
	if follow != nil && (e.Path == "" || below(e.Path, path)) {
		select {
		case follow <- e:
			return
		default: // its reader is behind: better shown than lost
		}
	}
	if !s.muted.Load() && (e.Path != "" || s.o.Compat && !s.ending.Load()) {
		fmt.Fprint(s.out, "\nWATCHER::\n\n"+eventText(e)+"\n")
	} else if s.o.Terminal && e.Path == "" && !s.ending.Load() {
		s.tellState(e.State)
	}
}

// tellState tells a person at the terminal what became of the connection.
func (s *shell) tellState(now client.State) {
	switch now {
	case client.Connected:
		fmt.Fprintf(s.out, "Connected to %s.\n", s.client().Server())
	case client.ConnectedReadOnly:
		fmt.Fprintf(s.out, "Connected to %s, which is cut off from its quorum and only reads.\n", s.client().Server())
	case client.Connecting:
		fmt.Fprint(s.out, "Connection lost; trying to reach a server again.\n")
	case client.Expired:
		fmt.Fprint(s.out, "The session expired.\n")
	}
}

// eventText is an event as zkCli prints it.
func eventText(e client.Event) string {
	state, kind, path := "SyncConnected", "None", "null"
	switch e.State {
	case client.Connecting:
		state = "Disconnected"
	case client.ConnectedReadOnly:
		state = "ConnectedReadOnly"
	case client.Expired:
		state = "Expired"
	case client.Closed:
		state = "Closed"
	}
	if e.Path != "" {
		kind, path = eventName(e.Type), e.Path
	}
	return fmt.Sprintf("WatchedEvent state:%s type:%s path:%s zxid: %d", state, kind, path, int64(e.Zxid))
}

func eventName(t proto.EventType) string {
	switch t {
	case proto.EventNodeCreated:
		return "NodeCreated"
	case proto.EventNodeDeleted:
		return "NodeDeleted"
	case proto.EventNodeDataChanged:
		return "NodeDataChanged"
	case proto.EventNodeChildrenChanged:
		return "NodeChildrenChanged"
	case client.DataWatchRemoved:
		return "DataWatchRemoved"
	case client.ChildWatchRemoved:
		return "ChildWatchRemoved"
	case client.PersistentWatchRemoved:
		return "PersistentWatchRemoved"
	}
	return "event " + strconv.Itoa(int(t))
}

// word is an argument of a line: quoted, or up to the next space.
var word = regexp.MustCompile(`"[^"]*"|'[^']*'|[^\s"']\S*`)

// split cuts a line into words as zkCli does: quotes count at the beginning of a word only.
func split(line string) []string {
	words := word.FindAllString(line, -1)
	for i, w := range words {
		if n := len(w); n >= 2 && (w[0] == '"' || w[0] == '\'') && w[n-1] == w[0] {
			words[i] = w[1 : n-1]
		}
	}
	return words
}

// line runs a line of a script or of the terminal and keeps it in the history.
func (s *shell) line(ctx context.Context, line string) int {
	words := split(line)
	if len(words) == 0 {
		return 0
	}
	s.history = append(s.history, line)
	return s.run(ctx, words)
}

// run runs one command and prints its error, if any.
func (s *shell) run(ctx context.Context, words []string) int {
	err := s.execute(ctx, words)
	s.settle()
	if s.quit {
		return s.last
	}
	s.last = 0
	if err != nil {
		s.last = s.fail(err)
	}
	return s.last
}

// execute finds a command, takes its flags apart and runs it.
func (s *shell) execute(ctx context.Context, words []string) error {
	if s.o.Terminal {
		words = withoutSlash(words)
	}
	cmd := commands[words[0]]
	if cmd == nil {
		return &unknownCommand{words[0]}
	}
	flags, args, err := parseFlags(cmd, words[1:])
	if err != nil {
		return err
	}
	k := &call{shell: s, cmd: cmd, flags: flags, args: args, json: s.o.JSON}
	if v, ok := flags["o"]; ok && cmd.flag("o") == nil {
		if v != "json" && v != "text" {
			return &usageError{fmt.Sprintf("-o %s: expected json or text", v)}
		}
		k.json = v == "json"
	}
	if len(args) < cmd.min {
		return cmd.wrong()
	}
	if !cmd.local {
		if err := k.online(); err != nil {
			if s.o.Compat && err == errNotConnected {
				return k.emit(nil, "Not connected\n") // to zkCli that is no failure
			}
			return err
		}
	}
	return cmd.run(ctx, k)
}

// fail prints err and returns the exit code that stands for it.
func (s *shell) fail(err error) int {
	if errors.Is(err, errNo) {
		return s.code(err)
	}
	f := describe(err)
	if s.o.JSON {
		text, merr := json.Marshal(map[string]any{"error": f})
		if merr == nil {
			fmt.Fprintln(s.o.Err, string(text))
			return s.code(err)
		}
	}
	fmt.Fprintln(s.o.Err, f.Message)
	if f.Hint != "" && (!s.o.Compat || s.o.Terminal) {
		fmt.Fprintln(s.o.Err, "  "+f.Hint)
	}
	return s.code(err)
}

// call is one run of one command.
type call struct {
	*shell
	cmd   *command
	flags map[string]string
	args  []string
	json  bool
	c     *client.Client
}

func (k *call) has(flag string) bool {
	_, ok := k.flags[flag]
	return ok
}

// online readies the session for a command. A session that the server has ended is replaced, since the prompt of a shell
// must not be a dead end.
func (k *call) online() error {
	c := k.client()
	if c == nil {
		return errNotConnected
	}
	switch c.State() {
	case client.Closed:
		return errNotConnected
	case client.Expired:
		fmt.Fprintln(k.o.Err, "The session expired: its ephemeral nodes and watches are gone. This is a new session.")
		if err := k.connect(k.host); err != nil {
			return err
		}
		c = k.client()
	}
	k.c = c
	return nil
}

// emit prints a result: v as a line of JSON, or text.
func (k *call) emit(v any, text string) error {
	k.settle()
	if !k.json {
		_, err := io.WriteString(k.out, text)
		return err
	}
	e := json.NewEncoder(k.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// note prints a remark on standard error, where zkCli does too.
func (k *call) note(format string, args ...any) {
	if !k.json {
		fmt.Fprintf(k.o.Err, format+"\n", args...)
	}
}
