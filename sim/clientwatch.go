package sim

import "zebu/proto"

// standing is a watch that has not fired.
type standing struct {
	set    bool
	exists bool       // the node was there
	since  proto.Zxid // state that the client knows
}

// follow is a persistent watch.
type follow struct {
	wanted bool
	armed  bool       // on this connection
	since  proto.Zxid // the last change that the client was told of, or could see when the watch was set
}

// root is the key that stands for the children of the root, among the changes and the watches.
func (w *World) root() int { return len(w.paths) }

// watched is the path of a key, that of the root included.
func (w *World) watched(key int) string {
	if key == w.root() {
		return "/"
	}
	return w.paths[key]
}

// rearm sets the watches of the connection before on this one.
func (c *client) rearm() {
	sw := proto.SetWatches2{RelativeZxid: c.last}
	for k := range c.watches {
		switch s := &c.watches[k]; {
		case s.set && k == c.w.root():
			sw.ChildWatches = []string{"/"}
		case s.set && s.exists:
			sw.DataWatches = append(sw.DataWatches, c.w.path(k))
		case s.set:
			sw.ExistWatches = append(sw.ExistWatches, c.w.path(k))
		}
		if c.follows[k].wanted {
			sw.PersistentWatches = append(sw.PersistentWatches, c.w.watched(k))
		}
	}
	if c.all[0].wanted {
		sw.PersistentRecursiveWatches = []string{"/"}
	}
	switch {
	case len(sw.PersistentWatches)+len(sw.PersistentRecursiveWatches) > 0:
		c.setWatches(proto.OpSetWatches2, sw.Append(nil))
	case len(sw.DataWatches)+len(sw.ExistWatches)+len(sw.ChildWatches) > 0:
		old := proto.SetWatches{
			RelativeZxid: sw.RelativeZxid, DataWatches: sw.DataWatches, ExistWatches: sw.ExistWatches, ChildWatches: sw.ChildWatches,
		}
		c.setWatches(proto.OpSetWatches, old.Append(nil))
	}
}

func (c *client) setWatches(op proto.OpCode, body []byte) {
	hdr := proto.RequestHeader{Xid: proto.XidSetWatches, Op: op}
	c.under = append(c.under, request{xid: proto.XidSetWatches, op: op, call: c.w.now})
	c.e.send(append(hdr.Append(nil), body...))
}

// follow sets a persistent watch.
func (c *client) follow() {
	key := c.w.intn(c.w.o.Keys)
	if c.w.chance(3) {
		key = c.w.root()
	}
	if c.w.chance(2) {
		body := proto.AddWatchRequest{Path: "/", Mode: proto.AddWatchRecursive}
		c.send(request{op: proto.OpAddWatch, key: -1}, body.Append(nil))
		return
	}
	c.followKey(key)
}

func (c *client) followKey(key int) {
	body := proto.AddWatchRequest{Path: c.w.watched(key), Mode: proto.AddWatchPersistent}
	c.send(request{op: proto.OpAddWatch, key: key}, body.Append(nil))
}

// watching lists the children of the root, or takes a watch away that there may be, or asks for it.
func (c *client) watching() {
	w := c.w
	if w.chance(2) {
		body := proto.PathWatchRequest{Path: "/", Watch: w.chance(2)}
		c.send(request{op: proto.OpGetChildren2, key: w.root(), watch: body.Watch}, body.Append(nil))
		return
	}
	key := w.intn(len(w.paths) + 1)
	if c.w.o.Locking && key == w.o.key(lockNode) { // who waits for the lock wants to be told
		return
	}
	op := proto.OpRemoveWatches
	if w.chance(3) {
		op = proto.OpCheckWatches
	}
	c.unwatch(op, key, proto.WatcherType(1+w.intn(int(proto.WatcherPersistentRecursive))))
}

// unwatch sends removeWatches, or checkWatches.
func (c *client) unwatch(op proto.OpCode, key int, kind proto.WatcherType) {
	body := proto.PathWatcherType{Path: c.w.watched(key), Type: kind}
	c.send(request{op: op, key: key, kind: kind}, body.Append(nil))
}
