package sim

import (
	"slices"

	"zebu/proto"
)

// saw notes what a client has seen. An epoch's beginning, which a snapshot may be of, is no more than what came before it.
func (c *checker) saw(cl *client, z proto.Zxid) {
	if z < cl.last && c.plain(z) < c.plain(cl.last) {
		c.w.failf("client %d: session %v goes back from %s to %s", cl.index, cl.session, zx(cl.last), zx(z))
	}
	cl.last = z
	c.seen = max(c.seen, z)
	for k := range cl.watches {
		s := &cl.watches[k]
		if !s.set {
			continue
		}
		if n := c.nextChange(k, s.since); n != 0 && n <= z {
			c.w.failf("client %d sees %s before the event of %s about %s", cl.index, zx(z), zx(n), c.w.watched(k))
		}
	}
	for k := range cl.follows {
		for _, f := range cl.following(k) {
			if n := c.nextChange(k, f.since); f.armed && n != 0 && n <= z {
				c.w.failf("client %d sees %s before its persistent watch tells of %s about %s", cl.index, zx(z), zx(n), c.w.watched(k))
			}
		}
	}
}

// following are the persistent watches that see a key.
func (c *client) following(key int) []*follow {
	if key == c.w.root() { // a recursive watch does not tell of changed children
		return []*follow{&c.follows[key]}
	}
	return []*follow{&c.follows[key], &c.all[key]}
}

// event sees a watch fire, or several.
func (c *checker) event(cl *client, hdr *proto.ReplyHeader, ev *proto.WatcherEvent) {
	k := slices.Index(c.w.paths, ev.Path)
	switch {
	case ev.Type == proto.EventNodeChildrenChanged && ev.Path == "/":
		k = c.w.root()
	case ev.Type == proto.EventNodeChildrenChanged:
		c.w.failf("client %d: event %d on %s, whose children it does not watch", cl.index, ev.Type, ev.Path)
		return
	case k < 0 && cl.all[0].armed:
		return // a node that nobody works on
	case k < 0:
		c.w.failf("client %d: event on %s", cl.index, ev.Path)
		return
	}
	if z := c.plain(hdr.Zxid); hdr.Zxid != -1 && z > c.last() { // its server has lost its role right after the commit
		c.commit(c.w.hosts[cl.e.peer.node], z)
	}
	s := &cl.watches[k]
	if hdr.Zxid == -1 {
		if n := c.nextChange(k, s.since); !s.set || n == 0 {
			c.w.failf("client %d: event %d of a past on %s, which has not changed since %s", cl.index, ev.Type, ev.Path, zx(s.since))
		}
		*s = standing{}
		c.count("events")
		return
	}
	told := false
	if s.set {
		told = c.told(cl, hdr, ev, k, s.since)
		*s = standing{}
		c.count("events")
	}
	for _, f := range cl.following(k) {
		if f.armed && k == c.w.root() && hdr.Zxid == f.since && c.txns[hdr.Zxid].hdr.Type == proto.OpCloseSession {
			told = true // of another of the session's nodes
			continue
		}
		if f.armed {
			told = c.told(cl, hdr, ev, k, f.since) || told
			f.since = hdr.Zxid
			c.count("persistent events")
		}
	}
	if !told {
		c.w.failf("client %d: event %d on %s, on which it has no watch", cl.index, ev.Type, ev.Path)
	}
}

// told compares an event with the change that a watch has to tell of.
func (c *checker) told(cl *client, hdr *proto.ReplyHeader, ev *proto.WatcherEvent, k int, since proto.Zxid) bool {
	n := c.nextChange(k, since)
	switch {
	case n == 0:
		c.w.failf("client %d: event %d on %s, which has not changed since %s", cl.index, ev.Type, ev.Path, zx(since))
		return true
	case hdr.Zxid != n:
		c.w.failf("client %d: event of %s on %s, which changed at %s", cl.index, zx(hdr.Zxid), ev.Path, zx(n))
		return true
	}
	if want := c.kindOf(n, k); ev.Type != want {
		c.w.failf("client %d: event %d on %s at %s, which is %d", cl.index, ev.Type, ev.Path, zx(n), want)
	}
	return true
}

// kindOf is the type of the event of a change.
func (c *checker) kindOf(z proto.Zxid, k int) proto.EventType {
	switch {
	case k == c.w.root():
		return proto.EventNodeChildrenChanged
	case !c.states[z].nodes[k].exists:
		return proto.EventNodeDeleted
	case !c.states[c.states[z].parent].nodes[k].exists:
		return proto.EventNodeCreated
	}
	return proto.EventNodeDataChanged
}

// rearmed sees that watches are set again. Nodes that came and went meanwhile are not told of, as in ZooKeeper.
func (c *checker) rearmed(cl *client, hdr *proto.ReplyHeader) {
	if hdr.Err != proto.OK {
		c.w.failf("client %d: setWatches: %v", cl.index, hdr.Err)
	}
	for k := range cl.watches {
		if s := &cl.watches[k]; s.set && !s.exists && !c.states[c.plain(hdr.Zxid)].nodes[k].exists {
			s.since = hdr.Zxid
		}
	}
	for k := range cl.follows {
		for _, f := range cl.following(k) {
			if f.wanted {
				f.armed, f.since = true, hdr.Zxid
			}
		}
	}
	c.saw(cl, hdr.Zxid)
}

// followed sees that a persistent watch is set. A second one on the same path is the same.
func (c *checker) followed(cl *client, r *request, hdr *proto.ReplyHeader) {
	if hdr.Err != proto.OK {
		c.w.failf("client %d: addWatch: %v", cl.index, hdr.Err)
	}
	if r.key >= 0 {
		cl.follows[r.key].begin(hdr.Zxid)
		return
	}
	for k := range cl.all {
		cl.all[k].begin(hdr.Zxid)
	}
}

// listed compares a list of the root's children with the state that it is of.
func (c *checker) listed(cl *client, hdr *proto.ReplyHeader, d *proto.Decoder) {
	var r proto.GetChildren2Response
	r.Decode(d)
	for k, n := range c.states[c.plain(hdr.Zxid)].nodes {
		if k != c.w.o.key(inside) && n.exists != slices.Contains(r.Children, c.w.path(k)[1:]) {
			c.w.failf("client %d: children at %s are %v, and %s exists is %t", cl.index, zx(hdr.Zxid), r.Children, c.w.path(k), n.exists)
		}
	}
}

// unwatched compares the answer to removeWatches, or checkWatches, with what the client knows that it watches.
func (c *checker) unwatched(cl *client, r *request, hdr *proto.ReplyHeader) {
	root := c.w.root()
	s, f, all := &cl.watches[r.key], &cl.follows[r.key], r.key == root && cl.all[0].armed
	one, every := false, r.kind == proto.WatcherAny
	switch r.kind {
	case proto.WatcherChildren:
		one = r.key == root && s.set
	case proto.WatcherData:
		one = r.key != root && s.set
	case proto.WatcherPersistent:
		one = f.armed
	case proto.WatcherPersistentRecursive:
		one = all
	case proto.WatcherAny:
		one = s.set || f.armed || all
	}
	want := proto.OK
	if !one {
		want = proto.ErrNoWatcher
	}
	c.count("watches looked for")
	if hdr.Err != want {
		c.w.failf("client %d: %v of kind %d on %s: %v, when it has: one-shot %t, persistent %t, recursive %t",
			cl.index, r.op, r.kind, c.w.watched(r.key), hdr.Err, s.set, f.armed, all)
	}
	if !one || r.op == proto.OpCheckWatches {
		return
	}
	c.count("watches removed")
	if every || r.kind == proto.WatcherChildren || r.kind == proto.WatcherData {
		*s = standing{}
	}
	if every || r.kind == proto.WatcherPersistent {
		*f = follow{}
	}
	if r.key == root && (every || r.kind == proto.WatcherPersistentRecursive) {
		clear(cl.all)
	}
}

func (f *follow) begin(z proto.Zxid) {
	if !f.armed {
		*f = follow{wanted: true, armed: true, since: z}
	}
}

// locked sees a client told that it has the lock.
func (c *checker) locked(cl *client, r *request, n *node) {
	if r.key != c.w.o.key(lockNode) {
		return
	}
	if n.owner != cl.session || n.czxid <= cl.token {
		c.w.failf("client %d: has the lock as %s of session %v, after %s", cl.index, zx(n.czxid), n.owner, zx(cl.token))
	}
	cl.holds, cl.token = true, n.czxid
	c.count("locks")
}

// unlocked sees a client told that it has given the lock back: its own, because who deletes it in the session that made it has not
// lost it before.
func (c *checker) unlocked(cl *client, r *request) {
	if r.key == c.w.o.key(lockNode) {
		cl.holds = false
	}
}

// use has a client use what the lock guards, which refuses those whose tokens are old. Such a one has been followed by another holder,
// so it must have lost its node before that one came.
func (c *checker) use(cl *client) {
	if cl.token >= c.used {
		c.used = cl.token
		return
	}
	c.count("fenced")
	if n := c.states[c.last()].nodes[c.w.o.key(lockNode)]; n.exists && n.czxid == cl.token {
		c.w.failf("client %d holds the lock as %s, and another one used it as %s", cl.index, zx(cl.token), zx(c.used))
	}
}
