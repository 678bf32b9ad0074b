package mvcc

import (
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The outcomes that a request may have beside success, as etcd's rpctypes has them: code and text are the API. They reach
// the client as they are. Spec etcd 2.
var (
	ErrEmptyKey      = rpctypes.ErrGRPCEmptyKey
	ErrKeyNotFound   = rpctypes.ErrGRPCKeyNotFound
	ErrValueProvided = rpctypes.ErrGRPCValueProvided
	ErrLeaseProvided = rpctypes.ErrGRPCLeaseProvided
	ErrTooManyOps    = rpctypes.ErrGRPCTooManyOps
	ErrDuplicateKey  = rpctypes.ErrGRPCDuplicateKey
	ErrInvalidSort   = rpctypes.ErrGRPCInvalidSortOption
	ErrCompacted     = rpctypes.ErrGRPCCompacted
	ErrFutureRev     = rpctypes.ErrGRPCFutureRev
	ErrNoSpace       = rpctypes.ErrGRPCNoSpace
	ErrLeaseNotFound = rpctypes.ErrGRPCLeaseNotFound
	ErrLeaseExists   = rpctypes.ErrGRPCLeaseExist
	ErrLeaseTooLarge = rpctypes.ErrGRPCLeaseTTLTooLarge
	ErrCorrupt       = rpctypes.ErrGRPCCorrupt
	ErrTooLarge      = rpctypes.ErrGRPCRequestTooLarge
	ErrNoAuth        = rpctypes.ErrGRPCAuthNotEnabled
)

// ErrFenced is the outcome of a record that the leader of another epoch decided on: it has no effect.
var ErrFenced = rpctypes.ErrGRPCLeaderChanged

// ErrNoLeader is the outcome of what needs a leader when there is none, ErrUnknown that of a mutation whose fate nobody here
// knows, because the leader changed while it was under way.
var (
	ErrNoLeader = rpctypes.ErrGRPCNoLeader
	ErrUnknown  = rpctypes.ErrGRPCTimeoutDueToLeaderFail
)

// ErrForeign is the outcome of a mutation while a server that cannot apply it is in the ensemble.
var ErrForeign = status.Error(codes.Unavailable, "zebu: the etcd API is read-only as long as a server of the ensemble is "+
	"Apache ZooKeeper, or zebu without etcd.clientPort, or has not been heard of yet")

// ErrRecord is wrapped by what [Store.Apply] and [DecodeRecord] return for bytes that are no record of this version.
var ErrRecord = errors.New("not an etcd record")

// ErrDamaged is wrapped by what is returned when the storage holds what no sequence of batches can have written.
var ErrDamaged = errors.New("damaged etcd storage")
