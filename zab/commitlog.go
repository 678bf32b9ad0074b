package zab

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"zebu/internal/mutant"
	"zebu/proto"
)

// DefaultCommitLogSize is how many transactions a [CommitLog] keeps unless told otherwise, and the fewest it may keep
// (zookeeper.commitLogCount).
const DefaultCommitLogSize = 500

// CommitLog holds a server's last committed transactions, so that learners which lack a few can be given those. It lives
// longer than roles: the server fills it from its log at the start, and after that only its roles change it.
type CommitLog struct {
	size  int
	txns  []Txn // at most 2*size, of which the last size count
	limit int   // of bytes, 0 for none
	bytes int
}

// maxCommitLogBytes bounds a [CommitLog] of large transactions.
const maxCommitLogBytes = 128 << 20

// NewCommitLog returns an empty log of size transactions, or of the default size if that is larger, as far as they are not too many bytes.
func NewCommitLog(size int) *CommitLog {
	return &CommitLog{size: max(size, DefaultCommitLogSize), limit: maxCommitLogBytes}
}

// txnOverhead is about what a transaction takes besides its bytes.
const txnOverhead = 32

// newCache returns a log bounded by bytes instead of transactions, which begins as a copy of another one up to a zxid.
func newCache(limit int, from *CommitLog, through proto.Zxid) *CommitLog {
	c := &CommitLog{size: math.MaxInt32, limit: limit}
	for _, t := range from.all() {
		if t.Zxid <= through {
			c.keep(t)
		}
	}
	return c
}

// Append adds the transaction that follows the last one; a gap is an error (ZOOKEEPER-4925).
func (c *CommitLog) Append(t Txn) error {
	if last := c.Max(); len(c.txns) > 0 && !follows(last, t.Zxid) {
		return fmt.Errorf("zab: committed %v after %v", t.Zxid, last)
	}
	if len(c.txns) == 2*c.size {
		c.bytes -= bytesOf(c.txns[:c.size])
		n := copy(c.txns, c.txns[c.size:])
		clear(c.txns[n:])
		c.txns = c.txns[:n]
	}
	c.keep(t)
	return nil
}

func (c *CommitLog) keep(t Txn) {
	c.txns = append(c.txns, t)
	c.bytes += bytesOf(c.txns[len(c.txns)-1:])
	for c.limit > 0 && c.bytes > c.limit {
		c.bytes -= bytesOf(c.txns[:1])
		c.txns[0] = Txn{}
		c.txns = c.txns[1:]
	}
}

func bytesOf(txns []Txn) (n int) {
	for i := range txns {
		n += len(txns[i].Data) + txnOverhead
	}
	return n
}

// all returns what counts, oldest first.
func (c *CommitLog) all() []Txn { return c.txns[max(0, len(c.txns)-c.size):] }

// after returns the transactions with greater zxids.
func (c *CommitLog) after(z proto.Zxid) []Txn {
	txns := c.all()
	at, found := slices.BinarySearchFunc(txns, z, byZxid)
	if found {
		at++
	}
	return txns[at:]
}

func byZxid(t Txn, z proto.Zxid) int { return cmp.Compare(t.Zxid, z) }

// Len is the number of transactions.
func (c *CommitLog) Len() int { return len(c.all()) }

// Min is the oldest zxid, 0 if there is none.
func (c *CommitLog) Min() proto.Zxid {
	if txns := c.all(); len(txns) > 0 {
		return txns[0].Zxid
	}
	return 0
}

// Max is the newest zxid, 0 if there is none.
func (c *CommitLog) Max() proto.Zxid {
	if len(c.txns) == 0 {
		return 0
	}
	return c.txns[len(c.txns)-1].Zxid
}

// truncate forgets what comes after z.
func (c *CommitLog) truncate(z proto.Zxid) {
	n, found := slices.BinarySearchFunc(c.txns, z, byZxid)
	if found {
		n++
	}
	if mutant.On(mutant.CutStaysInMemory) {
		return
	}
	c.bytes -= bytesOf(c.txns[n:])
	clear(c.txns[n:])
	c.txns = c.txns[:n]
}

// reset forgets everything.
func (c *CommitLog) reset() {
	clear(c.txns)
	c.txns, c.bytes = c.txns[:0], 0
}
