package sim

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
)

// EtcdHistory is what users of the etcd API asked in a run and were told, for a model of etcd to judge. Messages are etcd's, encoded; records
// are those of package mvcc. Times are the numbers of events, of which no two happen at once.
type EtcdHistory struct {
	Operations []EtcdOperation
	Watches    []EtcdWatch
	Committed  [][]byte // all records that were committed, in order
}

// EtcdOperation is one request.
type EtcdOperation struct {
	Client    int
	Record    []byte // of a mutation
	Range     []byte // of a read: a RangeRequest
	Response  []byte
	Call      int64
	Return    int64  // 0 if its outcome is not known
	Refused   string // why it has changed nothing
	Persisted bool   // a server proposed it, and it was committed; nobody was told its response
	Revision  int64  // of the response
}

// EtcdWatch is a watch as long as it stayed at one server.
type EtcdWatch struct {
	Client    int
	Key, End  string
	Revision  int64 // to begin with, 0: what comes
	PrevKV    bool
	Responses [][]byte // WatchResponses; those without events tell how far the watch is
}

// etcdHistory collects what there is to tell when a run has ended.
func (w *World) etcdHistory() *EtcdHistory {
	h := &EtcdHistory{}
	for _, op := range w.etcd.ops {
		if !op.dropped {
			h.Operations = append(h.Operations, op.export(w))
		}
	}
	client := len(w.users)
	for _, z := range w.committedEtcd() {
		body := w.etcd.bodies[z]
		h.Committed = append(h.Committed, body)
		r, err := mvcc.DecodeRecord(body)
		if err != nil {
			w.failf("%s: %v", zx(z), err)
			return h
		}
		if r.Own() {
			h.Operations = append(h.Operations, EtcdOperation{
				Client: client, Record: body, Call: w.etcd.logged[z], Return: w.etcd.at[z].time, Persisted: true,
			})
			client++
		}
	}
	for _, x := range w.etcd.watchers {
		for _, watch := range x.watches {
			h.Watches = append(h.Watches, watch.export(w, x.id))
		}
	}
	return h
}

func (op *etcdOp) export(w *World) EtcdOperation {
	o := EtcdOperation{Client: op.user.id, Call: op.begun, Return: op.ended, Revision: op.revision}
	if r, ok := op.request.(*pb.RangeRequest); ok {
		o.Range = w.marshal(r)
	} else {
		o.Record = op.call.Record
	}
	if op.refused != nil {
		o.Refused = op.refused.Error()
	}
	if op.response != nil {
		o.Response = w.marshal(op.response)
	}
	return o
}

func (watch *etcdWatch) export(w *World, client int) EtcdWatch {
	e := EtcdWatch{Client: client, Key: watch.from, End: watch.prefix, Revision: watch.revision, PrevKV: watch.prev}
	for _, t := range watch.told {
		e.Responses = append(e.Responses, w.marshal(&pb.WatchResponse{Header: &pb.ResponseHeader{Revision: t.revision}, Events: t.events}))
	}
	return e
}

// marshal encodes a message.
func (w *World) marshal(m mvcc.Message) []byte {
	b := make([]byte, m.Size())
	if _, err := m.MarshalToSizedBuffer(b); err != nil {
		w.failf("%v", err)
	}
	return b
}
