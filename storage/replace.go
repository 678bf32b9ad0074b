package storage

import (
	"fmt"
	"path/filepath"

	"go.uber.org/zap"

	"zebu/internal/mutant"
	"zebu/proto"
)

// replacedPrefix is put before the names of files that SetAside takes out of the history.
const replacedPrefix = "replaced."

// SetAside takes every snapshot but the one at z, and every log, out of the history: z's snapshot has replaced the state
// that they lead to, so nothing may be replayed from one to the other. The files are renamed, with "replaced." before
// their names, and are the operator's to remove. The log goes on after z, in a new file.
//
// Like Restore it is for the goroutine that appends, and the snapshot at z must be durable.
func (s *Store) SetAside(z proto.Zxid) error {
	s.snapMu.Lock()
	defer s.snapMu.Unlock()
	if err := s.log.reset(z); err != nil {
		return fmt.Errorf("set the old history aside: %w", err)
	}
	snaps, err := list(s.opt.FS, s.snapDir, snapshotPrefix)
	if err != nil {
		return fmt.Errorf("set the old history aside: %w", err)
	}
	logs, err := list(s.opt.FS, s.logDir, logPrefix)
	if err != nil {
		return fmt.Errorf("set the old history aside: %w", err)
	}
	keep := filepath.Join(s.snapDir, snapshotName(z, s.opt.Compression))
	// Logs first: a crash half way must not leave old snapshots that lead into logs with a hole.
	for _, f := range append(logs, snaps...) {
		if f.path == keep || mutant.On(mutant.OldHistoryKept) {
			continue
		}
		dir, name := filepath.Split(f.path)
		if err := s.opt.FS.Rename(f.path, filepath.Join(dir, replacedPrefix+name)); err != nil {
			return fmt.Errorf("set the old history aside: %w", err)
		}
		s.opt.Log.Info("set aside: the state that it leads to was replaced", zap.String("file", f.path))
	}
	for _, dir := range []string{s.logDir, s.snapDir} {
		if err := s.syncDir(dir); err != nil {
			return fmt.Errorf("set the old history aside: %w", err)
		}
	}
	return nil
}
