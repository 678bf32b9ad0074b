package storage

import "zebu/proto"

// Batch is what one group commit appends.
type Batch struct{ buf []byte }

// Begin returns the buffer to append one transaction (header, body, digest) to.
func (b *Batch) Begin() []byte { return b.buf }

// End takes the buffer of [Batch.Begin] back with the transaction z appended.
func (b *Batch) End(buf []byte, z proto.Zxid) { b.buf = buf }

// Txns yields the transactions in order; txn aliases the batch.
func (b *Batch) Txns(yield func(z proto.Zxid, txn []byte) bool) {}

// Len returns the number of transactions.
func (b *Batch) Len() int { return 0 }

// Bytes returns the number of bytes that the batch will take in the log.
func (b *Batch) Bytes() int { return len(b.buf) }

// Last returns the last transaction's zxid, 0 if there is none.
func (b *Batch) Last() proto.Zxid { return 0 }

// Reset empties the batch and keeps its buffer.
func (b *Batch) Reset() {}
