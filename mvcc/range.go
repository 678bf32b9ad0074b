package mvcc

import (
	"bytes"
	"math"
	"sort"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Read is a range request of which all is decided and only the reading of values is left. It is of one revision, whatever
// is applied or compacted meanwhile.
type Read struct {
	request  *pb.RangeRequest
	revision int64 // for the header
	count    int64
	versions []version
	one      [1]version                    // room for the version that most reads are about
	pending  map[Revision]*mvccpb.KeyValue // those of versions that are not stored yet
	view     View
	given    int64 // keys in parts
	more     bool  // parts leave keys out for the limit
}

// Range answers a range request that [Check] has passed: ErrCompacted, ErrFutureRev, or a failure of the storage, which
// is none of this package's outcomes.
func (s *Store) Range(r *pb.RangeRequest) (*pb.RangeResponse, error) {
	read, err := s.StartRange(r)
	if err != nil {
		return nil, err
	}
	return read.Finish()
}

// StartRange does what needs the Store: it finds the versions in question. [Read.Finish] must be called, and does not need
// the Store.
func (s *Store) StartRange(r *pb.RangeRequest) (*Read, error) {
	read, err := s.selectRange(r, s.meta.Revision)
	if err != nil {
		return nil, err
	}
	for _, v := range read.versions {
		if v.main <= s.stored {
			continue
		}
		if kv, ok := s.pending[v.revision()]; ok {
			if read.pending == nil {
				read.pending = map[Revision]*mvccpb.KeyValue{}
			}
			read.pending[v.revision()] = kv
		}
	}
	if len(read.versions) > len(read.pending) {
		read.view = s.storage.View()
	}
	return read, nil
}

// selectRange finds the versions that a request asks for, with current as the newest revision there is.
func (s *Store) selectRange(r *pb.RangeRequest, current int64) (*Read, error) {
	rev := r.Revision
	if rev <= 0 {
		rev = current
	}
	switch {
	case rev > current:
		return nil, ErrFutureRev
	case rev < s.meta.Scheduled:
		return nil, ErrCompacted
	}
	read := &Read{request: r, revision: current}
	limit := int64(math.MaxInt64)
	if r.Limit > 0 && r.SortOrder == pb.RangeRequest_NONE && !filtered(r) {
		// One more than asked for tells whether there are more. With a target to sort by, but no order, etcd sorts it in
		// with the others before it cuts, and so do we. What is ordered or filtered can be cut only afterwards.
		limit = min(r.Limit, math.MaxInt64-1) + 1
	}
	read.versions = read.one[:0]
	s.index.visit(makeInterval(r.Key, r.RangeEnd), func(_ string, e *entry) bool {
		v, _, _, ok := e.find(rev)
		if !ok {
			return true
		}
		read.count++
		if !r.CountOnly && int64(len(read.versions)) < limit {
			read.versions = append(read.versions, v)
		}
		return true
	})
	return read, nil
}

func filtered(r *pb.RangeRequest) bool {
	return r.MinModRevision != 0 || r.MaxModRevision != 0 || r.MinCreateRevision != 0 || r.MaxCreateRevision != 0
}

// Finish reads the values and makes the answer.
func (r *Read) Finish() (*pb.RangeResponse, error) {
	defer r.Close()
	return r.answer(r.get)
}

// Close lets go of what the read holds. Finish does so too, and Part with the last part.
func (r *Read) Close() {
	if r.view != nil {
		r.view.Close()
		r.view = nil
	}
}

func (r *Read) get(v version) (*mvccpb.KeyValue, error) {
	if kv, ok := r.pending[v.revision()]; ok {
		copied := *kv
		return &copied, nil
	}
	return fetch(r.view, v)
}

// InParts tells whether a request can be answered with [Read.Part]: its answer is in the order of keys and not filtered.
func InParts(r *pb.RangeRequest) bool {
	byKey := r.SortTarget == pb.RangeRequest_KEY && r.SortOrder != pb.RangeRequest_DESCEND
	return byKey && !filtered(r)
}

// Part reads up to n more keys, for RangeStream: the parts together have the keys that Finish has. The last alone has header, count
// and more.
func (r *Read) Part(n int) (part *pb.RangeResponse, last bool, err error) {
	if limit := r.request.Limit; limit > 0 && int64(len(r.versions)) > limit-r.given {
		r.versions, r.more = r.versions[:limit-r.given], true
	}
	n = min(n, len(r.versions))
	part = &pb.RangeResponse{}
	for _, v := range r.versions[:n] {
		kv, err := r.get(v)
		if err != nil {
			return nil, false, err
		}
		if r.request.KeysOnly {
			kv.Value = nil
		}
		part.Kvs = append(part.Kvs, kv)
	}
	r.versions, r.given = r.versions[n:], r.given+int64(n)
	if len(r.versions) > 0 {
		return part, false, nil
	}
	r.Close()
	part.Header, part.Count, part.More = &pb.ResponseHeader{Revision: r.revision}, r.count, r.more
	return part, true, nil
}

func (r *Read) answer(get func(version) (*mvccpb.KeyValue, error)) (*pb.RangeResponse, error) {
	resp := &pb.RangeResponse{
		Header: &pb.ResponseHeader{Revision: r.revision},
		Count:  r.count,
		Kvs:    make([]*mvccpb.KeyValue, 0, len(r.versions)),
	}
	q := r.request
	for _, v := range r.versions {
		kv, err := get(v)
		if err != nil {
			return nil, err
		}
		if matches(q, kv) {
			resp.Kvs = append(resp.Kvs, kv)
		}
	}
	sortKVs(resp.Kvs, q.SortTarget, q.SortOrder)
	if q.Limit > 0 && int64(len(resp.Kvs)) > q.Limit {
		resp.Kvs = resp.Kvs[:q.Limit]
		resp.More = true
	}
	if q.KeysOnly {
		for _, kv := range resp.Kvs {
			kv.Value = nil
		}
	}
	return resp, nil
}

func matches(r *pb.RangeRequest, kv *mvccpb.KeyValue) bool {
	return (r.MaxModRevision == 0 || kv.ModRevision <= r.MaxModRevision) &&
		(r.MinModRevision == 0 || kv.ModRevision >= r.MinModRevision) &&
		(r.MaxCreateRevision == 0 || kv.CreateRevision <= r.MaxCreateRevision) &&
		(r.MinCreateRevision == 0 || kv.CreateRevision >= r.MinCreateRevision)
}

// kvSort sorts as etcd does, which is not stable: with the same algorithm ties fall alike.
type kvSort struct {
	kvs  []*mvccpb.KeyValue
	less func(a, b *mvccpb.KeyValue) bool
}

func (s kvSort) Len() int           { return len(s.kvs) }
func (s kvSort) Swap(i, j int)      { s.kvs[i], s.kvs[j] = s.kvs[j], s.kvs[i] }
func (s kvSort) Less(i, j int) bool { return s.less(s.kvs[i], s.kvs[j]) }

var lessBy = map[pb.RangeRequest_SortTarget]func(a, b *mvccpb.KeyValue) bool{
	pb.RangeRequest_KEY:     func(a, b *mvccpb.KeyValue) bool { return bytes.Compare(a.Key, b.Key) < 0 },
	pb.RangeRequest_VERSION: func(a, b *mvccpb.KeyValue) bool { return a.Version < b.Version },
	pb.RangeRequest_CREATE:  func(a, b *mvccpb.KeyValue) bool { return a.CreateRevision < b.CreateRevision },
	pb.RangeRequest_MOD:     func(a, b *mvccpb.KeyValue) bool { return a.ModRevision < b.ModRevision },
	pb.RangeRequest_VALUE:   func(a, b *mvccpb.KeyValue) bool { return bytes.Compare(a.Value, b.Value) < 0 },
}

// sortKVs sorts what lies in key order. No order means ascending for every target but the key.
func sortKVs(kvs []*mvccpb.KeyValue, target pb.RangeRequest_SortTarget, order pb.RangeRequest_SortOrder) {
	by := kvSort{kvs, lessBy[target]}
	switch {
	case order == pb.RangeRequest_DESCEND:
		sort.Sort(sort.Reverse(by))
	case target != pb.RangeRequest_KEY:
		sort.Sort(by)
	}
}
