// Package live serves a page on which the laboratory's protocols are steered by hand: servers are crashed, links are cut, clients write and
// read, and time is let by, event by event or at a pace. All protocols get the same at the same time, and their diagrams are those of
// package report.
//
// The page is served by [Handler]; it keeps a few games, each a [lab.Session] for every protocol, and forgets the oldest.
package live

import (
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"zebu/lab"
	"zebu/lab/report"
)

//go:embed assets
var files embed.FS

const (
	maxGames = 8       // kept; a game that is full takes some 100 MB
	maxBody  = 4 << 10 // bytes of a request
)

// Handler serves the page and what it asks for. It trusts whoever can reach it, so it should be on the loopback interface; pages of other
// origins are refused.
func Handler() (http.Handler, error) {
	page, err := files.ReadFile("assets/live.html")
	if err != nil {
		return nil, fmt.Errorf("the page's parts: %w", err)
	}
	own, err := files.ReadFile("assets/live.js")
	if err != nil {
		return nil, fmt.Errorf("the page's parts: %w", err)
	}
	ownCSS, err := files.ReadFile("assets/live.css")
	if err != nil {
		return nil, fmt.Errorf("the page's parts: %w", err)
	}
	css, js, err := report.Assets()
	if err != nil {
		return nil, err
	}
	h := &handler{games: map[string]*game{}}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", static("text/html; charset=utf-8", page))
	mux.Handle("GET /live.css", static("text/css; charset=utf-8", append([]byte(css), ownCSS...)))
	mux.Handle("GET /live.js", static("text/javascript; charset=utf-8", append([]byte(js), own...)))
	mux.HandleFunc("GET /api/scenarios", scenarios)
	mux.HandleFunc("POST /api/begin", h.begin)
	mux.HandleFunc("POST /api/do", h.do)
	return http.NewCrossOriginProtection().Handler(mux), nil
}

func static(kind string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		header := w.Header()
		header.Set("Content-Type", kind)
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		// Whoever has asked may be gone.
		_, _ = w.Write(body)
	})
}

type handler struct {
	mu    sync.Mutex
	games map[string]*game
	order []string // oldest first
}

// scenarios lists what a game can begin with.
func scenarios(w http.ResponseWriter, _ *http.Request) {
	type named struct {
		Name  string `json:"name"`
		Title string `json:"title"`
	}
	var all []named
	for _, sc := range lab.Scenarios() {
		all = append(all, named{sc.Name, sc.Title})
	}
	answer(w, all, nil)
}

// errGame says that a game is not known, or not any more.
var errGame = errors.New("this game is over: begin another one")

func (h *handler) begin(w http.ResponseWriter, r *http.Request) {
	var o options
	if !read(w, r, &o) {
		return
	}
	g, err := newGame(o)
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	id := rand.Text()
	h.mu.Lock()
	h.games[id] = g
	h.order = append(h.order, id)
	if len(h.order) > maxGames {
		delete(h.games, h.order[0])
		h.order = h.order[1:]
	}
	h.mu.Unlock()
	news, err := g.news(make([]int, len(g.sessions)))
	news.ID = id
	answer(w, news, err)
}

// request is something to be done in a game.
type request struct {
	ID    string `json:"id"`
	Since []int  `json:"since"` // how many events of each protocol the page has
	order
}

func (h *handler) do(w http.ResponseWriter, r *http.Request) {
	var q request
	if !read(w, r, &q) {
		return
	}
	h.mu.Lock()
	g := h.games[q.ID]
	h.mu.Unlock()
	if g == nil {
		fail(w, http.StatusNotFound, errGame)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.do(q.order); err != nil && !errors.Is(err, lab.ErrSessionOver) {
		fail(w, http.StatusBadRequest, err)
		return
	}
	news, err := g.news(q.Since)
	answer(w, news, err)
}

// read decodes a request's body, or answers that it is not one.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		fail(w, http.StatusBadRequest, err)
		return false
	}
	return true
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// Whoever has asked may be gone.
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}
