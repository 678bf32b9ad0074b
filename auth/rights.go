package auth

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	etcd "go.etcd.io/etcd/server/v3/auth"

	"zebu/mvcc"
)

// What requests on keys take: spec etcd 1.7, in the order in which etcd asks, for the first refusal is the one that is told.

func (a *Authority) mayPut(who *etcd.AuthInfo, r *pb.PutRequest) error {
	if err := a.etcd.IsPutPermitted(who, r.Key); err != nil {
		return err
	}
	// Who could not revoke a lease may not hang a key on it either.
	if err := a.mayWriteKeys(who, r.Lease); err != nil {
		return err
	}
	if r.PrevKv {
		return a.etcd.IsRangePermitted(who, r.Key, nil)
	}
	return nil
}

func (a *Authority) mayDelete(who *etcd.AuthInfo, r *pb.DeleteRangeRequest) error {
	if err := a.etcd.IsDeleteRangePermitted(who, r.Key, r.RangeEnd); err != nil {
		return err
	}
	if r.PrevKv {
		return a.etcd.IsRangePermitted(who, r.Key, r.RangeEnd)
	}
	return nil
}

func (a *Authority) mayTxn(who *etcd.AuthInfo, r *pb.TxnRequest) error {
	for _, c := range r.Compare {
		if err := a.etcd.IsRangePermitted(who, c.Key, c.RangeEnd); err != nil {
			return err
		}
	}
	for _, branch := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range branch {
			if err := a.mayOp(who, op); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *Authority) mayOp(who *etcd.AuthInfo, op *pb.RequestOp) error {
	switch o := op.Request.(type) {
	case *pb.RequestOp_RequestRange:
		return a.etcd.IsRangePermitted(who, o.RequestRange.Key, o.RequestRange.RangeEnd)
	case *pb.RequestOp_RequestPut:
		return a.mayPut(who, o.RequestPut)
	case *pb.RequestOp_RequestDeleteRange:
		if d := o.RequestDeleteRange; d.PrevKv {
			if err := a.etcd.IsRangePermitted(who, d.Key, d.RangeEnd); err != nil {
				return err
			}
		}
		return a.etcd.IsDeleteRangePermitted(who, o.RequestDeleteRange.Key, o.RequestDeleteRange.RangeEnd)
	case *pb.RequestOp_RequestTxn:
		return a.mayTxn(who, o.RequestTxn)
	}
	return nil
}

// mayWriteKeys is for all that is done to a lease: its keys are changed when it ends. A lease that is not there has none.
func (a *Authority) mayWriteKeys(who *etcd.AuthInfo, lease int64) error {
	return a.eachKey(who, lease, func(key []byte) error { return a.etcd.IsPutPermitted(who, key) })
}

func (a *Authority) mayReadKeys(who *etcd.AuthInfo, lease int64) error {
	return a.eachKey(who, lease, func(key []byte) error { return a.etcd.IsRangePermitted(who, key, nil) })
}

// eachKey asks about each key of a lease, with an administrator about none.
func (a *Authority) eachKey(who *etcd.AuthInfo, lease int64, ask func(key []byte) error) error {
	if lease == 0 || a.etcd.IsAdminPermitted(who) == nil {
		return nil
	}
	for _, key := range a.store.LeaseKeys(mvcc.LeaseID(lease)) {
		if err := ask([]byte(key)); err != nil {
			return err
		}
	}
	return nil
}

// may is what [Authenticator.Permit] asks.
func (a *Authority) may(who *etcd.AuthInfo, request mvcc.Message) error {
	if !a.etcd.IsAuthEnabled() {
		return nil
	}
	switch r := request.(type) {
	case *pb.RangeRequest:
		return a.etcd.IsRangePermitted(who, r.Key, r.RangeEnd)
	case *pb.WatchCreateRequest:
		key := r.Key
		if len(key) == 0 {
			key = []byte{0}
		}
		return a.etcd.IsRangePermitted(who, key, r.RangeEnd)
	case *pb.TxnRequest:
		return a.mayTxn(who, r)
	}
	if who.Username == "" {
		return etcd.ErrUserEmpty
	}
	switch r := request.(type) {
	case *pb.LeaseKeepAliveRequest:
		return a.mayWriteKeys(who, r.ID)
	case *pb.LeaseTimeToLiveRequest:
		if r.Keys {
			return a.mayReadKeys(who, r.ID)
		}
		return nil
	case *pb.LeaseLeasesRequest:
		return a.mayListLeases(who)
	case *pb.LeaseGrantRequest, *pb.LeaseRevokeRequest, *pb.StatusRequest, *pb.MemberListRequest:
		return nil
	case *pb.AlarmRequest:
		if r.Action == pb.AlarmRequest_GET {
			return nil
		}
	case *pb.AuthUserGetRequest:
		if r.Name == who.Username {
			return nil
		}
	case *pb.AuthRoleGetRequest:
		if a.etcd.HasRole(who.Username, r.Role) {
			return nil
		}
	}
	return a.etcd.IsAdminPermitted(who)
}

func (a *Authority) mayListLeases(who *etcd.AuthInfo) error {
	if a.etcd.IsAdminPermitted(who) == nil {
		return nil
	}
	for _, l := range a.store.Leases() {
		if err := a.mayReadKeys(who, int64(l.ID)); err != nil {
			return err
		}
	}
	return nil
}
