package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
)

// etcdView is what a transaction of the etcd API asks for. Sizes and data of values stand in the opView around it.
type etcdView struct {
	Request  string `json:"request"` // in etcd's words: put, deleteRange, txn, …
	Branch   string `json:"branch,omitempty"`
	Key      string `json:"key,omitempty"` // quoted if it is no text
	RangeEnd string `json:"rangeEnd,omitempty"`
	Lease    string `json:"lease,omitempty"`
	TTL      int64  `json:"ttl,omitempty"` // seconds
	Revision int64  `json:"revision,omitempty"`
	Name     string `json:"name,omitempty"` // of a user or a role
	Role     string `json:"role,omitempty"`
	Compares int    `json:"compares,omitempty"`
	User     string `json:"user,omitempty"`  // who asked for it
	Epoch    int32  `json:"epoch,omitempty"` // the only one in which it has an effect

	span string // key and range end, to print
}

// viewEtcd decodes a transaction of the etcd API. Whether it changed anything was decided when it was applied, and is not in the log.
func (v *opView) viewEtcd(d *proto.Decoder, data bool) {
	rec, err := mvcc.DecodeRecord(d.Buf())
	if err != nil {
		v.Note = err.Error()
		return
	}
	v.viewRequest(rec.Request, data)
	v.Etcd.User, v.Etcd.Epoch = rec.User, int32(rec.Epoch)
}

func (v *opView) viewRequest(m mvcc.Message, data bool) {
	e := &etcdView{}
	v.Etcd = e
	switch q := m.(type) {
	case *pb.PutRequest:
		e.Request, e.Lease = "put", leaseText(q.Lease)
		e.keys(q.Key, nil)
		n := len(q.Value)
		v.Size = &n
		if data {
			v.Data = q.Value
		}
	case *pb.DeleteRangeRequest:
		e.Request = "deleteRange"
		e.keys(q.Key, q.RangeEnd)
	case *pb.RangeRequest:
		e.Request, e.Revision = "range", q.Revision
		e.keys(q.Key, q.RangeEnd)
	case *pb.TxnRequest:
		e.Request, e.Compares = "txn", len(q.Compare)
		v.viewBranch("then", q.Success, data)
		v.viewBranch("else", q.Failure, data)
	case *pb.CompactionRequest:
		e.Request, e.Revision = "compact", q.Revision
	case *pb.LeaseGrantRequest:
		e.Request, e.Lease, e.TTL = "leaseGrant", leaseText(q.ID), q.TTL
	case *pb.LeaseRevokeRequest:
		e.Request, e.Lease = "leaseRevoke", leaseText(q.ID)
	case *pb.LeaseCheckpointRequest:
		e.Request = "leaseCheckpoint"
		for _, c := range q.Checkpoints {
			v.Ops = append(v.Ops, opView{Type: "etcd", Etcd: &etcdView{Request: "checkpoint", Lease: leaseText(c.ID), TTL: c.Remaining_TTL}})
		}
	case *pb.AlarmRequest:
		e.Request = "alarm"
		v.Flags = []string{strings.ToLower(q.Action.String()), q.Alarm.String()}
	default:
		e.viewAuth(m)
	}
}

func (v *opView) viewBranch(branch string, ops []*pb.RequestOp, data bool) {
	for _, op := range ops {
		sub := opView{Type: "etcd"}
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestPut:
			sub.viewRequest(o.RequestPut, data)
		case *pb.RequestOp_RequestDeleteRange:
			sub.viewRequest(o.RequestDeleteRange, data)
		case *pb.RequestOp_RequestRange:
			sub.viewRequest(o.RequestRange, data)
		case *pb.RequestOp_RequestTxn:
			sub.viewRequest(o.RequestTxn, data)
		default:
			continue // such a record is not decoded
		}
		sub.Etcd.Branch = branch
		v.Ops = append(v.Ops, sub)
	}
}

// viewAuth is for requests about users and roles. Hashes of passwords are not shown.
func (e *etcdView) viewAuth(m mvcc.Message) {
	switch q := m.(type) {
	case *pb.InternalAuthenticateRequest:
		e.Request, e.Name = "authenticate", q.Name
	case *pb.AuthEnableRequest:
		e.Request = "authEnable"
	case *pb.AuthDisableRequest:
		e.Request = "authDisable"
	case *pb.AuthUserAddRequest:
		e.Request, e.Name = "userAdd", q.Name
	case *pb.AuthUserDeleteRequest:
		e.Request, e.Name = "userDelete", q.Name
	case *pb.AuthUserChangePasswordRequest:
		e.Request, e.Name = "userChangePassword", q.Name
	case *pb.AuthUserGrantRoleRequest:
		e.Request, e.Name, e.Role = "userGrantRole", q.User, q.Role
	case *pb.AuthUserRevokeRoleRequest:
		e.Request, e.Name, e.Role = "userRevokeRole", q.Name, q.Role
	case *pb.AuthRoleAddRequest:
		e.Request, e.Name = "roleAdd", q.Name
	case *pb.AuthRoleDeleteRequest:
		e.Request, e.Name = "roleDelete", q.Role
	case *pb.AuthRoleGrantPermissionRequest:
		e.Request, e.Name = "roleGrantPermission", q.Name
		if q.Perm != nil {
			e.keys(q.Perm.Key, q.Perm.RangeEnd)
		}
	case *pb.AuthRoleRevokePermissionRequest:
		e.Request, e.Name = "roleRevokePermission", q.Role
		e.keys(q.Key, q.RangeEnd)
	default:
		e.Request = fmt.Sprintf("%T", m)
	}
}

func leaseText(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 16) // as etcdctl does
}

// keys sets a key or a range of keys.
func (e *etcdView) keys(key, end []byte) {
	k, to := printable(string(key)), printable(string(end))
	e.Key, e.RangeEnd = jsonKey(key), jsonKey(end)
	switch {
	case len(end) == 0:
		e.span = k
	case bytes.Equal(end, []byte{0}):
		e.span = "from " + k
	case bytes.Equal(end, prefixEnd(key)):
		e.span = "prefix " + k
	default:
		e.span = k + " to " + to
	}
}

func jsonKey(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return strconv.Quote(string(b))
}

// prefixEnd is where the keys with a prefix end; etcd's clients ask for prefixes so.
func prefixEnd(key []byte) []byte {
	end := bytes.Clone(key)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return []byte{0}
}

func (e *etcdView) text() string {
	var b strings.Builder
	if e.Branch != "" {
		fmt.Fprintf(&b, " %s", e.Branch)
	}
	fmt.Fprintf(&b, " %s", e.Request)
	for _, s := range []string{printable(e.Name), printable(e.Role), e.span} {
		if s != "" {
			fmt.Fprintf(&b, " %s", s)
		}
	}
	if e.Compares > 0 {
		fmt.Fprintf(&b, " if %d", e.Compares)
	}
	if e.Revision != 0 {
		fmt.Fprintf(&b, " revision %d", e.Revision)
	}
	if e.Lease != "" {
		fmt.Fprintf(&b, " lease %s", e.Lease)
	}
	if e.TTL != 0 {
		fmt.Fprintf(&b, " ttl %ds", e.TTL)
	}
	if e.User != "" {
		fmt.Fprintf(&b, " user %s", printable(e.User))
	}
	if e.Epoch != 0 {
		fmt.Fprintf(&b, " epoch %d", e.Epoch)
	}
	return b.String()
}
