package storage

import (
	"errors"
	"fmt"

	"zebu/internal/mutant"
	"zebu/proto"
)

// ErrNoPoint is returned by [Store.Truncate] if the history on disk cannot be cut at the zxid asked for. Nothing was
// changed.
var ErrNoPoint = errors.New("the history on disk has no such point")

// cut is what a truncation will do.
type cut struct {
	snapshots []dataFile // to remove
	logs      []dataFile // to remove
	file      *dataFile  // to shorten
	at        int64      // to this length
}

// Truncate forgets every transaction after z: what a leader tells a server that logged what was never committed
// (spec 10.2). Snapshots that hold later transactions go too, or they would be loaded again; a valid one before z must
// remain, and from it a log without gaps up to z itself, otherwise it changes nothing and returns [ErrNoPoint]. The log
// goes on after z in a new file. The tree in memory is not touched: the caller restores it anew.
//
// After any other error the log takes nothing more. A crash in the middle leaves a history that ends somewhere between z
// and where it ended before, for the leader to truncate again.
func (s *Store) Truncate(z proto.Zxid) error {
	if s.log.err != nil {
		return s.log.err
	}
	s.snapMu.Lock()
	defer s.snapMu.Unlock()
	c, err := s.planCut(z)
	if err == nil {
		if err = s.log.finish(); err == nil {
			err = s.cut(c)
			if mutant.On(mutant.TruncErrorIgnored) {
				err = nil
			}
		}
		if err == nil {
			err = s.log.reset(z)
		}
		s.log.err = err
	}
	if err != nil {
		return fmt.Errorf("truncate to %v: %w", z, err)
	}
	return nil
}

// planCut finds what there is to remove, and that what remains leads up to z.
func (s *Store) planCut(z proto.Zxid) (cut, error) {
	var c cut
	snaps, err := list(s.opt.FS, s.snapDir, snapshotPrefix)
	if err != nil {
		return c, err
	}
	for _, df := range snaps {
		if df.zxid > z && !mutant.On(mutant.SnapshotBeyondCut) {
			c.snapshots = append(c.snapshots, df)
		}
	}
	base, ok, _, err := s.newestValid(z)
	if err != nil {
		return c, err
	}
	if !ok && !s.opt.TrustEmpty {
		return c, fmt.Errorf("no snapshot at or before it: %w", ErrNoPoint)
	}
	logs, err := list(s.opt.FS, s.logDir, logPrefix)
	if err != nil {
		return c, err
	}
	last, known := base.zxid, ok
	for _, df := range logsFrom(logs, base.zxid+1) {
		at := int64(fileHeaderSize)
		err := eachRecord(s.opt.FS, df.path, s.opt.MaxRecord, func(rec *Record) error {
			next := rec.Header.Zxid
			if next > z {
				return errStop
			}
			at = rec.Offset + int64(frameSize+len(rec.Txn)+eorSize)
			if known && next <= base.zxid {
				return nil
			}
			if known && !Follows(last, next) {
				return gapError(df.path, rec.Offset, last, next)
			}
			last, known = next, true
			return nil
		}, nil)
		if err != nil {
			return c, err
		}
		if df.zxid > z && at == fileHeaderSize {
			c.logs = append(c.logs, df)
		} else {
			c.file, c.at = &df, at
		}
	}
	// <epoch, 0> is where a leader stands that has not proposed anything yet: the end of the epoch before.
	if last != z && (z.Counter() != 0 || last > z) {
		return c, fmt.Errorf("the last transaction at or before it is %v: %w", last, ErrNoPoint)
	}
	return c, nil
}

// cut removes from the end, each step durable before the next, so that a crash leaves a shorter history without a hole.
func (s *Store) cut(c cut) error {
	if mutant.On(mutant.TruncNotDone) {
		return nil
	}
	for i := len(c.snapshots) - 1; i >= 0; i-- {
		if err := s.opt.FS.Remove(c.snapshots[i].path); err != nil {
			return err
		}
	}
	if err := s.syncDir(s.snapDir); err != nil {
		return err
	}
	for i := len(c.logs) - 1; i >= 0; i-- {
		if err := s.opt.FS.Remove(c.logs[i].path); err != nil {
			return err
		}
		if err := s.syncDir(s.logDir); err != nil {
			return err
		}
	}
	if c.file == nil {
		return nil
	}
	f, err := s.opt.FS.OpenWrite(c.file.path)
	if err != nil {
		return err
	}
	err = f.Truncate(c.at)
	if err == nil && !s.opt.NoSync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
