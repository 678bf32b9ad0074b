package auth

import (
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	etcd "go.etcd.io/etcd/server/v3/auth"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errPassword is the outcome of a record with a password in it, which no server proposes.
var errPassword = status.Error(codes.InvalidArgument, "etcdserver: password is not hashed")

// outcomes are the errors for clients, whose texts are the API (spec etcd 2).
var outcomes = map[error]error{
	etcd.ErrRootUserNotExist:     rpctypes.ErrGRPCRootUserNotExist,
	etcd.ErrRootRoleNotExist:     rpctypes.ErrGRPCRootRoleNotExist,
	etcd.ErrUserAlreadyExist:     rpctypes.ErrGRPCUserAlreadyExist,
	etcd.ErrUserEmpty:            rpctypes.ErrGRPCUserEmpty,
	etcd.ErrUserNotFound:         rpctypes.ErrGRPCUserNotFound,
	etcd.ErrRoleAlreadyExist:     rpctypes.ErrGRPCRoleAlreadyExist,
	etcd.ErrRoleNotFound:         rpctypes.ErrGRPCRoleNotFound,
	etcd.ErrRoleEmpty:            rpctypes.ErrGRPCRoleEmpty,
	etcd.ErrAuthFailed:           rpctypes.ErrGRPCAuthFailed,
	etcd.ErrPermissionNotGiven:   rpctypes.ErrGRPCPermissionNotGiven,
	etcd.ErrPermissionDenied:     rpctypes.ErrGRPCPermissionDenied,
	etcd.ErrRoleNotGranted:       rpctypes.ErrGRPCRoleNotGranted,
	etcd.ErrPermissionNotGranted: rpctypes.ErrGRPCPermissionNotGranted,
	etcd.ErrAuthNotEnabled:       rpctypes.ErrGRPCAuthNotEnabled,
	etcd.ErrInvalidAuthToken:     rpctypes.ErrGRPCInvalidAuthToken,
	etcd.ErrInvalidAuthMgmt:      rpctypes.ErrGRPCInvalidAuthMgmt,
	etcd.ErrAuthOldRevision:      rpctypes.ErrGRPCAuthOldRevision,
}

// outcome is what a client gets for an error of the auth store's. Those that etcd has no code for go out as they are.
func outcome(err error) error {
	if _, ok := status.FromError(err); ok { // nil too
		return err
	}
	if known, ok := outcomes[err]; ok {
		return known
	}
	return status.Error(codes.Unknown, err.Error())
}
