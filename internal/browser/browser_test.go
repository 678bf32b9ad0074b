package browser

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestPage drives a page by mouse and keyboard, and sees what it must not do.
func TestPage(t *testing.T) {
	b := ForTest(t)
	const page = `<!doctype html><title>t</title><button onclick="n=1">press</button>
		<script>let n = 0, k = ""; onkeydown = e => { k += e.key; };</script>`
	p, err := b.Open("data:text/html,"+url.PathEscape(page), 640, 480)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Click("button"); err != nil {
		t.Fatal(err)
	}
	if err := p.Key("ArrowRight"); err != nil {
		t.Fatal(err)
	}
	if err := p.Await(`n === 1 && k === "ArrowRight"`, 60); err != nil {
		t.Error(err)
	}
	if problems := p.Problems(); len(problems) > 0 {
		t.Errorf("an innocent page has problems: %q", problems)
	}
	if err := p.Eval(`setTimeout(() => { throw new Error("on purpose"); }); console.error("aloud"); 0`, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Eval(`new Promise(done => setTimeout(done, 20))`, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"on purpose", "aloud"} {
		if !slices.ContainsFunc(p.Problems(), func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("%q is not among the problems %q", want, p.Problems())
		}
	}
	if err := p.Eval(`fetch("http://outside.invalid/").catch(() => 0); 0`, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Eval(`0`, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(p.Problems(), func(s string) bool { return strings.HasPrefix(s, "network: http://outside.invalid") }) {
		t.Errorf("a request to the network is not among the problems %q", p.Problems())
	}
}
