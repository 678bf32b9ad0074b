package browser

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Page is a tab.
type Page struct {
	b       *Browser
	session string
	held    bool // the mouse's left button

	// Guarded by b.mu.
	problems []string
	loaded   chan struct{} // closed when the document's load event has fired
}

// Open shows a page of that many CSS pixels, and returns when it has loaded.
func (b *Browser) Open(url string, width, height int) (*Page, error) {
	var target struct{ TargetID string }
	if err := b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		return nil, err
	}
	var attached struct{ SessionID string }
	if err := b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		return nil, err
	}
	p := &Page{b: b, session: attached.SessionID, loaded: make(chan struct{})}
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page.enable", "Runtime.enable", "Log.enable", "Network.enable"} {
		if err := p.call(domain, nil, nil); err != nil {
			return nil, err
		}
	}
	if err := p.Resize(width, height); err != nil {
		return nil, err
	}
	var nav struct{ ErrorText string }
	if err := p.call("Page.navigate", map[string]any{"url": url}, &nav); err != nil {
		return nil, err
	}
	if nav.ErrorText != "" {
		return nil, fmt.Errorf("open %s: %s", url, nav.ErrorText)
	}
	select {
	case <-p.loaded:
	case <-b.done:
		return nil, fmt.Errorf("open %s: chromium is gone", url)
	case <-time.After(patience):
		return nil, fmt.Errorf("open %s: not loaded within %v", url, patience)
	}
	return p, nil
}

func (p *Page) call(method string, params, result any) error {
	return p.b.call(p.session, method, params, result)
}

// event notes what a page must not do. b.mu is held.
func (p *Page) event(m message) {
	switch m.Method {
	case "Page.loadEventFired":
		select {
		case <-p.loaded:
		default:
			close(p.loaded)
		}
	case "Runtime.exceptionThrown":
		var e struct {
			ExceptionDetails struct {
				Text      string
				Exception struct{ Description string }
			}
		}
		p.note(m, &e, func() string {
			return "exception: " + e.ExceptionDetails.Text + " " + e.ExceptionDetails.Exception.Description
		})
	case "Runtime.consoleAPICalled":
		var e struct {
			Type string
			Args []struct{ Value any }
		}
		p.note(m, &e, func() string {
			if e.Type != "error" && e.Type != "warning" && e.Type != "assert" {
				return ""
			}
			return fmt.Sprintf("console %s: %v", e.Type, e.Args)
		})
	case "Log.entryAdded":
		var e struct {
			Entry struct{ Level, Text, URL string }
		}
		p.note(m, &e, func() string {
			if e.Entry.Level != "error" && e.Entry.Level != "warning" {
				return ""
			}
			return "log: " + e.Entry.Text + " " + e.Entry.URL
		})
	case "Network.requestWillBeSent":
		var e struct {
			Request struct{ URL string }
		}
		p.note(m, &e, func() string {
			for _, harmless := range []string{"file:", "data:", "blob:", "http://127.0.0.1:", "http://[::1]:"} {
				if strings.HasPrefix(e.Request.URL, harmless) {
					return ""
				}
			}
			return "network: " + e.Request.URL
		})
	}
}

func (p *Page) note(m message, into any, text func() string) {
	if err := json.Unmarshal(m.Params, into); err != nil {
		p.problems = append(p.problems, m.Method+": "+err.Error())
		return
	}
	if t := text(); t != "" {
		p.problems = append(p.problems, t)
	}
}

// Problems are the exceptions, the errors and warnings on the console, and the requests to anything but files and
// this machine, so far.
func (p *Page) Problems() []string {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	return slices.Clone(p.problems)
}

// Eval evaluates an expression, waits for it if it is a promise, and reads its value into result unless that is nil.
func (p *Page) Eval(expression string, result any) error {
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := p.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &answer)
	if err != nil {
		return err
	}
	if d := answer.ExceptionDetails; d != nil {
		return fmt.Errorf("%s: %s %s", expression, d.Text, d.Exception.Description)
	}
	if result == nil || answer.Result.Value == nil {
		return nil
	}
	return json.Unmarshal(answer.Result.Value, result)
}

// Await evaluates a condition once a frame until it holds, and fails after that many seconds of the page's clock.
func (p *Page) Await(condition string, seconds int) error {
	var held bool
	err := p.Eval(fmt.Sprintf(`new Promise(done => {
		const end = performance.now() + %d;
		const look = () => { if (%s) done(true); else if (performance.now() > end) done(false); else setTimeout(look, 15); };
		look();
	})`, seconds*1000, condition), &held)
	if err == nil && !held {
		err = fmt.Errorf("%s: not within %d s", condition, seconds)
	}
	return err
}

// Resize sets the size of the viewport in CSS pixels.
func (p *Page) Resize(width, height int) error {
	return p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// Emulate sets the medium, "screen" or "print", and the preferred colours, "light" or "dark".
func (p *Page) Emulate(medium, scheme string) error {
	return p.call("Emulation.setEmulatedMedia", map[string]any{
		"media":    medium,
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}},
	}, nil)
}

// Key presses and releases a key, named as in KeyboardEvent.key.
func (p *Page) Key(key string) error {
	down := map[string]any{"type": "keyDown", "key": key, "code": key}
	if len(key) == 1 {
		down["text"] = key
	}
	if err := p.call("Input.dispatchKeyEvent", down, nil); err != nil {
		return err
	}
	return p.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key}, nil)
}

// Mouse dispatches a "mouseMoved", "mousePressed" or "mouseReleased" of the left button.
func (p *Page) Mouse(kind string, x, y float64) error {
	e := map[string]any{"type": kind, "x": x, "y": y}
	if kind != "mouseMoved" {
		p.held = kind == "mousePressed"
		e["clickCount"] = 1
	}
	if p.held || kind == "mouseReleased" {
		e["button"] = "left"
	}
	if p.held {
		e["buttons"] = 1
	}
	return p.call("Input.dispatchMouseEvent", e, nil)
}

// Click clicks the middle of the first element that a CSS selector finds, having scrolled it into view.
func (p *Page) Click(selector string) error {
	var at []float64
	err := p.Eval(fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		if (!e) return null;
		e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	})()`, selector), &at)
	if err != nil {
		return err
	}
	if len(at) != 2 {
		return fmt.Errorf("click %s: not on the page", selector)
	}
	if err := p.Mouse("mousePressed", at[0], at[1]); err != nil {
		return err
	}
	return p.Mouse("mouseReleased", at[0], at[1])
}

// Screenshot writes what is seen as a PNG file, the whole page if full.
func (p *Page) Screenshot(file string, full bool) error {
	var shot struct{ Data string }
	if err := p.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": full}, &shot); err != nil {
		return err
	}
	return save(file, shot.Data)
}

// PDF prints the page to a file.
func (p *Page) PDF(file string) error {
	var pdf struct{ Data string }
	if err := p.call("Page.printToPDF", map[string]any{"printBackground": false, "preferCSSPageSize": true}, &pdf); err != nil {
		return err
	}
	return save(file, pdf.Data)
}

func save(file, encoded string) error {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("save %s: %w", file, err)
	}
	return os.WriteFile(file, raw, 0o644)
}
