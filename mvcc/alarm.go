package mvcc

import (
	"cmp"
	"encoding/binary"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

const alarmRecordLen = 1 + 4 + 8

// alarm is one active alarm of a member.
type alarm struct {
	kind   pb.AlarmType
	member uint64
}

func (a alarm) message() *pb.AlarmMember { return &pb.AlarmMember{MemberID: a.member, Alarm: a.kind} }

func alarmKey(a alarm) []byte {
	b := binary.BigEndian.AppendUint32([]byte{prefixAlarm}, uint32(a.kind))
	return binary.BigEndian.AppendUint64(b, a.member)
}

// Alarms lists the active alarms of a type, or all for AlarmType_NONE, by type and member.
func (s *Store) Alarms(t pb.AlarmType) []*pb.AlarmMember {
	var list []*pb.AlarmMember
	for a := range s.alarms {
		if t == pb.AlarmType_NONE || a.kind == t {
			list = append(list, a.message())
		}
	}
	slices.SortFunc(list, func(a, b *pb.AlarmMember) int {
		return cmp.Or(cmp.Compare(a.Alarm, b.Alarm), cmp.Compare(a.MemberID, b.MemberID))
	})
	return list
}

func (s *Store) applyAlarm(r *pb.AlarmRequest) (Message, error) {
	resp := &pb.AlarmResponse{Header: s.header()}
	a := alarm{r.Alarm, r.MemberID}
	_, active := s.alarms[a]
	switch r.Action {
	case pb.AlarmRequest_GET:
		resp.Alarms = s.Alarms(r.Alarm)
	case pb.AlarmRequest_ACTIVATE:
		if r.Alarm == pb.AlarmType_NONE {
			break
		}
		if !active {
			s.alarms[a] = struct{}{}
			s.set(alarmKey(a), []byte{})
			s.size += alarmRecordLen
		}
		resp.Alarms = []*pb.AlarmMember{a.message()}
	case pb.AlarmRequest_DEACTIVATE:
		if !active {
			break
		}
		delete(s.alarms, a)
		s.remove(alarmKey(a))
		s.size -= alarmRecordLen
		resp.Alarms = []*pb.AlarmMember{a.message()}
	}
	return resp, nil
}

// What etcd reckons a write to cost, in bytes, over its key and value.
const (
	changeOverhead = 256
	leaseOverhead  = 64
)

// cost is what a request may add to the size, in bytes, as etcd reckons; 0 if it adds nothing.
func cost(request Message) int64 {
	switch r := request.(type) {
	case *pb.PutRequest:
		return int64(changeOverhead + len(r.Key) + len(r.Value))
	case *pb.TxnRequest:
		return max(costOf(r.Success), costOf(r.Failure))
	case *pb.LeaseGrantRequest:
		return leaseOverhead
	}
	return 0
}

func costOf(ops []*pb.RequestOp) (sum int64) {
	for _, op := range ops {
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestPut:
			sum += cost(o.RequestPut)
		case *pb.RequestOp_RequestTxn:
			sum += cost(o.RequestTxn)
		}
	}
	return sum
}

func (s *Store) exceeds(cost int64) bool {
	return cost > 0 && s.quota > 0 && s.size+cost >= s.quota
}

// Admit is the check before a request is proposed: ErrNoSpace if it might go over the quota. Then the caller answers the
// client with that and proposes the alarm NOSPACE for its member.
func (s *Store) Admit(request Message) error {
	if s.exceeds(cost(request)) {
		return ErrNoSpace
	}
	return nil
}

// barred says why the active alarms forbid a request, nil if they do not.
func (s *Store) barred(k Kind, cost int64) error {
	if len(s.alarms) == 0 {
		return nil
	}
	for a := range s.alarms {
		if a.kind == pb.AlarmType_CORRUPT && k != KindLeaseCheckpoint && k != KindAlarm && k < firstAuthKind {
			return ErrCorrupt
		}
	}
	for a := range s.alarms {
		if a.kind == pb.AlarmType_NOSPACE && cost > 0 {
			return ErrNoSpace
		}
	}
	return nil
}
