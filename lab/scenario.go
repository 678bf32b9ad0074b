package lab

import (
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Scenario is what happens in a run: an ensemble, what its clients do, and what befalls it. See scenarios/README.md for the format of its file.
type Scenario struct {
	Name, Title, About string
	Text               string // the file's
	Servers, Spares    int    // spares have no process at first and are no voters
	Duration           Micros
	Latency            Micros // one way, on average
	Fsync              Micros
	Heartbeat, Timeout Micros
	Retain             int  // entries that servers keep behind a snapshot
	Snapshot           int  // entries between snapshots
	Size               int  // of a command, in bytes
	Cold               bool // no server runs at the beginning
	SkipFrom           Micros
	SkipUntil          Micros // what is frequent between the two is not recorded
	Groups             []Group
	Steps              []Step
}

// Group are clients that do the same.
type Group struct {
	Writers     bool
	Count       int
	Every       Micros // between two commands of a client; 0: the next one when the last is answered, and
	Think       Micros // this time has passed
	Read        Strategy
	From, Until Micros // 0: to the end
	Home        int    // the server that they talk to; 0: each another one
	Spread      bool   // writers talk to their own servers, and not to the leader
	Once        bool   // writers that get no answer do not try again
}

// Step is something that is done to the ensemble.
type Step struct {
	At, Spread Micros // at a random moment between At and At + Spread
	On         Kind   // and then when this happens on the leader; "": at once
	Verb       string
	Args       []string
	Text       string
}

// Defaults of scenarios.
func newScenario(name, text string) *Scenario {
	return &Scenario{
		Name: name, Title: name, Text: text, Servers: 5, Duration: 5 * Second, Latency: 500 * Microsecond, Fsync: Millisecond,
		Heartbeat: 100 * Millisecond, Timeout: Second, Retain: 500, Snapshot: 1000, Size: 128,
	}
}

//go:embed scenarios/*.txt
var files embed.FS

// Scenarios returns those that come with the laboratory, in order of their files' names.
func Scenarios() []*Scenario {
	entries, err := files.ReadDir("scenarios")
	if err != nil {
		return nil
	}
	var all []*Scenario
	for _, e := range entries {
		text, err := files.ReadFile("scenarios/" + e.Name())
		if err != nil {
			continue
		}
		name := strings.TrimSuffix(e.Name(), ".txt")
		if _, rest, ok := strings.Cut(name, "-"); ok { // the number is for the order
			name = rest
		}
		if sc, err := ParseScenario(name, string(text)); err == nil {
			all = append(all, sc)
		}
	}
	return all
}

// Lookup returns a scenario of the laboratory's, nil if there is none of that name.
func Lookup(name string) *Scenario {
	all := Scenarios()
	if at := slices.IndexFunc(all, func(s *Scenario) bool { return s.Name == name }); at >= 0 {
		return all[at]
	}
	return nil
}

// ParseScenario reads a scenario's file. Errors name the line.
func ParseScenario(name, text string) (*Scenario, error) {
	sc := newScenario(name, text)
	for i, line := range strings.Split(text, "\n") {
		if err := sc.parse(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, i+1, err)
		}
	}
	slices.SortStableFunc(sc.Steps, func(a, b Step) int { return int(a.At - b.At) })
	return sc, sc.validate()
}

// WithServers is the scenario with another number of servers.
func (sc *Scenario) WithServers(n int) (*Scenario, error) {
	c := *sc
	c.Servers = n
	return &c, c.validate()
}

func (sc *Scenario) validate() error {
	switch {
	case sc.Servers < 1 || sc.Servers > 15 || sc.Spares > 5:
		return errors.New("expected 1 to 15 servers, and at most 5 spares")
	case sc.Duration <= 0 || sc.Duration > 600*Second:
		return errors.New("expected a duration of up to 10 minutes")
	case sc.Latency <= 0 || sc.Fsync <= 0 || sc.Heartbeat < 2*Millisecond || sc.Timeout < 2*sc.Heartbeat:
		return errors.New("expected a latency, an fsync time, and a timeout of at least 2 heartbeats of at least 2 ms")
	case sc.Retain < 500 || sc.Snapshot < 1:
		return errors.New("expected snapshot to be positive and retain to be at least 500, which is ZooKeeper's least") // zab.DefaultCommitLogSize
	case sc.Size < 8 || sc.Size > 1<<16:
		return errors.New("expected a size of 8 to 65536 bytes")
	}
	for i := range sc.Groups {
		if g := &sc.Groups[i]; g.Home > sc.Servers || g.Count > 1000 {
			return errors.New("expected clients of existing servers, and at most 1000")
		}
	}
	for i := range sc.Steps {
		if err := sc.Steps[i].check(sc); err != nil {
			return fmt.Errorf("%s: %w", sc.Steps[i].Text, err)
		}
	}
	return nil
}

// changes says whether the scenario changes the membership.
func (sc *Scenario) changes() bool {
	return slices.ContainsFunc(sc.Steps, func(s Step) bool { return s.Verb == "add" || s.Verb == "remove" })
}

// parse reads one line.
func (sc *Scenario) parse(line string) (err error) {
	words := strings.Fields(line)
	if len(words) == 0 || strings.HasPrefix(line, "#") {
		return nil
	}
	rest := strings.TrimSpace(strings.TrimPrefix(line, words[0]))
	switch words[0] {
	case "title":
		sc.Title = rest
	case "about":
		sc.About = strings.TrimSpace(sc.About + " " + rest)
	case "cold":
		sc.Cold = true
	case "servers":
		sc.Servers, err = strconv.Atoi(rest)
	case "spares":
		sc.Spares, err = strconv.Atoi(rest)
	case "retain":
		sc.Retain, err = strconv.Atoi(rest)
	case "snapshot":
		sc.Snapshot, err = strconv.Atoi(rest)
	case "size":
		sc.Size, err = strconv.Atoi(rest)
	case "duration":
		sc.Duration, err = parseTime(rest)
	case "latency":
		sc.Latency, err = parseTime(rest)
	case "fsync":
		sc.Fsync, err = parseTime(rest)
	case "heartbeat":
		sc.Heartbeat, err = parseTime(rest)
	case "timeout":
		sc.Timeout, err = parseTime(rest)
	case "skip":
		err = sc.parseSkip(words[1:])
	case "writers", "readers":
		err = sc.parseGroup(words)
	case "at":
		err = sc.parseStep(line, words[1:])
	default:
		err = fmt.Errorf("%q is no line of a scenario", words[0])
	}
	return err
}

func (sc *Scenario) parseSkip(words []string) (err error) {
	if len(words) != 2 {
		return errors.New("expected two times")
	}
	if sc.SkipFrom, err = parseTime(words[0]); err != nil {
		return err
	}
	sc.SkipUntil, err = parseTime(words[1])
	return err
}

func parseTime(s string) (Micros, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > time.Hour {
		return 0, fmt.Errorf("%q is no time such as 500us, 20ms or 1.5s", s)
	}
	return Micros(d / time.Microsecond), nil
}

// parseGroup reads writers N [closed | every T] [think T] [from T] [until T] [home N] [spread], or readers N STRATEGY with the same.
func (sc *Scenario) parseGroup(words []string) (err error) {
	g := Group{Writers: words[0] == "writers"}
	if len(words) < 3 {
		return errors.New("expected a number of clients and what they do")
	}
	if g.Count, err = strconv.Atoi(words[1]); err != nil || g.Count < 1 {
		return fmt.Errorf("%q is no number of clients", words[1])
	}
	words = words[2:]
	if !g.Writers {
		g.Read = Strategy(words[0])
		if g.Read != ReadLocal && g.Read != ReadLeader && g.Read != ReadQuorum {
			return fmt.Errorf("%q is no way to read: expected local, leader or quorum", words[0])
		}
		words = words[1:]
	}
	for len(words) > 0 {
		switch {
		case words[0] == "closed":
			words = words[1:]
			continue
		case words[0] == "spread" || words[0] == "once":
			g.Spread = g.Spread || words[0] == "spread"
			g.Once = g.Once || words[0] == "once"
			words = words[1:]
			continue
		case len(words) < 2:
			return fmt.Errorf("expected a value after %q", words[0])
		}
		switch words[0] {
		case "every":
			g.Every, err = parseTime(words[1])
		case "think":
			g.Think, err = parseTime(words[1])
		case "from":
			g.From, err = parseTime(words[1])
		case "until":
			g.Until, err = parseTime(words[1])
		case "home":
			g.Home, err = strconv.Atoi(words[1])
		default:
			err = fmt.Errorf("%q means nothing to clients", words[0])
		}
		if err != nil {
			return err
		}
		words = words[2:]
	}
	sc.Groups = append(sc.Groups, g)
	return nil
}

// parseStep reads at TIME[~SPREAD] [on propose|commit|lead] VERB ARGUMENTS.
func (sc *Scenario) parseStep(line string, words []string) (err error) {
	if len(words) < 2 {
		return errors.New("expected a time and what happens then")
	}
	s := Step{Text: strings.Join(strings.Fields(line), " ")}
	at, spread, random := strings.Cut(words[0], "~")
	if s.At, err = parseTime(at); err != nil {
		return err
	}
	if random {
		if s.Spread, err = parseTime(spread); err != nil {
			return err
		}
	}
	words = words[1:]
	if words[0] == "on" && len(words) > 2 {
		switch words[1] {
		case "propose":
			s.On = Propose
		case "commit":
			s.On = Commit
		case "lead":
			s.On = Serve
		default:
			return fmt.Errorf("%q is no moment: expected propose, commit or lead", words[1])
		}
		words = words[2:]
	}
	s.Verb = words[0]
	for _, w := range words[1:] {
		s.Args = append(s.Args, strings.TrimSuffix(w, ","))
	}
	sc.Steps = append(sc.Steps, s)
	return nil
}
