package etcdrobustness

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
)

// An entry is a request of the logs that changed something.
type entry struct {
	revision int64 // that it led to
	answer   int64 // what the model's answer has as revision
	by       int64 // when it had taken effect, for somebody was told of it or of what came after it
	asked    bool  // whose request it was is known
}

// outcomes gives requests of unknown outcome the one that the logs tell, and says what in the logs and the answers cannot both be so. A
// request that is not in the logs, or changed nothing when its turn came, is left out; one that is there has taken effect between its call and
// the first answer that knows of it, and led to the revision that it has there. So the search for an order has to guess nothing, however
// long the servers were out of reach. Were the logs wrong, no order would fit the other answers.
//
// It also returns the requests that changed something: etcd's checks take it that every request of the logs is among those of clients.
func outcomes(reports []report.ClientReport, requests []model.EtcdRequest) ([]report.ClientReport, []model.EtcdRequest, error) {
	entries, requests := replay(requests, firstSeen(reports))
	var problems []error
	unknown := map[string][]*porcupine.Operation{}
	resolved := make([]report.ClientReport, len(reports))
	for i, r := range reports {
		resolved[i] = r
		resolved[i].KeyValue = nil
		for _, op := range r.KeyValue {
			request, response := op.Input.(model.EtcdRequest), op.Output.(model.MaybeEtcdResponse)
			if response.Error != "" && !request.IsRead() && request.Type != model.Defragment {
				if request.Type != model.LeaseGrant { // without its number nobody can use a lease
					unknown[describe(request)] = append(unknown[describe(request)], &op)
				}
				continue
			}
			resolved[i].KeyValue = append(resolved[i].KeyValue, op)
			if !claim(entries[describe(request)], request, response) {
				problems = append(problems, fmt.Errorf("%v was answered with %+v, and is not in the logs", describe(request), response))
			}
		}
	}
	var known []porcupine.Operation
	for name, list := range entries {
		ops := unknown[name]
		slices.SortFunc(ops, func(a, b *porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		for _, e := range list {
			if e.asked || strings.HasPrefix(name, grant) {
				continue // a lease may be of somebody who was not told its number
			}
			if len(ops) == 0 {
				problems = append(problems, fmt.Errorf("%s is in the logs at revision %d, and nobody has asked for it", name, e.revision))
				break
			}
			op := *ops[0] // of several that are alike it does not matter which
			ops = ops[1:]
			if op.Return = e.by; op.Return <= op.Call {
				problems = append(problems, fmt.Errorf("%s, revision %d, was seen before it was asked for", name, e.revision))
			}
			op.Output = model.MaybeEtcdResponse{Persisted: true, PersistedRevision: e.answer}
			known = append(known, op)
		}
	}
	return append(resolved, report.ClientReport{ClientID: -1, KeyValue: known}), requests, errors.Join(problems[:min(len(problems), 20)]...)
}

const grant = "grant lease "

// describe is equal of requests that do the same.
func describe(r model.EtcdRequest) string {
	switch r.Type {
	case model.Txn:
		return fmt.Sprintf("if %v then %v else %v", r.Txn.Conditions, r.Txn.OperationsOnSuccess, r.Txn.OperationsOnFailure)
	case model.LeaseGrant:
		return fmt.Sprint(grant, r.LeaseGrant.LeaseID)
	case model.LeaseRevoke:
		return fmt.Sprint("revoke lease ", r.LeaseRevoke.LeaseID)
	case model.Compact:
		return fmt.Sprint("compact at ", r.Compact.Revision)
	}
	return ""
}

// replay has the model carry out the logs, and returns what changed something, in order: by what it does, and all.
func replay(requests []model.EtcdRequest, seen func(int64) int64) (entries map[string][]*entry, effective []model.EtcdRequest) {
	var ops []porcupine.Operation
	for _, r := range requests {
		ops = append(ops, porcupine.Operation{Input: r})
	}
	entries = map[string][]*entry{}
	state := model.DeterministicModel(model.ModelKeys(ops)).Init().(model.EtcdState)
	for _, r := range requests {
		next, response := state.Step(r)
		if next.Equal(state) {
			continue
		}
		e := &entry{revision: next.Revision, answer: response.Revision, by: seen(next.Revision)}
		if next.Revision == state.Revision { // then the revision does not tell that it was before the answer
			e.by = seen(next.Revision + 1)
		}
		entries[describe(r)] = append(entries[describe(r)], e)
		effective = append(effective, r)
		state = next
	}
	return entries, effective
}

// firstSeen tells by when a client had an answer that had at least a certain revision.
func firstSeen(reports []report.ClientReport) func(revision int64) int64 {
	type sight struct{ revision, at int64 }
	var sights []sight
	for _, r := range reports {
		for _, op := range r.KeyValue {
			if response := op.Output.(model.MaybeEtcdResponse); response.Revision > 0 {
				sights = append(sights, sight{response.Revision, op.Return})
			}
		}
	}
	slices.SortFunc(sights, func(a, b sight) int { return cmp.Compare(a.revision, b.revision) })
	for i := len(sights) - 2; i >= 0; i-- {
		sights[i].at = min(sights[i].at, sights[i+1].at)
	}
	return func(revision int64) int64 {
		i, _ := slices.BinarySearchFunc(sights, revision, func(s sight, revision int64) int { return cmp.Compare(s.revision, revision) })
		if i == len(sights) {
			return math.MaxInt64
		}
		return sights[i].at
	}
}

// claim finds the entry that an answer is of. It reports false if there must be one and is not.
func claim(entries []*entry, request model.EtcdRequest, response model.MaybeEtcdResponse) bool {
	if !changed(request, response) {
		return true
	}
	for _, e := range entries {
		if !e.asked && e.answer == response.Revision {
			e.asked = true
			return true
		}
	}
	return false
}

// changed tells whether an answer is of a request that changed something.
func changed(request model.EtcdRequest, response model.MaybeEtcdResponse) bool {
	switch {
	case response.Error != "" || response.ClientError != "":
		return false
	case request.Type != model.Txn:
		return request.Type == model.Compact || request.Type == model.LeaseGrant || request.Type == model.LeaseRevoke
	}
	ops := request.Txn.OperationsOnSuccess
	if response.Txn.Failure {
		ops = request.Txn.OperationsOnFailure
	}
	for i, op := range ops {
		if op.Type == model.PutOperation || response.Txn.Results[i].Deleted > 0 {
			return true
		}
	}
	return false
}

// TestOutcomes tells what has become of requests without an answer, and finds logs and answers that do not go together.
func TestOutcomes(t *testing.T) {
	put := func(key, value string) model.EtcdRequest {
		return model.EtcdRequest{Type: model.Txn, Txn: &model.TxnRequest{OperationsOnSuccess: []model.EtcdOperation{
			{Type: model.PutOperation, Put: model.PutOptions{Key: key, Value: model.ToValueOrHash(value)}},
		}}}
	}
	del := func(key string) model.EtcdRequest {
		return model.EtcdRequest{Type: model.Txn, Txn: &model.TxnRequest{OperationsOnSuccess: []model.EtcdOperation{
			{Type: model.DeleteOperation, Delete: model.DeleteOptions{Key: key}},
		}}}
	}
	compact := model.EtcdRequest{Type: model.Compact, Compact: &model.CompactRequest{Revision: 2}}
	read := model.EtcdRequest{Type: model.Range, Range: &model.RangeRequest{RangeOptions: model.RangeOptions{Start: "a"}}}
	none := model.MaybeEtcdResponse{Error: "timed out"}
	at := func(revision, deleted int64) model.MaybeEtcdResponse {
		txn := &model.TxnResponse{Results: []model.EtcdOperationResult{{Deleted: deleted}}}
		return model.MaybeEtcdResponse{EtcdResponse: model.EtcdResponse{Revision: revision, Txn: txn}}
	}
	op := func(request model.EtcdRequest, response model.MaybeEtcdResponse, call, back int64) porcupine.Operation {
		return porcupine.Operation{Input: request, Output: response, Call: call, Return: back}
	}
	for _, c := range []struct {
		name    string
		ops     []porcupine.Operation
		log     []model.EtcdRequest
		want    string // call, return and revision of those that have taken effect without an answer
		problem string
	}{
		{name: "taken effect, seen by who comes after it", want: "[[1 9 2]]",
			ops: []porcupine.Operation{op(put("a", "1"), none, 1, 3), op(put("a", "2"), at(3, 0), 4, 9)}, log: []model.EtcdRequest{put("a", "1"), put("a", "2")}},
		{name: "lost", want: "[]",
			ops: []porcupine.Operation{op(put("a", "1"), none, 1, 3), op(put("a", "2"), at(2, 0), 4, 9)}, log: []model.EtcdRequest{put("a", "2")}},
		{name: "one of two deletes, the other without effect", want: "[[5 8 3]]",
			ops: []porcupine.Operation{op(put("a", "1"), at(2, 0), 1, 2), op(del("a"), none, 6, 7), op(del("a"), none, 5, 7), op(read, at(3, 0), 7, 8)},
			log: []model.EtcdRequest{put("a", "1"), del("a"), del("a")}},
		{name: "a compaction, seen by nobody", want: "[[3 9223372036854775807 -1]]",
			ops: []porcupine.Operation{op(put("a", "1"), at(2, 0), 1, 2), op(compact, none, 3, 4)}, log: []model.EtcdRequest{put("a", "1"), compact}},
		{name: "an answer of what is not there", problem: "not in the logs",
			ops: []porcupine.Operation{op(put("a", "1"), at(2, 0), 1, 3), op(put("a", "2"), at(3, 0), 4, 9)}, log: []model.EtcdRequest{put("a", "1")}},
		{name: "an answer with another revision", problem: "not in the logs",
			ops: []porcupine.Operation{op(put("a", "1"), at(3, 0), 1, 3)}, log: []model.EtcdRequest{put("a", "1")}},
		{name: "done twice", problem: "nobody has asked",
			ops: []porcupine.Operation{op(put("a", "1"), none, 1, 3)}, log: []model.EtcdRequest{put("a", "1"), put("a", "1")}},
		{name: "seen before it was asked for", problem: "before it was asked for",
			ops: []porcupine.Operation{op(read, at(2, 0), 1, 2), op(put("a", "1"), none, 3, 4)}, log: []model.EtcdRequest{put("a", "1")}},
	} {
		reports, _, err := outcomes([]report.ClientReport{{KeyValue: c.ops}}, c.log)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		got := [][3]int64{}
		for _, o := range reports[1].KeyValue {
			got = append(got, [3]int64{o.Call, o.Return, o.Output.(model.MaybeEtcdResponse).PersistedRevision})
		}
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}
