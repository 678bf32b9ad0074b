package lab

import "slices"

// pipe carries messages from one server to another, in order.
type pipe struct {
	w        *world
	from, to int
	link     *Link // nil: the messages of [Server.Send]
	last     Micros
	held     []packet // waits for a cut to heal, in the sender's machine
}

// packet is a message under way. A nil message is the end of a connection.
type packet struct {
	m    *Message
	life int // of the sender
}

// Send sends a message to another server. Messages from one to another arrive in order, unless they are lost.
func (s *Server) Send(to int, m *Message) {
	if to < 1 || to > len(s.w.servers) || to == s.id {
		return
	}
	s.w.pipes[s.id-1][to-1].send(s, m)
}

// send puts a message on the wire, or holds it if there is a cut.
func (p *pipe) send(s *Server, m *Message) {
	w := p.w
	if m != nil {
		w.msgs++
		m.id = w.msgs
		w.tally.message(w, m.Bytes)
		w.record(Event{Kind: Send, Server: p.from, Peer: p.to, Epoch: m.Epoch, Index: m.Index, Name: m.Name, Msg: m.id, Bytes: m.Bytes, Note: m.Note})
		s.cpuFree = max(w.now, s.cpuFree) + sendCost
	}
	pk := packet{m, s.life}
	switch {
	case !w.isCut(p.from, p.to):
		p.launch(s, pk)
	case p.link == nil && w.now-w.cutAt[p.from-1][p.to-1] > connPatience:
		p.lose(pk)
	default:
		p.held = append(p.held, pk)
	}
}

func (p *pipe) launch(s *Server, pk packet) {
	w := p.w
	bytes := 40
	if pk.m != nil {
		bytes = pk.m.Bytes + frameBytes
	}
	s.wireFree = max(w.now, s.wireFree) + Micros(bytes/wireBytesPerMicro)
	at := max(p.last, s.wireFree+w.latency(p.from, p.to))
	p.last = at
	w.at(at, func() { p.arrive(pk) })
}

// arrive hands a message over.
func (p *pipe) arrive(pk packet) {
	s := p.w.servers[p.to-1]
	switch {
	case pk.m == nil:
		if s.up && p.link != nil {
			p.link.ended(s)
		}
		return
	case !s.up, p.link != nil && !p.link.open(s):
		p.lose(pk)
		return
	}
	life := s.life
	start := max(p.w.now, s.cpuFree)
	s.cpuFree = start + recvCost
	if start == p.w.now {
		p.hand(s, pk)
		return
	}
	p.w.at(start, func() {
		if s.life != life || p.link != nil && !p.link.open(s) {
			p.lose(pk)
			return
		}
		p.hand(s, pk)
	})
}

func (p *pipe) hand(s *Server, pk packet) {
	m := pk.m
	p.w.record(Event{Kind: Recv, Server: p.to, Peer: p.from, Epoch: m.Epoch, Index: m.Index, Name: m.Name, Msg: m.id, Bytes: m.Bytes, Note: m.Note})
	p.report(pk, true)
	if p.link == nil {
		s.node.Recv(p.from, m)
	} else {
		s.node.(Linked).LinkRecv(p.link, m)
	}
}

func (p *pipe) lose(pk packet) {
	m := pk.m
	if m == nil {
		return
	}
	p.w.record(Event{Kind: Lost, Server: p.to, Peer: p.from, Epoch: m.Epoch, Index: m.Index, Name: m.Name, Msg: m.id, Bytes: m.Bytes})
	p.report(pk, false)
}

// report tells the sender's process, a moment later, what became of a message.
func (p *pipe) report(pk packet, arrived bool) {
	if pk.m.Sent == nil {
		return
	}
	from := p.w.servers[p.from-1]
	p.w.after(0, func() {
		if from.life == pk.life {
			pk.m.Sent(arrived)
		}
	})
}

// release lets go what a cut has held.
func (p *pipe) release() {
	held := p.held
	p.held = nil
	s := p.w.servers[p.from-1]
	for _, pk := range held {
		if pk.life != s.life {
			p.lose(pk)
		} else {
			p.launch(s, pk)
		}
	}
}

// drop loses what is held.
func (p *pipe) drop() {
	held := p.held
	p.held = nil
	for _, pk := range held {
		p.lose(pk)
	}
}

// dropHeld forgets what had not left a machine that crashed.
func (w *world) dropHeld(from int) {
	for _, p := range w.pipes[from-1] {
		p.drop()
	}
}

// Link is a connection between two servers that one of them has dialled.
type Link struct {
	w       *world
	ends    [2]*Server // the one that dialled, and the other
	life    [2]int
	is      [2]bool // open
	forth   *pipe
	back    *pipe
	Greeted bool // for the accepting node: whether it has taken note of the connection
}

// Peer is the server at the other end.
func (l *Link) Peer(s *Server) int { return l.ends[1-l.side(s)].id }

func (l *Link) side(s *Server) int {
	if l.ends[0] == s {
		return 0
	}
	return 1
}

func (l *Link) open(s *Server) bool {
	i := l.side(s)
	return l.is[i] && l.life[i] == s.life
}

func (l *Link) out(s *Server) *pipe {
	if l.side(s) == 0 {
		return l.forth
	}
	return l.back
}

// Send sends a message over the connection, if it is open here.
func (l *Link) Send(s *Server, m *Message) {
	if l.open(s) {
		l.out(s).send(s, m)
	}
}

// Close ends the connection here. The other end is told behind what is under way.
func (l *Link) Close(s *Server) {
	if i := l.side(s); l.is[i] {
		l.is[i] = false
		l.forget(s)
		l.out(s).send(s, nil)
	}
}

// abandon ends it without a word.
func (l *Link) abandon(s *Server) {
	l.is[l.side(s)] = false
	l.forget(s)
	l.out(s).drop()
}

// ended is the other end's goodbye.
func (l *Link) ended(s *Server) {
	if l.open(s) {
		l.is[l.side(s)] = false
		l.forget(s)
		s.node.(Linked).LinkClosed(l)
	}
}

// reset is what a machine that has been started again answers on connections of before.
func (l *Link) reset(s *Server) {
	o := l.ends[1-l.side(s)]
	l.w.after(l.w.latency(s.id, o.id), func() {
		if o.up {
			l.ended(o)
		}
	})
	l.forget(s)
}

func (l *Link) forget(s *Server) {
	if at := slices.Index(s.links, l); at >= 0 {
		s.links = slices.Delete(s.links, at, at+1)
	}
}

// Dial connects to another server, which may have to find out first that it is to be connected to, and gives up after a while.
func (s *Server) Dial(to int, until Micros, wanted func() bool) {
	w := s.w
	o := w.servers[to-1]
	s.later(w.latency(s.id, to), func() {
		n, ok := o.node.(Linked)
		switch {
		case !wanted():
		case o.up && ok && n.Accepts() && !w.isCut(s.id, to) && !w.isCut(to, s.id):
			l := &Link{w: w, ends: [2]*Server{s, o}, life: [2]int{s.life, o.life}, is: [2]bool{true, true}}
			l.forth = &pipe{w: w, from: s.id, to: to, link: l}
			l.back = &pipe{w: w, from: to, to: s.id, link: l}
			s.links, o.links = append(s.links, l), append(o.links, l)
			s.later(w.latency(to, s.id), func() { s.node.(Linked).Linked(l) })
		case s.Clock() >= until:
			s.node.(Linked).LinkFailed(to)
		default:
			s.later(redial, func() { s.Dial(to, until, wanted) })
		}
	})
}

// meet lets two servers find each other, or one find out that the other is not there.
func (w *world) meet(a, b *Server) {
	la, lb := a.life, b.life
	w.after(redial/2+Micros(w.dice.net.Int64N(int64(redial))), func() {
		switch {
		case a.life != la || b.life != lb || w.isCut(a.id, b.id) || w.isCut(b.id, a.id):
		case a.up && b.up:
			a.node.PeerUp(b.id)
			b.node.PeerUp(a.id)
		case a.up && !b.off:
			a.node.PeerDown(b.id)
		case b.up && !a.off:
			b.node.PeerDown(a.id)
		}
	})
}

// latency draws how long a message is on its way: four fifths of the mean, and the rest on average, from an exponential distribution that
// ends at ten times the mean.
func (w *world) latency(from, to int) Micros {
	mean := w.sc.Latency
	d := mean*4/5 + min(Micros(w.dice.net.ExpFloat64()*float64(mean)/5), 10*mean)
	if f := w.slow[from-1][to-1]; f > 0 {
		d = Micros(float64(d) * f)
	}
	return d
}

func (w *world) isCut(from, to int) bool { return w.cuts[from-1][to-1] > 0 }

// cut stops what goes from one server to another. Cuts add up: each must be healed.
func (w *world) cut(from, to int) {
	if w.cuts[from-1][to-1]++; w.cuts[from-1][to-1] == 1 {
		w.cutAt[from-1][to-1] = w.now
		w.record(Event{Kind: Partition, Server: from, Peer: to, Index: -1})
		w.after(connPatience, func() { w.breakOff(from, to) })
	}
}

// breakOff ends a connection that nothing has come through for too long.
func (w *world) breakOff(from, to int) {
	if !w.isCut(from, to) || w.now-w.cutAt[from-1][to-1] < connPatience {
		return
	}
	w.pipes[from-1][to-1].drop()
	if s := w.servers[from-1]; s.up {
		s.node.PeerLost(to)
	}
}

// heal takes a cut away.
func (w *world) heal(from, to int) {
	if !w.isCut(from, to) {
		return
	}
	if w.cuts[from-1][to-1]--; w.cuts[from-1][to-1] > 0 {
		return
	}
	w.record(Event{Kind: Heal, Server: from, Peer: to, Index: -1})
	a, b := w.servers[from-1], w.servers[to-1]
	w.pipes[from-1][to-1].release()
	for _, l := range slices.Concat(a.links, b.links) {
		if l.ends[0] == a && l.ends[1] == b || l.ends[0] == b && l.ends[1] == a {
			l.out(a).release()
		}
	}
	if w.now-w.cutAt[from-1][to-1] > connPatience {
		w.meet(a, b)
	}
}
