// Package agenda is what a simulation has yet to do, by its virtual time.
package agenda

// Event is something that happens at a time.
type Event[T ~int64] struct {
	At  T
	Seq uint64 // how many were scheduled up to this one
	Do  func()
}

func (e *Event[T]) before(o *Event[T]) bool { return e.At < o.At || e.At == o.At && e.Seq < o.Seq }

// Agenda holds events: the next is the earliest and, among those of one time, the one that was scheduled first.
type Agenda[T ~int64] struct {
	scheduled uint64
	heap      []Event[T] // binary
}

// Add schedules an event.
func (a *Agenda[T]) Add(at T, do func()) {
	a.scheduled++
	a.heap = append(a.heap, Event[T]{at, a.scheduled, do})
	q := a.heap
	for i := len(q) - 1; i > 0; {
		up := (i - 1) / 2
		if !q[i].before(&q[up]) {
			return
		}
		q[i], q[up] = q[up], q[i]
		i = up
	}
}

// Next is when the next event is due, and whether there is one.
func (a *Agenda[T]) Next() (at T, ok bool) {
	if len(a.heap) == 0 {
		return 0, false
	}
	return a.heap[0].At, true
}

// Due says whether there is an event at a time or before it.
func (a *Agenda[T]) Due(at T) bool { return len(a.heap) > 0 && a.heap[0].At <= at }

// Pop takes the next event, of which there must be one.
func (a *Agenda[T]) Pop() Event[T] {
	q := a.heap
	first := q[0]
	n := len(q) - 1
	q[0], q[n] = q[n], Event[T]{}
	q = q[:n]
	a.heap = q
	for i := 0; ; {
		least := i
		for down := 2*i + 1; down <= 2*i+2 && down < n; down++ {
			if q[down].before(&q[least]) {
				least = down
			}
		}
		if least == i {
			return first
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}
