package mvcc

import "github.com/tidwall/btree"

// Memory is a Storage that keeps records in memory, for tests and simulation. The zero Memory is empty. Like a Store it has
// no lock: no method may run while Commit does.
type Memory struct {
	records btree.Map[string, []byte]
}

// Commit takes a batch in.
func (m *Memory) Commit(b *Batch) {
	for _, op := range b.Ops {
		if op.Delete {
			m.records.Delete(string(op.Key))
		} else {
			m.records.Set(string(op.Key), op.Value)
		}
	}
}

// Copy returns a Memory with the same records, which both may change from then on.
func (m *Memory) Copy() *Memory { return &Memory{*m.records.Copy()} }

// View implements Storage.
func (m *Memory) View() View { return memoryView{m.records.Copy()} }

type memoryView struct {
	records *btree.Map[string, []byte]
}

func (v memoryView) Get(key []byte, use func([]byte) error) (bool, error) {
	value, ok := v.records.Get(string(key))
	if !ok {
		return false, nil
	}
	return true, use(value)
}

func (v memoryView) Scan(from, to []byte, visit func(key, value []byte) error) (err error) {
	end := string(to)
	v.records.Ascend(string(from), func(k string, value []byte) bool {
		if k >= end {
			return false
		}
		err = visit([]byte(k), value)
		return err == nil
	})
	return err
}

func (v memoryView) Close() {}
