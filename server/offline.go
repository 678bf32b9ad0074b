package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.uber.org/zap"

	"zebu/auth"
	"zebu/conf"
	"zebu/internal/metrics"
	"zebu/internal/vfs"
	"zebu/proto"
	"zebu/replica"
	"zebu/storage"
)

// Offline is the state in the data directory of a server that does not run: what that server would start with. The
// logs and snapshots stay as they are, and no server can start on the directory before Close.
type Offline struct {
	cfg   *conf.Config
	store *storage.Store
	rep   *replica.Replica

	accepted, current proto.Epoch
	epochs            bool // there are epoch files, or the server is a member of an ensemble

	// Etcd is what there is of the etcd API.
	Etcd OfflineEtcd
}

// OfflineEtcd is what a data directory holds of the etcd API.
type OfflineEtcd struct {
	Txns  int        // transactions in the logs
	Later int        // of them that the key space has not seen
	Last  proto.Zxid // of them; 0 if there is none

	// The key space, at Zxid: what was written just before the server was killed may be in the log alone. Dir is "" if there is none.
	Dir          string
	Err          error // it cannot be opened; what follows is not known then
	Zxid         proto.Zxid
	Revision     int64
	Keys, Leases int64
	Users        int
	Size         int64 // bytes of keys and values with their history
}

// OpenOffline opens the directories of a configuration and reads their state.
func OpenOffline(cfg *conf.Config, log *zap.Logger) (*Offline, error) {
	opt := storageOptions(cfg, log, metrics.New())
	opt.FS = vfs.ReadOnly(vfs.OS)
	opt.AutoCreateDir = false
	store, err := storage.Open(opt)
	if err != nil {
		if errors.Is(err, vfs.ErrLocked) {
			err = fmt.Errorf("%w: stop the server first", err)
		}
		return nil, err
	}
	o := &Offline{cfg: cfg, store: store}
	if err := o.load(); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	o.openEtcd(log)
	if err := o.countEtcd(); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return o, nil
}

// load reads the state.
func (o *Offline) load() error {
	opt := replicaOptions(o.cfg)
	opt.Etcd = true // whatever zoo.cfg says now
	o.rep = replica.New(opt)
	info, err := o.store.Restore(o.rep.Loader(), func(hdr *proto.TxnHeader, _, body []byte) error {
		if hdr.Type == proto.OpEtcd {
			body = proto.AppendBuf(nil, nil) // the tree does not need it, and all of them together may be much
		}
		return o.rep.Replay(hdr, body)
	})
	switch {
	case err != nil:
		return err
	case info.Empty:
		return fmt.Errorf("%s holds no data of a server", versionDir(o.cfg.DataDir))
	}
	if err := o.rep.Unproven(); err != nil {
		return err
	}
	return o.readEpochs()
}

func (o *Offline) readEpochs() (err error) {
	_, err = o.store.AcceptedEpoch()
	o.epochs = err == nil || o.cfg.Distributed()
	if o.epochs {
		o.accepted, o.current, err = readEpochs(o.store, o.cfg.DataDir, o.rep.Applied().Epoch())
		return err
	}
	return nil
}

// countEtcd counts the etcd transactions in all logs.
func (o *Offline) countEtcd() error {
	return o.store.Logged(-1, 1<<63-1, func(z proto.Zxid, txn []byte) error {
		d := proto.NewDecoder(txn)
		var hdr proto.TxnHeader
		if hdr.Decode(&d); hdr.Type == proto.OpEtcd {
			o.Etcd.Txns++
			if z > o.Etcd.Zxid {
				o.Etcd.Later++
			}
			o.Etcd.Last = z
		}
		return d.Err()
	})
}

// openEtcd looks into the key space. What is wrong with it does not matter to the rest.
func (o *Offline) openEtcd(log *zap.Logger) {
	e := newEtcd(&Server{cfg: o.cfg, log: log}, nil)
	dir, _, err := e.current()
	if errors.Is(err, fs.ErrNotExist) && !e.begun() {
		return
	}
	o.Etcd.Dir = e.root
	if err == nil {
		_, err = os.Stat(dir) // it would be made
	}
	if err == nil {
		err = o.Etcd.read(e, dir)
	}
	o.Etcd.Err = err
}

func (oe *OfflineEtcd) read(e *etcd, dir string) error {
	p, err := e.open(dir)
	if err != nil {
		return err
	}
	store := p.store
	all, err := store.Range(&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, CountOnly: true})
	if err != nil {
		return errors.Join(err, p.close())
	}
	oe.Keys, oe.Leases, oe.Size = all.Count, int64(store.NumLeases()), store.Size()
	oe.Zxid, oe.Revision = store.Applied(), store.Revision()
	store.AuthFrom(auth.UserKey(""), func(key string, _ []byte) bool {
		isUser := strings.HasPrefix(key, auth.UserKey(""))
		if isUser {
			oe.Users++
		}
		return isUser
	})
	return p.close()
}

// Zxid is that of the last transaction.
func (o *Offline) Zxid() proto.Zxid { return o.rep.Applied() }

// Znodes is the number of znodes.
func (o *Offline) Znodes() int { return o.rep.Tree().NodeCount() }

// Sessions is the number of sessions.
func (o *Offline) Sessions() int { return o.rep.Sessions().Len() }

// Close releases the directory.
func (o *Offline) Close() error { return o.store.Close() }

// WriteForZooKeeper makes a data directory, which must not be there yet, with all that Apache ZooKeeper can make use of: a snapshot
// at the last zxid, myid and the epochs. It has no logs, and so no etcd transaction.
func (o *Offline) WriteForZooKeeper(dir string) (err error) {
	dir = filepath.Clean(dir)
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("%s: %w; it is made anew", dir, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	from, err := os.Stat(o.cfg.DataDir)
	if err != nil {
		return err
	}
	// Half a directory must not be taken for a whole one: it gets its name last.
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	if err := os.Chmod(tmp, from.Mode().Perm()); err != nil {
		return err
	}
	if err := o.writeState(tmp); err != nil {
		return err
	}
	if err := o.copyID(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return vfs.OS.SyncDir(filepath.Dir(dir))
}

func (o *Offline) writeState(dir string) (err error) {
	opt := storageOptions(o.cfg, zap.NewNop(), metrics.New())
	opt.DataDir, opt.LogDir, opt.NoSync, opt.AutoCreateDir = dir, dir, false, true
	store, err := storage.Open(opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if o.epochs {
		if err := errors.Join(store.SetAcceptedEpoch(o.accepted), store.SetCurrentEpoch(o.current)); err != nil {
			return err
		}
	}
	_, err = store.WriteSnapshot(o.rep.Image())
	return err
}

// copyID copies myid, if there is one.
func (o *Offline) copyID(dir string) error {
	b, err := os.ReadFile(filepath.Join(o.cfg.DataDir, "myid"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "myid"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close(), vfs.OS.SyncDir(dir))
}
