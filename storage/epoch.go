package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"zebu/internal/mutant"
	"zebu/internal/vfs"
	"zebu/proto"
)

const (
	acceptedEpochName = "acceptedEpoch"
	currentEpochName  = "currentEpoch"
)

// AcceptedEpoch reads the epoch of the last leader that this server acknowledged (spec 8.7). The error is fs.ErrNotExist
// if none was written yet.
func (s *Store) AcceptedEpoch() (proto.Epoch, error) { return s.readEpoch(acceptedEpochName) }

// SetAcceptedEpoch writes acceptedEpoch; when it returns nil the file is durable.
func (s *Store) SetAcceptedEpoch(e proto.Epoch) error { return s.writeEpoch(acceptedEpochName, e) }

// CurrentEpoch reads the epoch of the last leader that this server's history was synchronised with (spec 8.7). The error
// is fs.ErrNotExist if none was written yet.
func (s *Store) CurrentEpoch() (proto.Epoch, error) { return s.readEpoch(currentEpochName) }

// SetCurrentEpoch writes currentEpoch; when it returns nil the file is durable.
func (s *Store) SetCurrentEpoch(e proto.Epoch) error { return s.writeEpoch(currentEpochName, e) }

// readEpoch reads a decimal number. If only <name>.tmp is there, a writer that does not sync directories lost its rename:
// the number in it, if it is one, was about to be in force. Whoever reads acts upon it, so what was read is made durable: the process
// that wrote it may have ended before that.
func (s *Store) readEpoch(name string) (proto.Epoch, error) {
	path := filepath.Join(s.snapDir, name)
	e, err := parseEpoch(s.opt.FS, path)
	if errors.Is(err, fs.ErrNotExist) {
		if recovered, tmpErr := parseEpoch(s.opt.FS, path+".tmp"); tmpErr == nil {
			return recovered, s.writeEpoch(name, recovered)
		}
	}
	if err == nil {
		err = s.settleEpoch(path)
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	return e, nil
}

func (s *Store) settleEpoch(path string) error {
	f, err := s.opt.FS.OpenWrite(path)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return s.opt.FS.SyncDir(s.snapDir)
}

func parseEpoch(fsys vfs.FS, path string) (proto.Epoch, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return 0, err
	}
	b, err := io.ReadAll(io.LimitReader(f, 64))
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || n < 0 {
		return 0, &CorruptError{path, 0, fmt.Sprintf("%q is not an epoch", b)}
	}
	return proto.Epoch(n), nil
}

// writeEpoch replaces the file as a whole: after a crash it is the old one or the new one. The epochs are synced even
// where the log is not (forceSync=no): they change seldom, and a vote that is forgotten elects two leaders.
func (s *Store) writeEpoch(name string, e proto.Epoch) error {
	path := filepath.Join(s.snapDir, name)
	if mutant.On(mutant.AcceptedEpochNotWritten) && name == acceptedEpochName ||
		mutant.On(mutant.CurrentEpochNotWritten) && name == currentEpochName {
		return nil
	}
	if err := s.replaceFile(path, []byte(strconv.FormatInt(int64(e), 10))); err != nil {
		return fmt.Errorf("write %s %d: %w", name, e, err)
	}
	return nil
}

func (s *Store) replaceFile(path string, content []byte) error {
	tmp := path + ".tmp"
	f, err := s.opt.FS.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && !mutant.On(mutant.EpochNotSynced) {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.opt.FS.Rename(tmp, path); err != nil {
		return err
	}
	if mutant.On(mutant.EpochRenameNotSynced) {
		return nil
	}
	return s.opt.FS.SyncDir(s.snapDir)
}
