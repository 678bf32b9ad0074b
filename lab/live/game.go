package live

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"zebu/lab"
	"zebu/lab/report"
)

// options are what a game begins with.
type options struct {
	Servers   int      `json:"servers"`
	Seed      uint64   `json:"seed"`
	Cold      bool     `json:"cold"`     // no server runs at the beginning
	Scenario  string   `json:"scenario"` // whose steps and clients there are besides; "": none
	Protocols []string `json:"protocols"`
}

// game is a session for each protocol, all at the same time.
type game struct {
	mu       sync.Mutex
	sessions []*lab.Session
	servers  int
}

func newGame(o options) (*game, error) {
	if len(o.Protocols) == 0 || len(o.Protocols) > len(lab.Protocols()) {
		return nil, errors.New("which protocols?")
	}
	sc, err := scenario(o)
	if err != nil {
		return nil, err
	}
	g := &game{servers: sc.Servers + sc.Spares}
	for _, p := range o.Protocols {
		s, err := lab.NewSession(sc, p, o.Seed)
		if err != nil {
			return nil, err
		}
		g.sessions = append(g.sessions, s)
	}
	return g, nil
}

func scenario(o options) (*lab.Scenario, error) {
	if o.Scenario == "" {
		if o.Servers < 1 || o.Servers > 9 {
			return nil, errors.New("expected 1 to 9 servers")
		}
		return lab.Playground(o.Servers, o.Cold)
	}
	sc := lab.Lookup(o.Scenario)
	if sc == nil {
		return nil, fmt.Errorf("there is no scenario %q", o.Scenario)
	}
	return sc, nil
}

// order is one thing to be done.
type order struct {
	Do string `json:"do"`
	// Protocols are the numbers of the sessions that it is done in; none: all. Time goes by in all of them.
	Protocols []int `json:"protocols"`
	// Server is whom it befalls; 0: whoever leads. To is the other end of a link.
	Server int          `json:"server"`
	To     int          `json:"to"`
	For    lab.Micros   `json:"for"` // how long time is to go by
	How    lab.Strategy `json:"how"` // of a read
	Factor float64      `json:"factor"`
}

// longest is the time that goes by at one request at most.
const longest = 5 * lab.Second

// do carries an order out.
func (g *game) do(o order) error {
	switch o.Do {
	case "run":
		if o.For < 0 || o.For > longest {
			return fmt.Errorf("time goes by for 0 to %d µs", longest)
		}
		return g.runUntil(g.now() + o.For)
	case "event":
		return g.event()
	case "":
		return nil
	}
	act, ok := acts[o.Do]
	if !ok {
		return fmt.Errorf("nobody knows how to %q", o.Do)
	}
	for i, s := range g.sessions {
		if len(o.Protocols) > 0 && !slices.Contains(o.Protocols, i) {
			continue
		}
		one := o
		if one.Server == 0 {
			one.Server = leader(s)
		}
		if err := act(g, s, one); err != nil {
			return err
		}
	}
	return nil
}

// acts are what can be done in a session. Where nobody leads, what would befall the leader befalls nobody.
var acts = map[string]func(g *game, s *lab.Session, o order) error{
	"crash": func(_ *game, s *lab.Session, o order) error {
		return unlessNobody(o.Server, func() error { return s.Crash(o.Server, false) })
	},
	"power": func(_ *game, s *lab.Session, o order) error {
		return unlessNobody(o.Server, func() error { return s.Crash(o.Server, true) })
	},
	"start": func(_ *game, s *lab.Session, o order) error { return s.Restart(o.Server) },
	"start-all": func(g *game, s *lab.Session, _ order) error {
		for id := 1; id <= g.servers; id++ {
			if err := s.Restart(id); err != nil {
				return err
			}
		}
		return nil
	},
	"isolate": func(g *game, s *lab.Session, o order) error {
		return unlessNobody(o.Server, func() error {
			for id := 1; id <= g.servers; id++ {
				if id != o.Server {
					if err := errors.Join(s.Cut(o.Server, id), s.Cut(id, o.Server)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	},
	"cut":   func(_ *game, s *lab.Session, o order) error { return s.Cut(o.Server, o.To) },
	"heal":  func(_ *game, s *lab.Session, o order) error { return s.Heal(o.Server, o.To) },
	"whole": func(_ *game, s *lab.Session, _ order) error { return s.Heal(0, 0) },
	"disk": func(_ *game, s *lab.Session, o order) error {
		return unlessNobody(o.Server, func() error { return s.SlowDisk(o.Server, o.Factor) })
	},
	"write": func(_ *game, s *lab.Session, o order) error {
		_, err := s.ClientWrite(o.Server)
		return err
	},
	"read": func(_ *game, s *lab.Session, o order) error {
		return unlessNobody(o.Server, func() error {
			_, err := s.ClientRead(o.Server, o.How)
			return err
		})
	},
}

func unlessNobody(server int, do func() error) error {
	if server == 0 {
		return nil
	}
	return do()
}

// leader is who leads with the newest epoch, 0: nobody.
func leader(s *lab.Session) int {
	found, epoch := 0, int64(-1)
	for _, st := range s.State() {
		if st.Up && (st.Role == "leading" || st.Role == "leader") && st.Epoch > epoch {
			found, epoch = st.ID, st.Epoch
		}
	}
	return found
}

// now is the game's time: that of the session that has come furthest.
func (g *game) now() lab.Micros {
	t := lab.Micros(0)
	for _, s := range g.sessions {
		t = max(t, s.Now())
	}
	return t
}

func (g *game) runUntil(t lab.Micros) error {
	for _, s := range g.sessions {
		if err := s.RunUntil(t); err != nil {
			return err
		}
	}
	return nil
}

// event lets time go by until something happens in one of the sessions, or a second has passed.
func (g *game) event() error {
	end := g.now() + lab.Second
	for {
		at, next := end, -1
		for i, s := range g.sessions {
			if t, ok := s.Next(); ok && t < at {
				at, next = t, i
			}
		}
		if next < 0 {
			return g.runUntil(end)
		}
		_, before := g.sessions[next].Events(0)
		if err := g.sessions[next].RunUntil(at); err != nil {
			return err
		}
		if _, after := g.sessions[next].Events(0); after > before {
			return g.runUntil(g.now())
		}
	}
}

// news are what a page does not know yet.
type news struct {
	ID   string     `json:"id,omitempty"`
	Now  lab.Micros `json:"now"`
	Over bool       `json:"over"` // a session cannot go on
	Runs []progress `json:"runs"`
}

// progress is one session's.
type progress struct {
	Protocol string        `json:"protocol"`
	Servers  int           `json:"servers"`
	Next     int           `json:"next"` // how many events there are
	Events   []lab.Event   `json:"events"`
	Marks    []lab.Mark    `json:"marks"`
	Commands []lab.Command `json:"commands"` // all
	States   []lab.State   `json:"states"`
	Cuts     [][2]int      `json:"cuts"`
	Problems []string      `json:"problems"`
}

// news are all that has happened since the page had so many events of each session.
func (g *game) news(since []int) (news, error) {
	if len(since) != len(g.sessions) {
		return news{}, fmt.Errorf("%d counts for %d protocols", len(since), len(g.sessions))
	}
	n := news{Now: g.now()}
	for i, s := range g.sessions {
		r := s.Run()
		p := progress{Protocol: r.Protocol, Servers: g.servers, Marks: report.Steps(r.Marks), Commands: r.Commands, States: s.State(), Cuts: s.Cuts(), Problems: r.Violations}
		p.Events, p.Next = s.Events(since[i])
		n.Over = n.Over || errors.Is(s.RunUntil(s.Now()), lab.ErrSessionOver)
		n.Runs = append(n.Runs, p)
	}
	return n, nil
}
