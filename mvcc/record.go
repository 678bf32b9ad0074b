package mvcc

import (
	"encoding/binary"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/proto"
)

// TxnType is the type of a transaction in the ZAB log whose body is an etcd record. ZooKeeper's own types are small
// numbers and -1, -10 to -12; a ZooKeeper server that meets this one stops, which is why no etcd mutation is proposed
// while one is a member.
const TxnType = 0x65746364 // "etcd"

// Kind says which request a record holds.
type Kind uint8

// The kinds. 32 and up are kept for the authentication requests.
const (
	KindPut Kind = 1 + iota
	KindDeleteRange
	KindTxn
	KindCompact
	KindLeaseGrant
	KindLeaseRevoke
	KindLeaseCheckpoint
	KindAlarm
)

// Message is what all of etcd's messages can do.
type Message interface {
	Size() int
	Marshal() ([]byte, error)
	MarshalToSizedBuffer([]byte) (int, error)
	Unmarshal([]byte) error
}

// Record is one mutation as it stands in the log. See the package's documentation.
type Record struct {
	Kind         Kind
	Epoch        proto.Epoch // 0, or the only epoch in which the record has an effect
	AuthRevision uint64
	User         string
	Request      Message
}

// maxUser bounds the name of a user in bytes; etcd has no bound but the request's.
const maxUser = 64 << 10

// newRequest makes an empty request of a kind.
func newRequest(k Kind) Message {
	switch k {
	case KindPut:
		return &pb.PutRequest{}
	case KindDeleteRange:
		return &pb.DeleteRangeRequest{}
	case KindTxn:
		return &pb.TxnRequest{}
	case KindCompact:
		return &pb.CompactionRequest{}
	case KindLeaseGrant:
		return &pb.LeaseGrantRequest{}
	case KindLeaseRevoke:
		return &pb.LeaseRevokeRequest{}
	case KindLeaseCheckpoint:
		return &pb.LeaseCheckpointRequest{}
	case KindAlarm:
		return &pb.AlarmRequest{}
	}
	return nil
}

// kindOf is the kind of a request, 0 if it is none.
func kindOf(m Message) Kind {
	switch m.(type) {
	case *pb.PutRequest:
		return KindPut
	case *pb.DeleteRangeRequest:
		return KindDeleteRange
	case *pb.TxnRequest:
		return KindTxn
	case *pb.CompactionRequest:
		return KindCompact
	case *pb.LeaseGrantRequest:
		return KindLeaseGrant
	case *pb.LeaseRevokeRequest:
		return KindLeaseRevoke
	case *pb.LeaseCheckpointRequest:
		return KindLeaseCheckpoint
	case *pb.AlarmRequest:
		return KindAlarm
	}
	return 0
}

// NewRecord makes the record of a request without authentication.
func NewRecord(request Message) Record { return Record{Kind: kindOf(request), Request: request} }

// Encode returns the bytes for the log.
func (r Record) Encode() ([]byte, error) {
	if r.Kind == 0 || r.Kind != kindOf(r.Request) || len(r.User) > maxUser || r.Epoch < 0 {
		return nil, fmt.Errorf("%w: kind %d of %T for user of %d bytes in epoch %d", ErrRecord, r.Kind, r.Request, len(r.User), r.Epoch)
	}
	size := r.Request.Size()
	b := make([]byte, 0, 1+3*binary.MaxVarintLen64+len(r.User)+size)
	b = append(b, byte(r.Kind))
	b = binary.AppendUvarint(b, uint64(r.Epoch))
	b = binary.AppendUvarint(b, r.AuthRevision)
	b = binary.AppendUvarint(b, uint64(len(r.User)))
	b = append(b, r.User...)
	head := len(b)
	b = b[:head+size]
	if _, err := r.Request.MarshalToSizedBuffer(b[head:]); err != nil {
		return nil, fmt.Errorf("encode etcd request: %w", err)
	}
	return b, nil
}

// DecodeRecord reads the bytes of the log. Whoever proposes bytes that came from elsewhere decodes them first, so that
// nothing enters the log that cannot be applied. Errors wrap ErrRecord.
func DecodeRecord(b []byte) (Record, error) {
	if len(b) == 0 {
		return Record{}, fmt.Errorf("%w: empty", ErrRecord)
	}
	r := Record{Kind: Kind(b[0])}
	if r.Request = newRequest(r.Kind); r.Request == nil {
		return Record{}, fmt.Errorf("%w: kind %d", ErrRecord, b[0])
	}
	b = b[1:]
	var head [3]uint64
	for i := range head {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return Record{}, fmt.Errorf("%w: its head is cut off", ErrRecord)
		}
		head[i], b = v, b[n:]
	}
	if head[0] > 1<<31-1 || head[2] > maxUser || head[2] > uint64(len(b)) {
		return Record{}, fmt.Errorf("%w: epoch %d, user of %d bytes", ErrRecord, head[0], head[2])
	}
	r.Epoch, r.AuthRevision, r.User = proto.Epoch(head[0]), head[1], string(b[:head[2]])
	if err := r.Request.Unmarshal(b[head[2]:]); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if err := checkShape(r.Request); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return r, nil
}
