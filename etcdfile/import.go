package etcdfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/lease/leasepb"

	"zebu/auth"
	"zebu/mvcc"
	"zebu/proto"
)

// ErrFile is wrapped by errors about a file that is not a database of etcd's, or a damaged one.
var ErrFile = errors.New("not an etcd database")

// lockTimeout is how long Import waits for an etcd that has the file open.
const lockTimeout = time.Second

// Import reads the database in a file and hands its records to commit in batches, for a storage that was empty, as the state
// at a zxid; the storage is a state once the last batch is committed. Members, term and index are left out. A check sum behind
// the database is checked; without one mvcc.Open has to tell whether what was read is whole. Errors wrap [ErrFile], unless they are of the disk or commit's.
func Import(path string, applied proto.Zxid, commit func(*mvcc.Batch) error) (meta mvcc.Meta, err error) {
	size, _, err := check(path)
	if err != nil {
		return mvcc.Meta{}, fmt.Errorf("import %s: %w", path, err)
	}
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return mvcc.Meta{}, fmt.Errorf("import %s: %w: %w", path, ErrFile, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r := &reader{filler: mvcc.NewFiller(commit), meta: mvcc.Meta{Applied: applied, Revision: 1, Scheduled: -1, Finished: -1}}
	if err := db.View(func(tx *bbolt.Tx) error { return r.guarded(tx, size) }); err != nil {
		return mvcc.Meta{}, fmt.Errorf("import %s: %w", path, err)
	}
	return r.meta, nil
}

// CheckSum compares the check sum at the end of a file with the database before it, and returns it. Errors wrap [ErrFile], unless they are of the disk.
func CheckSum(path string) (sum [sha256.Size]byte, err error) {
	_, stored, err := check(path)
	switch {
	case err != nil:
	case stored == nil:
		err = fmt.Errorf("%w with a check sum behind it, as etcdctl snapshot save writes it", ErrFile)
	default:
		copy(sum[:], stored)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return sum, err
}

// check compares the check sum at the end of a file, if there is one, and returns it and the size of what is before it.
func check(path string) (size int64, sum []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return 0, nil, err
	}
	size = info.Size()
	if size%512 != sha256.Size {
		return size, nil, nil // as etcdutl tells
	}
	size -= sha256.Size
	h, want := sha256.New(), make([]byte, sha256.Size)
	if _, err := io.CopyN(h, f, size); err != nil {
		return 0, nil, err
	}
	if _, err := io.ReadFull(f, want); err != nil {
		return 0, nil, err
	}
	if !bytes.Equal(h.Sum(nil), want) {
		return 0, nil, fmt.Errorf("%w: it does not match its check sum", ErrFile)
	}
	return size, want, nil
}

type reader struct {
	filler *mvcc.Filler
	meta   mvcc.Meta
}

// guarded reads a database of which nothing is known but that it begins like one: bbolt trusts what stands in it, and panics or
// leaves its memory where that is wrong.
func (r *reader) guarded(tx *bbolt.Tx, size int64) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrFile, p)
		}
	}()
	if tx.Size() > size {
		return fmt.Errorf("%w: %d bytes of %d are there", ErrFile, size, tx.Size())
	}
	return r.read(tx)
}

// read goes through the buckets in the order of the keys that they get.
func (r *reader) read(tx *bbolt.Tx) error {
	if tx.Bucket(bucketKey) == nil || tx.Bucket(bucketMeta) == nil {
		return fmt.Errorf("%w: no buckets %q and %q", ErrFile, bucketKey, bucketMeta)
	}
	for _, step := range []func(*bbolt.Tx) error{r.readAlarms, r.readChanges, r.readLeases, r.readState, r.readRoles, r.readUsers, r.readMeta} {
		if err := step(tx); err != nil {
			return err
		}
	}
	return r.filler.Finish(r.meta)
}

// each calls visit with the records of a bucket, which may not be there. Keys must ascend: so a damaged file has an end.
func each(tx *bbolt.Tx, bucket []byte, visit func(key, value []byte) error) error {
	b := tx.Bucket(bucket)
	if b == nil {
		return nil
	}
	var last []byte
	return b.ForEach(func(key, value []byte) error {
		if bytes.Compare(key, last) <= 0 {
			return fmt.Errorf("%w: in bucket %q comes %x after %x", ErrFile, bucket, key, last)
		}
		last = append(last[:0], key...)
		return visit(key, value)
	})
}

func (r *reader) readAlarms(tx *bbolt.Tx) error {
	var alarms []*pb.AlarmMember
	err := each(tx, bucketAlarm, func(key, _ []byte) error {
		a := &pb.AlarmMember{}
		if err := a.Unmarshal(key); err != nil {
			return fmt.Errorf("%w: alarm %x: %w", ErrFile, key, err)
		}
		alarms = append(alarms, a)
		return nil
	})
	if err != nil {
		return err
	}
	for _, a := range alarms {
		if err := r.filler.Alarm(a); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) readChanges(tx *bbolt.Tx) error {
	return each(tx, bucketKey, func(key, value []byte) error {
		if err := r.filler.Change(key, value); err != nil {
			return fileError(err)
		}
		r.meta.Revision = max(r.meta.Revision, int64(binary.BigEndian.Uint64(key)))
		return nil
	})
}

func (r *reader) readLeases(tx *bbolt.Tx) error {
	return each(tx, bucketLease, func(key, value []byte) error {
		l := &leasepb.Lease{}
		if err := l.Unmarshal(value); err != nil || !bytes.Equal(key, number(uint64(l.ID))) {
			return fmt.Errorf("%w: lease %x is %x", ErrFile, key, value)
		}
		return r.filler.Lease(mvcc.Lease{ID: mvcc.LeaseID(l.ID), TTL: l.TTL, Remaining: l.RemainingTTL})
	})
}

// readState leaves no record of what a cluster is born with.
func (r *reader) readState(tx *bbolt.Tx) error {
	s := auth.State{}
	err := each(tx, bucketAuth, func(key, value []byte) error {
		switch {
		case bytes.Equal(key, keyAuthEnabled):
			s.Enabled = bytes.Equal(value, []byte{1})
		case bytes.Equal(key, keyAuthRevision):
			if len(value) != 8 {
				return fmt.Errorf("%w: %s is %x", ErrFile, key, value)
			}
			s.Revision = binary.BigEndian.Uint64(value)
		}
		return nil
	})
	if err != nil || !s.Enabled && s.Revision <= 1 {
		return err
	}
	return r.filler.Auth(auth.StateKey, s.Encode())
}

func (r *reader) readRoles(tx *bbolt.Tx) error {
	return each(tx, bucketAuthRoles, func(key, value []byte) error { return r.auth(auth.RoleKey(string(key)), value) })
}

func (r *reader) readUsers(tx *bbolt.Tx) error {
	return each(tx, bucketAuthUsers, func(key, value []byte) error { return r.auth(auth.UserKey(string(key)), value) })
}

func (r *reader) auth(key string, value []byte) error {
	if _, _, err := auth.Parse(key, value); err != nil {
		return fileError(err)
	}
	return r.filler.Auth(key, value)
}

// readMeta finds out where the state stands, from the compaction and the changes that were read.
func (r *reader) readMeta(tx *bbolt.Tx) error {
	b := tx.Bucket(bucketMeta)
	for _, at := range []struct {
		key []byte
		rev *int64
	}{{keyScheduled, &r.meta.Scheduled}, {keyFinished, &r.meta.Finished}} {
		switch value := slices.Clone(b.Get(at.key)); {
		case value == nil:
		case len(value) < 8:
			return fmt.Errorf("%w: %s is %x", ErrFile, at.key, value)
		default:
			*at.rev = int64(binary.BigEndian.Uint64(value))
		}
	}
	if r.meta.Scheduled < -1 || r.meta.Finished < -1 {
		return fmt.Errorf("%w: compacted at %d and %d", ErrFile, r.meta.Scheduled, r.meta.Finished)
	}
	// A member that died while it compacted may have kept either.
	r.meta.Scheduled = max(r.meta.Scheduled, r.meta.Finished)
	r.meta.Revision = max(r.meta.Revision, r.meta.Scheduled)
	return nil
}

// fileError is for records that mvcc and auth refuse: here it is the file that is to blame.
func fileError(err error) error { return fmt.Errorf("%w: %w", ErrFile, err) }
