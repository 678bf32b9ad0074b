package mvcc

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// writer makes the changes of one revision. All that could refuse them is checked before the first.
type writer struct {
	s       *Store
	events  []*mvccpb.Event
	view    View  // opened when something must be read
	failure error // of the storage
}

func (s *Store) writer() *writer { return &writer{s: s} }

// revision is what reads within the transaction see: before its first change the current one, then the next.
func (w *writer) revision() int64 {
	if len(w.events) > 0 {
		return w.s.meta.Revision + 1
	}
	return w.s.meta.Revision
}

// end makes the changes the current revision, if there are any.
func (w *writer) end() { w.s.meta.Revision = w.revision() }

func (w *writer) close() {
	if w.view != nil {
		w.view.Close()
	}
}

// fetch reads a version; after a failure, which stops the server, it gives an empty one.
func (w *writer) fetch(v version) *mvccpb.KeyValue {
	if w.view == nil {
		w.view = w.s.storage.View()
	}
	kv, err := w.s.fetch(w.view, v)
	if err != nil {
		w.failure = err
		return &mvccpb.KeyValue{}
	}
	return kv
}

func (w *writer) put(r *pb.PutRequest) *pb.PutResponse {
	key := string(r.Key)
	e := w.s.index.entry(key)
	value, id := r.Value, LeaseID(r.Lease)
	var prev *mvccpb.KeyValue
	if n := len(e.live.versions); n > 0 && (r.PrevKv || r.IgnoreValue || r.IgnoreLease) {
		prev = w.fetch(e.live.versions[n-1])
	}
	if r.IgnoreValue && prev != nil {
		value = prev.Value
	}
	if r.IgnoreLease && prev != nil {
		id = LeaseID(prev.Lease)
	}
	kv := &mvccpb.KeyValue{
		Key:            r.Key,
		Value:          value,
		CreateRevision: w.s.meta.Revision + 1,
		ModRevision:    w.s.meta.Revision + 1,
		Version:        e.live.count + 1,
		Lease:          int64(id),
	}
	if len(e.live.versions) > 0 {
		kv.CreateRevision = e.live.created
	}
	e.put(w.record(kv, mvccpb.PUT))
	w.s.attach(key, e, id)
	response := &pb.PutResponse{Header: &pb.ResponseHeader{Revision: kv.ModRevision}}
	if r.PrevKv {
		response.PrevKv = prev
	}
	return response
}

// delete takes out a key that exists.
func (w *writer) delete(key string, e *entry) {
	e.end(w.record(&mvccpb.KeyValue{Key: []byte(key)}, mvccpb.DELETE))
	w.s.attach(key, e, 0)
}

// record puts a change into the batch, the events and what is pending.
func (w *writer) record(kv *mvccpb.KeyValue, t mvccpb.Event_EventType) version {
	s := w.s
	r := Revision{s.meta.Revision + 1, int64(len(w.events))}
	value, err := kv.Marshal()
	if err != nil { // it has no way to fail
		w.failure = err
	}
	key := appendChangeKey(make([]byte, 0, tombstoneKeyLen), r, t == mvccpb.DELETE)
	s.write(Op{Key: key, Value: value})
	s.batch.stored = append(s.batch.stored, r)
	size := len(key) + len(value)
	s.size += int64(size)
	if t == mvccpb.DELETE {
		kv = &mvccpb.KeyValue{Key: kv.Key, ModRevision: r.Main}
	}
	s.pending[r] = kv
	w.events = append(w.events, &mvccpb.Event{Type: t, Kv: kv})
	return version{main: r.Main, sub: uint32(r.Sub), size: uint32(size)}
}

func (w *writer) deleteRange(r *pb.DeleteRangeRequest) *pb.DeleteRangeResponse {
	response := &pb.DeleteRangeResponse{}
	type victim struct {
		key string
		e   *entry
	}
	var victims []victim
	w.s.index.visit(makeInterval(r.Key, r.RangeEnd), func(key string, e *entry) bool {
		if len(e.live.versions) > 0 {
			victims = append(victims, victim{key, e})
		}
		return true
	})
	for _, v := range victims {
		if r.PrevKv {
			response.PrevKvs = append(response.PrevKvs, w.fetch(v.e.live.versions[len(v.e.live.versions)-1]))
		}
		w.delete(v.key, v.e)
	}
	response.Deleted = int64(len(victims))
	response.Header = &pb.ResponseHeader{Revision: w.revision()}
	return response
}
