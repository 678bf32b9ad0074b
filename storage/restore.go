package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"go.uber.org/zap"

	"zebu/proto"
)

// Restored says what [Store.Restore] found.
type Restored struct {
	// Empty: neither snapshots nor logs, a new server. LastZxid is then 0; or -1 if without AutoCreateDB or the file
	// "initialize" an empty directory may be a lost one, and the server must not vote.
	Empty        bool
	HasSnapshot  bool
	SnapshotZxid proto.Zxid // of the snapshot that was loaded, 0 if none was
	LastZxid     proto.Zxid // of the last transaction replayed, else SnapshotZxid
	Txns         int        // transactions replayed
	// FuzzyUntil is the zxid up to which digests in transactions are not worth comparing: the snapshot may already hold
	// effects of transactions up to it. SnapshotZxid if the snapshot is exact or has no digest.
	FuzzyUntil proto.Zxid
}

// initializeName is a file in LogDir by which an operator says that an empty database is a new one; it is consumed.
const initializeName = "initialize"

// Restore loads the newest valid snapshot into b and passes every later transaction in the logs to apply, in order: txn
// is the whole transaction, body what follows its header; both, and hdr, are valid during the call only. It refuses a
// history that cannot be whole: a gap in the zxids, damage other than at the end of the last log, logs without a
// snapshot (unless TrustEmpty).
//
// What was restored is durable and what a crash left half written is gone when it returns: the server may answer from
// it, and the log goes on after LastZxid, in a new file as ZooKeeper's does.
func (s *Store) Restore(b Builder, apply func(hdr *proto.TxnHeader, txn, body []byte) error) (Restored, error) {
	var res Restored
	if err := s.finishReplacing(); err != nil {
		return res, fmt.Errorf("restore: %w", err)
	}
	snap, ok, invalid, err := s.newestValid(1<<63 - 1)
	if err != nil {
		return res, fmt.Errorf("restore: %w", err)
	}
	logs, err := list(s.opt.FS, s.logDir, logPrefix)
	if err != nil {
		return res, fmt.Errorf("restore: %w", err)
	}
	trusted, err := s.consumeInitialize()
	if err != nil {
		return res, fmt.Errorf("restore: %w", err)
	}
	if logs, err = s.dropEmptyLog(logs); err != nil {
		return res, fmt.Errorf("restore: %w", err)
	}
	if ok {
		if res.FuzzyUntil, err = s.loadSnapshot(snap, b); err != nil {
			return res, fmt.Errorf("restore: %w", err)
		}
		if _, err = s.noteSnapshot(snap.zxid, snap.path); err != nil {
			return res, fmt.Errorf("restore: %w", err)
		}
		if err = s.syncFile(snap.path); err != nil {
			return res, fmt.Errorf("restore: %w", err)
		}
		res.HasSnapshot, res.SnapshotZxid, res.LastZxid = true, snap.zxid, snap.zxid
	} else if err := s.withoutSnapshot(&res, logs, invalid, trusted); err != nil {
		return res, fmt.Errorf("restore: %w", err)
	}
	if err := s.replay(&res, logs, apply); err != nil {
		return res, fmt.Errorf("restore: %w", err)
	}
	if err := s.reaches(&res, invalid); err != nil {
		return res, fmt.Errorf("restore: %w", err)
	}
	return res, s.log.reset(res.LastZxid)
}

// withoutSnapshot decides whether no (valid) snapshot means a new server.
func (s *Store) withoutSnapshot(res *Restored, logs, invalid []dataFile, trusted bool) error {
	lost := len(logs) > 0
	for _, f := range invalid {
		lost = lost || f.zxid > 0 // an empty snapshot.0 is what a first start that crashed leaves
	}
	switch {
	case lost && !s.opt.TrustEmpty && len(invalid) > 0:
		return fmt.Errorf("no snapshot in %s is valid, the newest is %s: put back an older one, or let this server's data be copied from the others by emptying the directory (set snapshot.trust.empty=true only if the logs go back to the beginning)",
			s.snapDir, filepath.Base(invalid[0].path))
	case lost && !s.opt.TrustEmpty:
		return fmt.Errorf("there are transaction logs in %s but no snapshot in %s: snapshots are lost, or dataDir is not the right one (set snapshot.trust.empty=true only if the logs go back to the beginning)",
			s.logDir, s.snapDir)
	case len(logs) > 0:
		s.opt.Log.Warn("no snapshot, but logs: trusting that they go back to the beginning", zap.String("dir", s.logDir))
		return nil
	}
	res.Empty = true
	if !trusted {
		s.opt.Log.Warn("the data directory is empty and db.autocreate is false: not voting", zap.String("dir", s.snapDir))
		res.LastZxid = -1
	}
	return nil
}

// consumeInitialize says whether an empty database would be a new one.
func (s *Store) consumeInitialize() (bool, error) {
	path := filepath.Join(s.opt.LogDir, initializeName)
	switch err := s.opt.FS.Remove(path); {
	case errors.Is(err, fs.ErrNotExist):
		return s.opt.AutoCreateDB, nil
	case err != nil:
		return false, err
	}
	s.opt.Log.Info("the file initialize was there: an empty database may vote", zap.String("file", path))
	return true, s.syncDir(s.opt.LogDir)
}

// dropEmptyLog removes the last log if a crash left it without so much as a header.
func (s *Store) dropEmptyLog(logs []dataFile) ([]dataFile, error) {
	if len(logs) == 0 {
		return logs, nil
	}
	last := logs[len(logs)-1]
	r, err := OpenLog(s.opt.FS, last.path, s.opt.MaxRecord)
	if err != nil {
		return nil, err
	}
	torn := r.tail.Torn != ""
	if err := r.Close(); err != nil || !torn {
		return logs, err
	}
	s.opt.Log.Warn("removing a transaction log in which nothing was ever written", zap.String("file", last.path))
	if err := s.opt.FS.Remove(last.path); err != nil {
		return nil, err
	}
	return logs[:len(logs)-1], s.syncDir(s.logDir)
}

// replay applies the transactions after res.LastZxid.
func (s *Store) replay(res *Restored, logs []dataFile, apply func(hdr *proto.TxnHeader, txn, body []byte) error) error {
	known := res.HasSnapshot || res.Empty
	logs = logsFrom(logs, res.LastZxid+1)
	var tail Tail
	for i, df := range logs {
		err := eachRecord(s.opt.FS, df.path, s.opt.MaxRecord, func(rec *Record) error {
			z := rec.Header.Zxid
			if known && z <= res.LastZxid && res.Txns == 0 {
				return nil // the snapshot has it
			}
			if known && !Follows(res.LastZxid, z) {
				return gapError(df.path, rec.Offset, res.LastZxid, z)
			}
			if err := apply(&rec.Header, rec.Txn, rec.Body); err != nil {
				return fmt.Errorf("%s at offset %d: apply %v: %w", df.path, rec.Offset, z, err)
			}
			known = true
			res.LastZxid = z
			res.Txns++
			return nil
		}, &tail)
		if err != nil {
			return err
		}
		if tail.Torn != "" && i < len(logs)-1 {
			// Where ZooKeeper left it when it went on in a new file after a crash; the next zxid shows whether that is so.
			s.opt.Log.Info("a transaction log that is not the last ends in a torn record",
				zap.String("file", df.path), zap.Int64("offset", tail.Offset), zap.String("reason", tail.Torn))
		}
	}
	if len(logs) == 0 {
		return nil
	}
	return s.settle(logs[len(logs)-1].path, tail)
}

// reaches refuses a history that ends before a snapshot that is not valid: transactions are lost that the server once had.
// Snapshots at <epoch, 0> are made by a leader that has not proposed anything yet, and prove nothing.
func (s *Store) reaches(res *Restored, invalid []dataFile) error {
	for _, df := range invalid {
		if df.zxid > res.LastZxid && df.zxid.Counter() != 0 && !s.opt.TrustEmpty {
			return fmt.Errorf("%s is not valid, and without it the history ends at %v: put back a whole copy, or remove it to go on with what there is",
				df.path, res.LastZxid)
		}
	}
	return nil
}

// settle cuts off what a crash left at the end of the last log, zeros or a torn record, and syncs it. Without the sync a
// crash of the machine could still take back transactions that a process wrote before it crashed and that were answered
// from since.
func (s *Store) settle(path string, tail Tail) error {
	f, err := s.opt.FS.OpenWrite(path)
	if err != nil {
		return err
	}
	if tail.Torn != "" {
		s.opt.Log.Warn("cutting off what a crash left at the end of a transaction log",
			zap.String("file", path), zap.Int64("offset", tail.Offset), zap.String("reason", tail.Torn))
	}
	err = f.Truncate(tail.Offset)
	if err == nil && !s.opt.NoSync {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return s.syncDir(s.logDir)
}

// syncFile makes a file durable that another process may have written without syncing it.
func (s *Store) syncFile(path string) error {
	if s.opt.NoSync {
		return nil
	}
	f, err := s.opt.FS.OpenWrite(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// logsFrom returns the logs that may hold z or later transactions: the last that begins at or before z, and all after.
func logsFrom(logs []dataFile, z proto.Zxid) []dataFile {
	first := 0
	for i, df := range logs {
		if df.zxid <= z {
			first = i
		}
	}
	return logs[first:]
}
