package report

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"zebu/internal/browser"
	"zebu/internal/peers"
	"zebu/lab"
)

var shots = flag.String("shots", "", "keep screenshots in this folder, to be looked at")

// shoot takes a picture if that was asked for.
func shoot(t *testing.T, p *browser.Page, name string) {
	t.Helper()
	if *shots != "" {
		must(t, p.Screenshot(filepath.Join(*shots, name+".png"), false))
	}
}

// chromium starts a browser, or leaves the test out where there is none; with CI set that is a failure.
func chromium(t *testing.T) *browser.Browser {
	t.Helper()
	b, err := browser.Start(t.Context())
	var missing *peers.Missing
	if errors.As(err, &missing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open writes a report and shows it.
func open(t *testing.T, b *browser.Browser, runs []lab.Run, series []lab.Series) *browser.Page {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(file)
	must(t, err)
	must(t, Write(f, runs, series, sampleCost))
	must(t, f.Close())
	p, err := b.Open("file://"+file, 1280, 900)
	must(t, err)
	must(t, p.Await(`document.documentElement.dataset.drawn === "all"`, 30))
	return p
}

func check[T any](t *testing.T, p *browser.Page, expression string, want T) {
	t.Helper()
	var got T
	must(t, p.Eval(expression, &got))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is %v, expected %v", expression, got, want)
	}
}

// TestPage opens a report in a browser and uses it.
func TestPage(t *testing.T) {
	b := chromium(t)
	runs, series := sample()
	p := open(t, b, runs, series)
	check(t, p, `document.querySelectorAll("figure .needs-script").length`, 0)
	check(t, p, `document.body.innerText.includes("onmouseover")`, true) // it is text, not markup
	check(t, p, `document.querySelectorAll("b").length`, 0)
	shoot(t, p, "top")
	must(t, p.Eval(`document.querySelector("figure").scrollIntoView({behavior: "instant"})`, nil))
	must(t, p.Eval(`new Promise((done) => setTimeout(done, 300))`, nil))
	shoot(t, p, "diagram")
	t.Run("events", func(t *testing.T) { roundTrip(t, p, runs) })
	if problems := p.Problems(); len(problems) > 0 {
		t.Errorf("the page has problems:\n%s", strings.Join(problems, "\n"))
	}
}

// roundTrip holds what the page has unpacked to what was packed.
func roundTrip(t *testing.T, p *browser.Page, runs []lab.Run) {
	var got [][]lab.Event
	must(t, p.Eval(`lab.unpack(document.querySelector(".data").textContent).then((runs) => runs.map((r) => r.events))`, &got))
	for i, r := range runs {
		if !reflect.DeepEqual(got[i], r.Events) {
			a, _ := json.Marshal(got[i])
			w, _ := json.Marshal(r.Events)
			t.Errorf("%s: unpacked events differ:\n%.2000s\n%.2000s", r.Protocol, a, w)
		}
	}
}
