package storage

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"zebu/internal/mutant"
	"zebu/proto"
)

// replacedPrefix is put before the names of files that SetAside takes out of the history.
const replacedPrefix = "replaced."

// replacingPrefix is put before the zxid of a snapshot that is about to replace the history: a file in its directory, with the names of
// the snapshots and logs that go, a line each.
const replacingPrefix = "replacing."

// Replacing notes that a snapshot at z is about to be written and to replace the history. When [Store.SetAside] is cut off, or does not
// come to pass, the next [Store.Restore] finishes it, if the snapshot is there: what follows z would else be taken for what follows the old
// logs, in which all is missing that they lack up to z. What is written meanwhile, by a ZooKeeper that knows nothing of the note, stays.
func (s *Store) Replacing(z proto.Zxid) error {
	files, err := s.allBut(filepath.Join(s.snapDir, snapshotName(z, s.opt.Compression)))
	if err != nil {
		return fmt.Errorf("replace the history: %w", err)
	}
	var names strings.Builder
	for _, f := range files {
		names.WriteString(filepath.Base(f) + "\n")
	}
	note := replacingPrefix + strings.TrimPrefix(snapshotName(z, CompressNone), snapshotPrefix)
	if err := s.replaceFile(filepath.Join(s.snapDir, note), []byte(names.String())); err != nil {
		return fmt.Errorf("replace the history: %w", err)
	}
	return nil
}

// allBut are the logs and snapshots that there are but for one. Logs come first: a crash half way through them all must not leave old
// snapshots that lead into logs with a hole.
func (s *Store) allBut(keep string) (paths []string, err error) {
	logs, err := list(s.opt.FS, s.logDir, logPrefix)
	if err != nil {
		return nil, err
	}
	snaps, err := list(s.opt.FS, s.snapDir, snapshotPrefix)
	if err != nil {
		return nil, err
	}
	for _, f := range append(logs, snaps...) {
		if f.path != keep {
			paths = append(paths, f.path)
		}
	}
	return paths, nil
}

// finishReplacing does what a crash has cut off.
func (s *Store) finishReplacing() error {
	notes, err := list(s.opt.FS, s.snapDir, replacingPrefix)
	if err != nil {
		return err
	}
	for _, note := range notes {
		snap, ok, _, err := s.newestValid(note.zxid)
		if err != nil {
			return err
		}
		if !ok || snap.zxid != note.zxid {
			continue
		}
		names, err := s.read(note.path)
		if err != nil {
			return err
		}
		files, err := s.allBut(snap.path)
		if err != nil {
			return err
		}
		old := strings.Split(string(names), "\n")
		files = slices.DeleteFunc(files, func(path string) bool { return !slices.Contains(old, filepath.Base(path)) })
		if err := s.setAside(files); err != nil {
			return err
		}
	}
	return s.replaced(notes)
}

func (s *Store) read(path string) ([]byte, error) {
	f, err := s.opt.FS.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
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
	if err := s.replaceBy(z); err != nil {
		return fmt.Errorf("set the old history aside: %w", err)
	}
	return nil
}

func (s *Store) replaceBy(z proto.Zxid) error {
	s.snapMu.Lock()
	defer s.snapMu.Unlock()
	if err := s.log.reset(z); err != nil {
		return err
	}
	files, err := s.allBut(filepath.Join(s.snapDir, snapshotName(z, s.opt.Compression)))
	if err != nil {
		return err
	}
	if err := s.setAside(files); err != nil {
		return err
	}
	notes, err := list(s.opt.FS, s.snapDir, replacingPrefix)
	if err != nil {
		return err
	}
	return s.replaced(notes)
}

// setAside takes files out of the history.
func (s *Store) setAside(files []string) error {
	for _, path := range files {
		if mutant.On(mutant.OldHistoryKept) {
			continue
		}
		dir, name := filepath.Split(path)
		if err := s.opt.FS.Rename(path, filepath.Join(dir, replacedPrefix+name)); err != nil {
			return err
		}
		s.opt.Log.Info("set aside: the state that it leads to was replaced", zap.String("file", path))
	}
	for _, dir := range []string{s.logDir, s.snapDir} {
		if err := s.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}
