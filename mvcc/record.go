package mvcc

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/proto"
)

// TxnType is the type of a transaction in the ZAB log whose body is an etcd record. ZooKeeper's own types are small
// numbers and -1, -10 to -12; a ZooKeeper server that meets this one stops, which is why no etcd mutation is proposed
// while one is a member.
const TxnType = proto.OpEtcd

// Kind says which request a record holds.
type Kind uint8

// The kinds. From KindAuthenticate on they are for the [Authority].
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

// The kinds of authentication requests.
const (
	KindAuthenticate Kind = firstAuthKind + iota
	KindAuthEnable
	KindAuthDisable
	KindUserAdd
	KindUserDelete
	KindUserChangePassword
	KindUserGrantRole
	KindUserRevokeRole
	KindRoleAdd
	KindRoleDelete
	KindRoleGrantPermission
	KindRoleRevokePermission
)

const firstAuthKind = 32

// kinds makes an empty request of each kind.
var kinds = map[Kind]func() Message{
	KindPut:                  func() Message { return &pb.PutRequest{} },
	KindDeleteRange:          func() Message { return &pb.DeleteRangeRequest{} },
	KindTxn:                  func() Message { return &pb.TxnRequest{} },
	KindCompact:              func() Message { return &pb.CompactionRequest{} },
	KindLeaseGrant:           func() Message { return &pb.LeaseGrantRequest{} },
	KindLeaseRevoke:          func() Message { return &pb.LeaseRevokeRequest{} },
	KindLeaseCheckpoint:      func() Message { return &pb.LeaseCheckpointRequest{} },
	KindAlarm:                func() Message { return &pb.AlarmRequest{} },
	KindAuthenticate:         func() Message { return &pb.InternalAuthenticateRequest{} },
	KindAuthEnable:           func() Message { return &pb.AuthEnableRequest{} },
	KindAuthDisable:          func() Message { return &pb.AuthDisableRequest{} },
	KindUserAdd:              func() Message { return &pb.AuthUserAddRequest{} },
	KindUserDelete:           func() Message { return &pb.AuthUserDeleteRequest{} },
	KindUserChangePassword:   func() Message { return &pb.AuthUserChangePasswordRequest{} },
	KindUserGrantRole:        func() Message { return &pb.AuthUserGrantRoleRequest{} },
	KindUserRevokeRole:       func() Message { return &pb.AuthUserRevokeRoleRequest{} },
	KindRoleAdd:              func() Message { return &pb.AuthRoleAddRequest{} },
	KindRoleDelete:           func() Message { return &pb.AuthRoleDeleteRequest{} },
	KindRoleGrantPermission:  func() Message { return &pb.AuthRoleGrantPermissionRequest{} },
	KindRoleRevokePermission: func() Message { return &pb.AuthRoleRevokePermissionRequest{} },
}

// kindOf is the kind of a request, 0 if it is none.
func kindOf(m Message) Kind { return kindsByType[reflect.TypeOf(m)] }

var kindsByType = func() map[reflect.Type]Kind {
	m := map[reflect.Type]Kind{}
	for k, empty := range kinds {
		m[reflect.TypeOf(empty())] = k
	}
	return m
}()

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

// NewRecord makes the record of a request without authentication.
func NewRecord(request Message) Record { return Record{Kind: kindOf(request), Request: request} }

// ownRevision stands in the records that servers propose by themselves. No store of users gets as far.
const ownRevision = math.MaxUint64

// NewOwnRecord makes the record of what the leader of an epoch proposes by itself: nobody is asked whether it may. Servers without an
// ensemble are in epoch 0.
func NewOwnRecord(request Message, e proto.Epoch) Record {
	r := NewRecord(request)
	r.Epoch, r.AuthRevision = e, ownRevision
	return r
}

// Own tells whether a server proposed the record by itself.
func (r Record) Own() bool { return r.AuthRevision == ownRevision && r.User == "" }

// Encode returns the bytes for the log, if they are such as [DecodeRecord] takes: what cannot be applied must never get there.
func (r Record) Encode() ([]byte, error) {
	if r.Kind == 0 || r.Kind != kindOf(r.Request) || len(r.User) > maxUser || r.Epoch < 0 {
		return nil, fmt.Errorf("%w: kind %d of %T for user of %d bytes in epoch %d", ErrRecord, r.Kind, r.Request, len(r.User), r.Epoch)
	}
	if err := checkShape(r.Request); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
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
	empty, ok := kinds[r.Kind]
	if !ok {
		return Record{}, fmt.Errorf("%w: kind %d", ErrRecord, b[0])
	}
	r.Request, b = empty(), b[1:]
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
