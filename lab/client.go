package lab

// Limits of clients' patience.
const (
	tryTimeout    = 300 * Millisecond // for one attempt
	writePatience = 10 * Second       // for all attempts
	retryWait     = 20 * Millisecond  // after a refusal
)

// client writes or reads, one command after the other or at its own pace.
type client struct {
	w      *world
	id     int
	g      *Group
	home   int // the server it talks to unless it looks for the leader
	leader int // whom it takes for the leader, 0: nobody
	last   int // whom it has asked last
	next   Micros
}

// makeClients makes the scenario's clients, and one for bursts.
func (w *world) makeClients() {
	groups := append([]Group{{Writers: true, Once: true}}, w.sc.Groups...)
	for i := range groups {
		g := &groups[i]
		for k := range max(g.Count, 1) {
			home := g.Home
			if home == 0 {
				home = k%w.sc.Servers + 1
			}
			w.clients = append(w.clients, &client{w: w, id: len(w.clients) + 1, g: g, home: home})
		}
	}
}

// start begins a client's work.
func (c *client) start() {
	switch {
	case c.g.Count == 0:
	case c.g.Every > 0:
		c.next = c.w.zero + c.g.From + Micros(c.w.dice.work.Int64N(int64(c.g.Every)))
		c.w.at(c.next, c.pace)
	default:
		c.w.at(c.w.zero+c.g.From+Micros(c.w.dice.work.Int64N(int64(2*Millisecond))), c.issue)
	}
}

// pace issues commands at regular times, whether or not the last one has been answered.
func (c *client) pace() {
	if c.over() {
		return
	}
	c.issue()
	c.next += c.g.Every
	c.w.at(c.next, c.pace)
}

// over says whether the client's time is.
func (c *client) over() bool {
	t := c.w.now - c.w.zero
	return c.w.ended || t >= c.w.sc.Duration || c.g.Until > 0 && t >= c.g.Until
}

// issue makes the next command.
func (c *client) issue() {
	if c.over() {
		return
	}
	cmd := c.w.ledger.issue(c)
	cmd.floor = c.w.acked
	if c.g.Writers {
		c.w.tally.waits(c.w)
	} else {
		cmd.Op = c.w.p.Reads(c.g.Read)
	}
	c.try(cmd)
}

// try sends a command to a server, for the first time or again.
func (c *client) try(cmd *Command) {
	w := c.w
	cmd.Tries++
	attempt := cmd.Tries
	to := c.home
	if c.g.Writers && !c.g.Spread || !c.g.Writers && c.g.Read == ReadLeader {
		if to = c.leader; to == 0 {
			to = c.another(c.last)
		}
	}
	cmd.Server, c.last = to, to
	if c.g.Writers {
		w.record(Event{Kind: ClientSend, Server: to, Index: -1, Client: c.id, Command: cmd.ID})
	}
	s := w.servers[to-1]
	w.after(w.clientLatency(), func() {
		switch {
		case s.up:
			s.work(recvCost, func() {
				if c.g.Writers {
					s.node.Write(cmd)
				} else {
					s.node.Read(cmd, c.g.Read)
				}
			})
		case !s.off:
			w.after(w.clientLatency(), func() { c.refused(cmd, 0) })
		}
	})
	w.after(tryTimeout, func() {
		if cmd.Tries == attempt && cmd.Done == 0 {
			c.again(cmd, 0)
		}
	})
}

// another picks the server after one.
func (c *client) another(id int) int {
	if id == 0 {
		return c.home
	}
	return id%c.w.sc.Servers + 1
}

// refused is a server's word that it will not do it.
func (c *client) refused(cmd *Command, hint int) {
	if cmd.Done != 0 {
		return
	}
	attempt := cmd.Tries
	c.w.after(retryWait, func() {
		if cmd.Tries == attempt && cmd.Done == 0 {
			c.again(cmd, hint)
		}
	})
}

// again tries another server, or gives up.
func (c *client) again(cmd *Command, hint int) {
	w := c.w
	if !c.g.Writers && (c.g.Read != ReadLeader || cmd.Tries >= 3) || c.g.Once || w.now-cmd.sent >= writePatience {
		c.giveUp(cmd)
		return
	}
	if c.leader == cmd.Server || c.leader == 0 {
		c.leader = hint
	}
	if c.g.Spread {
		c.home = c.another(cmd.Server)
	}
	c.try(cmd)
}

func (c *client) giveUp(cmd *Command) {
	cmd.Done = c.w.now - c.w.zero
	if c.g.Writers {
		c.w.tally.failed(c.w)
		c.w.record(Event{Kind: ClientFail, Server: cmd.Server, Index: -1, Client: c.id, Command: cmd.ID})
	} else {
		c.w.tally.readsFailed++
	}
	c.after()
}

// after issues the next command of a client that waits for answers.
func (c *client) after() {
	if c.g.Count > 0 && c.g.Every == 0 {
		c.w.after(c.g.Think, c.issue)
	}
}

// acked is the answer to a write.
func (c *client) acked(cmd *Command, position int) {
	w := c.w
	h := &w.history[position]
	if h.ackedAt == 0 {
		h.ackedAt = w.now
		w.acked = max(w.acked, position+1)
	}
	if cmd.Done != 0 {
		return
	}
	cmd.Done, cmd.OK, c.leader = w.now-w.zero, true, cmd.Server
	w.tally.acked(w, w.now-cmd.sent)
	w.record(Event{
		Kind: ClientAck, Dur: w.now - cmd.sent, Server: cmd.Server, Epoch: h.epoch, Index: h.index, Client: c.id, Command: cmd.ID,
	})
	c.after()
}

// read is the answer to a read: the state after so many entries.
func (c *client) read(cmd *Command, server, entries int) {
	w := c.w
	if cmd.Done != 0 {
		return
	}
	cmd.Done, cmd.OK, cmd.Server = w.now-w.zero, true, server
	kind := ClientRead
	for i := entries; i < cmd.floor; i++ {
		if at := w.history[i].ackedAt; at != 0 && at <= cmd.sent {
			cmd.Stale++
		}
	}
	if cmd.Stale > 0 {
		kind = StaleRead
		if w.p.Linearizable(c.g.Read) {
			w.violated("%s read %d of server %d misses %d acknowledged writes", cmd.Op, cmd.ID, server, cmd.Stale)
		}
	}
	w.tally.read(w, w.now-cmd.sent, cmd.Stale > 0)
	index, epoch := int64(-1), int64(0)
	if entries > 0 && entries <= len(w.history) {
		index, epoch = w.history[entries-1].index, w.history[entries-1].epoch
	}
	cmd.Index, cmd.Epoch = index, epoch
	w.record(Event{
		Kind: kind, Dur: w.now - cmd.sent, Server: server, Epoch: epoch, Index: index, Name: cmd.Op, Client: c.id, Command: cmd.ID,
	})
	c.after()
}

// burst issues several writes at once, to the leader, and does not try again.
func (w *world) burst(n int) {
	c := w.clients[0]
	c.leader = w.leading()
	for range n {
		c.issue()
	}
}
