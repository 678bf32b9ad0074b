package auth

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	etcd "go.etcd.io/etcd/server/v3/auth"
	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"
)

// TokenTTL is how long a simple token lives without being used, as in etcd.
const TokenTTL = 300 * time.Second

// Options are what an operator may choose. The zero Options are etcd's defaults.
type Options struct {
	// Tokens is the kind of token, as etcd's --auth-token: "simple" (also if empty), or "jwt" with its options behind
	// commas: sign-method, pub-key and priv-key (files), ttl. All servers must have the same kind, and with jwt keys
	// that go together.
	Tokens string
	// TokenTTL is how long a simple token lives without being used; 0 is [TokenTTL].
	TokenTTL time.Duration
	// Cost of a password's hash, 4 to 31: each takes twice the time of the one before. 0 is 10, about 50 ms.
	Cost int
	// Log gets what administrators change and who is refused; nil is none.
	Log *zap.Logger
}

// Keeper is what a server knows of authentication beside the replicated state: the tokens that were given out. There is one in a
// process, whatever becomes of its mvcc.Store.
type Keeper struct {
	log      *zap.Logger
	cost     int
	provider etcd.TokenProvider // of JSON web tokens; one that has none if tokens are simple
	tokens   tokens
	signed   *webTokens // nil if tokens are simple

	// Of the newest Authority. It is for those who do not hold the Store's lock, and may lag.
	state atomic.Pointer[State]
}

// New makes a Keeper. It reads the files that the options name.
func New(o Options) (*Keeper, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.TokenTTL == 0 {
		o.TokenTTL = TokenTTL
	}
	switch {
	case o.Cost == 0:
		o.Cost = bcrypt.DefaultCost
	case o.Cost < bcrypt.MinCost || o.Cost > bcrypt.MaxCost:
		return nil, fmt.Errorf("cost %d of a password's hash is not between %d and %d", o.Cost, bcrypt.MinCost, bcrypt.MaxCost)
	}
	k := &Keeper{log: o.Log, cost: o.Cost, tokens: tokens{ttl: o.TokenTTL, now: time.Now}}
	k.state.Store(&birth)
	var err error
	switch kind, _, _ := strings.Cut(o.Tokens, ","); {
	case o.Tokens == "" || o.Tokens == "simple":
		k.provider, err = etcd.NewTokenProvider(o.Log, "", nil, 0)
	case kind == "jwt":
		if k.provider, err = etcd.NewTokenProvider(o.Log, o.Tokens, nil, 0); err == nil {
			k.signed, err = newWebTokens(k.provider)
		}
	default:
		return nil, fmt.Errorf("tokens of kind %q: there are \"simple\" and \"jwt,...\"", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("tokens %q: %w", o.Tokens, err)
	}
	return k, nil
}

// lookUp tells whose a simple token is. The revision is one at which it was good: it is read first, for a change makes tokens
// worthless before it shows.
func (k *Keeper) lookUp(token string) (user string, revision uint64, ok bool) {
	revision = k.state.Load().Revision
	user, ok = k.tokens.user(token)
	return user, revision, ok
}
