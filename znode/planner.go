package znode

import (
	"strings"

	"zebu/proto"
	"zebu/quorum"
)

// Request is a client's write request as the planner sees it. Nothing in it is kept.
type Request struct {
	Session    proto.SessionID
	Cxid       int32
	Op         proto.OpCode
	Body       []byte        // without the request header
	IDs        []proto.ID    // the identities of the connection
	SessionErr proto.ErrCode // what checking the session gave; reported at its place in the order of checks
}

// Planner turns requests into transactions. It remembers what it has planned until told that it is applied, so that
// any number of transactions can be on their way. Each costs time in proportion to its size and its paths' depth, no
// matter how many are outstanding.
type Planner struct {
	MaxNeverUsed proto.Millis // that of [Tree.Reapable]

	o   outstanding
	now proto.Millis
	req *Request

	create proto.CreateTTLRequest
	setACL proto.SetACLRequest
	acl    []proto.ACL // space for FixupACL
	path   []byte      // space for a sequential node's path

	ensemble     Ensemble // no configuration: standalone
	reconfigured *quorum.Config

	// shortened: a closeSession was left without its list. It gets no digest either, because a reader that expects a list
	// would take the digest for one.
	shortened bool
}

// NewPlanner returns a planner over t with nothing outstanding.
func NewPlanner(t *Tree) *Planner {
	return &Planner{o: outstanding{t: t, records: map[string]*record{}, created: map[proto.SessionID]*record{}}}
}

// Applied tells that the tree has applied every transaction up to z.
func (p *Planner) Applied(z proto.Zxid) { p.o.applied(z) }

const typeOffset = 28 // of the type in an encoded proto.TxnHeader

// Plan appends the transaction z for r to dst: header, body and digest. A request that must fail becomes an error
// transaction (spec 2.2), a multi that must fail one that changes nothing. Besides what clients may write, it plans
// createSession, closeSession and deleteContainer for the server itself, and on a leader reconfig ([Planner.SetEnsemble]);
// it refuses anything else as unimplemented.
//
// A session with very many ephemeral nodes makes a closeSession transaction of any size: whoever reads logs and
// proposals must not apply the client's packet limit to them (scenario 34).
func (p *Planner) Plan(dst []byte, r *Request, z proto.Zxid, now proto.Millis) []byte {
	p.req, p.now, p.shortened, p.reconfigured = r, now, false, nil
	p.o.begin(z)
	start := len(dst)
	h := proto.TxnHeader{ClientID: r.Session, Cxid: r.Cxid, Zxid: z, Time: now, Type: r.Op}
	dst = h.Append(dst)
	d := proto.NewDecoder(r.Body)
	dst, op, err := p.plan(dst, r.Op, &d)
	p.req = nil
	if err != proto.OK {
		h.Type = proto.OpError
		return proto.AppendInt32(h.Append(dst[:start]), int32(err))
	}
	proto.PutInt32(dst[start+typeOffset:], int32(op))
	if p.o.t.opts.NoDigest || p.shortened {
		return dst
	}
	trailer := proto.TxnDigest{Version: proto.DigestVersion, TreeDigest: p.o.digest}
	return trailer.Append(dst)
}

// plan appends the body of the transaction for a request of type op, and returns the transaction's type. When it returns
// an error, nothing is recorded, and what it appended is to be thrown away.
func (p *Planner) plan(dst []byte, op proto.OpCode, d *proto.Decoder) ([]byte, proto.OpCode, proto.ErrCode) {
	switch op {
	case proto.OpCreateSession:
		timeout := d.Int32()
		return proto.AppendInt32(dst, timeout), op, undecodable(d)
	case proto.OpCloseSession:
		return p.planClose(dst), op, proto.OK
	case proto.OpMulti:
		return p.planMulti(dst, d)
	case proto.OpReconfig:
		dst, err := p.planReconfig(dst, d)
		return dst, op, err
	case proto.OpSetACL:
		return p.planSetACL(dst, d)
	case proto.OpDeleteContainer:
		return p.planReap(dst, d)
	case proto.OpEtcd:
		return proto.AppendBuf(dst, d.Rest()), op, proto.OK
	case proto.OpCheck:
		return dst, op, proto.ErrUnimplemented // only inside a multi (scenario 47)
	}
	return p.planSub(dst, op, d)
}

// planSub is plan for the types that a multi may hold.
func (p *Planner) planSub(dst []byte, op proto.OpCode, d *proto.Decoder) ([]byte, proto.OpCode, proto.ErrCode) {
	switch op {
	case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		if err := p.decodeCreate(op, d); err != proto.OK {
			return dst, op, err
		}
		return p.planCreate(dst, op)
	case proto.OpDelete:
		return p.planDelete(dst, d)
	case proto.OpSetData:
		return p.planSetData(dst, d)
	case proto.OpCheck:
		return p.planCheck(dst, d)
	}
	return dst, op, proto.ErrUnimplemented
}

func undecodable(d *proto.Decoder) proto.ErrCode {
	if d.Err() != nil {
		return proto.ErrMarshalling
	}
	return proto.OK
}

func orElse(err, other proto.ErrCode) proto.ErrCode {
	if err != proto.OK {
		return err
	}
	return other
}

// decodeCreate reads the body of any create request into p.create. TTL is -1 where there is none.
func (p *Planner) decodeCreate(op proto.OpCode, d *proto.Decoder) proto.ErrCode {
	c := &p.create
	if op == proto.OpCreateTTL {
		c.Decode(d)
		return undecodable(d)
	}
	r := proto.CreateRequest{ACL: c.ACL}
	r.Decode(d)
	*c = proto.CreateTTLRequest{Path: r.Path, Data: r.Data, ACL: r.ACL, Flags: r.Flags, TTL: -1}
	return undecodable(d)
}

// modeErr checks a create's flags and TTL.
func (p *Planner) modeErr(op proto.OpCode, c *proto.CreateTTLRequest) proto.ErrCode {
	switch mode := c.Flags; {
	case !mode.Valid():
		return proto.ErrBadArguments
	case mode.TTL() && !p.o.t.opts.ExtendedTypes:
		return proto.ErrUnimplemented
	case mode.TTL() && (c.TTL <= 0 || c.TTL > proto.MaxTTL):
		return proto.ErrBadArguments
	case !mode.TTL() && (c.TTL >= 0 || op == proto.OpCreateTTL):
		// Apache ZooKeeper lets createTTL pass with another mode and a negative TTL, and dies applying it.
		return proto.ErrBadArguments
	}
	return proto.OK
}

// planCreate plans p.create. The transaction's type decides what becomes of the node, so a createContainer makes a
// container whatever its flags, and flags for a container turn a create into createContainer: in Apache ZooKeeper that
// gives an ordinary node and a digest mismatch (spec 2.3).
func (p *Planner) planCreate(dst []byte, op proto.OpCode) ([]byte, proto.OpCode, proto.ErrCode) {
	c := &p.create
	if err := p.modeErr(op, c); err != proto.OK {
		return dst, op, err
	}
	if p.req.SessionErr != proto.OK {
		return dst, op, p.req.SessionErr
	}
	if !strings.Contains(c.Path, "/") || strings.Contains(c.Path, "\x00") {
		return dst, op, proto.ErrBadArguments
	}
	acl, err := p.o.t.FixupACL(p.acl[:0], c.ACL, p.req.IDs)
	p.acl = acl
	if err != proto.OK {
		return dst, op, err
	}
	parentPath, _ := split(c.Path)
	var parent, node state
	if !p.o.look(parentPath, &parent) {
		return dst, op, proto.ErrNoNode
	}
	if !p.o.t.Permits(parent.acl, proto.PermCreate, p.req.IDs) {
		return dst, op, proto.ErrNoAuth
	}
	path := c.Path
	if c.Flags.Sequential() {
		path = p.sequential(path, parent.cversion)
	}
	switch {
	case !ValidatePath(path):
		return dst, op, proto.ErrBadArguments
	case p.o.look(path, &node):
		return dst, op, proto.ErrNodeExists
	case p.o.t.opts.kind(parent.owner) == ownerSession:
		return dst, op, proto.ErrNoChildrenForEphemerals
	}
	if err := p.o.t.quotaAllows(path, 1, len(c.Data)); err != proto.OK {
		return dst, op, err
	}
	if c.Flags == proto.Container {
		op = proto.OpCreateContainer
	}
	cversion := parent.cversion + 1
	dst = appendCreate(dst, op, path, c, acl, cversion)
	p.recordCreate(op, path, parentPath, &parent, acl, cversion)
	return dst, op, proto.OK
}

// recordCreate records the creation of p.create at path.
func (p *Planner) recordCreate(op proto.OpCode, path, parentPath string, parent *state, acl []proto.ACL, cversion int32) {
	c := &p.create
	var owner, session proto.SessionID
	switch {
	case op == proto.OpCreateContainer:
		owner = proto.ContainerOwner
	case op == proto.OpCreateTTL:
		owner = ttlOwner(c.TTL)
	case c.Flags.Ephemeral():
		owner = p.req.Session
		if p.o.t.opts.kind(owner) == ownerSession {
			session = owner
		}
	}
	node := state{acl: p.o.t.acls.own(acl), size: int32(len(c.Data)), exists: true}
	node.created(p.o.zxid, p.now, owner)
	if !p.o.t.opts.NoDigest && !hiddenPath(path) {
		node.prefix = prefixCRC(path, c.Data)
	}
	parent.childCreated(cversion, p.o.zxid)
	parent.children++
	p.o.put(parentPath, parent)
	p.o.create(path, &node, session)
}

func appendCreate(dst []byte, op proto.OpCode, path string, c *proto.CreateTTLRequest, acl []proto.ACL, cversion int32) []byte {
	switch op {
	case proto.OpCreateContainer:
		t := proto.CreateContainerTxn{Path: path, Data: c.Data, ACL: acl, ParentCVersion: cversion}
		return t.Append(dst)
	case proto.OpCreateTTL:
		t := proto.CreateTTLTxn{Path: path, Data: c.Data, ACL: acl, ParentCVersion: cversion, TTL: c.TTL}
		return t.Append(dst)
	}
	t := proto.CreateTxn{Path: path, Data: c.Data, ACL: acl, Ephemeral: c.Flags.Ephemeral(), ParentCVersion: cversion}
	return t.Append(dst)
}

// sequential returns path with n appended, ten characters wide: valid until the next call.
func (p *Planner) sequential(path string, n int32) string {
	p.path = appendSequence(append(p.path[:0], path...), n)
	return bytesString(p.path)
}
