package auth

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	etcd "go.etcd.io/etcd/server/v3/auth"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc/metadata"

	"zebu/mvcc"
)

// webTokens are JSON web tokens as etcd makes them, which have name, revision and end of validity in them. etcd's code for them is to be
// reached through an auth store only: here each has records of its own, that know just what is to be signed.
type webTokens struct {
	provider etcd.TokenProvider
	reader   etcd.AuthStore
}

func newWebTokens(provider etcd.TokenProvider) (*webTokens, error) {
	w := &webTokens{provider: provider}
	var err error
	w.reader, err = w.storeOf(nil, 1)
	return w, err
}

func (w *webTokens) storeOf(u *authpb.User, revision uint64) (etcd.AuthStore, error) {
	scratch, err := mvcc.Open(&mvcc.Memory{}, mvcc.Options{})
	if err != nil {
		return nil, err
	}
	r := records{scratch}
	r.SetAuth(StateKey, State{Enabled: true, Revision: revision}.Encode())
	if u != nil {
		r.UnsafePutUser(u)
	}
	return etcd.NewAuthStore(nil, r, w.provider, bcrypt.MinCost), nil
}

// sign makes a token. It fails on a server that has only the key to check tokens with.
func (w *webTokens) sign(ctx context.Context, user string, revision uint64) (string, error) {
	store, err := w.storeOf(&authpb.User{Name: []byte(user)}, revision)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	response, err := store.Authenticate(ctx, user, "")
	if err != nil {
		return "", err
	}
	return response.Token, nil
}

// read checks a token, and tells whose it is and with which revision.
func (w *webTokens) read(ctx context.Context, token string) (user string, revision uint64, ok bool) {
	ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(rpctypes.TokenFieldNameGRPC, token))
	info, err := w.reader.AuthInfoFromCtx(ctx)
	if err != nil || info == nil {
		return "", 0, false
	}
	return info.Username, info.Revision, true
}
