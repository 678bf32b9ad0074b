package znode

import "zebu/proto"

// Request is a client's write request as the planner sees it.
type Request struct {
	Session    proto.SessionID
	Cxid       int32
	Op         proto.OpCode
	Body       []byte        // without the request header
	IDs        []proto.ID    // the identities of the connection
	SessionErr proto.ErrCode // what checking the session gave; reported at its place in the order of checks
}

// Planner turns requests into transactions. It remembers what it has planned until told that it is applied, so that
// any number of transactions can be on their way.
type Planner struct {
	t *Tree
}

// NewPlanner returns a planner over t with nothing outstanding.
func NewPlanner(t *Tree) *Planner { return &Planner{t: t} }

// Plan appends the transaction for r to dst: header, body and digest. A request that must fail becomes an error
// transaction.
func (p *Planner) Plan(dst []byte, r *Request, z proto.Zxid, now proto.Millis) []byte { return dst }

// Applied tells that the tree has applied every transaction up to z.
func (p *Planner) Applied(z proto.Zxid) {}
