package live

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"zebu/internal/browser"
	"zebu/lab"
)

var shots = flag.String("shots", "", "keep screenshots in this folder, to be looked at")

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func serve(t *testing.T) *httptest.Server {
	t.Helper()
	h, err := Handler()
	must(t, err)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// post asks the server, and returns the status and the answer.
func post(t *testing.T, url string, body any, into any) int {
	t.Helper()
	raw, err := json.Marshal(body)
	must(t, err)
	r, err := http.Post(url, "application/json", bytes.NewReader(raw))
	must(t, err)
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	must(t, err)
	if err := json.Unmarshal(answer, into); err != nil {
		t.Fatalf("%s: %v in %.200q", url, err, answer)
	}
	return r.StatusCode
}

// TestGame plays one through the interface that the page uses: the leaders crash, others are elected, and a write goes through.
func TestGame(t *testing.T) {
	s := serve(t)
	var n news
	if code := post(t, s.URL+"/api/begin", options{Servers: 5, Seed: 3, Protocols: []string{lab.ZAB, lab.Raft}}, &n); code != http.StatusOK {
		t.Fatalf("begin: status %d", code)
	}
	id, since, events := n.ID, []int{0, 0}, [2]int{}
	do := func(o order) {
		t.Helper()
		n = news{}
		if code := post(t, s.URL+"/api/do", request{ID: id, Since: since, order: o}, &n); code != http.StatusOK {
			t.Fatalf("%+v: status %d", o, code)
		}
		for i, r := range n.Runs {
			since[i] = r.Next
			events[i] += len(r.Events)
		}
	}
	do(order{Do: "write"})
	do(order{Do: "run", For: 20 * lab.Millisecond})
	for _, r := range n.Runs {
		if len(r.Commands) != 1 || !r.Commands[0].OK {
			t.Errorf("%s: a write to a healthy ensemble is %+v", r.Protocol, r.Commands)
		}
	}
	do(order{Do: "crash"})
	do(order{Do: "run", For: 4 * lab.Second})
	do(order{Do: "write"})
	do(order{Do: "run", For: 50 * lab.Millisecond})
	for _, r := range n.Runs {
		down := 0
		for _, st := range r.States {
			if !st.Up {
				down++
			}
		}
		if down != 1 || len(r.Commands) != 2 || !r.Commands[1].OK {
			t.Errorf("%s: %d servers are down, commands %+v", r.Protocol, down, r.Commands)
		}
		if len(r.Problems) > 0 {
			t.Errorf("%s: %v", r.Protocol, r.Problems)
		}
	}
	before := n.Now
	do(order{Do: "event"})
	if n.Now <= before || len(n.Runs[0].Events)+len(n.Runs[1].Events) == 0 {
		t.Errorf("the next event after %d is at %d", before, n.Now)
	}
	for i, r := range n.Runs {
		if events[i] != r.Next {
			t.Errorf("%s: told of %d events of %d", r.Protocol, events[i], r.Next)
		}
	}
}

// TestRefused sends what no page of ours would.
func TestRefused(t *testing.T) {
	s := serve(t)
	var e struct{ Error string }
	for _, o := range []options{{}, {Servers: 99, Protocols: []string{lab.ZAB}}, {Servers: 3, Protocols: []string{"paxos"}}, {Scenario: "none", Protocols: []string{lab.ZAB}}} {
		if code := post(t, s.URL+"/api/begin", o, &e); code != http.StatusBadRequest || e.Error == "" {
			t.Errorf("%+v: status %d, %q", o, code, e.Error)
		}
	}
	var n news
	post(t, s.URL+"/api/begin", options{Servers: 3, Protocols: []string{lab.ZAB}}, &n)
	for _, o := range []order{{Do: "dance"}, {Do: "crash", Server: 7}, {Do: "cut", Server: 1, To: 1}, {Do: "run", For: -1}, {Do: "run", For: 1 << 60}, {Do: "disk", Server: 1, Factor: -2}} {
		if code := post(t, s.URL+"/api/do", request{ID: n.ID, Since: []int{0}, order: o}, &e); code != http.StatusBadRequest || e.Error == "" {
			t.Errorf("%+v: status %d, %q", o, code, e.Error)
		}
	}
	if code := post(t, s.URL+"/api/do", request{ID: n.ID, Since: []int{-5, 1}}, &e); code != http.StatusBadRequest {
		t.Errorf("counts for another number of protocols: status %d", code)
	}
	if code := post(t, s.URL+"/api/do", request{ID: "?", Since: []int{0}}, &e); code != http.StatusNotFound {
		t.Errorf("an unknown game: status %d", code)
	}
	if code := post(t, s.URL+"/api/begin", strings.Repeat("x", 2*maxBody), &e); code != http.StatusBadRequest {
		t.Errorf("a long request: status %d", code)
	}
	r, err := http.NewRequest(http.MethodPost, s.URL+"/api/begin", strings.NewReader("{}"))
	must(t, err)
	r.Header.Set("Origin", "http://elsewhere.invalid")
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another origin: status %d", answer.StatusCode)
	}
}

// TestGamesAreForgotten begins more than are kept.
func TestGamesAreForgotten(t *testing.T) {
	s := serve(t)
	var firstID string
	for i := range maxGames + 1 {
		var n news
		post(t, s.URL+"/api/begin", options{Servers: 3, Protocols: []string{lab.ZAB}}, &n)
		if i == 0 {
			firstID = n.ID
		}
	}
	var e struct{ Error string }
	if code := post(t, s.URL+"/api/do", request{ID: firstID, Since: []int{0}}, &e); code != http.StatusNotFound {
		t.Errorf("the oldest game: status %d", code)
	}
}

// TestPage plays in a browser.
func TestPage(t *testing.T) {
	p, err := browser.ForTest(t).Open(serve(t).URL, 1400, 1150)
	must(t, err)
	must(t, p.Await(`lab.game && lab.game.diagram`, 120))
	check := func(expression string, want any) {
		t.Helper()
		var got any
		must(t, p.Eval(expression, &got))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, expected %v", expression, got, want)
		}
	}
	click := func(selector string) {
		t.Helper()
		must(t, p.Click(selector))
		must(t, p.Eval(`lab.live.busy`, nil))
	}
	click(`[data-act="write"]`)
	click(`[data-for="10000"]`)
	check(`lab.game.diagram.traces.map((t) => [...t.commands.values()].map((c) => c.ok))`, []any{[]any{true}, []any{true}})
	click(`[data-act="power"]`)
	check(`document.querySelectorAll("tr.down").length`, 2.0)
	for range 3 {
		click(`[data-for="1000000"]`)
	}
	check(`lab.game.diagram.traces.map((t) => t.spans.some((s) => s.length && lab.leads(s.at(-1).role) && s.at(-1).serving))`, []any{true, true})
	click(`[data-act="write"]`)
	click(`[data-for="10000"]`)
	shoot(t, p, "live-power")
	// One server's row: its links, and starting it again.
	click(`.ensemble .links button`)
	check(`document.querySelectorAll('.links button[aria-pressed="true"]').length`, 1.0)
	click(`[data-act="whole"]`)
	check(`document.querySelectorAll('.links button[aria-pressed="true"]').length`, 0.0)
	click(`[data-act="start-all"]`)
	click(`[data-do="event"]`)
	must(t, p.Eval(`document.activeElement.blur()`, nil))
	must(t, p.Key("n"))
	must(t, p.Eval(`lab.live.busy`, nil))
	check(`document.querySelectorAll("tr.down").length`, 0.0)
	check(`document.getElementById("said").textContent`, "")
	click(`[data-do="play"]`)
	must(t, p.Await(`lab.game.diagram.view.duration > 3150000`, 120))
	click(`[data-do="play"]`)
	shoot(t, p, "live-play")
	// A scenario brings its clients and faults along.
	must(t, p.Await(`document.querySelectorAll("#scenario option").length > 20`, 120))
	must(t, p.Eval(`(() => { const s = document.getElementById("scenario"); s.value = "leader-crash"; s.dispatchEvent(new Event("change")); })()`, nil))
	must(t, p.Eval(`lab.live.busy`, nil))
	click(`[data-for="1000000"]`)
	check(`lab.game.diagram.traces.every((t) => t.commands.size > 10 && t.marks.length > 0)`, true)
	shoot(t, p, "live-scenario")
	if problems := p.Problems(); len(problems) > 0 {
		t.Errorf("the page has problems:\n%s", strings.Join(problems, "\n"))
	}
}

func shoot(t *testing.T, p *browser.Page, name string) {
	t.Helper()
	if *shots != "" {
		must(t, p.Screenshot(filepath.Join(*shots, name+".png"), false))
	}
}
