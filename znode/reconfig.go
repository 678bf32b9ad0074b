package znode

import (
	"errors"

	"zebu/proto"
	"zebu/quorum"
)

// Ensemble is what a leader's planner has to know of its ensemble to plan a reconfiguration (spec 11.3).
type Ensemble struct {
	// Config is the newest configuration proposed, committed or not: the last seen one. It is not changed.
	Config *quorum.Config
	// Pending says that Config is proposed and not committed: another reconfiguration must wait.
	Pending bool
	// Synced are the leader itself and those that follow it as participants, not as observers, and are in sync. The new
	// configuration must have a quorum among them.
	Synced quorum.Set
	// Standalone and MultiAddress are standaloneEnabled and multiAddress.enabled.
	Standalone, MultiAddress bool
}

// SetEnsemble tells a leader's planner what has become of its ensemble: at the start of its epoch, when a configuration
// is committed, and when a server gets into or out of sync. It takes over e.Synced. Until the first call the planner is
// a standalone server's, which reconfigures nothing. A reconfiguration that the planner has planned is pending for it
// already; whoever calls SetEnsemble while it is on its way says so too.
func (p *Planner) SetEnsemble(e Ensemble) { p.ensemble = e }

// Reconfigured returns the configuration that the last planned transaction proposes, its version the transaction's zxid;
// nil if that is no reconfiguration, or a failed one.
func (p *Planner) Reconfigured() *quorum.Config { return p.reconfigured }

// planReconfig plans a reconfiguration: a transaction that writes the new configuration's text into /zookeeper/config,
// with -1 for the node's version. What it answers and in which order is Apache ZooKeeper's.
func (p *Planner) planReconfig(dst []byte, d *proto.Decoder) ([]byte, proto.ErrCode) {
	var r proto.ReconfigRequest
	r.Decode(d)
	switch {
	case d.Err() != nil:
		return dst, proto.ErrMarshalling
	case !p.o.t.opts.Reconfig:
		return dst, proto.ErrReconfigDisabled
	case p.req.SessionErr != proto.OK:
		return dst, p.req.SessionErr
	}
	next, err := p.ensemble.next(&r)
	if err != proto.OK {
		return dst, err
	}
	next.Version = p.o.zxid
	var node state
	if err := p.lookValid(configPath, proto.PermWrite, &node); err != proto.OK {
		return dst, err
	}
	text := next.String()
	node.dataSet(p.o.zxid, p.now, -1)
	node.size = int32(len(text))
	p.o.put(configPath, &node)
	p.reconfigured = next
	p.ensemble.Config, p.ensemble.Pending = next, true
	t := proto.SetDataTxn{Path: configPath, Data: []byte(text), Version: -1}
	return t.Append(dst), proto.OK
}

// next returns the configuration that r asks for, without a version.
func (e *Ensemble) next(r *proto.ReconfigRequest) (*quorum.Config, proto.ErrCode) {
	switch {
	case e.Config == nil:
		return nil, proto.ErrUnimplemented
	case e.Pending:
		return nil, proto.ErrReconfigInProgress
	case r.CurConfigID != -1 && proto.Zxid(r.CurConfigID) != e.Config.Version:
		return nil, proto.ErrBadVersion
	}
	next, err := e.Config.Next(r, quorum.Rules{Standalone: e.Standalone, MultiAddress: e.MultiAddress})
	switch {
	case errors.Is(err, quorum.ErrMalformed):
		return nil, proto.ErrMarshalling
	case err != nil:
		return nil, proto.ErrBadArguments
	case !next.Verifier().HasQuorum(e.Synced):
		return nil, proto.ErrNewConfigNoQuorum
	}
	return next, proto.OK
}

// ConfigOf returns the text of the configuration that a transaction proposes, for [quorum.ParseConfig], and false if it is
// no reconfiguration. body is everything after the header; text aliases it.
func ConfigOf(op proto.OpCode, body []byte) (text []byte, ok bool) {
	if op != proto.OpReconfig {
		return nil, false
	}
	d := proto.NewDecoder(body)
	d.Str()
	text = d.Buf()
	return text, d.Err() == nil
}

// SetConfig writes a configuration into /zookeeper/config without a transaction, which is how the first configuration
// gets there, and any that was committed elsewhere. As in ZooKeeper (ZKDatabase.initConfigInZKDatabase) the node's version
// becomes -1, its mzxid the configuration's version and its mtime now, and its watches fire; neither the digest, which
// leaves the node out, nor [Tree.LastZxid] changes. ZooKeeper does it
//
//   - at the start, before the snapshot and the log are read, so that it stays only where the database is empty, and is
//     in the first snapshot then;
//   - on a learner whenever it has taken the leader's snapshot, cut its log or heard DIFF, before the transactions that
//     follow are applied: with its committed configuration, which without reconfigEnabled is what its zoo.cfg says;
//   - with reconfigEnabled, whenever a configuration is committed or learnt, and on a leader before it serves, before the
//     transaction that proposed it is applied, which then sets the time.
func (t *Tree) SetConfig(c *quorum.Config, now proto.Millis, res *Result) {
	res.reset(proto.OpReconfig)
	t.addReserved() // a snapshot of ZooKeeper 3.4 has no such node
	res.Path = configPath
	h := proto.TxnHeader{Zxid: c.Version, Time: now}
	x := txn{path: configPath, data: []byte(c.String()), version: -1}
	res.Err = t.applySetData(&h, &x, &res.Stat, res)
}
