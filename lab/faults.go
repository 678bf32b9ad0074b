package lab

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// trigger is a step that waits for something to happen on the leader.
type trigger struct {
	step *Step
	on   Kind
}

// schedule makes the scenario's steps happen.
func (w *world) schedule() {
	for i := range w.sc.Steps {
		st := &w.sc.Steps[i]
		at := st.At
		if st.Spread > 0 {
			at += Micros(w.dice.fault.Int64N(int64(st.Spread)))
		}
		w.at(w.zero+at, func() {
			if st.On != "" {
				w.armed = append(w.armed, &trigger{st, st.On})
				return
			}
			w.do(st)
		})
	}
}

// fire does what has waited for an event, right after it.
func (w *world) fire(e *Event) {
	for i := 0; i < len(w.armed); i++ {
		t := w.armed[i]
		if e.Kind != t.on || e.Server != w.leading() || t.on == Propose && e.Command == 0 || t.on == Serve && e.Name != "leads" {
			continue
		}
		w.armed = slices.Delete(w.armed, i, i+1)
		i--
		w.after(0, func() { w.do(t.step) })
	}
}

// do does a step.
func (w *world) do(st *Step) {
	if w.ended {
		return
	}
	v, err := verbOf(st)
	if err != nil {
		w.violated("%s: %v", st.Text, err)
		return
	}
	a := newArgs(w, st.Args)
	said := v.do(w, a)
	text := st.Text
	if said != "" {
		text += ": " + said
	}
	w.marks = append(w.marks, Mark{At: w.now - w.zero, Text: text})
}

// args are a step's arguments, with the servers that they mean now.
type args struct {
	left, right []int
	both        bool // the two are joined by -
	factor      float64
	words       []string
}

// verb is something that a step can do.
type verb struct {
	name string
	do   func(w *world, a *args) string
}

func verbs() []verb {
	return []verb{
		{"call", func(w *world, a *args) string {
			if len(a.left) == 0 {
				return "nobody"
			}
			w.names[a.words[len(a.words)-1]] = a.left[0]
			return servers(a.left[:1])
		}},
		{"crash", func(w *world, a *args) string { return w.stop(a.left, false) }},
		{"power", func(w *world, a *args) string { return w.stop(a.left, true) }},
		{"start", startServers},
		{"isolate", func(w *world, a *args) string {
			w.tally.fault(w, a.left)
			w.isolate(a.left)
			return servers(a.left)
		}},
		{"cut", cutLinks},
		{"heal", healLinks},
		{"disk", func(w *world, a *args) string {
			w.tally.fault(w, nil)
			for _, id := range a.left {
				w.servers[id-1].disk.slow = a.factor
				w.record(Event{Kind: SlowDisk, Server: id, Index: -1, Note: fmt.Sprintf("%g times as slow", a.factor)})
			}
			return servers(a.left)
		}},
		{"link", slowLinks},
		{"clock", func(w *world, a *args) string {
			w.tally.fault(w, nil)
			for _, id := range a.left {
				w.servers[id-1].setRate(a.factor)
				w.record(Event{Kind: Clock, Server: id, Index: -1, Note: fmt.Sprintf("goes at %g times its pace", a.factor)})
			}
			return servers(a.left)
		}},
		{"flap", flap},
		{"add", func(w *world, a *args) string { return w.change(a.left, true) }},
		{"remove", func(w *world, a *args) string { return w.change(a.left, false) }},
		{"burst", func(w *world, a *args) string {
			n, _ := strconv.Atoi(a.words[0])
			w.burst(n)
			return ""
		}},
	}
}

func verbOf(st *Step) (*verb, error) {
	for _, v := range verbs() {
		if v.name == st.Verb {
			return &v, nil
		}
	}
	return nil, fmt.Errorf("%q is nothing that can be done", st.Verb)
}

// check says whether a step can be understood. Names that it uses must have been given by steps of the scenario.
func (st *Step) check(sc *Scenario) error {
	if _, err := verbOf(st); err != nil {
		return err
	}
	if st.Verb == "flap" {
		if _, _, _, err := flapTimes(st.Args); err != nil {
			return err
		}
	}
	if st.Verb == "burst" {
		if len(st.Args) != 1 {
			return errors.New("expected a number")
		}
		if n, err := strconv.Atoi(st.Args[0]); err != nil || n < 1 || n > 10000 {
			return fmt.Errorf("%q is no number of writes", st.Args[0])
		}
		return nil
	}
	for i := 0; i < len(st.Args); i++ {
		w := st.Args[i]
		switch {
		case slices.Contains([]string{"leader", "followers", "others", "all", "down", "spares", ">", "-"}, w):
		case w == "server" || w == "follower":
			if i++; i == len(st.Args) {
				return fmt.Errorf("which %s?", w)
			}
			if n, err := strconv.Atoi(st.Args[i]); err != nil || n < 1 || n > sc.Servers+sc.Spares {
				return fmt.Errorf("there is no %s %s", w, st.Args[i])
			}
		case strings.HasPrefix(w, "x") && isFactor(w[1:]):
		case st.Verb == "flap" && slices.Contains([]string{"off", "on", "times"}, w):
			i++
		case st.Verb == "call" && i == len(st.Args)-1:
		case sc.calls(w):
		default:
			return fmt.Errorf("%q is no server", w)
		}
	}
	if len(st.Args) == 0 && st.Verb != "heal" {
		return errors.New("expected servers")
	}
	return nil
}

// calls says whether a step gives that name to a server.
func (sc *Scenario) calls(name string) bool {
	return slices.ContainsFunc(sc.Steps, func(s Step) bool {
		return s.Verb == "call" && len(s.Args) > 0 && s.Args[len(s.Args)-1] == name
	})
}

func isFactor(s string) bool {
	f, err := strconv.ParseFloat(s, 64)
	return err == nil && f > 0 && f <= 1000
}

// newArgs finds the servers that are meant.
func newArgs(w *world, words []string) *args {
	a := &args{factor: 1, words: words}
	side := &a.left
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == ">" || word == "-":
			a.both = word == "-"
			side = &a.right
		case (word == "server" || word == "follower") && i+1 < len(words):
			i++
			n, _ := strconv.Atoi(words[i])
			if word == "server" {
				*side = append(*side, n)
			} else if fs := w.followers(); n <= len(fs) {
				*side = append(*side, fs[n-1])
			}
		case word == "off" || word == "on" || word == "times":
			i++
		case strings.HasPrefix(word, "x") && isFactor(word[1:]):
			a.factor, _ = strconv.ParseFloat(word[1:], 64)
		default:
			*side = append(*side, w.named(word, a.left)...)
		}
	}
	return a
}

// named returns the servers of a word; others are those that are not in but.
func (w *world) named(word string, but []int) []int {
	switch word {
	case "leader":
		if l := w.leading(); l != 0 {
			return []int{l}
		}
		return nil
	case "followers":
		return w.followers()
	case "all", "others", "down", "spares":
		var ids []int
		for _, s := range w.servers {
			switch {
			case word == "others" && slices.Contains(but, s.id), word == "down" && s.up, word == "spares" && s.id <= w.sc.Servers,
				word == "all" && s.id > w.sc.Servers:
			default:
				ids = append(ids, s.id)
			}
		}
		return ids
	}
	if id, ok := w.names[word]; ok {
		return []int{id}
	}
	return nil
}

func (w *world) stop(ids []int, power bool) string {
	w.tally.fault(w, ids)
	for _, id := range ids {
		w.servers[id-1].crash(power)
	}
	return servers(ids)
}

func startServers(w *world, a *args) string {
	for _, id := range a.left {
		w.servers[id-1].boot()
		w.tally.booted(w)
	}
	return servers(a.left)
}

// isolate cuts servers off from all others.
func (w *world) isolate(ids []int) {
	w.between(ids, w.named("others", ids), func(a, b int) {
		w.cut(a, b)
		w.cut(b, a)
	})
}

func (w *world) between(left, right []int, do func(a, b int)) {
	for _, a := range left {
		for _, b := range right {
			if a != b {
				do(a, b)
			}
		}
	}
}

func cutLinks(w *world, a *args) string {
	w.tally.fault(w, slices.Concat(a.left, a.right))
	w.between(a.left, a.right, func(x, y int) {
		w.cut(x, y)
		if a.both {
			w.cut(y, x)
		}
	})
	return servers(a.left) + " from " + servers(a.right)
}

// healLinks heals all cuts of some servers, or of all.
func healLinks(w *world, a *args) string {
	ids := a.left
	if len(a.words) == 0 {
		ids = w.named("all", nil)
	}
	w.healAll(ids)
	if len(a.words) == 0 {
		return ""
	}
	return servers(ids)
}

func (w *world) healAll(ids []int) {
	for from := range w.cuts {
		for to, n := range w.cuts[from] {
			for ; n > 0 && (slices.Contains(ids, from+1) || slices.Contains(ids, to+1)); n-- {
				w.heal(from+1, to+1)
			}
		}
	}
}

func slowLinks(w *world, a *args) string {
	w.tally.fault(w, nil)
	slow := func(x, y int) {
		w.slow[x-1][y-1] = a.factor
		w.record(Event{Kind: SlowLink, Server: x, Peer: y, Index: -1, Note: fmt.Sprintf("%g times as slow", a.factor)})
	}
	w.between(a.left, a.right, func(x, y int) {
		slow(x, y)
		if a.both {
			slow(y, x)
		}
	})
	return servers(a.left) + " to " + servers(a.right)
}

// flapTimes reads off T on T times N.
func flapTimes(words []string) (off, on Micros, times int, err error) {
	times = 1
	for i := 0; i+1 < len(words); i++ {
		switch words[i] {
		case "off":
			off, err = parseTime(words[i+1])
		case "on":
			on, err = parseTime(words[i+1])
		case "times":
			times, err = strconv.Atoi(words[i+1])
		}
		if err != nil {
			return 0, 0, 0, err
		}
	}
	if off <= 0 || times < 1 || times > 100 {
		return 0, 0, 0, errors.New("expected off TIME on TIME times N")
	}
	return off, on, times, nil
}

// flap isolates servers for a while, again and again.
func flap(w *world, a *args) string {
	off, on, times, _ := flapTimes(a.words)
	for i := range times {
		at := Micros(i) * (off + on)
		w.after(at, func() {
			w.tally.fault(w, a.left)
			w.isolate(a.left)
		})
		w.after(at+off, func() { w.healAll(a.left) })
	}
	return servers(a.left)
}

// change adds voters, or removes some.
func (w *world) change(ids []int, add bool) string {
	l := w.leading()
	if l == 0 {
		return "nobody leads"
	}
	voters := slices.Clone(w.servers[l-1].node.State().Voters)
	for _, id := range ids {
		voters = slices.DeleteFunc(voters, func(v int) bool { return v == id })
		if add {
			voters = append(voters, id)
		}
	}
	slices.Sort(voters)
	w.servers[l-1].node.Change(voters)
	return servers(ids)
}
