package server

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"zebu/backend"
	"zebu/conf"
	"zebu/etcdfile"
	"zebu/internal/vfs"
	"zebu/mvcc"
	"zebu/proto"
	"zebu/replica"
	"zebu/storage"
)

// importEpoch is the epoch of what comes from an etcd: the first one, so that the ensemble's own begins behind it.
const importEpoch proto.Epoch = 1

// importZxid is the zxid of the state that comes from a file. A server with an empty directory, at zxid 0, needs a snapshot to get
// there, since no log leads to it. Servers whose directories were made from different files must not take each other's states for their own:
// 24 bits of the file's check sum are the counter.
func importZxid(sum [32]byte) proto.Zxid {
	return proto.MakeZxid(importEpoch, 1+uint32(sum[0])<<16+uint32(sum[1])<<8+uint32(sum[2]))
}

// ImportEtcd makes dir, in which no server has worked yet, the data directory of a server whose etcd key space is that of a file of `etcdctl
// snapshot save`: keys with their revisions since the last compaction, leases, users and roles. There are no znodes yet. The configuration says
// which server of which ensemble it is, and dir may be its dataDir or be put there later. The file must have its check sum; errors about it
// wrap [etcdfile.ErrFile].
func ImportEtcd(cfg *conf.Config, file, dir string, log *zap.Logger) (made OfflineEtcd, err error) {
	dir = filepath.Clean(dir)
	sum, err := etcdfile.CheckSum(file)
	if err != nil {
		return made, err
	}
	if err := unused(cfg, dir); err != nil {
		return made, err
	}
	_, statErr := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return made, err
	}
	// Half a state must not be taken for a whole one: it gets its name last.
	tmp, err := os.MkdirTemp(dir, ".from-etcd.*")
	if err != nil {
		return made, err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(tmp))
		if err != nil && statErr != nil {
			_ = os.Remove(dir) // unless somebody has put something there
		}
	}()
	own := *cfg
	own.DataDir, own.DataLogDir = tmp, tmp
	if made, err = writeImported(&own, file, importZxid(sum), log); err != nil {
		return made, err
	}
	if err := writeID(cfg, dir); err != nil {
		return made, err
	}
	if err := os.Rename(versionDir(tmp), versionDir(dir)); err != nil {
		return made, err
	}
	made.Dir = filepath.Join(versionDir(dir), "etcd")
	return made, vfs.OS.SyncDir(dir)
}

// unused says why a directory cannot become the data directory of a configuration.
func unused(cfg *conf.Config, dir string) error {
	if _, err := os.Lstat(versionDir(dir)); err == nil {
		return fmt.Errorf("%s: %w; a server has worked in %s", versionDir(dir), fs.ErrExist, dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if logs := filepath.Clean(cfg.DataLogDir); logs != filepath.Clean(cfg.DataDir) {
		if old, err := filepath.Glob(filepath.Join(versionDir(logs), "log.*")); err != nil || len(old) > 0 {
			return errors.Join(err, fmt.Errorf("dataLogDir %s has the logs of a server, which do not belong to the new directory", logs))
		}
	}
	id, err := os.ReadFile(filepath.Join(dir, "myid"))
	switch own := strconv.FormatInt(int64(cfg.Quorum.ServerID), 10); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case cfg.Distributed() && strings.TrimSpace(string(id)) != own:
		return fmt.Errorf("%s says %q, and the configuration is that of server %s", filepath.Join(dir, "myid"), bytes.TrimSpace(id), own)
	}
	return nil
}

// writeImported writes the state into an empty data directory.
func writeImported(cfg *conf.Config, file string, z proto.Zxid, log *zap.Logger) (made OfflineEtcd, err error) {
	opt := replicaOptions(cfg)
	opt.Etcd = true
	o := &Offline{cfg: cfg, accepted: importEpoch, current: importEpoch, epochs: true}
	if o.rep, err = firstState(opt, z); err != nil {
		return made, err
	}
	if err := o.writeState(cfg.DataDir); err != nil {
		return made, err
	}
	e := newEtcd(&Server{cfg: cfg, log: log}, nil)
	if err := os.Mkdir(e.root, 0o755); err != nil {
		return made, err
	}
	dir, err := e.create(z)
	if err != nil {
		return made, err
	}
	if err := importInto(dir, file, z, log); err != nil {
		return made, err
	}
	p, err := e.open(dir) // as a server will
	if err != nil {
		if errors.Is(err, mvcc.ErrDamaged) {
			err = fmt.Errorf("import %s: %w: %w", file, etcdfile.ErrFile, err)
		}
		return made, err
	}
	if err := errors.Join(e.begin(p), p.close()); err != nil {
		return made, err
	}
	return made, made.read(e, dir)
}

// importInto reads the file into an empty directory.
func importInto(dir, file string, z proto.Zxid, log *zap.Logger) error {
	b, err := backend.Open(dir, log.Named("etcd"))
	if err != nil {
		return err
	}
	_, err = etcdfile.Import(file, z, b.Commit)
	return errors.Join(err, b.Close())
}

// firstState is what a server begins with, as of a zxid.
func firstState(opt replica.Options, z proto.Zxid) (*replica.Replica, error) {
	var snapshot bytes.Buffer
	if err := storage.EncodeSnapshot(&snapshot, replica.New(opt).Image()); err != nil {
		return nil, err
	}
	rep := replica.New(opt)
	l := rep.Loader()
	if err := storage.DecodeSnapshot(&snapshot, l); err != nil {
		return nil, err
	}
	return rep, l.Finish(z)
}

// writeID says in a member's directory which server it is.
func writeID(cfg *conf.Config, dir string) error {
	path := filepath.Join(dir, "myid")
	if _, err := os.Lstat(path); err == nil || !cfg.Distributed() {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d\n", cfg.Quorum.ServerID)
	return errors.Join(err, f.Sync(), f.Close())
}
