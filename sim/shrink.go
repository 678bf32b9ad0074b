package sim

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// noises is how many other choices of what is not planned are tried for a smaller plan: without a fault everything that follows happens at
// another time, and what went wrong because of an unlucky moment needs another one.
const noises = 6

// Shrink looks for a smaller plan that fails as well, with about so many runs. It leaves faults out, the many first, and then
// makes the ensemble smaller. progress, if not nil, is told of each plan that fails.
func (p *Plan) Shrink(runs int, progress func(*Plan, error)) *Plan {
	s := &shrinker{best: p, runs: runs, progress: progress, why: about(p.Run(nil).Err)}
	for before := -1; before != s.best.size(); {
		before = s.best.size()
		for n := len(s.best.Faults); n > 0; n /= 2 {
			s.without(n)
		}
		for _, smaller := range reductions {
			for s.try(smaller) {
			}
		}
	}
	return s.best
}

// size is what is made smaller.
func (p *Plan) size() int {
	o := &p.Options
	return len(p.Faults) + o.Voters + o.Observers + o.Clients + o.Keys + o.Pipeline
}

// reductions make an ensemble smaller. They report false if there is nothing left to take away.
var reductions = []func(*Options) bool{
	func(o *Options) bool { return reduce(&o.Observers, 0) },
	func(o *Options) bool { return reduce(&o.Clients, 1) },
	func(o *Options) bool { return reduce(&o.Pipeline, 1) },
	func(o *Options) bool { return reduce(&o.Keys, 1) },
	func(o *Options) bool { return reduce(&o.Voters, 1) },
}

func reduce(n *int, least int) bool {
	if *n <= least {
		return false
	}
	*n = max(least, *n/2)
	return true
}

type shrinker struct {
	best     *Plan
	runs     int
	progress func(*Plan, error)
	why      string // what the failure is about
}

// about is what a failure has in common with those like it: its first words.
func about(err error) string {
	if err == nil {
		return ""
	}
	_, words, _ := strings.Cut(err.Error(), ": ") // behind seed and time
	words = strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, words)
	return words[:min(len(words), 24)]
}

// without tries to do without n faults at a time.
func (s *shrinker) without(n int) {
	for at := max(0, len(s.best.Faults)-n); ; at -= n { // from the end: what came after the failure is not needed
		at = max(0, at)
		less := *s.best
		end := min(at+n, len(less.Faults))
		less.Faults = slices.Concat(less.Faults[:at], less.Faults[end:])
		if at < end {
			s.attempt(&less)
		}
		if at == 0 {
			return
		}
	}
}

func (s *shrinker) try(smaller func(*Options) bool) bool {
	less := *s.best
	return smaller(&less.Options) && s.attempt(&less)
}

// attempt takes a plan over if it fails.
func (s *shrinker) attempt(p *Plan) bool {
	first := p.Noise
	for i := range uint64(noises) {
		if s.runs <= 0 {
			return false
		}
		s.runs--
		if p.Noise = i; i == 0 {
			p.Noise = first
		} else if i == first {
			p.Noise = 0
		}
		if r := p.Run(nil); r.Err != nil && about(r.Err) == s.why {
			s.best = p
			if s.progress != nil {
				s.progress(p, r.Err)
			}
			return true
		}
	}
	return false
}

// Args are the arguments of "zebu sim" for the plan.
func (p *Plan) Args() string {
	drawn := NewPlan(p.Seed)
	args := fmt.Sprintf("--seed %d", p.Seed)
	if p.Noise != 0 {
		args += fmt.Sprintf(" --noise %d", p.Noise)
	}
	if len(p.Faults) != len(drawn.Faults) {
		var kept []string
		for _, f := range p.Faults {
			kept = append(kept, fmt.Sprint(f.Index))
		}
		args += fmt.Sprintf(" --faults '%s'", strings.Join(kept, ","))
	}
	for _, s := range drawn.Sizes() {
		now := p.Sizes()[slices.IndexFunc(p.Sizes(), func(o Size) bool { return o.Name == s.Name })]
		if *now.Value != *s.Value {
			args += fmt.Sprintf(" --%s %d", s.Name, *now.Value)
		}
	}
	return args
}

// Size is a number in a plan's options that can be made smaller.
type Size struct {
	Name  string
	Value *int
}

// Sizes are the numbers in the options that shrinking changes.
func (p *Plan) Sizes() []Size {
	o := &p.Options
	return []Size{
		{"voters", &o.Voters}, {"observers", &o.Observers}, {"clients", &o.Clients}, {"keys", &o.Keys}, {"pipeline", &o.Pipeline}, {"etcd-users", &o.EtcdUsers},
	}
}

// Keep leaves out all faults but those with these indices.
func (p *Plan) Keep(indices []int) {
	p.Faults = slices.DeleteFunc(p.Faults, func(f Fault) bool { return !slices.Contains(indices, f.Index) })
}

// Tail keeps the last lines of a trace.
type Tail struct {
	Size  int // 0: all
	lines []string
	next  int
}

// Add takes a line; its method value is a trace.
func (t *Tail) Add(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if t.Size == 0 || len(t.lines) < t.Size {
		t.lines = append(t.lines, line)
		return
	}
	t.lines[t.next] = line
	t.next = (t.next + 1) % len(t.lines)
}

// Lines are the last lines, oldest first.
func (t *Tail) Lines() []string { return slices.Concat(t.lines[t.next:], t.lines[:t.next]) }
