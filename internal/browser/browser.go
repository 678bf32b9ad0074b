// Package browser drives a headless Chromium, for tests of the pages that zebu makes. It speaks the DevTools protocol over
// two pipes (--remote-debugging-pipe: JSON messages that end in NUL), so it needs no port and no library.
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"zebu/internal/peers"
)

// programs are the names under which distributions install Chromium.
var programs = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// patience bounds one command. A loaded machine takes seconds to start a renderer.
const patience = 120 * time.Second

// Browser is a running Chromium with a profile of its own. It is safe for several goroutines.
type Browser struct {
	cmd     *exec.Cmd
	profile string
	out     io.WriteCloser // commands to the browser
	done    chan struct{}  // closed when nothing more comes

	mu      sync.Mutex
	last    int
	waiting map[int]chan reply
	pages   map[string]*Page // by DevTools session
}

// message is a command, an answer or an event.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

type reply struct {
	result json.RawMessage
	err    error
}

// Start runs a Chromium until [Browser.Close]. The error is a [*peers.Missing] if this machine has none.
func Start(ctx context.Context) (*Browser, error) {
	program, err := find()
	if err != nil {
		return nil, err
	}
	profile, err := os.MkdirTemp("", "zebu-browser-")
	if err != nil {
		return nil, fmt.Errorf("start Chromium: %w", err)
	}
	b, err := start(ctx, program, profile)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start Chromium: %w", err), os.RemoveAll(profile))
	}
	return b, nil
}

func find() (string, error) {
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", &peers.Missing{What: "Chromium", Why: "no chromium on PATH (Debian package chromium)"}
}

func start(ctx context.Context, program, profile string) (*Browser, error) {
	// Chromium reads commands from its descriptor 3 and answers on 4. Only a sandbox inside a sandbox would need
	// privileges that CI machines do not give; the pages are our own, and no name but this machine's is resolved.
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking", "--disable-component-update", "--disable-extensions",
		"--force-device-scale-factor=1", "--hide-scrollbars", "--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirIn.Close(), ourOut.Close())
	}
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	err = cmd.Start()
	err = errors.Join(err, theirIn.Close(), theirOut.Close())
	if err != nil {
		return nil, errors.Join(err, ourIn.Close(), ourOut.Close())
	}
	b := &Browser{cmd: cmd, profile: profile, out: ourOut, done: make(chan struct{}), waiting: map[int]chan reply{}, pages: map[string]*Page{}}
	go b.read(ourIn)
	return b, nil
}

// Close ends the browser and removes its profile.
func (b *Browser) Close() error {
	// It may be gone before it has answered.
	_ = b.call("", "Browser.close", nil, nil)
	_ = b.out.Close()
	select {
	case <-b.done:
	case <-time.After(patience):
		_ = b.cmd.Process.Kill()
		<-b.done
	}
	err := b.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil // how a browser that is told to go exits is its own affair
	}
	return errors.Join(err, b.forget())
}

// forget removes the profile. The browser's children may write to it for a moment after it has gone.
func (b *Browser) forget() error {
	var err error
	for range 100 {
		if err = os.RemoveAll(b.profile); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// read hands out what the browser says, until it is gone.
func (b *Browser) read(in io.ReadCloser) {
	defer close(b.done)
	defer in.Close()
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			break
		}
		var m message
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			continue // nothing that we asked for
		}
		b.take(m)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, w := range b.waiting {
		w <- reply{err: errors.New("chromium is gone")}
		delete(b.waiting, id)
	}
}

func (b *Browser) take(m message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.ID == 0 {
		if p := b.pages[m.Session]; p != nil {
			p.event(m)
		}
		return
	}
	w := b.waiting[m.ID]
	if w == nil {
		return
	}
	delete(b.waiting, m.ID)
	if m.Error != nil {
		w <- reply{err: errors.New(m.Error.Message)}
		return
	}
	w <- reply{result: m.Result}
}

// call sends a command to a session, or to the browser, and reads the answer into result unless that is nil.
func (b *Browser) call(session, method string, params, result any) error {
	m := message{Session: session, Method: method}
	if params != nil {
		raw, err := json.Marshal(params)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		m.Params = raw
	}
	w := make(chan reply, 1)
	b.mu.Lock()
	b.last++
	m.ID = b.last
	b.waiting[m.ID] = w
	raw, err := json.Marshal(m)
	if err == nil {
		_, err = b.out.Write(append(raw, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case r := <-w:
		if r.err != nil {
			return fmt.Errorf("%s: %w", method, r.err)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(r.result, result)
	case <-b.done:
		return fmt.Errorf("%s: chromium is gone", method)
	case <-time.After(patience):
		return fmt.Errorf("%s: no answer within %v", method, patience)
	}
}
