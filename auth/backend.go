package auth

import (
	"strings"

	"go.etcd.io/etcd/api/v3/authpb"
	etcd "go.etcd.io/etcd/server/v3/auth"

	"zebu/mvcc"
)

// table is where the records lie: an mvcc.Store.
type table interface {
	Auth(key string) ([]byte, bool)
	AuthFrom(key string, visit func(key string, value []byte) bool)
	SetAuth(key string, value []byte)
	RemoveAuth(key string)
}

// records lets etcd's auth store work on a table. It has no lock and commits nothing: who calls the auth store holds the lock of the
// table, and the table's batch is committed with all else. All records have passed Parse.
type records struct {
	table
}

var _ etcd.AuthBackend = records{}

func (records) CreateAuthBuckets() {}
func (records) ForceCommit()       {}
func (records) Lock()              {}
func (records) Unlock()            {}
func (records) RLock()             {}
func (records) RUnlock()           {}

func (r records) ReadTx() etcd.AuthReadTx   { return r }
func (r records) BatchTx() etcd.AuthBatchTx { return r }

func (r records) state() State {
	value, ok := r.Auth(StateKey)
	if !ok {
		return birth
	}
	s, _ := DecodeState(value)
	return s
}

func (r records) UnsafeReadAuthEnabled() bool    { return r.state().Enabled }
func (r records) UnsafeReadAuthRevision() uint64 { return r.state().Revision }

func (r records) UnsafeSaveAuthEnabled(enabled bool) {
	s := r.state()
	s.Enabled = enabled
	r.SetAuth(StateKey, s.Encode())
}

func (r records) UnsafeSaveAuthRevision(revision uint64) {
	s := r.state()
	s.Revision = revision
	r.SetAuth(StateKey, s.Encode())
}

// Users and roles are read anew each time: the auth store changes what it is given.

func (r records) UnsafeGetUser(name string) *authpb.User {
	value, ok := r.Auth(UserKey(name))
	if !ok {
		return nil
	}
	u, _, _ := Parse(UserKey(name), value)
	return u
}

func (r records) UnsafeGetRole(name string) *authpb.Role {
	value, ok := r.Auth(RoleKey(name))
	if !ok {
		return nil
	}
	_, role, _ := Parse(RoleKey(name), value)
	return role
}

func (r records) UnsafeGetAllUsers() (users []*authpb.User) {
	r.AuthFrom(userPrefix, func(key string, value []byte) bool {
		u, _, _ := Parse(key, value)
		if u != nil {
			users = append(users, u)
		}
		return strings.HasPrefix(key, userPrefix)
	})
	return users
}

func (r records) UnsafeGetAllRoles() (roles []*authpb.Role) {
	r.AuthFrom(rolePrefix, func(key string, value []byte) bool {
		_, role, _ := Parse(key, value)
		if role != nil {
			roles = append(roles, role)
		}
		return strings.HasPrefix(key, rolePrefix)
	})
	return roles
}

func (r records) GetUser(name string) *authpb.User { return r.UnsafeGetUser(name) }
func (r records) GetRole(name string) *authpb.Role { return r.UnsafeGetRole(name) }
func (r records) GetAllUsers() []*authpb.User      { return r.UnsafeGetAllUsers() }
func (r records) GetAllRoles() []*authpb.Role      { return r.UnsafeGetAllRoles() }

func (r records) UnsafePutUser(u *authpb.User) { r.SetAuth(UserKey(string(u.Name)), marshal(u)) }
func (r records) UnsafePutRole(o *authpb.Role) { r.SetAuth(RoleKey(string(o.Name)), marshal(o)) }
func (r records) UnsafeDeleteUser(name string) { r.RemoveAuth(UserKey(name)) }
func (r records) UnsafeDeleteRole(name string) { r.RemoveAuth(RoleKey(name)) }

// marshal cannot fail: it allocates what Size says.
func marshal(m mvcc.Message) []byte {
	b, _ := m.Marshal()
	return b
}
