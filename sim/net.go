package sim

// end is one side of a connection between two nodes, which are servers or clients. What is sent into one end comes out of the
// other in order, later; when one end closes, the other one notices later still, and may not get the last of what was sent.
type end struct {
	w     *World
	node  int // who is here
	peer  *end
	open  bool   // here
	out   []sent // to the peer, in order
	stuck bool   // the oldest waits for a cut to heal

	arriving func() // is arrive

	recv   func(m any) // handles what arrives
	closed func()      // the other end is closed: told once, unless this one is closed before
}

// sent is under way.
type sent struct {
	m  any
	at Time // of arrival
}

// eof is what the last thing sent is.
type eof struct{}

// connect makes a connection. Its ends' handlers are set by the caller before anything can arrive.
func (w *World) connect(a, b int) (*end, *end) {
	ea := &end{w: w, node: a, open: true}
	eb := &end{w: w, node: b, open: true, peer: ea}
	ea.peer = eb
	ea.arriving, eb.arriving = ea.arrive, eb.arrive
	return ea, eb
}

// send hands a message to the connection.
func (e *end) send(m any) {
	if e.open {
		e.push(m, 0)
	}
}

func (e *end) push(m any, extra Time) {
	w := e.w
	at := w.now + w.latency(e.node, e.peer.node) + extra
	if n := len(e.out); n > 0 {
		at = max(at, e.out[n-1].at)
	}
	e.out = append(e.out, sent{m, at})
	if len(e.out) == 1 {
		e.schedule()
	}
}

func (e *end) schedule() { e.w.at(e.out[0].at, e.arriving) }

// arrive hands over the oldest message.
func (e *end) arrive() {
	if len(e.out) == 0 || e.out[0].at > e.w.now {
		return // lost since
	}
	if e.w.cut[e.node][e.peer.node] {
		e.stuck = true
		e.w.stuck = append(e.w.stuck, e)
		return
	}
	m := e.out[0].m
	e.out = shifted(e.out)
	if len(e.out) > 0 {
		e.schedule()
	}
	p := e.peer
	if !p.open {
		return
	}
	if _, over := m.(eof); !over {
		p.recv(m)
		return
	}
	p.open = false
	p.lose(0)
	p.closed()
}

// shifted is a queue without its first, in the same memory if that was the last.
func shifted[T any](q []T) []T {
	clear(q[:1])
	if len(q) == 1 {
		return q[:0]
	}
	return q[1:]
}

// close ends the connection here. With lossy, some of what is under way from here gets lost.
func (e *end) close(lossy bool) {
	if !e.open {
		return
	}
	e.open = false
	if lossy && len(e.out) > 0 {
		e.lose(e.w.intn(len(e.out) + 1))
	}
	e.push(eof{}, 0)
}

// abandon ends the connection here without a word to the other end, which notices when this node speaks again.
func (e *end) abandon() {
	if !e.open {
		return
	}
	e.open = false
	switch {
	case e.w.cut[e.node][e.peer.node]: // it has not left the machine
		e.lose(0)
	case len(e.out) > 0:
		e.lose(e.w.intn(len(e.out) + 1))
	}
}

// lose forgets all but the oldest n under way.
func (e *end) lose(n int) {
	clear(e.out[n:])
	e.out = e.out[:n]
}

// latency is how long a message takes now.
func (w *World) latency(from, to int) Time {
	l := w.o.Latency/2 + Time(w.intn(int(w.o.Latency)+1))
	if w.intn(64) == 0 {
		l *= 8
	}
	return l * max(1, w.slow[from][to])
}

// Cut stops what goes from one node to another, until Heal. Nobody is told.
func (w *World) Cut(from, to int) {
	w.tracef("cut %s > %s", w.name(from), w.name(to))
	w.cut[from][to] = true
}

// Heal lets messages through again.
func (w *World) Heal(from, to int) {
	if w.cut[from][to] {
		w.tracef("heal %s > %s", w.name(from), w.name(to))
	}
	w.cut[from][to] = false
	waiting := w.stuck
	w.stuck = nil
	for _, e := range waiting {
		if w.cut[e.node][e.peer.node] {
			w.stuck = append(w.stuck, e)
			continue
		}
		e.stuck = false
		if len(e.out) > 0 {
			for i := range e.out {
				e.out[i].at = max(e.out[i].at, w.now)
			}
			e.schedule()
		}
	}
}

// HealAll makes the network whole.
func (w *World) HealAll() {
	for i := range w.cut {
		for j := range w.cut[i] {
			w.slow[i][j] = 0
			if w.cut[i][j] {
				w.Heal(i, j)
			}
		}
	}
}

// Isolate cuts a server off from all others, in one or both directions.
func (w *World) Isolate(h *Host, in, out bool) {
	for _, o := range w.hosts {
		if o == h {
			continue
		}
		if in {
			w.Cut(o.node, h.node)
		}
		if out {
			w.Cut(h.node, o.node)
		}
	}
}
