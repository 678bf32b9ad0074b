// Package auth knows etcd's users, roles and permissions: the replicated part ([Authority]), which lives in the records of an
// mvcc.Store and judges when a record of the log is applied, and a server's own part, the tokens of those who have logged in
// ([Keeper]) and what a gateway asks ([Authenticator]).
//
// Roles, permissions and JSON web tokens are the code of etcd itself (go.etcd.io/etcd/server/v3/auth), on our
// records; semantics and texts of errors are those of etcd 3.6. Simple tokens are ours: etcd's ends the process when a log
// is replayed that assigns a token twice.
//
// # Records
//
// Keys are those of mvcc.Store.SetAuth.
//
//	e        enabled (1 byte, 0 or 1), revision of users and roles (8, big endian); without it 0 and 1
//	r name   a role: the protobuf of etcd's authpb.Role
//	u name   a user: that of authpb.User
//
// # What is decided where
//
// A password is hashed before its request is proposed ([Authenticator.Prepare]) and compared outside of the log; no record has one.
// Whether a user may do what a record says is decided when it is applied, with the revision of users and roles at
// which the user was identified: each change of them makes what was identified before it too old
// (rpctypes.ErrGRPCAuthOldRevision), and clients identify themselves again. So all servers decide alike.
package auth
