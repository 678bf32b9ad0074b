package zab

import (
	"testing"

	"zebu/proto"
)

// Large transactions are kept as long as they fit.
func TestCommitLogOfLargeTransactions(t *testing.T) {
	c := NewCommitLog(0)
	large := make([]byte, maxCommitLogBytes/10)
	last := proto.Zxid(0)
	add := func(data []byte) {
		t.Helper()
		last++
		if err := c.Append(Txn{last, data}); err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, txn := range c.txns {
			sum += len(txn.Data) + txnOverhead
		}
		if sum != c.bytes || sum > c.limit {
			t.Fatalf("%d bytes, and %d are counted", sum, c.bytes)
		}
	}
	for range 30 {
		add(large)
	}
	if c.Len() != 9 || c.Max() != last {
		t.Errorf("%d up to %v", c.Len(), c.Max())
	}
	c.truncate(last - 4)
	last -= 4
	for range 3 * DefaultCommitLogSize {
		add(nil)
	}
	if c.Len() != DefaultCommitLogSize {
		t.Errorf("%d small ones", c.Len())
	}
	add(make([]byte, maxCommitLogBytes+1))
	if c.Len() != 0 {
		t.Errorf("%d up to %v", c.Len(), c.Max())
	}
	add(large)
	c.reset()
	add(large)
}
