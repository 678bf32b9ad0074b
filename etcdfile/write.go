package etcdfile

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"go.etcd.io/bbolt"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/lease/leasepb"

	"zebu/auth"
	"zebu/mvcc"
)

// commitBytes is how many bytes of records bbolt has in memory before they are written to the file.
const commitBytes = 8 << 20

// Send makes the database of a view, without a check sum, and hands it over to be sent, with its size in bytes. It makes it as a file in a directory,
// which is gone afterwards, and after a crash. The view it closes before: to send may take long.
func Send(v mvcc.View, dir string, members []*pb.Member, send func(file io.Reader, size int64) error) (err error) {
	f, err := os.CreateTemp(dir, "etcd-snapshot-*.tmp")
	if err != nil {
		return fmt.Errorf("write etcd database: %w", err)
	}
	// Some systems cannot remove a file that is open.
	if os.Remove(f.Name()) != nil {
		defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	}
	err = create(f, v, members, func(size int64) error {
		v.Close()
		return send(io.NewSectionReader(f, 0, size), size)
	})
	if err != nil {
		return fmt.Errorf("write etcd database: %w", err)
	}
	return nil
}

// Create writes the database of a view to a new file and has it on disk when it returns.
func Create(path string, v mvcc.View, members []*pb.Member) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create etcd database: %w", err)
	}
	var size int64
	err = create(f, v, members, func(n int64) error {
		size = n
		return f.Sync()
	})
	if err == nil {
		err = os.Truncate(path, size) // bbolt lets files grow in large steps
	}
	if err != nil {
		return errors.Join(fmt.Errorf("create etcd database %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// create fills an empty file and calls use when the database is whole, with its size in bytes; then it closes the file.
func create(f *os.File, v mvcc.View, members []*pb.Member, use func(size int64) error) error {
	db, err := bbolt.Open(f.Name(), 0o600, &bbolt.Options{
		NoSync: true, NoGrowSync: true, NoFreelistSync: true,
		OpenFile: func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	})
	if err != nil {
		_ = f.Close() // unless bbolt has done so
		return err
	}
	w := &writer{db: db}
	size, err := w.write(v, members)
	if w.tx != nil {
		err = errors.Join(err, w.tx.Rollback())
	}
	if err == nil {
		err = use(size)
	}
	return errors.Join(err, db.Close())
}

// writer is an [mvcc.Contents] that puts what it is given into a database.
type writer struct {
	db      *bbolt.DB
	tx      *bbolt.Tx
	pending int // bytes in tx
	state   auth.State
}

func (w *writer) write(v mvcc.View, members []*pb.Member) (size int64, err error) {
	w.state.Revision = 1
	if w.tx, err = w.db.Begin(true); err != nil {
		return 0, err
	}
	for _, name := range [][]byte{
		bucketKey, bucketLease, bucketAlarm, bucketAuth, bucketAuthUsers, bucketAuthRoles, bucketMeta, bucketMembers,
		bucketMembersRemoved, bucketCluster,
	} {
		if _, err := w.tx.CreateBucket(name); err != nil {
			return 0, err
		}
	}
	meta, err := mvcc.ReadContents(v, w)
	if err != nil {
		return 0, err
	}
	if err := w.finish(meta, members); err != nil {
		return 0, err
	}
	if err := w.commit(); err != nil {
		return 0, err
	}
	err = w.db.View(func(tx *bbolt.Tx) error {
		size = tx.Size()
		return nil
	})
	return size, err
}

// put keeps key and value until the next commit.
func (w *writer) put(bucket, key, value []byte) error {
	if w.pending >= commitBytes {
		if err := w.commit(); err != nil {
			return err
		}
		var err error
		if w.tx, err = w.db.Begin(true); err != nil {
			return err
		}
		w.pending = 0
	}
	w.pending += len(key) + len(value)
	b := w.tx.Bucket(bucket)
	b.FillPercent = 0.95 // keys come in order
	return b.Put(key, value)
}

func (w *writer) commit() error {
	tx := w.tx
	w.tx = nil
	return tx.Commit()
}

// Change implements mvcc.Contents.
func (w *writer) Change(key, value []byte) error {
	return w.put(bucketKey, key, append([]byte{}, value...))
}

// Lease implements mvcc.Contents.
func (w *writer) Lease(l mvcc.Lease) error {
	value, err := (&leasepb.Lease{ID: int64(l.ID), TTL: l.TTL, RemainingTTL: l.Remaining}).Marshal()
	if err != nil {
		return err
	}
	return w.put(bucketLease, number(uint64(l.ID)), value)
}

// Alarm implements mvcc.Contents.
func (w *writer) Alarm(a *pb.AlarmMember) error {
	key, err := a.Marshal()
	if err != nil {
		return err
	}
	return w.put(bucketAlarm, key, nil)
}

// Auth implements mvcc.Contents.
func (w *writer) Auth(key string, value []byte) error {
	user, role, err := auth.Parse(key, value)
	switch {
	case err != nil:
		return err
	case user != nil:
		return w.put(bucketAuthUsers, user.Name, append([]byte{}, value...))
	case role != nil:
		return w.put(bucketAuthRoles, role.Name, append([]byte{}, value...))
	}
	w.state, err = auth.DecodeState(value)
	return err
}

// finish writes what says where the state stands.
func (w *writer) finish(m mvcc.Meta, members []*pb.Member) error {
	enabled := []byte{0}
	if w.state.Enabled {
		enabled = []byte{1}
	}
	type record struct{ bucket, key, value []byte }
	records := []record{
		{bucketAuth, keyAuthEnabled, enabled},
		{bucketAuth, keyAuthRevision, number(w.state.Revision)},
		// Neither may be 0 in etcd.
		{bucketMeta, keyConsistentIndex, number(uint64(max(m.Applied, 1)))},
		{bucketMeta, keyTerm, number(uint64(max(m.Applied.Epoch(), 1)))},
		{bucketMeta, keyStorageVersion, []byte(storageVersion)},
		{bucketCluster, keyClusterVersion, []byte(clusterVersion)},
	}
	if m.Scheduled >= 0 {
		records = append(records, record{bucketMeta, keyScheduled, revision(m.Scheduled)})
	}
	if m.Finished >= 0 {
		records = append(records, record{bucketMeta, keyFinished, revision(m.Finished)})
	}
	conf := confState{}
	for _, m := range members {
		value, err := json.Marshal(member{ID: m.ID, PeerURLs: m.PeerURLs, IsLearner: m.IsLearner, Name: m.Name, ClientURLs: m.ClientURLs})
		if err != nil {
			return err
		}
		records = append(records, record{bucketMembers, []byte(strconv.FormatUint(m.ID, 16)), value})
		if m.IsLearner {
			conf.Learners = append(conf.Learners, m.ID)
		} else {
			conf.Voters = append(conf.Voters, m.ID)
		}
	}
	if len(members) > 0 {
		value, err := json.Marshal(conf)
		if err != nil {
			return err
		}
		records = append(records, record{bucketMeta, keyConfState, value})
	}
	for _, r := range records {
		if err := w.put(r.bucket, r.key, r.value); err != nil {
			return err
		}
	}
	return nil
}

// member and confState are etcd's JSON.
type (
	member struct {
		ID         uint64   `json:"id"`
		PeerURLs   []string `json:"peerURLs"`
		IsLearner  bool     `json:"isLearner,omitempty"`
		Name       string   `json:"name,omitempty"`
		ClientURLs []string `json:"clientURLs,omitempty"`
	}
	confState struct {
		Voters    []uint64 `json:"voters,omitempty"`
		Learners  []uint64 `json:"learners,omitempty"`
		AutoLeave bool     `json:"auto_leave"`
	}
)

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// revision is etcd's encoding of the first change of a revision.
func revision(main int64) []byte {
	return append(append(number(uint64(main)), '_'), number(0)...)
}
