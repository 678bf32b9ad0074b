package sim

import (
	"errors"

	"zebu/proto"
	"zebu/quorum"
	"zebu/replica"
	"zebu/storage"
	"zebu/zab"
)

// queue takes over what is to be written. The transactions' bytes are immutable.
func (h *Host) queue(writes []zab.Write) {
	for i := range writes {
		w := writes[i]
		if w.Kind == zab.AppendTxn {
			h.w.check.logged(h, w.Txn)
		}
		h.writes = append(h.writes, w)
	}
}

// write has the log's goroutine begin with what waits.
func (h *Host) write() {
	if !h.up || h.writing || len(h.writes) == 0 {
		return
	}
	h.writing = true
	h.later(h.w.o.Fsync/2+Time(h.w.intn(int(h.w.o.Fsync)+1)), h.written)
}

// written makes the oldest writes durable, and tells the member.
func (h *Host) written() {
	report := h.takeWrites()
	if err := h.perform(); !h.disksay(err) {
		return
	}
	h.writing = false
	h.logged = h.store.Log().Last()
	h.input(report)
	h.write()
}

// job is what the log's goroutine does, one thing at a time.
type job struct {
	batch storage.Batch // of transactions, or empty
	write zab.Write
	img   *replica.Image
	state *replica.Replica // read back
	stuck bool             // there is no such point to truncate to
}

// takeWrites takes the next job off the queue. The result tells the member that it is done.
func (h *Host) takeWrites() (report func()) {
	j := &h.current
	*j = job{batch: j.batch}
	j.batch.Reset()
	if h.writes[0].Kind != zab.AppendTxn {
		j.write = h.writes[0]
		h.writes = shifted(h.writes)
		if j.write.Kind == zab.InstallSnapshot {
			j.img = h.m.Staged()
			h.finishStaged(j.img.Zxid())
		}
		if j.write.Kind == zab.InstallSnapshot || j.write.Kind == zab.Truncate {
			h.w.check.cut(h, j.write.Zxid)
			h.logged = min(h.logged, j.write.Zxid) // what comes behind is about to go, even if this fails
		}
		return func() { h.wrote(j) }
	}
	limit := len(h.writes)
	if h.w.chance(4) {
		limit = 1 + h.w.intn(10)
	}
	for len(h.writes) > 0 && h.writes[0].Kind == zab.AppendTxn && j.batch.Len() < limit {
		t := h.writes[0].Txn
		h.writes = shifted(h.writes)
		j.batch.Add(t.Zxid, t.Data)
	}
	return func() { h.m.Synced(j.batch.Last()) }
}

// wrote reports a write that is no transaction.
func (h *Host) wrote(j *job) {
	h.w.tracef("%d disk: %s", h.id, described{&j.write})
	if j.write.Kind == zab.EnterEpoch {
		h.entered = j.write.Epoch
	}
	if j.write.Kind == zab.Truncate || j.write.Kind == zab.InstallSnapshot {
		h.w.check.count([]string{zab.Truncate: "truncations", zab.InstallSnapshot: "snapshots installed"}[j.write.Kind])
	}
	if j.stuck {
		h.w.check.count("impossible truncations")
		h.w.tracef("%d cannot truncate to %s", h.id, zx(j.write.Zxid))
		h.m.CannotTruncate()
		return
	}
	h.m.Wrote(j.state)
	if j.write.Kind == zab.Truncate || j.write.Kind == zab.InstallSnapshot {
		h.snapped = h.rep.Applied()
		h.w.check.state(h)
	}
}

// perform does the current job on the disk.
func (h *Host) perform() error {
	j := &h.current
	if h.rollNext {
		h.rollNext = false
		h.store.Log().Roll()
	}
	if j.batch.Len() > 0 {
		return h.store.Log().Append(&j.batch)
	}
	switch j.write.Kind {
	case zab.AcceptEpoch:
		return h.store.SetAcceptedEpoch(j.write.Epoch)
	case zab.EnterEpoch:
		return h.store.SetCurrentEpoch(j.write.Epoch)
	case zab.SaveConfig:
		c, err := quorum.ParseConfig(string(j.write.Config))
		if err == nil {
			h.seen = c
		}
		return err
	case zab.InstallSnapshot:
		h.snapping = nil
		if err := h.store.Replacing(j.write.Zxid); err != nil {
			return err
		}
		if _, err := h.store.WriteSnapshot(j.img); err != nil {
			return err
		}
		if err := h.store.SetAside(j.write.Zxid); err != nil || h.staged == nil {
			return err
		}
		h.etcd, h.staged = h.staged, nil
	case zab.Truncate:
		return h.truncate(j)
	}
	return nil
}

// configure keeps a configuration that is in force.
func (h *Host) configure(c *quorum.Config) {
	h.w.tracef("%d has configuration %s: %v, observers %v", h.id, zx(c.Version), c.Voters(), c.Observers())
	if c.Version < h.config.Version {
		h.w.failf("server %d: configuration %s takes the place of %s", h.id, zx(c.Version), zx(h.config.Version))
	}
	h.config = c
	if h.seen != nil && h.seen.Version <= c.Version {
		h.seen = nil
	}
}

func (h *Host) truncate(j *job) error {
	h.snapping = nil
	err := h.store.Truncate(j.write.Zxid)
	if errors.Is(err, storage.ErrNoPoint) {
		j.stuck = true
		return nil
	}
	if err != nil {
		return err
	}
	state := replica.New(h.replicaOptions())
	_, err = h.store.Restore(state.Loader(), func(hdr *proto.TxnHeader, _, body []byte) error { return state.Replay(hdr, body) })
	j.state = state
	return err
}

// described is a write that prints itself.
type described struct{ *zab.Write }

func (w described) String() string {
	switch w.Kind {
	case zab.AcceptEpoch:
		return "accepted epoch " + zx(proto.MakeZxid(w.Epoch, 0)).String()
	case zab.EnterEpoch:
		return "current epoch " + zx(proto.MakeZxid(w.Epoch, 0)).String()
	case zab.Truncate:
		return "truncate to " + zx(w.Zxid).String()
	case zab.InstallSnapshot:
		return "snapshot of the leader " + zx(w.Zxid).String()
	}
	return "write"
}
