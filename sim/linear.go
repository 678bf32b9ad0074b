package sim

import (
	"math"
	"time"

	"github.com/anishathalye/porcupine"

	"zebu/proto"
)

// operation is what a client knows of a request of its own.
type operation struct {
	client    int
	op        proto.OpCode
	key       int
	value     string // written
	expected  int32  // version, -1 for any
	call, ret Time
	err       proto.ErrCode // ErrConnectionLoss: it is not known what came of it
	node      node          // as the answer tells it
}

// record keeps a request for the linearizability check, if it is one that must be linearizable. n is the node as the answer
// tells it, nil if there is none.
func (c *checker) record(cl *client, r *request, n *node, err proto.ErrCode) {
	if r.key < 0 || r.key >= c.w.o.Keys {
		return
	}
	if full := len(c.history[r.key]) >= maxHistory; full && c.full[r.key] == 0 {
		c.full[r.key] = c.w.now
	}
	if full := c.full[r.key]; full != 0 {
		if r.call > full || r.op == proto.OpGetData {
			return
		}
		n = nil // it may have come before the last ones that are checked
	}
	o := operation{
		client: cl.index, op: r.op, key: r.key, value: r.value, expected: r.version, call: r.call, ret: c.w.now, err: err,
	}
	switch r.op {
	case proto.OpGetData:
		if n == nil || !r.fresh || !c.w.o.QuorumSync {
			return
		}
	case proto.OpSetData, proto.OpDelete, proto.OpCreate2:
	case proto.OpMulti:
		if err != proto.OK && n != nil {
			return // depends on another node
		}
	default:
		return
	}
	if n == nil { // lost, or refused by a server that may have passed it on before
		o.err = proto.ErrConnectionLoss
		o.ret = math.MaxInt64
	} else {
		o.node = *n
	}
	c.history[r.key] = append(c.history[r.key], o)
}

// maxHistory is how many requests a key are checked: what is not known of many makes the search long.
const maxHistory = 300

// step is the sequential behaviour of a node.
func step(n node, o *operation) (bool, node) {
	possible := n.exists && (o.expected == -1 || o.expected == n.version)
	next := n
	switch o.op {
	case proto.OpCreate2:
		possible = !n.exists
		next = node{exists: true, value: o.value}
	case proto.OpDelete:
		next = node{}
	case proto.OpMulti:
		possible = n.exists
		next.value, next.version = o.value, n.version+1
	case proto.OpSetData:
		next.value, next.version = o.value, n.version+1
	case proto.OpGetData:
		return n.exists == (o.err == proto.OK) && (!n.exists || n.value == o.node.value && n.version == o.node.version), n
	}
	switch o.err {
	case proto.OK:
		return possible && (!next.exists || next.version == o.node.version), next
	case proto.ErrConnectionLoss:
		if possible {
			return true, next
		}
	case proto.ErrNoNode:
		return !n.exists, n
	case proto.ErrNodeExists:
		return n.exists, n
	case proto.ErrBadVersion:
		return n.exists && n.version != o.expected, n
	}
	return true, n
}

// linearizable looks for an order of each node's requests that explains all answers: what clients know is enough for
// that, whereas the other checks rely on zxids.
func (c *checker) linearizable() {
	model := porcupine.Model{
		Init: func() any { return node{} },
		Step: func(state, input, _ any) (bool, any) {
			ok, next := step(state.(node), input.(*operation))
			return ok, next
		},
	}
	for key, history := range c.history {
		ops := make([]porcupine.Operation, 0, len(history))
		for i := range history {
			o := &history[i]
			ret := int64(o.ret)
			ops = append(ops, porcupine.Operation{ClientId: o.client, Input: o, Call: int64(o.call), Return: ret})
		}
		switch porcupine.CheckOperationsTimeout(model, ops, 100*time.Millisecond) {
		case porcupine.Illegal:
			c.w.failf("%s: no order of requests explains the answers", c.w.path(key))
		case porcupine.Unknown:
			c.unsearched++
		}
	}
}
