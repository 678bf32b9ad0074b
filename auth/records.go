package auth

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/etcd/api/v3/authpb"

	"zebu/mvcc"
)

// The keys of the records: [StateKey], and a letter before the name of a role or user.
const (
	StateKey   = "e"
	rolePrefix = "r"
	userPrefix = "u"
)

// MaxName is the longest name in bytes of a user or role: the longest key that a database of etcd's can have.
const MaxName = 32768

// State is the record beside users and roles.
type State struct {
	Enabled  bool
	Revision uint64 // of users and roles: 1 at birth, then one more with each change
}

const stateLen = 9

// Encode returns the value of the record.
func (s State) Encode() []byte {
	b := []byte{0}
	if s.Enabled {
		b[0] = 1
	}
	return binary.BigEndian.AppendUint64(b, s.Revision)
}

// birth is the State of a cluster that has no record of it.
var birth = State{Revision: 1}

// DecodeState reads the value of the record. Errors wrap mvcc.ErrDamaged.
func DecodeState(b []byte) (State, error) {
	if len(b) != stateLen || b[0] > 1 {
		return State{}, fmt.Errorf("%w: record of authentication %x", mvcc.ErrDamaged, b)
	}
	return State{Enabled: b[0] == 1, Revision: binary.BigEndian.Uint64(b[1:])}, nil
}

// UserKey is the key of the record of a user.
func UserKey(name string) string { return userPrefix + name }

// RoleKey is the key of the record of a role.
func RoleKey(name string) string { return rolePrefix + name }

// Parse tells what a record is about: the user or the role of that name; neither for the record of the State. Errors wrap
// mvcc.ErrDamaged: what Parse has accepted the package reads without looking for errors again.
func Parse(key string, value []byte) (*authpb.User, *authpb.Role, error) {
	if key == StateKey {
		_, err := DecodeState(value)
		return nil, nil, err
	}
	if len(key) < 2 || len(key) > 1+MaxName {
		return nil, nil, fmt.Errorf("%w: record of authentication with a key of %d bytes", mvcc.ErrDamaged, len(key))
	}
	switch key[:1] {
	case userPrefix:
		u := &authpb.User{}
		if err := u.Unmarshal(value); err != nil {
			return nil, nil, fmt.Errorf("%w: record of user %q: %w", mvcc.ErrDamaged, key[1:], err)
		}
		if string(u.Name) != key[1:] {
			return nil, nil, fmt.Errorf("%w: record of user %q has the name %q", mvcc.ErrDamaged, key[1:], u.Name)
		}
		return u, nil, nil
	case rolePrefix:
		r := &authpb.Role{}
		if err := r.Unmarshal(value); err != nil {
			return nil, nil, fmt.Errorf("%w: record of role %q: %w", mvcc.ErrDamaged, key[1:], err)
		}
		if string(r.Name) != key[1:] {
			return nil, nil, fmt.Errorf("%w: record of role %q has the name %q", mvcc.ErrDamaged, key[1:], r.Name)
		}
		return nil, r, nil
	}
	return nil, nil, fmt.Errorf("%w: record of authentication under %q", mvcc.ErrDamaged, key)
}
