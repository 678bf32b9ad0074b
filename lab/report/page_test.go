package report

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"zebu/internal/browser"
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
	must(t, p.Await(`document.documentElement.dataset.drawn === "all"`, 120))
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
	b := browser.ForTest(t)
	runs, series := sample()
	p := open(t, b, runs, series)
	check(t, p, `document.querySelectorAll("figure .needs-script").length`, 0)
	check(t, p, `document.body.innerText.includes("onmouseover")`, true) // it is text, not markup
	check(t, p, `document.querySelectorAll("b").length`, 0)
	shoot(t, p, "top")
	must(t, p.Eval(`document.querySelector("figure").scrollIntoView({behavior: "instant"})`, nil))
	must(t, p.Eval(`new Promise((done) => setTimeout(done, 300))`, nil))
	shoot(t, p, "diagram")
	t.Run("zoom", func(t *testing.T) { zoom(t, p) })
	t.Run("filter", func(t *testing.T) { filter(t, p) })
	t.Run("step", func(t *testing.T) { step(t, p) })
	t.Run("point", func(t *testing.T) { pointAt(t, p) })
	t.Run("looks", func(t *testing.T) { appearance(t, p) })
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

// window is the span that the diagram shows, in milliseconds.
const window = `(() => { const v = [...lab.diagrams.values()][0].view; return [Math.round(v.from / 1000), Math.round(v.to / 1000)]; })()`

func zoom(t *testing.T, p *browser.Page) {
	check(t, p, window, []int{108, 412}) // around the loss of the leader
	must(t, p.Click(`[data-act="whole"]`))
	check(t, p, window, []int{0, 900})
	must(t, p.Click(`[data-act="in"]`))
	check(t, p, window, []int{225, 675})
	must(t, p.Key("PageDown"))
	check(t, p, window, []int{450, 900})
	must(t, p.Key("0"))
	check(t, p, window, []int{0, 900})
	// Dragging moves by as much as the mouse.
	must(t, p.Key("+"))
	must(t, p.Eval(`document.querySelector(".space-time").scrollIntoView({block: "center", behavior: "instant"})`, nil))
	var at []float64
	must(t, p.Eval(`(() => { const r = document.querySelector(".space-time").getBoundingClientRect(); return [r.x, r.y]; })()`, &at))
	must(t, p.Mouse("mousePressed", at[0]+700, at[1]+100))
	must(t, p.Mouse("mouseMoved", at[0]+600, at[1]+100))
	must(t, p.Mouse("mouseReleased", at[0]+600, at[1]+100))
	check(t, p, `[...lab.diagrams.values()][0].view.from > 240000`, true)
	// A sentence shows its part of the run.
	must(t, p.Click(".differences button"))
	must(t, p.Await(`[...lab.diagrams.values()][0].view.to < 400000`, 60))
	check(t, p, window, []int{96, 387})
}

func filter(t *testing.T, p *browser.Page) {
	const shown = `[...lab.diagrams.values()][0].sequence().filter((s) => %).length`
	count := func(what string) string { return strings.Replace(shown, "%", what, 1) }
	check(t, p, count(`s.event.name === "notification"`)+` > 0`, true)
	must(t, p.Click(`[data-group="election"]`))
	check(t, p, count(`s.event.name === "notification"`), 0)
	check(t, p, `document.querySelector('[data-group="election"]').getAttribute("aria-pressed")`, "false")
	must(t, p.Click(`[data-group="election"]`))
	must(t, p.Click(`[data-server="3"]`))
	check(t, p, count(`s.event.server === 3 && !s.event.peer`), 0)
	check(t, p, count(`s.event.server === 2`)+` > 0`, true)
	must(t, p.Click(`[data-server="3"]`))
}

func step(t *testing.T, p *browser.Page) {
	must(t, p.Eval(`(() => { const d = [...lab.diagrams.values()][0]; d.leave(); d.show(119500, 125000); d.element.focus(); })()`, nil))
	const now = `document.querySelector(".now").textContent`
	must(t, p.Key("ArrowRight"))
	check(t, p, now, "120 ms · ZAB: S5 crashes (nothing unsynced).")
	shoot(t, p, "step-crash")
	must(t, p.Key("ArrowRight"))
	check(t, p, now, "120 ms · Raft: S5 crashes (nothing unsynced).")
	check(t, p, `[...document.querySelectorAll(".states caption")].map((c) => c.textContent)`, []string{"ZAB", "Raft"})
	check(t, p, `document.querySelectorAll(".states table")[0].rows[5].cells[1].textContent`, "down")
	must(t, p.Key("ArrowLeft"))
	check(t, p, now, "120 ms · ZAB: S5 crashes (nothing unsynced).")
	for range 12 {
		must(t, p.Click(`[data-act="step"]`))
	}
	shoot(t, p, "step-election")
	must(t, p.Key("Escape"))
	check(t, p, `[...lab.diagrams.values()][0].cursor === null`, true)
}

func pointAt(t *testing.T, p *browser.Page) {
	// On the crash's cross.
	var at []float64
	must(t, p.Eval(`(() => {
		const d = [...lab.diagrams.values()][0];
		d.show(100000, 160000);
		d.paint();
		d.canvas.scrollIntoView({block: "center", behavior: "instant"});
		const r = d.canvas.getBoundingClientRect();
		return [r.x + d.view.x(120000), r.y + d.panels[0].y(5)];
	})()`, &at))
	must(t, p.Mouse("mouseMoved", at[0], at[1]))
	check(t, p, `document.querySelector(".tip").hidden`, false)
	check(t, p, `document.querySelector(".tip").textContent`, "120 ms  S5 crashes (nothing unsynced)")
	shoot(t, p, "point")
	must(t, p.Mouse("mouseMoved", 5, 5))
}

// appearance takes the page's pictures in the dark, on paper, and on a narrow screen; what they show is for eyes, that nothing breaks is for the test.
func appearance(t *testing.T, p *browser.Page) {
	must(t, p.Emulate("screen", "dark"))
	must(t, p.Eval(`new Promise((done) => setTimeout(done, 100))`, nil))
	shoot(t, p, "dark")
	check(t, p, `lab.theme(document.querySelector(".diagram")).dark`, true)
	must(t, p.Emulate("screen", "light"))
	must(t, p.Resize(600, 900))
	must(t, p.Eval(`new Promise((done) => setTimeout(done, 100))`, nil))
	check(t, p, `document.documentElement.scrollWidth <= 600`, true)
	shoot(t, p, "narrow")
	must(t, p.Resize(1280, 900))
	dir := *shots
	if dir == "" {
		dir = t.TempDir()
	}
	must(t, p.PDF(filepath.Join(dir, "report.pdf")))
}
