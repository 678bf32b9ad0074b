package sim

import "zebu/proto"

// pair is the election link between two servers.
type pair struct {
	w    *World
	host [2]*Host
	end  [2]*end // nil: there is no connection, as far as that server knows
	busy bool    // an attempt to connect is scheduled
}

// hello is the first message on an election link.
type hello struct{}

// dial tries to connect, soon and again and again.
func (p *pair) dial() {
	if p.busy || p.end[0] != nil && p.end[1] != nil {
		return
	}
	p.busy = true
	p.w.after(p.w.o.Redial/2+Time(p.w.intn(int(p.w.o.Redial))), func() {
		p.busy = false
		p.attempt()
		p.dial()
	})
}

func (p *pair) attempt() {
	w := p.w
	a, b := p.host[0], p.host[1]
	if w.cut[a.node][b.node] || w.cut[b.node][a.node] || !w.reaches(b, a) { // the one of the larger id has the last word
		return
	}
	if !a.up || !b.up {
		for i, h := range p.host {
			if o := p.host[1-i]; h.up && !o.up && !o.off {
				h.input(func() { h.m.PeerDown(o.id) })
			}
		}
		return
	}
	for _, e := range p.end {
		if e != nil {
			e.close(true)
		}
	}
	p.end[0], p.end[1] = w.connect(a.node, b.node)
	for i := range p.end {
		p.join(i)
	}
}

// join sets up one side of a new connection.
func (p *pair) join(i int) {
	h, o, e := p.host[i], p.host[1-i], p.end[i]
	life := h.life
	e.recv = func(m any) {
		if h.life != life {
			return
		}
		h.input(func() {
			if n, ok := m.(*proto.Notification); ok {
				if err := h.m.Notified(o.id, n); err != nil {
					p.w.failf("server %d: notification from %d: %v", h.id, o.id, err)
				}
				return
			}
			h.m.PeerUp(o.id)
		})
	}
	e.closed = func() {
		if p.end[i] == e {
			p.end[i] = nil
			p.dial()
		}
	}
	e.send(hello{})
	if n := h.unsent[o.index]; n != nil {
		h.unsent[o.index] = nil
		e.send(n)
	}
}

// notify sends a notification, or keeps it until there is a connection; of several only the last.
func (h *Host) notify(to proto.ServerID, n proto.Notification) {
	o := h.w.host(to)
	p, i := h.w.pair(h, o)
	if e := p.end[i]; e != nil && e.open {
		e.send(&n)
		return
	}
	h.unsent[o.index] = &n
}

// hangUpMesh closes a server's election links.
func (h *Host) hangUpMesh(silent bool) {
	for _, o := range h.w.hosts {
		if o == h {
			continue
		}
		p, i := h.w.pair(h, o)
		if e := p.end[i]; e != nil {
			h.hangUp(e, silent)
			p.end[i] = nil
			p.dial()
		}
	}
}
