package mvcc

import (
	"bytes"
	"cmp"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// decision is which branch a transaction takes, with those of the transactions in that branch, in order.
type decision struct {
	request   *pb.TxnRequest
	succeeded bool
	nested    []decision
}

func (d *decision) branch() []*pb.RequestOp {
	if d.succeeded {
		return d.request.Success
	}
	return d.request.Failure
}

// ReadOnly tells whether a transaction changes nothing whatever it finds, so that it is no matter for the log: it has range
// operations only.
func ReadOnly(r *pb.TxnRequest) bool {
	return every(r, func(op *pb.RequestOp) bool { return op.GetRequestRange() != nil })
}

// Serializable tells whether a transaction may be served from the local state: if every operation is a range that may.
func Serializable(r *pb.TxnRequest) bool {
	return every(r, func(op *pb.RequestOp) bool { return op.GetRequestRange().GetSerializable() })
}

func every(r *pb.TxnRequest, holds func(*pb.RequestOp) bool) bool {
	for _, branch := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range branch {
			if !holds(op) {
				return false
			}
		}
	}
	return true
}

// TxnRead is a transaction for which [ReadOnly] holds and of which all is decided: only the reading of values is left.
type TxnRead struct {
	resp  *pb.TxnResponse
	reads []*Read // the operations of the branch that is taken
}

// StartReadTxn does what needs the Store, reading what values are compared with included. [TxnRead.Finish] must be called, and does not
// need the Store. Errors are as of [Store.Range].
func (s *Store) StartReadTxn(r *pb.TxnRequest) (*TxnRead, error) {
	w := s.writer()
	defer w.close()
	d := w.decide(r)
	if w.failure != nil {
		return nil, w.failure
	}
	if err := s.checkPath(&d); err != nil {
		return nil, err
	}
	t := &TxnRead{resp: &pb.TxnResponse{Header: &pb.ResponseHeader{Revision: s.meta.Revision}, Succeeded: d.succeeded}}
	for _, op := range d.branch() {
		read, err := s.StartRange(op.GetRequestRange())
		if err != nil {
			t.close()
			return nil, err
		}
		t.reads = append(t.reads, read)
	}
	return t, nil
}

func (t *TxnRead) close() {
	for _, read := range t.reads {
		read.Close()
	}
}

// Finish reads the values and makes the answer.
func (t *TxnRead) Finish() (*pb.TxnResponse, error) {
	defer t.close()
	t.resp.Responses = make([]*pb.ResponseOp, 0, len(t.reads))
	for _, read := range t.reads {
		answer, err := read.Finish()
		if err != nil {
			return nil, err
		}
		t.resp.Responses = append(t.resp.Responses, &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: answer}})
	}
	return t.resp, nil
}

func (s *Store) applyTxn(w *writer, r *pb.TxnRequest) (Message, error) {
	resp, outcome := s.runTxn(w, r)
	if outcome != nil {
		return nil, outcome
	}
	w.end()
	return resp, nil
}

// runTxn decides, checks and executes: all compares see the state before the transaction, and nothing is changed
// if a check fails on the path that is taken.
func (s *Store) runTxn(w *writer, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	d := w.decide(r)
	if err := s.checkPath(&d); err != nil {
		return nil, err
	}
	resp, err := w.run(&d)
	if err != nil {
		return nil, err
	}
	resp.Header.Revision = w.revision()
	return resp, nil
}

func (w *writer) decide(r *pb.TxnRequest) decision {
	d := decision{request: r, succeeded: true}
	for _, c := range r.Compare {
		if !w.holds(c) {
			d.succeeded = false
			break
		}
	}
	for _, op := range d.branch() {
		if o, ok := op.Request.(*pb.RequestOp_RequestTxn); ok {
			d.nested = append(d.nested, w.decide(o.RequestTxn))
		}
	}
	return d
}

// holds evaluates a compare, which every key of its range must satisfy.
func (w *writer) holds(c *pb.Compare) bool {
	found, all := false, true
	w.s.index.visit(makeInterval(c.Key, c.RangeEnd), func(_ string, e *entry) bool {
		v, created, number, ok := e.find(w.s.meta.Revision)
		if ok {
			found = true
			all = satisfies(c, w.compared(c, v, created, number))
		}
		return all
	})
	if !found {
		// A missing key has zeros for all but its value, which cannot even be unequal.
		return c.Target != pb.Compare_VALUE && satisfies(c, &mvccpb.KeyValue{})
	}
	return all
}

// compared gives as much of a key as a compare needs; the index knows the numbers.
func (w *writer) compared(c *pb.Compare, v version, created, number int64) *mvccpb.KeyValue {
	if c.Target == pb.Compare_VALUE || c.Target == pb.Compare_LEASE {
		return w.fetch(v)
	}
	return &mvccpb.KeyValue{CreateRevision: created, ModRevision: v.main, Version: number}
}

func satisfies(c *pb.Compare, kv *mvccpb.KeyValue) bool {
	order := 0
	switch c.Target {
	case pb.Compare_VALUE:
		order = bytes.Compare(kv.Value, c.GetValue())
	case pb.Compare_CREATE:
		order = cmp.Compare(kv.CreateRevision, c.GetCreateRevision())
	case pb.Compare_MOD:
		order = cmp.Compare(kv.ModRevision, c.GetModRevision())
	case pb.Compare_VERSION:
		order = cmp.Compare(kv.Version, c.GetVersion())
	case pb.Compare_LEASE:
		order = cmp.Compare(kv.Lease, c.GetLease())
	}
	switch c.Result {
	case pb.Compare_EQUAL:
		return order == 0
	case pb.Compare_NOT_EQUAL:
		return order != 0
	case pb.Compare_GREATER:
		return order > 0
	case pb.Compare_LESS:
		return order < 0
	}
	return true
}

// checkPath holds the operations that are to be executed against the state before them.
func (s *Store) checkPath(d *decision) error {
	nested := d.nested
	for _, op := range d.branch() {
		var err error
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			switch rev := o.RequestRange.Revision; {
			case rev == 0:
			case rev > s.meta.Revision:
				err = ErrFutureRev
			case rev < s.meta.Scheduled: // a negative one too, unlike outside of a transaction
				err = ErrCompacted
			}
		case *pb.RequestOp_RequestPut:
			r := o.RequestPut
			_, leased := s.leases[LeaseID(r.Lease)]
			switch {
			case (r.IgnoreValue || r.IgnoreLease) && !s.exists(r.Key):
				err = ErrKeyNotFound
			case r.Lease != 0 && !leased:
				err = ErrLeaseNotFound
			}
		case *pb.RequestOp_RequestTxn:
			err, nested = s.checkPath(&nested[0]), nested[1:]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// run executes the branch decided on. Headers in it have what etcd puts there: that of a nested transaction stays empty.
func (w *writer) run(d *decision) (*pb.TxnResponse, error) {
	resp := &pb.TxnResponse{Header: &pb.ResponseHeader{}, Succeeded: d.succeeded, Responses: make([]*pb.ResponseOp, 0, len(d.branch()))}
	nested := d.nested
	for _, op := range d.branch() {
		r := &pb.ResponseOp{}
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			read, err := w.s.selectRange(o.RequestRange, w.revision())
			if err != nil {
				return nil, err
			}
			answer, err := read.answer(func(v version) (*mvccpb.KeyValue, error) { return w.fetch(v), w.failure })
			if err != nil {
				return nil, err
			}
			r.Response = &pb.ResponseOp_ResponseRange{ResponseRange: answer}
		case *pb.RequestOp_RequestPut:
			r.Response = &pb.ResponseOp_ResponsePut{ResponsePut: w.put(o.RequestPut)}
		case *pb.RequestOp_RequestDeleteRange:
			r.Response = &pb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: w.deleteRange(o.RequestDeleteRange)}
		case *pb.RequestOp_RequestTxn:
			inner, err := w.run(&nested[0])
			if err != nil {
				return nil, err
			}
			nested = nested[1:]
			r.Response = &pb.ResponseOp_ResponseTxn{ResponseTxn: inner}
		}
		resp.Responses = append(resp.Responses, r)
	}
	return resp, nil
}
