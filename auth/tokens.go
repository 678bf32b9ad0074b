package auth

import (
	"crypto/rand"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"time"

	"zebu/proto"
)

const (
	tokenLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	tokenLength  = 16
)

// drawToken draws what a simple token begins with.
func drawToken() (string, error) {
	b := make([]byte, tokenLength)
	for i := range b {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(tokenLetters))))
		if err != nil {
			return "", err
		}
		b[i] = tokenLetters[n.Int64()]
	}
	return string(b), nil
}

// simpleToken is the token of the record at z: its end tells a server whether it has applied what the token came from.
func simpleToken(drawn string, z proto.Zxid) string {
	return drawn + "." + strconv.FormatInt(int64(z), 10)
}

// tokenZxid is the record that a simple token came from.
func tokenZxid(token string) (proto.Zxid, bool) {
	_, end, _ := strings.Cut(token, ".")
	z, err := strconv.ParseInt(end, 10, 64)
	return proto.Zxid(z), err == nil && z > 0
}

// tokens are the simple tokens that are of use, on every server of an ensemble the same but for their age.
type tokens struct {
	ttl time.Duration // since the last use
	now func() time.Time

	mu    sync.Mutex
	users map[string]*login // by token
	swept time.Time         // when those that are too old were last removed
}

type login struct {
	user string
	used time.Time
}

func (t *tokens) assign(token, user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if t.users == nil {
		t.users = map[string]*login{}
	}
	if now.Sub(t.swept) > t.ttl/10 {
		t.swept = now
		for token, l := range t.users {
			if now.Sub(l.used) > t.ttl {
				delete(t.users, token)
			}
		}
	}
	t.users[token] = &login{user: user, used: now}
}

// user tells whose a token is, and makes it live on.
func (t *tokens) user(token string) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.users[token]
	now := t.now()
	if !ok || now.Sub(l.used) > t.ttl {
		return "", false
	}
	l.used = now
	return l.user, true
}

// forget makes the tokens of a user worthless.
func (t *tokens) forget(user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for token, l := range t.users {
		if l.user == user {
			delete(t.users, token)
		}
	}
}

func (t *tokens) forgetAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.users)
}
