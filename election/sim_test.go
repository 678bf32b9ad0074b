package election

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"zebu/proto"
	"zebu/quorum"
)

// network is an ensemble of elections in virtual time. Messages travel encoded; between two servers they arrive in
// the order they were sent in. Servers that are up and may talk have connections, and learn of each other as the
// transport would tell them: that a connection is there, or that it is refused since the server is gone.
type network struct {
	t     testing.TB
	now   proto.Millis
	hosts []*host // in ascending order of id
	queue []packet
	sent  int // packets, for their order and for limits

	latency func() proto.Millis                // of the next packet
	lost    func(from, to *host) bool          // whether the next packet gets lost
	cut     map[[2]proto.ServerID]bool         // from, to: nothing passes
	arrived map[[2]proto.ServerID]proto.Millis // when the last packet will have arrived, for the order

	onDecision func(h *host, d Decision)
	onConfig   func(h *host, c *quorum.Config)
	onPacket   func(p *packet, n *proto.Notification)
	onError    func(h *host, err error)
}

// host is a server of a network, or a fake one whose notifications a story makes up if it has no election.
type host struct {
	id    proto.ServerID
	e     *Election // nil if the server is down or a fake
	fake  bool
	zxid  proto.Zxid
	epoch proto.Epoch
	size  int // of the notifications it sends, if they are of an older form
	wake  proto.Millis
}

type packet struct {
	at       proto.Millis
	seq      int
	from, to *host
	body     []byte
	connect  bool // no message: the connection is there
}

func newNetwork(t testing.TB) *network {
	return &network{
		t:       t,
		latency: func() proto.Millis { return 1 },
		lost:    func(*host, *host) bool { return false },
		cut:     map[[2]proto.ServerID]bool{},
		arrived: map[[2]proto.ServerID]proto.Millis{},
	}
}

// host returns the server of that id, made if need be.
func (n *network) host(id proto.ServerID) *host {
	at, found := slices.BinarySearchFunc(n.hosts, id, func(h *host, id proto.ServerID) int { return int(h.id - id) })
	if !found {
		n.hosts = slices.Insert(n.hosts, at, &host{id: id})
	}
	return n.hosts[at]
}

// boot starts a server's process: its clock starts at nothing, whatever it was.
func (n *network) boot(h *host, o Options) {
	n.kill(h, false)
	o.ID = h.id
	h.e = New(o)
	h.e.Start(n.now, h.zxid, h.epoch)
	n.flush(h)
	for _, o := range n.hosts {
		n.connect(h, o)
		n.connect(o, h)
	}
}

// connect makes a connection from a to b known to b, later.
func (n *network) connect(a, b *host) {
	if a != b && a.e != nil && b.e != nil && !n.cut[[2]proto.ServerID{a.id, b.id}] && !n.cut[[2]proto.ServerID{b.id, a.id}] {
		n.push(packet{from: a, to: b, connect: true})
	}
}

// kill ends a server's process. If its host lives on, the others' connections are refused.
func (n *network) kill(h *host, refused bool) {
	if h.e == nil {
		return
	}
	h.e = nil
	n.queue = slices.DeleteFunc(n.queue, func(p packet) bool { return p.to == h })
	for _, o := range n.hosts {
		if refused && o.e != nil {
			o.e.PeerDown(n.now, h.id)
			n.flush(o)
		}
	}
}

// look ends a server's role.
func (n *network) look(h *host) {
	h.e.Start(n.now, h.zxid, h.epoch)
	n.flush(h)
}

// flush does what a server's inputs have caused.
func (n *network) flush(h *host) {
	r := h.e.Ready()
	h.wake = r.Wake
	if r.Config != nil && n.onConfig != nil {
		n.onConfig(h, r.Config)
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		body := m.Notification.Append(nil)
		if h.size != 0 {
			body = body[:h.size]
		}
		n.push(packet{from: h, to: n.host(m.To), body: body})
	}
	if r.Decision != nil && n.onDecision != nil {
		n.onDecision(h, *r.Decision)
	}
}

// push sends a packet, unless it gets lost.
func (n *network) push(p packet) {
	link := [2]proto.ServerID{p.from.id, p.to.id}
	n.sent++
	if n.cut[link] || p.to.e == nil && !p.to.fake || n.lost(p.from, p.to) {
		return
	}
	p.seq = n.sent
	p.at = max(n.now+n.latency(), n.arrived[link])
	n.arrived[link] = p.at
	n.queue = append(n.queue, p)
}

// step does the next thing that is due until end, and says whether there was one. Of things due at the same time,
// packets come first, in the order they were sent in.
func (n *network) step(end proto.Millis) bool {
	next := -1
	for i := range n.queue {
		if p := &n.queue[i]; next < 0 || p.at < n.queue[next].at || p.at == n.queue[next].at && p.seq < n.queue[next].seq {
			next = i
		}
	}
	var timer *host
	for _, h := range n.hosts {
		if h.e != nil && h.wake != 0 && (timer == nil || h.wake < timer.wake) {
			timer = h
		}
	}
	switch {
	case next >= 0 && n.queue[next].at <= end && (timer == nil || n.queue[next].at <= timer.wake):
		p := n.queue[next]
		n.queue = slices.Delete(n.queue, next, next+1)
		n.now = max(n.now, p.at)
		n.deliver(&p)
	case timer != nil && timer.wake <= end:
		n.now = max(n.now, timer.wake)
		timer.e.Tick(n.now)
		n.flush(timer)
	default:
		n.now = max(n.now, end)
		return false
	}
	return true
}

func (n *network) deliver(p *packet) {
	if n.cut[[2]proto.ServerID{p.from.id, p.to.id}] {
		return
	}
	if p.connect {
		if p.from.e != nil {
			p.to.e.PeerUp(n.now, p.from.id)
			n.flush(p.to)
		}
		return
	}
	var m proto.Notification
	if err := m.Decode(p.body); err != nil {
		n.t.Fatalf("%d to %d: %v", p.from.id, p.to.id, err)
	}
	if n.onPacket != nil {
		n.onPacket(p, &m)
	}
	if p.to.fake {
		return
	}
	if err := p.to.e.Recv(n.now, p.from.id, &m); err != nil && n.onError != nil {
		n.onError(p.to, err)
	}
	n.flush(p.to)
}

// separate lets nothing pass between servers of different groups, in either direction.
func (n *network) separate(groups ...[]proto.ServerID) {
	for i, a := range groups {
		for j, b := range groups {
			for _, x := range a {
				for _, y := range b {
					if i != j {
						n.cut[[2]proto.ServerID{x, y}] = true
					}
				}
			}
		}
	}
}

// heal lets everything pass again; connections are made anew.
func (n *network) heal() {
	old := n.cut
	n.cut = map[[2]proto.ServerID]bool{}
	for _, a := range n.hosts {
		for _, b := range n.hosts {
			if old[[2]proto.ServerID{a.id, b.id}] || old[[2]proto.ServerID{b.id, a.id}] {
				n.connect(a, b)
			}
		}
	}
}

// quiet says whether nothing will happen but notifications repeated for want of an answer.
func (n *network) quiet() bool {
	for _, h := range n.hosts {
		if h.e != nil && h.e.finalAt != 0 {
			return false
		}
	}
	return len(n.queue) == 0
}

// members makes a configuration of voters and observers at made-up addresses.
func members(t testing.TB, voters, observers []proto.ServerID, more string) *quorum.Config {
	text := ""
	for _, id := range voters {
		text += fmt.Sprintf("server.%d=h%d:2888:3888:participant\n", id, id)
	}
	for _, id := range observers {
		text += fmt.Sprintf("server.%d=h%d:2888:3888:observer\n", id, id)
	}
	c, err := quorum.ParseConfig(text + more)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// seeded returns the random numbers of a seed.
func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)) }
