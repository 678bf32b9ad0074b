package sim

import (
	"fmt"

	"zebu/internal/vfs"
	"zebu/proto"
)

// harm makes something go wrong. With long, it lasts.
func (w *World) harm(f *Fault, long bool) {
	d := newDice(f.salt, w.seed)
	h, o := d.host(w), d.host(w)
	if d.chance(3) {
		h = w.leader(d)
	}
	until := Time(d.intn(int(Second)))
	if long || d.chance(8) {
		until = Time(d.intn(int(10 * Second)))
	}
	switch f.Kind {
	case CrashProcess:
		w.bounce(h, false, until)
	case PowerFailure:
		w.bounce(h, true, until)
	case CrashAll:
		power := d.chance(2)
		for _, h := range w.hosts {
			w.bounce(h, power, until/2+Time(d.intn(int(until))))
		}
	case CrashLeader:
		w.bounce(w.leader(d), d.chance(2), until)
	case CrashBeginners:
		w.beginners = w.now + 2*until
	case PauseProcess:
		w.standStill(h, d.chance(2), until)
	case LostDisk:
		w.loseDisk(h, until)
	case PowerFailureMidway:
		h.disk.CrashAfter(d.intn(30))
	case ClockJump:
		h.jump += proto.Millis(d.intn(20000) - 10000)
	case ClientStorm:
		w.storm(d, h)
	case ClockDrift:
		h.nextPace = Time(950 + d.intn(101))
	case DiskError:
		h.fault, h.faultOp = 1+d.intn(100), ""
		if d.chance(2) { // what is rare is hit, too
			h.fault, h.faultOp = 1, []vfs.Op{vfs.OpTruncate, vfs.OpRemove, vfs.OpRename, vfs.OpSyncDir, vfs.OpSync, vfs.OpCreate}[d.intn(6)]
		}
	case FullDisk:
		h.full = true
		w.after(until, func() { h.full = false })
	case BitFlip:
		w.flip(d, h, until)
	case AddressChange:
		h.move(d)
	case Reconfiguration:
		w.reconfigure(d)
	default:
		w.disturb(f.Kind, d, h, o, until)
	}
}

// disturb makes something go wrong with the network.
func (w *World) disturb(k Kind, d dice, h, o *Host, until Time) {
	switch k {
	case Isolation:
		both := d.intn(4)
		w.Isolate(h, both != 1, both != 2)
		w.after(until, w.HealAll)
	case Cut:
		w.Cut(h.node, o.node)
		if d.chance(2) {
			w.Cut(o.node, h.node)
		}
		w.after(until, func() { w.Heal(h.node, o.node); w.Heal(o.node, h.node) })
	case SlowLink:
		if d.chance(2) {
			w.slow[h.node][o.node] = Time(1 + d.intn(100))
			w.after(until, func() { w.slow[h.node][o.node] = 0 })
			return
		}
		for _, from := range w.hosts { // all that comes to one server
			w.slow[from.node][h.node] = Time(1 + d.intn(100))
		}
		w.after(until, func() {
			for _, from := range w.hosts {
				w.slow[from.node][h.node] = 0
			}
		})
	case BrokenConnection:
		w.reset(d, h, o)
	}
}

// leader is a server that leads, or thinks so; else any.
func (w *World) leader(d dice) *Host {
	for _, h := range w.hosts {
		if h.up && h.role == proto.Leading && !d.chance(4) {
			return h
		}
	}
	return d.host(w)
}

// bounce crashes a server, which starts again later.
func (w *World) bounce(h *Host, power bool, until Time) {
	h.Crash(power)
	w.after(until, h.boot)
}

// standStill pauses a process, or suspends its machine.
func (w *World) standStill(h *Host, process bool, until Time) {
	if process {
		h.Pause()
	} else if h.up && !h.paused {
		h.Suspend()
	}
	life := h.life
	w.after(until, func() {
		if h.life == life {
			h.Resume()
		}
	})
}

// crashBeginner crashes a server that has just got a role, while that is the fault of the hour.
func (w *World) crashBeginner(h *Host) {
	if w.now >= w.beginners || h.role != proto.Leading && !w.chance(4) {
		return
	}
	life := h.life
	w.after(Time(w.intn(int(20*w.o.Latency+4*w.o.Fsync))), func() {
		if h.life == life {
			w.bounce(h, w.chance(2), Time(w.intn(int(Second))))
		}
	})
}

// reset breaks a connection.
func (w *World) reset(d dice, h, o *Host) {
	switch {
	case !h.up || h.paused:
	case h.upward != nil && d.chance(2):
		l := h.upward
		l.e.close(true)
		l.gone()
	case h.links[o.index] != nil:
		l := h.links[o.index]
		l.e.close(true)
		l.gone()
	case o != h:
		if p, i := w.pair(h, o); p.end[i] != nil {
			p.end[i].close(true)
			p.end[i] = nil
			p.dial()
		}
	}
}

// loseDisk empties a server, if all the others have their disks: no ensemble survives more.
func (w *World) loseDisk(h *Host, until Time) {
	if !w.expendable() {
		return
	}
	h.Crash(true)
	h.LoseDisk()
	w.after(until, h.boot)
}

// flip damages a file of a server, which may be down for that or not notice before it starts again.
func (w *World) flip(d dice, h *Host, until Time) {
	if !w.expendable() {
		return
	}
	if d.chance(2) {
		w.bounce(h, d.chance(2), until)
	}
	h.damage(d)
}

// expendable says whether the ensemble survives the loss of a disk now.
func (w *World) expendable() bool {
	for _, o := range w.hosts {
		if o.lost || o.corrupt != "" {
			return false
		}
	}
	return w.o.Voters >= 3 && w.o.Reconfigure == 0
}

// storm makes clients leave their servers, perhaps because one is slow, and observers theirs. What clients have asked of the slow one may
// come to the leader after they have gone on elsewhere, and it may know less than an observer that comes to it.
func (w *World) storm(d dice, h *Host) {
	slow := d.chance(2)
	if slow {
		length := Time(d.intn(int(Second)))
		for _, o := range w.hosts {
			w.slow[h.node][o.node] = Time(5 + d.intn(100))
			w.slow[o.node][h.node] = Time(5 + d.intn(100))
		}
		w.after(Time(d.intn(int(length+1))), w.moveObservers)
		w.after(length, func() {
			for _, o := range w.hosts {
				w.slow[h.node][o.node], w.slow[o.node][h.node] = 0, 0
			}
		})
	}
	for _, c := range w.clients {
		if c.e == nil || w.chance(2) && (!slow || c.e.peer.node != h.node) {
			continue
		}
		for c.ready && !c.idle && len(c.under) < w.o.Pipeline && slow {
			c.request()
		}
		c.hasty = slow
		c.lost("moves")
	}
}

// moveObservers makes observers leave their masters.
func (w *World) moveObservers() {
	for _, h := range w.hosts {
		if l := h.upward; l != nil && h.role == proto.Observing && !h.paused {
			l.e.close(true)
			l.gone()
		}
	}
}

// reconfigure has some client ask for another configuration.
func (w *World) reconfigure(d dice) {
	if c := w.clients[d.intn(len(w.clients))]; c.ready && len(c.under) < w.o.Pipeline {
		c.reconfig(d)
	}
}

// reconfig asks for a server to leave, or to come or change its part.
func (c *client) reconfig(d dice) {
	w := c.w
	h := d.host(w)
	r := proto.ReconfigRequest{CurConfigID: -1, JoiningServers: []byte{}, LeavingServers: []byte{}}
	if d.chance(3) {
		r.LeavingServers = fmt.Append(nil, h.id)
	} else {
		part := "participant"
		if d.chance(3) {
			part = "observer"
		}
		name := "h"
		if d.chance(4) {
			name = "other" // of the same machine
		}
		r.JoiningServers = fmt.Appendf(nil, "server.%d=%s%d:2888:3888:%s;10.0.0.%d:2181", h.id, name, h.id, part, h.id)
	}
	w.tracef("client %d asks for +%s -%s", c.index, r.JoiningServers, r.LeavingServers)
	c.send(request{op: proto.OpReconfig}, r.Append(nil))
}
