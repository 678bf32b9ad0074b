package auth

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	etcd "go.etcd.io/etcd/server/v3/auth"

	"zebu/mvcc"
	"zebu/proto"
)

// Authority is the mvcc.Authority of one mvcc.Store. Permit and Apply are called by the Store; what the package reads besides needs
// the Store's read lock.
type Authority struct {
	keeper *Keeper
	store  *mvcc.Store
	etcd   etcd.AuthStore
}

// Authority makes the Authority of a Store; it is for mvcc.Options. Whoever had logged in must do so again: the Store may
// have come from another server, and have passed over the changes that made a token worthless.
func (k *Keeper) Authority(s *mvcc.Store) (mvcc.Authority, error) {
	var damage error
	s.AuthFrom("", func(key string, value []byte) bool {
		_, _, damage = Parse(key, value)
		return damage == nil
	})
	if damage != nil {
		return nil, damage
	}
	a := &Authority{keeper: k, store: s, etcd: etcd.NewAuthStore(k.log, records{s}, k.provider, k.cost)}
	k.tokens.forgetAll()
	a.publish()
	return a, nil
}

// of is the Authority of a Store; nil if it has none of this package.
func of(s *mvcc.Store) *Authority {
	a, _ := s.Authority().(*Authority)
	return a
}

// publish tells those who do not hold the lock of the Store where it stands.
func (a *Authority) publish() {
	a.keeper.state.Store(&State{Enabled: a.etcd.IsAuthEnabled(), Revision: a.etcd.Revision()})
}

// Permit implements mvcc.Authority.
func (a *Authority) Permit(r mvcc.Record) error {
	if !a.etcd.IsAuthEnabled() {
		return nil
	}
	who := &etcd.AuthInfo{Username: r.User, Revision: r.AuthRevision}
	var err error
	switch q := r.Request.(type) {
	case *pb.PutRequest:
		err = a.mayPut(who, q)
	case *pb.DeleteRangeRequest:
		err = a.mayDelete(who, q)
	case *pb.TxnRequest:
		err = a.mayTxn(who, q)
	case *pb.LeaseRevokeRequest:
		if !r.Own() { // else it has expired, and nobody asked for it
			err = a.mayWriteKeys(who, q.ID)
		}
	case *pb.CompactionRequest, *pb.LeaseGrantRequest, *pb.LeaseCheckpointRequest, *pb.AlarmRequest, *pb.InternalAuthenticateRequest:
		// As in etcd: checked before they are proposed, or proposed by servers.
	default:
		err = a.etcd.IsAdminPermitted(who)
	}
	return outcome(err)
}

// Apply implements mvcc.Authority.
func (a *Authority) Apply(z proto.Zxid, request mvcc.Message) (mvcc.Message, error) {
	response, err := a.apply(z, request, &pb.ResponseHeader{Revision: a.store.Revision()})
	if err != nil {
		return nil, outcome(err)
	}
	a.publish()
	return response, nil
}

func (a *Authority) apply(z proto.Zxid, request mvcc.Message, h *pb.ResponseHeader) (response mvcc.Message, err error) {
	switch r := request.(type) {
	case *pb.InternalAuthenticateRequest:
		return a.applyAuthenticate(z, r, h)
	case *pb.AuthEnableRequest:
		err = a.etcd.AuthEnable()
		response = &pb.AuthEnableResponse{Header: h}
	case *pb.AuthDisableRequest:
		a.etcd.AuthDisable()
		a.keeper.tokens.forgetAll()
		response = &pb.AuthDisableResponse{Header: h}
	case *pb.AuthRoleAddRequest:
		if len(r.Name) > MaxName {
			return nil, rpctypes.ErrGRPCRequestTooLarge
		}
		_, err = a.etcd.RoleAdd(r)
		response = &pb.AuthRoleAddResponse{Header: h}
	case *pb.AuthRoleDeleteRequest:
		_, err = a.etcd.RoleDelete(r)
		response = &pb.AuthRoleDeleteResponse{Header: h}
	case *pb.AuthRoleGrantPermissionRequest:
		_, err = a.etcd.RoleGrantPermission(r)
		response = &pb.AuthRoleGrantPermissionResponse{Header: h}
	case *pb.AuthRoleRevokePermissionRequest:
		_, err = a.etcd.RoleRevokePermission(r)
		response = &pb.AuthRoleRevokePermissionResponse{Header: h}
	default:
		return a.applyUser(request, h)
	}
	return response, err
}

func (a *Authority) applyUser(request mvcc.Message, h *pb.ResponseHeader) (response mvcc.Message, err error) {
	switch r := request.(type) {
	case *pb.AuthUserAddRequest:
		switch {
		case r.Password != "":
			return nil, errPassword // etcd would hash it here, on each server with another salt
		case len(r.Name) > MaxName:
			return nil, rpctypes.ErrGRPCRequestTooLarge
		}
		_, err = a.etcd.UserAdd(r)
		response = &pb.AuthUserAddResponse{Header: h}
	case *pb.AuthUserDeleteRequest:
		if _, err = a.etcd.UserDelete(r); err == nil {
			a.keeper.tokens.forget(r.Name)
		}
		response = &pb.AuthUserDeleteResponse{Header: h}
	case *pb.AuthUserChangePasswordRequest:
		if r.Password != "" {
			return nil, errPassword
		}
		if _, err = a.etcd.UserChangePassword(r); err == nil {
			a.keeper.tokens.forget(r.Name)
		}
		response = &pb.AuthUserChangePasswordResponse{Header: h}
	case *pb.AuthUserGrantRoleRequest:
		_, err = a.etcd.UserGrantRole(r)
		response = &pb.AuthUserGrantRoleResponse{Header: h}
	case *pb.AuthUserRevokeRoleRequest:
		_, err = a.etcd.UserRevokeRole(r)
		response = &pb.AuthUserRevokeRoleResponse{Header: h}
	}
	return response, err
}

// applyAuthenticate gives out the token that the proposer has drawn: the password was right at some revision, and the
// proposer looks whether that is still the one.
func (a *Authority) applyAuthenticate(z proto.Zxid, r *pb.InternalAuthenticateRequest, h *pb.ResponseHeader) (mvcc.Message, error) {
	if !a.etcd.IsAuthEnabled() {
		return nil, etcd.ErrAuthNotEnabled
	}
	u := records{a.store}.GetUser(r.Name)
	if u == nil || u.Options != nil && u.Options.NoPassword {
		return nil, etcd.ErrAuthFailed
	}
	token := simpleToken(r.SimpleToken, z)
	a.keeper.tokens.assign(token, r.Name)
	return &pb.AuthenticateResponse{Header: h, Token: token}, nil
}
