package storage

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"zebu/internal/mutant"
	"zebu/proto"
)

// MinRetain is the least number of snapshots that [Store.Purge] keeps (autopurge.snapRetainCount).
const MinRetain = 3

// Purge removes all but the newest keep valid snapshots, and the logs that none of those needs (spec 10.4). Each snapshot
// that counts is verified first, by its checksum: with fewer than keep valid ones nothing is removed. Logs newer than the
// newest snapshot are always kept.
func (s *Store) Purge(keep int) error {
	if keep < MinRetain {
		return fmt.Errorf("purge: %d snapshots are too few to keep, at least %d", keep, MinRetain)
	}
	s.snapMu.Lock()
	defer s.snapMu.Unlock()
	if err := s.purge(keep); err != nil {
		return fmt.Errorf("purge: %w", err)
	}
	return nil
}

func (s *Store) purge(keep int) error {
	snaps, err := list(s.opt.FS, s.snapDir, snapshotPrefix)
	if err != nil {
		return err
	}
	oldest := len(snaps) // index of the oldest that is kept
	for kept := 0; kept < keep; {
		if oldest--; oldest < 0 {
			return nil
		}
		if err := VerifySnapshot(s.opt.FS, snaps[oldest].path); err != nil {
			s.opt.Log.Warn("a snapshot is not valid and does not count", zap.String("file", snaps[oldest].path), zap.Error(err))
			continue
		}
		kept++
	}
	needed := snaps[oldest].zxid
	logs, err := list(s.opt.FS, s.logDir, logPrefix)
	if err != nil {
		return err
	}
	// The log that begins at or before the snapshot may go on after it.
	logs = logs[:len(logs)-len(logsFrom(logs, needed))]
	if mutant.On(mutant.PurgeTakesTooMuch) {
		needed++
		logs, _ = list(s.opt.FS, s.logDir, logPrefix)
	}
	removed, err := s.removeOld(snaps[:oldest], needed)
	if err != nil {
		return err
	}
	n, err := s.removeOld(logs, needed)
	if err != nil {
		return err
	}
	if removed += n; removed > 0 {
		s.opt.Log.Info("purged", zap.Int("files", removed), zap.Stringer("oldestSnapshot", needed))
	}
	return errors.Join(s.syncDir(s.snapDir), s.syncDir(s.logDir))
}

// removeOld removes the files that begin before z, oldest first. (One snapshot may be there twice, compressed and not.)
func (s *Store) removeOld(files []dataFile, z proto.Zxid) (n int, err error) {
	for _, df := range files {
		if df.zxid >= z {
			continue
		}
		if err := s.opt.FS.Remove(df.path); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
