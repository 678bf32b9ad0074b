package report

import (
	"cmp"
	"math"
	"slices"

	"zebu/lab"
)

// drawnEvents is how many events of a run a page carries at most, about: twenty scenarios make a page of a megabyte then.
const drawnEvents = 3200

// routine are the events that thin may leave out, where nothing but the usual happens.
var routine = map[lab.Kind]bool{
	lab.Send: true, lab.Recv: true, lab.Lost: true, lab.Fsync: true, lab.Propose: true, lab.Commit: true, lab.Apply: true,
	lab.ClientSend: true, lab.ClientAck: true, lab.ClientRead: true,
}

// isRoutine says so of an event. Repetitions of how a learner is brought up to date are, too.
func isRoutine(events []lab.Event, i int) bool {
	e := events[i]
	if e.Kind == lab.Sync {
		for j := i - 1; j >= 0 && e.At-events[j].At < 20*lab.Millisecond; j-- {
			if o := events[j]; o.Kind == lab.Sync && o.Server == e.Server && o.Peer == e.Peer && o.Name == e.Name {
				return true
			}
		}
	}
	return routine[e.Kind]
}

// thin leaves routine out of a run that has more events than limit, and returns the parts of its time where it has. What remains is the time
// around all that is not routine, as much of it as there is room for, and the phases without a leader.
func thin(r lab.Run, phases []Phase, limit int) (lab.Run, []Window) {
	var gaps []Window
	if r.SkipFrom < r.SkipUntil {
		r.Events = paired(r)
		gaps = append(gaps, Window{r.SkipFrom, r.SkipUntil})
	}
	if len(r.Events) <= limit {
		return r, gaps
	}
	kept := keep(r, phases, limit)
	inside := func(t lab.Micros) bool {
		i, found := slices.BinarySearchFunc(kept, t, func(w Window, t lab.Micros) int { return cmp.Compare(w.From, t) })
		return found || i > 0 && t <= kept[i-1].To
	}
	r.Events = thinEvents(r.Events, inside)
	r.Commands = slices.DeleteFunc(slices.Clone(r.Commands), func(c lab.Command) bool {
		usual := c.OK && c.Stale == 0 && c.Tries <= 1
		return usual && !inside(c.Sent) && !inside(c.Done)
	})
	from := lab.Micros(0)
	for _, w := range append(kept, Window{r.Duration, r.Duration}) {
		if w.From > from {
			gaps = append(gaps, Window{from, w.From})
		}
		from = w.To
	}
	return r, united(gaps)
}

// united are windows in order, those that overlap made one.
func united(ws []Window) []Window {
	slices.SortFunc(ws, func(a, b Window) int { return cmp.Compare(a.From, b.From) })
	return windows(ws, 0, math.MaxInt64)
}

// paired are the events of a run of which a part was not recorded, without the messages of which one end falls into that part.
func paired(r lab.Run) []lab.Event {
	ends := map[int64]int{}
	for _, e := range r.Events {
		if e.Kind == lab.Send || e.Kind == lab.Recv || e.Kind == lab.Lost {
			ends[e.Msg]++
		}
	}
	return slices.DeleteFunc(slices.Clone(r.Events), func(e lab.Event) bool {
		return ends[e.Msg] == 1 && (e.Kind == lab.Send && e.At < r.SkipFrom || e.Kind == lab.Recv || e.Kind == lab.Lost)
	})
}

// keep are the parts of a run to be kept: with the widest margins around what is not routine that keep the number of events below limit.
func keep(r lab.Run, phases []Phase, limit int) []Window {
	moments := []Window{{}}
	for i, e := range r.Events {
		if !isRoutine(r.Events, i) {
			moments = append(moments, Window{e.At, e.At})
		}
	}
	for _, p := range phases {
		moments = append(moments, Window{p.From, p.To})
	}
	slices.SortStableFunc(moments, func(a, b Window) int { return cmp.Compare(a.From, b.From) })
	best := windows(moments, 200*lab.Microsecond, r.Duration)
	for margin := lab.Millisecond / 2; margin < r.Duration; margin = margin * 5 / 4 {
		ws := windows(moments, margin, r.Duration)
		n := 0
		for _, w := range ws {
			from, _ := slices.BinarySearchFunc(r.Events, w.From, compareTime)
			to, _ := slices.BinarySearchFunc(r.Events, w.To+1, compareTime)
			n += to - from
		}
		if n > limit {
			break
		}
		best = ws
	}
	return best
}

func compareTime(e lab.Event, t lab.Micros) int { return cmp.Compare(e.At, t) }

// windows are the times around moments, those that touch made one. What follows something is wanted more than what went before.
func windows(moments []Window, margin, end lab.Micros) []Window {
	var ws []Window
	for _, m := range moments {
		w := Window{max(0, m.From-margin/3), min(end, m.To+margin)}
		if n := len(ws); n > 0 && w.From <= ws[n-1].To {
			ws[n-1].To = max(ws[n-1].To, w.To)
		} else {
			ws = append(ws, w)
		}
	}
	return ws
}

// thinEvents keeps what is not routine, what is inside, messages with one end inside, and the last of what a server wrote, committed and
// applied before each part that is kept, so that its state can be told there.
func thinEvents(events []lab.Event, inside func(lab.Micros) bool) []lab.Event {
	messages := map[int64]bool{}
	for _, e := range events {
		if (e.Kind == lab.Send || e.Kind == lab.Recv || e.Kind == lab.Lost) && inside(e.At) {
			messages[e.Msg] = true
		}
	}
	type of struct {
		kind   lab.Kind
		server int
	}
	newest := map[of]int{}
	keep := make([]bool, len(events))
	for i, e := range events {
		switch {
		case !isRoutine(events, i) || messages[e.Msg] && (e.Kind == lab.Send || e.Kind == lab.Recv || e.Kind == lab.Lost):
			keep[i] = true
		case inside(e.At):
			keep[i] = true
			for _, j := range newest {
				keep[j] = true
			}
			clear(newest)
		case (e.Kind == lab.Fsync || e.Kind == lab.Commit || e.Kind == lab.Apply) && e.Index >= 0:
			newest[of{e.Kind, e.Server}] = i
		}
	}
	var rest []lab.Event
	for i, e := range events {
		if keep[i] {
			rest = append(rest, e)
		}
	}
	return rest
}
