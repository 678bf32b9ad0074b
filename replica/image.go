package replica

import (
	"fmt"

	"zebu/internal/mutant"
	"zebu/mvcc"
	"zebu/proto"
	"zebu/session"
	"zebu/znode"
)

// Image is the whole replicated state at exactly one zxid, for a snapshot. It is immutable and may be used from another
// goroutine while the replica goes on.
type Image struct {
	*znode.View
	sessions []session.Entry
}

// Image returns the state as it is now.
func (r *Replica) Image() *Image {
	if mutant.On(mutant.SnapshotLacksSessions) {
		return &Image{View: r.tree.View()}
	}
	return &Image{View: r.tree.View(), sessions: r.table.Copy(nil)}
}

// NumSessions is the number of committed sessions.
func (m *Image) NumSessions() int { return len(m.sessions) }

// Sessions yields every committed session with its timeout in milliseconds.
func (m *Image) Sessions(yield func(proto.SessionID, int32) bool) {
	for _, e := range m.sessions {
		if !yield(e.ID, e.Timeout) {
			return
		}
	}
}

// Loader takes a snapshot's content into a replica that has not started yet; the methods are called in the order of the
// file (spec 10.3).
type Loader struct {
	r *Replica
	*znode.Loader
	table   session.Table
	version int32
	digest  uint64
	at      proto.Zxid // digest's zxid, 0 if the snapshot has none

	// Whole says that no transactions will be replayed on the snapshot: then its digest must fit. See [Replica.Unproven].
	Whole bool
	// Etcd is the key space that belongs to the state, if it has one of its own: it has seen everything up to the snapshot.
	Etcd *mvcc.Store
}

// Loader returns a loader of r.
func (r *Replica) Loader() *Loader {
	return &Loader{r: r, Loader: znode.NewLoader(r.opt.Znode)}
}

// AddSession adds a committed session.
func (l *Loader) AddSession(id proto.SessionID, timeout int32) error {
	l.table.Add(id, timeout)
	return nil
}

// SetDigest tells what the tree's digest was at z. A snapshot may be fuzzy: z may be newer than the snapshot's own zxid.
func (l *Loader) SetDigest(z proto.Zxid, version int32, digest uint64) {
	l.at, l.version, l.digest = z, version, digest
}

// Finish makes the loaded state, whose last transaction is z, the replica's.
func (l *Loader) Finish(z proto.Zxid) error {
	tree, err := l.Loader.Finish(z)
	if err != nil {
		return err
	}
	var unproven error
	if got, on := tree.Digest(); on && l.at == z && l.version == proto.DigestVersion && got != l.digest {
		unproven = fmt.Errorf("snapshot at %v: tree digest %#x, the snapshot says %#x", z, got, l.digest)
		if l.r.opt.StrictDigest || l.Whole {
			return unproven
		}
	}
	l.r.tree, l.r.table, l.r.applied = tree, l.table, z
	l.r.fuzzyUntil, l.r.unproven = max(l.at, z), unproven
	if l.Etcd != nil {
		l.Etcd.Advance(z)
		l.r.kv.store, l.r.kv.used = l.Etcd, !l.Etcd.Empty()
	}
	return nil
}

// Replay applies a transaction from the log to a replica that has not started yet. A fuzzy snapshot may contain effects of
// transactions replayed on it, so digests are compared only beyond the fuzzy range.
func (r *Replica) Replay(hdr *proto.TxnHeader, body []byte) error {
	strict := r.opt.StrictDigest
	mismatches := r.counts.DigestMismatches
	r.opt.StrictDigest = strict && hdr.Zxid > r.fuzzyUntil
	if mutant.On(mutant.EphemeralsForgotten) && hdr.Type == proto.OpCloseSession {
		r.table.Remove(hdr.ClientID)
		r.applied = hdr.Zxid
		return nil
	}
	r.kv.replaying = true
	err := r.step(hdr, body)
	r.kv.replaying = false
	r.opt.StrictDigest = strict
	if hdr.Zxid <= r.fuzzyUntil {
		r.counts.DigestMismatches = mismatches
	}
	return err
}

// Unproven returns an error if the snapshot that was loaded did not have the digest that it says, and nothing replayed on it
// has shown since that the state is right. ZooKeeper writes its snapshots while it applies transactions, and may have read
// a node after one that it had not counted yet; that transaction is in the log, and with it the state is whole.
func (r *Replica) Unproven() error { return r.unproven }

// replay is Replay of an encoded transaction.
func (r *Replica) replay(txn []byte) error {
	d := proto.NewDecoder(txn)
	var hdr proto.TxnHeader
	if hdr.Decode(&d); d.Err() != nil {
		return fmt.Errorf("transaction after %v: header: %w", r.applied, d.Err())
	}
	return r.Replay(&hdr, d.Rest())
}
