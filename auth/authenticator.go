package auth

import (
	"context"
	"encoding/base64"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	etcd "go.etcd.io/etcd/server/v3/auth"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"zebu/mvcc"
)

// Node is what an [Authenticator] needs of its server: a part of gateway.Node.
type Node interface {
	Propose(ctx context.Context, r mvcc.Record) (mvcc.Result, error)
	ReadPoint(ctx context.Context) error
	Read(f func(*mvcc.Store))
}

// Authenticator is the gateway.Authenticator of a server whose mvcc.Store has an [Authority] of the same [Keeper].
type Authenticator struct {
	keeper *Keeper
	node   Node
}

// Authenticator makes that of a server.
func (k *Keeper) Authenticator(n Node) *Authenticator { return &Authenticator{k, n} }

// Identify implements gateway.Authenticator.
func (a *Authenticator) Identify(ctx context.Context) (user string, revision uint64, err error) {
	state := a.keeper.state.Load()
	if !state.Enabled {
		return "", 0, nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	values, ok := md[rpctypes.TokenFieldNameGRPC]
	if !ok {
		values, ok = md[rpctypes.TokenFieldNameSwagger]
	}
	if !ok {
		if user = certified(ctx, md); user == "" {
			return "", 0, nil
		}
		return user, state.Revision, nil
	}
	token := ""
	if len(values) > 0 {
		token = strings.TrimPrefix(values[0], "Bearer ")
	}
	if a.keeper.signed == nil {
		return a.holder(ctx, token)
	}
	if user, revision, ok = a.keeper.signed.read(ctx, token); !ok {
		return "", 0, rpctypes.ErrGRPCInvalidAuthToken
	}
	return user, revision, nil
}

// certified is the name in the certificate that a client has shown and the server verified. The JSON gateway shows its own,
// which stands for nobody.
func certified(ctx context.Context, md metadata.MD) string {
	p, ok := peer.FromContext(ctx)
	if !ok || len(md["grpcgateway-accept"]) > 0 {
		return ""
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return ""
	}
	return info.State.VerifiedChains[0][0].Subject.CommonName
}

// holder tells whose a simple token is. It waits for what is on its way to this server if the token may be among that.
func (a *Authenticator) holder(ctx context.Context, token string) (user string, revision uint64, err error) {
	user, revision, ok := a.keeper.lookUp(token)
	if ok {
		return user, revision, nil
	}
	z, ok := tokenZxid(token)
	if !ok {
		return "", 0, rpctypes.ErrGRPCInvalidAuthToken
	}
	lags := false
	a.node.Read(func(s *mvcc.Store) { lags = s.Applied() < z })
	if lags {
		if err := a.node.ReadPoint(ctx); err != nil {
			return "", 0, err
		}
	}
	if user, revision, ok = a.keeper.lookUp(token); !ok {
		return "", 0, rpctypes.ErrGRPCInvalidAuthToken
	}
	return user, revision, nil
}

// Authenticate implements gateway.Authenticator. A web token has in it what it was made under, so none is proposed.
func (a *Authenticator) Authenticate(ctx context.Context, r *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	for {
		if err := a.node.ReadPoint(ctx); err != nil {
			return nil, err
		}
		checked, err := a.checkPassword(r.Name, r.Password)
		if err != nil {
			return nil, outcome(err)
		}
		if a.keeper.signed != nil {
			token, err := a.keeper.signed.sign(ctx, r.Name, checked)
			if err != nil {
				return nil, outcome(err)
			}
			return &pb.AuthenticateResponse{Token: token}, nil
		}
		drawn, err := drawToken()
		if err != nil {
			return nil, outcome(err)
		}
		result, err := a.node.Propose(ctx, mvcc.NewRecord(&pb.InternalAuthenticateRequest{Name: r.Name, SimpleToken: drawn}))
		if err == nil {
			err = result.Err
		}
		if err != nil {
			return nil, err
		}
		if a.keeper.state.Load().Revision == checked {
			response, _ := result.Response.(*pb.AuthenticateResponse)
			return response, nil
		}
		// The password may have been changed before the record was applied.
	}
}

// checkPassword returns the revision at which the password was a user's.
func (a *Authenticator) checkPassword(user, password string) (revision uint64, err error) {
	var hash []byte
	a.node.Read(func(s *mvcc.Store) {
		r := records{s}
		state := r.state()
		u := r.GetUser(user)
		switch {
		case !state.Enabled:
			err = etcd.ErrAuthNotEnabled
		case u == nil:
			err = etcd.ErrAuthFailed
		case u.Options != nil && u.Options.NoPassword:
			err = etcd.ErrNoPasswordUser
		default:
			hash, revision = u.Password, state.Revision
		}
	})
	if err == nil && bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil {
		err = etcd.ErrAuthFailed
	}
	return revision, err
}

// Prepare implements gateway.Authenticator.
func (a *Authenticator) Prepare(request mvcc.Message) error {
	switch r := request.(type) {
	case *pb.AuthUserAddRequest:
		if r.Options != nil && r.Options.NoPassword {
			r.Password, r.HashedPassword = "", ""
			return nil
		}
		return a.hash(&r.Password, &r.HashedPassword)
	case *pb.AuthUserChangePasswordRequest:
		if r.Password == "" {
			return nil
		}
		return a.hash(&r.Password, &r.HashedPassword)
	}
	return nil
}

// hash replaces a password by its hash.
func (a *Authenticator) hash(password, hashed *string) error {
	b, err := bcrypt.GenerateFromPassword([]byte(*password), a.keeper.cost)
	if err != nil {
		return outcome(err) // it is too long
	}
	*password, *hashed = "", base64.StdEncoding.EncodeToString(b)
	return nil
}

// Permit implements gateway.Authenticator.
func (a *Authenticator) Permit(s *mvcc.Store, user string, revision uint64, r mvcc.Message) error {
	authority := of(s)
	if authority == nil {
		return nil
	}
	return outcome(authority.may(&etcd.AuthInfo{Username: user, Revision: revision}, r))
}

// Query implements gateway.Authenticator.
func (a *Authenticator) Query(s *mvcc.Store, request mvcc.Message) (mvcc.Message, error) {
	authority := of(s)
	if authority == nil {
		return nil, rpctypes.ErrGRPCAuthNotEnabled
	}
	response, err := authority.query(request)
	if err != nil {
		return nil, outcome(err)
	}
	return response, nil
}

func (a *Authority) query(request mvcc.Message) (mvcc.Message, error) {
	switch r := request.(type) {
	case *pb.AuthStatusRequest:
		return &pb.AuthStatusResponse{Enabled: a.etcd.IsAuthEnabled(), AuthRevision: a.etcd.Revision()}, nil
	case *pb.AuthUserGetRequest:
		return a.etcd.UserGet(r)
	case *pb.AuthUserListRequest:
		return a.etcd.UserList(r)
	case *pb.AuthRoleGetRequest:
		return a.etcd.RoleGet(r)
	case *pb.AuthRoleListRequest:
		return a.etcd.RoleList(r)
	}
	return nil, status.Errorf(codes.Unimplemented, "no query: %T", request)
}
