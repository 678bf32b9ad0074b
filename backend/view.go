package backend

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"zebu/mvcc"
)

// View implements mvcc.Storage.
func (b *Backend) View() mvcc.View { return view{b, b.db.NewTransaction(false)} }

type view struct {
	backend *Backend
	txn     *badger.Txn
}

// aroundBytes is how much of a table the system maps when one value is read.
const aroundBytes = 16 << 10

func (v view) Close() { v.txn.Discard() }

func (v view) Get(key []byte, visit func([]byte) error) (bool, error) {
	if bytes.Equal(key, mvcc.MetaKey()) {
		meta, err := v.meta()
		if meta == nil || err != nil {
			return false, err
		}
		return true, visit(meta)
	}
	item, err := v.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read etcd storage: %w", err)
	}
	v.backend.touch(aroundBytes)
	return true, use(v.txn, item, visit)
}

// meta is mvcc's meta record, which the last batch has in its mark; nil if there is none.
func (v view) meta() ([]byte, error) {
	_, value, found, err := lastMark(v.txn)
	if err != nil || !found || len(value.meta) == 0 {
		return nil, err
	}
	return value.meta, nil
}

func (v view) Scan(from, to []byte, visit func(key, value []byte) error) error {
	it := v.txn.NewIterator(badger.IteratorOptions{PrefetchValues: false})
	defer it.Close()
	read := 0
	defer func() { v.backend.touch(read) }()
	for it.Seek(from); it.Valid(); it.Next() {
		item := it.Item()
		key := item.Key()
		if bytes.Compare(key, to) >= 0 {
			break
		}
		if ownKey(key) {
			continue
		}
		if read += len(key) + int(item.ValueSize()); read > releaseEvery {
			v.backend.touch(read)
			read = 0
		}
		if err := use(v.txn, item, func(value []byte) error { return visit(key, value) }); err != nil {
			return err
		}
	}
	if bytes.Compare(from, mvcc.MetaKey()) > 0 || bytes.Compare(mvcc.MetaKey(), to) >= 0 {
		return nil
	}
	if meta, err := v.meta(); meta == nil || err != nil {
		return err
	} else {
		return visit(mvcc.MetaKey(), meta)
	}
}

// logger hands Badger's complaints on; what it tells of its work is for debugging.
type logger struct {
	log *zap.SugaredLogger
}

func (l logger) Errorf(format string, args ...any)   { l.log.Errorf("badger: "+format, args...) }
func (l logger) Warningf(format string, args ...any) { l.log.Warnf("badger: "+format, args...) }
func (l logger) Infof(format string, args ...any)    { l.log.Debugf("badger: "+format, args...) }
func (l logger) Debugf(format string, args ...any)   { l.log.Debugf("badger: "+format, args...) }
