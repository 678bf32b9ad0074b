package gateway

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
)

// Authenticator says who a client is and what it may do (spec etcd 1.7), for the gateway, before and beside the log. What is
// in the log its counterpart [mvcc.Authority] checks again, and finally, when it is applied: so a Put, a DeleteRange, a
// Txn that may write and a LeaseRevoke are proposed with the user and revision of [Authenticator.Identify], and not asked about here,
// for this server may lag. Errors are those of etcd's rpctypes. All methods may be called from any goroutine.
//
// The methods that take a Store look at the state: they are called inside [Node.Read], together with the read that they permit, so that
// neither changes under the other. They must be brief and keep nothing. While authentication is off they permit all.
type Authenticator interface {
	// Identify tells who sends a request: the user whose token is in the metadata ("token", else "authorization", with or without
	// "Bearer " before it), else, if clients show certificates, the common name of the chain that was verified, unless
	// the metadata has "grpcgateway-accept", as what comes through the JSON gateway does. revision is that of the rights that the
	// token was made under. Without credentials, or while authentication is off, it returns "", 0 and nil;
	// for a token of no use ErrGRPCInvalidAuthToken. It may wait until this server has applied what the token needs, and is
	// called outside of Node.Read.
	Identify(ctx context.Context) (user string, revision uint64, err error)

	// Authenticate checks a password and makes a token: it asks for a read point, compares outside of the log, proposes
	// InternalAuthenticateRequest, and begins again if the rights changed meanwhile. The header is filled in by the caller.
	// Errors: ErrGRPCAuthNotEnabled, ErrGRPCAuthFailed, those of [Node].
	Authenticate(ctx context.Context, r *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error)

	// Prepare completes a request that changes users or roles before it is proposed: it puts a hash in the place of a password.
	Prepare(r mvcc.Message) error

	// Permit says whether a user, with the revision that Identify gave, may have a request answered: nil,
	// ErrGRPCUserEmpty without a user, ErrGRPCAuthOldRevision, ErrGRPCPermissionDenied, ErrGRPCUserNotFound. What it takes:
	//
	//	RangeRequest, WatchCreateRequest          to read all of the range
	//	TxnRequest                                to read what it compares and all that its branches, both, read
	//	LeaseKeepAliveRequest                     to write every key of the lease, which need not exist; none: nothing
	//	LeaseTimeToLiveRequest                    to have logged in; with Keys to read every key of the lease
	//	LeaseLeasesRequest                        to have logged in, and to read every key of every lease
	//	LeaseGrantRequest, LeaseRevokeRequest,
	//	StatusRequest, MemberListRequest,
	//	AlarmRequest GET                          to have logged in
	//	AuthUserGetRequest, AuthRoleGetRequest    to be that user, to have that role, or to be an administrator
	//	all others                                to be an administrator: to have the role root
	Permit(s *mvcc.Store, user string, revision uint64, r mvcc.Message) error

	// Query answers what changes nothing: AuthStatus, UserGet, UserList, RoleGet and RoleList requests. The header is filled in by
	// the caller.
	Query(s *mvcc.Store, r mvcc.Message) (mvcc.Message, error)
}
