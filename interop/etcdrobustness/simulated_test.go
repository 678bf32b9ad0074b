package etcdrobustness

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/etcd/tests/v3/robustness/validate"
	"go.uber.org/zap"
	goproto "google.golang.org/protobuf/proto"
)

// history is what zebu sim --etcd-history writes; see sim.EtcdHistory.
type history struct {
	Operations []struct {
		Client                  int
		Record, Range, Response []byte
		Call, Return, Revision  int64
		Refused                 string
		Persisted               bool
	}
	Watches []struct {
		Client    int
		Key, End  string
		Revision  int64
		PrevKV    bool
		Responses [][]byte
	}
	Committed [][]byte
}

// TestSimulated holds what users of simulated ensembles saw, in which everything goes wrong, against etcd's model: 12 seeds, or those
// from 1 to SIMULATED_SEEDS.
func TestSimulated(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: builds zebu")
	}
	binary := build(t).Binary
	seeds, _ := strconv.Atoi(os.Getenv("SIMULATED_SEEDS"))
	if seeds == 0 {
		seeds = 12
	}
	var total tally
	for seed := range seeds {
		simulated(t, binary, seed+1, &total)
	}
	t.Logf("%d seeds: %+v", seeds, total)
	if total.Operations < 100*seeds/2 || total.Events < 20*seeds || total.Undecided > seeds/4 {
		t.Error("too little happened to prove anything")
	}
}

// tally counts what was looked at.
type tally struct{ Operations, Unknown, Events, Undecided int }

// TestSimulatedSees holds that histories in which something is wrong do not pass.
func TestSimulatedSees(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: builds zebu")
	}
	binary := build(t).Binary
	for name, spoil := range map[string]func(h *history){
		"a write that is lost":    func(h *history) { h.Committed = h.Committed[:len(h.Committed)/2] },
		"writes in another order": func(h *history) { slices.Reverse(h.Committed[len(h.Committed)/4 : len(h.Committed)/2]) },
		"an old answer": func(h *history) {
			for i := range h.Operations {
				if o := &h.Operations[i]; o.Range != nil && o.Revision > 10 {
					o.Revision -= 5
					return
				}
			}
		},
		"a message that is lost": func(h *history) {
			for i := range h.Watches {
				if r := h.Watches[i].Responses; len(r) > 10 {
					h.Watches[i].Responses = append(r[:4:4], r[8:]...)
					return
				}
			}
		},
	} {
		h := simulate(t, binary, 3)
		spoil(h)
		if passes(h) {
			t.Errorf("%s passes", name)
		}
	}
}

// passes says whether etcd's checker is content, which panics at some of what cannot be.
func passes(h *history) (content bool) {
	defer func() {
		if recover() != nil {
			content = false
		}
	}()
	result, _, err := h.validate()
	return err == nil && result.Error() == nil
}

// simulate runs a seed.
func simulate(t *testing.T, binary string, seed int) *history {
	t.Helper()
	file := filepath.Join(t.TempDir(), "history")
	cmd := exec.CommandContext(t.Context(), binary, "sim", "--seed", strconv.Itoa(seed), "--etcd-users", "4", "--etcd-history", file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var h history
	if err := json.Unmarshal(b, &h); err != nil {
		t.Fatal(err)
	}
	return &h
}

// validate holds a history against etcd's model.
func (h *history) validate() (result validate.RobustnessResult, reports []report.ClientReport, err error) {
	if reports, err = h.reports(); err != nil {
		return result, nil, err
	}
	var persisted []model.EtcdRequest
	for _, record := range h.Committed {
		r, err := request(record)
		if err != nil {
			return result, nil, err
		}
		if r != nil {
			persisted = append(persisted, *r)
		}
	}
	return validate.ValidateAndReturnVisualize(zap.NewNop(), validate.Config{}, reports, persisted, 20*time.Second), reports, nil
}

func simulated(t *testing.T, binary string, seed int, total *tally) {
	t.Helper()
	h := simulate(t, binary, seed)
	result, reports, err := h.validate()
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	total.Operations += len(h.Operations)
	for _, r := range reports {
		total.Events += r.WatchEventCount()
		for _, o := range r.KeyValue {
			if o.Output.(model.MaybeEtcdResponse).Error != "" {
				total.Unknown++
			}
		}
	}
	if status := result.Linearization.Status; status == validate.Timeout || status == validate.DeadlineExceeded {
		total.Undecided++
	} else if err := result.Error(); err != nil {
		t.Errorf("seed %d: %v", seed, err)
		if dir := os.Getenv("ROBUSTNESS_REPORT"); dir != "" {
			_ = result.Linearization.Visualize(zap.NewNop(), filepath.Join(dir, fmt.Sprintf("seed-%d.html", seed)))
		}
	}
}

// spread is the time between two events: etcd's checker takes some off when it finds out how long something can have taken.
const spread = 1 << 20

// reports puts a history into the form of etcd's own, which has a client each for the operations whose outcome is unknown.
func (h *history) reports() ([]report.ClientReport, error) {
	// Ensembles begin with nothing, which etcd's checker wants to have been seen.
	beginning := porcupine.Operation{
		Input:  model.EtcdRequest{Type: model.Range, Range: &model.RangeRequest{RangeOptions: model.RangeOptions{Start: "k0"}}},
		Output: model.MaybeEtcdResponse{EtcdResponse: model.EtcdResponse{Range: &model.RangeResponse{KVs: []model.KeyValue{}}, Revision: 1}},
		Call:   1, Return: 2,
	}
	reports := []report.ClientReport{{KeyValue: []porcupine.Operation{beginning}}}
	byClient := map[int]int{}
	at := func(client int) *report.ClientReport {
		i, ok := byClient[client]
		if !ok {
			i = len(reports)
			byClient[client] = i
			reports = append(reports, report.ClientReport{ClientID: i})
		}
		return &reports[i]
	}
	for i := range h.Operations {
		o := &h.Operations[i]
		in, out, err := h.operation(i)
		if err != nil {
			return nil, err
		}
		if in == nil {
			continue
		}
		client := o.Client
		if out.Error != "" && !in.IsRead() {
			client = -1 - i
		}
		r := at(client)
		op := porcupine.Operation{ClientId: r.ClientID, Input: *in, Output: out, Metadata: out, Call: o.Call * spread, Return: o.Return * spread}
		if op.Return == 0 {
			op.Return = math.MaxInt64
			if in.IsRead() {
				continue
			}
		}
		r.KeyValue = append(r.KeyValue, op)
	}
	for i := range h.Watches {
		w := &h.Watches[i]
		op := model.WatchOperation{Request: model.WatchRequest{
			Key: w.Key, Revision: w.Revision, WithPrefix: w.End != "", WithProgressNotify: true, WithPrevKV: w.PrevKV,
		}}
		for _, b := range w.Responses {
			var resp pb.WatchResponse
			if err := goproto.Unmarshal(b, &resp); err != nil {
				return nil, err
			}
			op.Responses = append(op.Responses, watched(&resp))
		}
		r := at(math.MaxInt32 - w.Client)
		r.Watch = append(r.Watch, op)
	}
	return reports, nil
}

// operation is one of the model's, nil if it is nothing there.
func (h *history) operation(i int) (*model.EtcdRequest, model.MaybeEtcdResponse, error) {
	o := &h.Operations[i]
	var none model.MaybeEtcdResponse
	if o.Range != nil {
		var q pb.RangeRequest
		if err := goproto.Unmarshal(o.Range, &q); err != nil {
			return nil, none, err
		}
		in := &model.EtcdRequest{Type: model.Range, Range: &model.RangeRequest{
			RangeOptions: model.RangeOptions{Start: string(q.Key), End: string(q.RangeEnd), Limit: q.Limit}, Revision: q.Revision,
		}}
		if o.Return == 0 {
			return in, model.MaybeEtcdResponse{Error: "unknown"}, nil
		}
		var resp pb.RangeResponse
		err := goproto.Unmarshal(o.Response, &resp)
		ranged := rangeResponse(&resp)
		return in, model.MaybeEtcdResponse{EtcdResponse: model.EtcdResponse{Range: &ranged, Revision: o.Revision}}, err
	}
	in, err := request(o.Record)
	switch {
	case err != nil || in == nil:
		return nil, none, err
	case o.Persisted && o.Return != 0:
		return in, model.MaybeEtcdResponse{Persisted: true}, nil
	case o.Refused != "" && in.Type == model.Compact:
		_, text, _ := strings.Cut(o.Refused, "etcdserver: ")
		return in, model.MaybeEtcdResponse{EtcdResponse: model.EtcdResponse{ClientError: text}}, nil
	case o.Return == 0 || o.Refused != "":
		return in, model.MaybeEtcdResponse{Error: "unknown" + o.Refused}, nil
	}
	out, err := response(in, o.Record[0], o.Response)
	out.Revision = o.Revision
	if in.Type == model.Compact {
		out.Revision = model.RevisionForNonLinearizableResponse
	}
	return in, model.MaybeEtcdResponse{EtcdResponse: out}, err
}

func response(in *model.EtcdRequest, kind byte, b []byte) (out model.EtcdResponse, err error) {
	switch in.Type {
	case model.LeaseGrant:
		out.LeaseGrant = &model.LeaseGrantResponse{}
	case model.LeaseRevoke:
		out.LeaseRevoke = &model.LeaseRevokeResponse{}
	case model.Compact:
		out.Compact = &model.CompactResponse{}
	}
	switch kind {
	case kindPut:
		out.Txn = &model.TxnResponse{Results: []model.EtcdOperationResult{{}}}
	case kindDeleteRange:
		var resp pb.DeleteRangeResponse
		err = goproto.Unmarshal(b, &resp)
		out.Txn = &model.TxnResponse{Results: []model.EtcdOperationResult{{Deleted: resp.Deleted}}}
	case kindTxn:
		var resp pb.TxnResponse
		err = goproto.Unmarshal(b, &resp)
		out.Txn = &model.TxnResponse{Failure: !resp.Succeeded, Results: []model.EtcdOperationResult{}}
		for _, r := range resp.Responses {
			result := model.EtcdOperationResult{Deleted: r.GetResponseDeleteRange().GetDeleted()}
			if ranged := r.GetResponseRange(); ranged != nil {
				result.RangeResponse = rangeResponse(ranged)
			}
			out.Txn.Results = append(out.Txn.Results, result)
		}
	}
	return out, err
}

func rangeResponse(resp *pb.RangeResponse) model.RangeResponse {
	r := model.RangeResponse{KVs: []model.KeyValue{}, Count: resp.Count}
	for _, kv := range resp.Kvs {
		r.KVs = append(r.KVs, model.KeyValue{Key: string(kv.Key), ValueRevision: valueRevision(kv)})
	}
	return r
}

func valueRevision(kv *mvccpb.KeyValue) model.ValueRevision {
	return model.ValueRevision{Value: model.ToValueOrHash(string(kv.Value)), ModRevision: kv.ModRevision, Version: kv.Version}
}

func watched(resp *pb.WatchResponse) model.WatchResponse {
	w := model.WatchResponse{Revision: resp.Header.Revision, IsProgressNotify: len(resp.Events) == 0}
	for _, e := range resp.Events {
		event := model.WatchEvent{PersistedEvent: model.PersistedEvent{
			Event: model.Event{Type: model.PutOperation, Key: string(e.Kv.Key)}, Revision: e.Kv.ModRevision,
		}}
		if e.Type == mvccpb.Event_DELETE {
			event.Type = model.DeleteOperation
		} else {
			event.Value = model.ToValueOrHash(string(e.Kv.Value))
			event.IsCreate = e.Kv.CreateRevision == e.Kv.ModRevision
		}
		if e.PrevKv != nil {
			prev := valueRevision(e.PrevKv)
			event.PrevValue = &prev
		}
		w.Events = append(w.Events, event)
	}
	return w
}
