package etcdrobustness

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/tests/v3/robustness/model"
	goproto "google.golang.org/protobuf/proto"

	"zebu/internal/vfs"
	"zebu/proto"
	"zebu/storage"
)

// committed are the etcd requests in the logs of the data directories, in their order: those that a majority has or had, lost and replaced
// files included. One log alone may lack what its server got as a snapshot, and have more than was committed.
func committed(dirs []string) ([]model.EtcdRequest, error) {
	bodies, votes := map[proto.Zxid][]byte{}, map[proto.Zxid]int{}
	for _, dir := range dirs {
		own := map[proto.Zxid][]byte{}
		for _, pattern := range []string{"log.*", "replaced.log.*"} { // the latter was followed by a snapshot of the leader's
			logs, err := filepath.Glob(filepath.Join(dir, "*", pattern))
			if err != nil {
				return nil, err
			}
			for _, name := range logs {
				if _, err := readLog(name, own); err != nil {
					return nil, err
				}
			}
		}
		for z, body := range own {
			if before, ok := bodies[z]; ok && !bytes.Equal(before, body) {
				return nil, fmt.Errorf("two transactions %v", z)
			}
			bodies[z] = body
			votes[z]++
		}
	}
	var requests []model.EtcdRequest
	for _, z := range slices.Sorted(maps.Keys(bodies)) {
		if votes[z] <= len(dirs)/2 {
			continue
		}
		r, err := request(bodies[z])
		if err != nil {
			return nil, fmt.Errorf("transaction %v: %w", z, err)
		}
		if r != nil {
			requests = append(requests, *r)
		}
	}
	return requests, nil
}

// readLog adds the etcd records in a log. It returns the offset behind the last record.
func readLog(name string, to map[proto.Zxid][]byte) (end int64, err error) {
	r, err := storage.OpenLog(vfs.OS, name, 1<<30)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Tail().Offset, nil
		}
		if err != nil {
			return 0, err
		}
		if rec.Header.Type == proto.OpEtcd {
			d := proto.NewDecoder(rec.Body)
			to[rec.Header.Zxid] = bytes.Clone(d.Buf())
		}
	}
}

// tear leaves the beginning of a record at the end of the newest log of a data directory.
func tear(dir string) error {
	logs, err := filepath.Glob(filepath.Join(dir, "version-2", "log.*"))
	if err != nil || len(logs) == 0 {
		return err
	}
	newest := slices.MaxFunc(logs, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	end, err := readLog(newest, map[proto.Zxid][]byte{})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(newest, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	part := []byte{0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 1, 0, 5, 6, 7, 8} // checksum, length of 256, and four bytes of these
	_, err = f.WriteAt(part, end)
	return errors.Join(err, f.Close())
}

// The kinds of records, as in package mvcc, which etcd 3.7's messages do not go with.
const (
	kindPut         = 1
	kindDeleteRange = 2
	kindTxn         = 3
	kindCompact     = 4
	kindLeaseGrant  = 5
	kindLeaseRevoke = 6
)

// request is what a record stands for in etcd's model, nil if it is nothing there.
func request(record []byte) (*model.EtcdRequest, error) {
	if len(record) == 0 {
		return nil, errors.New("empty record")
	}
	kind, b := record[0], record[1:]
	var head [3]uint64 // epoch, revision of users, length of the user
	for i := range head {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errors.New("record is cut off")
		}
		head[i], b = v, b[n:]
	}
	b = b[head[2]:]
	txn := func(ops ...model.EtcdOperation) *model.EtcdRequest {
		return &model.EtcdRequest{Type: model.Txn, Txn: &model.TxnRequest{OperationsOnSuccess: ops}}
	}
	switch kind {
	case kindPut:
		var q pb.PutRequest
		err := goproto.Unmarshal(b, &q)
		return txn(putOperation(&q)), err
	case kindDeleteRange:
		var q pb.DeleteRangeRequest
		err := goproto.Unmarshal(b, &q)
		return txn(deleteOperation(&q)), err
	case kindTxn:
		var q pb.TxnRequest
		if err := goproto.Unmarshal(b, &q); err != nil {
			return nil, err
		}
		return txnRequest(&q)
	case kindCompact:
		var q pb.CompactionRequest
		err := goproto.Unmarshal(b, &q)
		return &model.EtcdRequest{Type: model.Compact, Compact: &model.CompactRequest{Revision: q.Revision}}, err
	case kindLeaseGrant:
		var q pb.LeaseGrantRequest
		err := goproto.Unmarshal(b, &q)
		return &model.EtcdRequest{Type: model.LeaseGrant, LeaseGrant: &model.LeaseGrantRequest{LeaseID: q.ID}}, err
	case kindLeaseRevoke:
		var q pb.LeaseRevokeRequest
		err := goproto.Unmarshal(b, &q)
		return &model.EtcdRequest{Type: model.LeaseRevoke, LeaseRevoke: &model.LeaseRevokeRequest{LeaseID: q.ID}}, err
	}
	return nil, nil
}

func putOperation(q *pb.PutRequest) model.EtcdOperation {
	return model.EtcdOperation{
		Type: model.PutOperation,
		Put:  model.PutOptions{Key: string(q.Key), Value: model.ToValueOrHash(string(q.Value)), LeaseID: q.Lease},
	}
}

func deleteOperation(q *pb.DeleteRangeRequest) model.EtcdOperation {
	return model.EtcdOperation{Type: model.DeleteOperation, Delete: model.DeleteOptions{Key: string(q.Key)}}
}

func txnRequest(q *pb.TxnRequest) (*model.EtcdRequest, error) {
	// The model compares requests with those that clients recorded, and theirs have no nil.
	txn := &model.TxnRequest{
		Conditions: []model.EtcdCondition{}, OperationsOnSuccess: []model.EtcdOperation{}, OperationsOnFailure: []model.EtcdOperation{},
	}
	for _, c := range q.Compare {
		if c.Result != pb.Compare_EQUAL {
			return nil, fmt.Errorf("comparison %v", c)
		}
		condition := model.EtcdCondition{Key: string(c.Key)}
		switch c.Target {
		case pb.Compare_VERSION:
			condition.ExpectedVersion = c.GetVersion()
		case pb.Compare_MOD:
			condition.ExpectedRevision = c.GetModRevision()
		default:
			return nil, fmt.Errorf("comparison %v", c)
		}
		txn.Conditions = append(txn.Conditions, condition)
	}
	var err error
	if txn.OperationsOnSuccess, err = operations(txn.OperationsOnSuccess, q.Success); err != nil {
		return nil, err
	}
	if txn.OperationsOnFailure, err = operations(txn.OperationsOnFailure, q.Failure); err != nil {
		return nil, err
	}
	return &model.EtcdRequest{Type: model.Txn, Txn: txn}, nil
}

func operations(list []model.EtcdOperation, ops []*pb.RequestOp) ([]model.EtcdOperation, error) {
	for _, op := range ops {
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			r := o.RequestRange
			list = append(list, model.EtcdOperation{Type: model.RangeOperation, Range: model.RangeOptions{
				Start: string(r.Key), End: string(r.RangeEnd), Limit: r.Limit, KeysOnly: r.KeysOnly,
			}})
		case *pb.RequestOp_RequestPut:
			list = append(list, putOperation(o.RequestPut))
		case *pb.RequestOp_RequestDeleteRange:
			list = append(list, deleteOperation(o.RequestDeleteRange))
		default:
			return nil, fmt.Errorf("operation %v", op)
		}
	}
	return list, nil
}
