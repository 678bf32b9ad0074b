package mvcc

import "encoding/binary"

// The fields of etcd's messages in which transactions nest.
const (
	fieldSuccess = 2 // of TxnRequest: a RequestOp
	fieldFailure = 3
	fieldTxn     = 4 // of RequestOp: a TxnRequest
)

// Decodable tells whether an encoded TxnRequest may be decoded: in it transactions nest no deeper than any server allows. Of two megabytes a quarter of
// a million levels can be made, which take half a gigabyte of stack before [Check] has a chance to look.
func Decodable(b []byte) bool {
	ends := []int{len(b)} // of the messages that we are in: a TxnRequest, a RequestOp, a TxnRequest ...
	for at := 0; len(ends) > 0; {
		end, inTxn := ends[len(ends)-1], len(ends)%2 == 1
		if at == end {
			ends = ends[:len(ends)-1]
			continue
		}
		tag, n := binary.Uvarint(b[at:end])
		if n <= 0 {
			return false
		}
		at += n
		switch tag & 7 {
		case 0: // a number
			if _, n = binary.Uvarint(b[at:end]); n <= 0 {
				return false
			}
			at += n
		case 1: // 8 bytes
			at += 8
		case 2: // bytes, or a message
			size, n := binary.Uvarint(b[at:end])
			if n <= 0 || size > uint64(end-at-n) {
				return false
			}
			at += n
			field := tag >> 3
			if inTxn && (field == fieldSuccess || field == fieldFailure) || !inTxn && field == fieldTxn {
				ends = append(ends, at+int(size))
				if len(ends) > 2*(maxNesting+1) {
					return false
				}
				continue
			}
			at += int(size)
		case 5: // 4 bytes
			at += 4
		default: // etcd's messages have no groups
			return false
		}
		if at > end {
			return false
		}
	}
	return true
}
