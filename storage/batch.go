package storage

import (
	"encoding/binary"
	"hash/adler32"

	"zebu/proto"
)

// Batch is what one group commit appends: transactions, framed in place as they are encoded. Its zero value is empty. It
// is for one goroutine at a time.
type Batch struct {
	buf  []byte // whole records, but for their checksums
	txns []batchTxn
}

type batchTxn struct {
	end  int // of the record in buf
	zxid proto.Zxid
}

// Begin returns the buffer to append one transaction (header, body, digest) to. It is given back with [Batch.End]; a
// buffer that is not given back leaves the batch as it was.
func (b *Batch) Begin() []byte {
	var frame [frameSize]byte
	return append(b.buf, frame[:]...)
}

// End takes back the buffer of [Batch.Begin] with the transaction z appended to it.
func (b *Batch) End(buf []byte, z proto.Zxid) {
	frame := buf[b.end():]
	proto.PutInt32(frame[8:], int32(len(frame)-frameSize))
	b.buf = append(buf, proto.TxnEOR)
	b.txns = append(b.txns, batchTxn{end: len(b.buf), zxid: z})
}

// end returns the offset in buf just after the last record.
func (b *Batch) end() int {
	if n := len(b.txns); n > 0 {
		return b.txns[n-1].end
	}
	return 0
}

// Add appends a transaction that is already encoded.
func (b *Batch) Add(z proto.Zxid, txn []byte) { b.End(append(b.Begin(), txn...), z) }

// Txns yields the transactions in order. txn aliases the batch and is valid until [Batch.Reset].
func (b *Batch) Txns(yield func(z proto.Zxid, txn []byte) bool) {
	at := 0
	for _, t := range b.txns {
		if !yield(t.zxid, b.buf[at+frameSize:t.end-eorSize:t.end-eorSize]) {
			return
		}
		at = t.end
	}
}

// Len returns the number of transactions.
func (b *Batch) Len() int { return len(b.txns) }

// Bytes returns the number of bytes that the batch takes in a log.
func (b *Batch) Bytes() int { return b.end() }

// Last returns the last transaction's zxid, 0 if there is none.
func (b *Batch) Last() proto.Zxid {
	if n := len(b.txns); n > 0 {
		return b.txns[n-1].zxid
	}
	return 0
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.buf, b.txns = b.buf[:0], b.txns[:0] }

// seal fills in the checksums and returns the bytes for the log.
func (b *Batch) seal() []byte {
	at := 0
	for _, t := range b.txns {
		sum := adler32.Checksum(b.buf[at+frameSize : t.end-eorSize])
		binary.BigEndian.PutUint64(b.buf[at:], uint64(sum))
		at = t.end
	}
	return b.buf[:at]
}
