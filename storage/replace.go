package storage

import (
	"fmt"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"zebu/internal/mutant"
	"zebu/proto"
)

// replacedPrefix is put before the names of files that SetAside takes out of the history.
const replacedPrefix = "replaced."

// replacingPrefix is put before the zxid of a snapshot that is about to replace the history: an empty file in its directory.
const replacingPrefix = "replacing."

// Replacing notes that a snapshot at z is about to be written and to replace the history. When [Store.SetAside] is cut off, or does not
// come to pass, the next [Store.Restore] finishes it, if the snapshot is there: what follows z would else be taken for what follows the old
// logs, in which all is missing that they lack up to z.
func (s *Store) Replacing(z proto.Zxid) error {
	f, err := s.opt.FS.Create(filepath.Join(s.snapDir, replacingPrefix+strings.TrimPrefix(snapshotName(z, CompressNone), snapshotPrefix)))
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = s.syncDir(s.snapDir)
	}
	if err != nil {
		return fmt.Errorf("replace the history: %w", err)
	}
	return nil
}

// finishReplacing does what a crash has cut off.
func (s *Store) finishReplacing() error {
	notes, err := list(s.opt.FS, s.snapDir, replacingPrefix)
	if err != nil {
		return err
	}
	for _, note := range notes {
		snap, ok, _, err := s.newestValid(note.zxid)
		if err == nil && ok && snap.zxid == note.zxid {
			err = s.setAside(note.zxid, snap.path)
		}
		if err != nil {
			return err
		}
	}
	return s.replaced(notes)
}

// replaced removes what Replacing has noted, before the log goes on.
func (s *Store) replaced(notes []dataFile) error {
	for _, note := range notes {
		if err := s.opt.FS.Remove(note.path); err != nil {
			return err
		}
	}
	if len(notes) == 0 {
		return nil
	}
	return s.syncDir(s.snapDir)
}

// SetAside takes every snapshot but the one at z, and every log, out of the history: z's snapshot has replaced the state
// that they lead to, so nothing may be replayed from one to the other. The files are renamed, with "replaced." before
// their names, and are the operator's to remove. The log goes on after z, in a new file.
//
// Like Restore it is for the goroutine that appends, and the snapshot at z must be durable.
func (s *Store) SetAside(z proto.Zxid) error {
	err := s.setAside(z, filepath.Join(s.snapDir, snapshotName(z, s.opt.Compression)))
	if err != nil {
		return err
	}
	notes, err := list(s.opt.FS, s.snapDir, replacingPrefix)
	if err == nil {
		err = s.replaced(notes)
	}
	if err != nil {
		return fmt.Errorf("set the old history aside: %w", err)
	}
	return nil
}

// setAside takes all out of the history but the snapshot in the file keep, which is at z.
func (s *Store) setAside(z proto.Zxid, keep string) error {
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
