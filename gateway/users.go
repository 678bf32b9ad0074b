package gateway

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"zebu/mvcc"
)

// authServer is etcd's Auth service, on the [Authenticator]. Without one there are no users, and can be none.
type authServer struct{ *Server }

// change proposes a request that changes users or roles.
func change[T mvcc.Message](ctx context.Context, s *authServer, r mvcc.Message) (resp T, err error) {
	if s.Authenticator == nil {
		return resp, rpctypes.ErrGRPCAuthNotEnabled
	}
	if err := s.Authenticator.Prepare(r); err != nil {
		return resp, err
	}
	result, err := s.propose(ctx, r)
	if err != nil {
		return resp, err
	}
	return result.Response.(T), nil
}

// query answers one that does not.
func query[T mvcc.Message](ctx context.Context, s *authServer, r mvcc.Message) (resp T, err error) {
	var answer mvcc.Message
	if s.Authenticator == nil {
		answer, err = noUsers(r)
	} else if err = s.readPoint(ctx); err == nil {
		err = s.read(ctx, r, func(state *mvcc.Store) (err error) {
			answer, err = s.Authenticator.Query(state, r)
			return err
		})
	}
	if err != nil {
		return resp, err
	}
	return answer.(T), nil
}

// noUsers answers as etcd does before there are any users.
func noUsers(r mvcc.Message) (mvcc.Message, error) {
	switch r.(type) {
	case *pb.AuthStatusRequest:
		return &pb.AuthStatusResponse{AuthRevision: 1}, nil
	case *pb.AuthUserListRequest:
		return &pb.AuthUserListResponse{}, nil
	case *pb.AuthRoleListRequest:
		return &pb.AuthRoleListResponse{}, nil
	case *pb.AuthRoleGetRequest:
		return nil, rpctypes.ErrGRPCRoleNotFound
	}
	return nil, rpctypes.ErrGRPCUserNotFound
}

// headed completes the header of an answer of the Authenticator's.
func (s *Server) headed(h *pb.ResponseHeader) *pb.ResponseHeader {
	if h == nil || h.Revision == 0 {
		return s.header()
	}
	s.fill(h)
	return h
}

// Authenticate implements pb.AuthServer.
func (s *authServer) Authenticate(ctx context.Context, r *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	if s.Authenticator == nil {
		return nil, rpctypes.ErrGRPCAuthNotEnabled
	}
	bounded, cancel := context.WithTimeout(ctx, s.RequestTimeout)
	defer cancel()
	resp, err := s.Authenticator.Authenticate(bounded, r)
	if err != nil {
		return nil, timedOut(ctx, err)
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// AuthEnable implements pb.AuthServer.
func (s *authServer) AuthEnable(ctx context.Context, r *pb.AuthEnableRequest) (*pb.AuthEnableResponse, error) {
	resp, err := change[*pb.AuthEnableResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// AuthDisable implements pb.AuthServer.
func (s *authServer) AuthDisable(ctx context.Context, r *pb.AuthDisableRequest) (*pb.AuthDisableResponse, error) {
	resp, err := change[*pb.AuthDisableResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// UserAdd implements pb.AuthServer.
func (s *authServer) UserAdd(ctx context.Context, r *pb.AuthUserAddRequest) (*pb.AuthUserAddResponse, error) {
	resp, err := change[*pb.AuthUserAddResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// UserDelete implements pb.AuthServer.
func (s *authServer) UserDelete(ctx context.Context, r *pb.AuthUserDeleteRequest) (*pb.AuthUserDeleteResponse, error) {
	resp, err := change[*pb.AuthUserDeleteResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// UserChangePassword implements pb.AuthServer.
func (s *authServer) UserChangePassword(ctx context.Context, r *pb.AuthUserChangePasswordRequest) (*pb.AuthUserChangePasswordResponse, error) {
	resp, err := change[*pb.AuthUserChangePasswordResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// UserGrantRole implements pb.AuthServer.
func (s *authServer) UserGrantRole(ctx context.Context, r *pb.AuthUserGrantRoleRequest) (*pb.AuthUserGrantRoleResponse, error) {
	resp, err := change[*pb.AuthUserGrantRoleResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// UserRevokeRole implements pb.AuthServer.
func (s *authServer) UserRevokeRole(ctx context.Context, r *pb.AuthUserRevokeRoleRequest) (*pb.AuthUserRevokeRoleResponse, error) {
	resp, err := change[*pb.AuthUserRevokeRoleResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// RoleAdd implements pb.AuthServer.
func (s *authServer) RoleAdd(ctx context.Context, r *pb.AuthRoleAddRequest) (*pb.AuthRoleAddResponse, error) {
	resp, err := change[*pb.AuthRoleAddResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// RoleDelete implements pb.AuthServer.
func (s *authServer) RoleDelete(ctx context.Context, r *pb.AuthRoleDeleteRequest) (*pb.AuthRoleDeleteResponse, error) {
	resp, err := change[*pb.AuthRoleDeleteResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// RoleGrantPermission implements pb.AuthServer.
func (s *authServer) RoleGrantPermission(ctx context.Context, r *pb.AuthRoleGrantPermissionRequest) (*pb.AuthRoleGrantPermissionResponse, error) {
	resp, err := change[*pb.AuthRoleGrantPermissionResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// RoleRevokePermission implements pb.AuthServer.
func (s *authServer) RoleRevokePermission(ctx context.Context, r *pb.AuthRoleRevokePermissionRequest) (*pb.AuthRoleRevokePermissionResponse, error) {
	resp, err := change[*pb.AuthRoleRevokePermissionResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// AuthStatus implements pb.AuthServer.
func (s *authServer) AuthStatus(ctx context.Context, r *pb.AuthStatusRequest) (*pb.AuthStatusResponse, error) {
	resp, err := query[*pb.AuthStatusResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// UserGet implements pb.AuthServer.
func (s *authServer) UserGet(ctx context.Context, r *pb.AuthUserGetRequest) (*pb.AuthUserGetResponse, error) {
	resp, err := query[*pb.AuthUserGetResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// UserList implements pb.AuthServer.
func (s *authServer) UserList(ctx context.Context, r *pb.AuthUserListRequest) (*pb.AuthUserListResponse, error) {
	resp, err := query[*pb.AuthUserListResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// RoleGet implements pb.AuthServer.
func (s *authServer) RoleGet(ctx context.Context, r *pb.AuthRoleGetRequest) (*pb.AuthRoleGetResponse, error) {
	resp, err := query[*pb.AuthRoleGetResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}

// RoleList implements pb.AuthServer.
func (s *authServer) RoleList(ctx context.Context, r *pb.AuthRoleListRequest) (*pb.AuthRoleListResponse, error) {
	resp, err := query[*pb.AuthRoleListResponse](ctx, s, r)
	if err != nil {
		return nil, err
	}
	resp.Header = s.headed(resp.Header)
	return resp, nil
}
