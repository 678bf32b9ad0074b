package etcdrobustness

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/tests/v3/robustness/client"
	"go.etcd.io/etcd/tests/v3/robustness/identity"
	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/etcd/tests/v3/robustness/traffic"
	"go.etcd.io/etcd/tests/v3/robustness/validate"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"zebu/internal/peers"
)

// A load is one of etcd's kinds of traffic.
type load struct {
	name    string
	traffic traffic.Traffic
	profile traffic.Profile
}

// all is what etcd's scenarios of little traffic do; the machine is to be busy with faults.
var all = traffic.Profile{KeyValue: &traffic.KeyValueMedium, Watch: &traffic.WatchDefault, Compaction: &traffic.CompactionDefault}

var loads = []load{
	{"etcd", lagging{traffic.EtcdPutDeleteLease}, all},
	{"kubernetes", traffic.Kubernetes, all},
	{"puts", traffic.EtcdPut, traffic.Profile{KeyValue: &traffic.KeyValueMedium}},
	{"puts and deletes", lagging{traffic.EtcdDelete}, all},
	{"kubernetes that creates and deletes", traffic.KubernetesCreateDelete, all},
}

// lagging is etcd's traffic, whose own loop panics if the server that it asks lags behind the last compaction.
type lagging struct{ traffic.Traffic }

// RunCompactLoop compacts at random revisions, some of them compacted already or still to come.
func (lagging) RunCompactLoop(ctx context.Context, c *client.RecordingClient, p traffic.RunCompactLoopParam) {
	for last := int64(2); ; {
		select {
		case <-ctx.Done():
			return
		case <-p.Finish:
			return
		case <-time.After(p.Period):
		}
		bounded, cancel := context.WithTimeout(ctx, traffic.RequestTimeout)
		status, err := c.Status(bounded, c.Endpoints()[0])
		cancel()
		if err != nil || status.Header.Revision+5 <= last {
			continue
		}
		at := last + rand.Int64N(status.Header.Revision+5-last)
		if _, err := c.Compact(ctx, at); err == nil {
			last = at
		}
	}
}

// TestRobustness does one fault to each kind of traffic, or for ROBUSTNESS_MINUTES several faults in a row to one kind after the other.
// Histories that do not pass are drawn in ROBUSTNESS_REPORT.
func TestRobustness(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: starts ensembles")
	}
	z := build(t)
	minutes, _ := strconv.Atoi(os.Getenv("ROBUSTNESS_MINUTES"))
	if minutes == 0 {
		t.Run("etcd, kill the leader", func(t *testing.T) { robustness(t, z, loads[0], faults[:1], 0) })
		t.Run("kubernetes, stop a follower", func(t *testing.T) { robustness(t, z, loads[1], faults[1:2], 0) })
		return
	}
	rounds, done := 0, map[string]int{}
	for end := time.Now().Add(time.Duration(minutes) * time.Minute); time.Now().Before(end) && !t.Failed(); rounds++ {
		l := loads[rounds%len(loads)]
		var picked []fault
		name, observers := l.name, rand.IntN(2)
		if observers > 0 {
			name += " with an observer"
		}
		for range 1 + rand.IntN(4) {
			f := faults[rand.IntN(len(faults))]
			picked = append(picked, f)
			name += ", " + f.name
			done[f.name]++
		}
		t.Run(name, func(t *testing.T) { robustness(t, z, l, picked, observers) })
	}
	t.Logf("%d rounds, %v", rounds, done)
}

func robustness(t *testing.T, z *peers.Zebu, l load, picked []fault, observers int) {
	e := start(t, z, observers)
	ids, base := identity.NewIDProvider(), time.Now()
	requests, watches := client.NewSet(ids, base), client.NewSet(ids, base)
	defer requests.Close()
	defer watches.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := traffic.CheckEmptyDatabaseAtStart(ctx, zap.NewNop(), e.endpoints(), requests); err != nil {
		t.Fatal(err)
	}
	last, watched := make(chan int64, 1), make(chan error, 1)
	go func() {
		watched <- client.CollectClusterWatchEvents(ctx, client.CollectClusterWatchEventsParam{
			Lg: zap.NewNop(), Endpoints: e.endpoints(), MaxRevisionChan: last, ClientSet: watches,
		})
	}()
	finish := run(ctx, e, l, requests)
	e.wait(1500 * time.Millisecond)
	for _, f := range picked {
		f.do(e)
		e.leader()
		e.wait(1500 * time.Millisecond)
	}
	finish()
	final(ctx, e, requests)
	reports := requests.Reports()
	last <- report.OperationsMaxRevision(reports)
	select {
	case err := <-watched:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done(): // which it does not heed
		t.Error("not all servers tell all events")
	}
	equal(ctx, e)
	check(e, l, append(reports, watches.Reports()...))
}

// run begins traffic, and returns what ends it.
func run(ctx context.Context, e *ensemble, l load, set *client.ClientSet) (finish func()) {
	e.t.Helper()
	var wg sync.WaitGroup
	done := make(chan struct{})
	limiter := rate.NewLimiter(rate.Limit(l.profile.KeyValue.MaximalQPS), l.profile.KeyValue.BurstableQPS)
	keys, storage := traffic.NewKeyStore(10, "key"), traffic.NewKubernetesStorage()
	err := traffic.SimulateKeyValueTraffic(ctx, &wg, l.profile.KeyValue, e.endpoints(), set, l.traffic, traffic.RunTrafficLoopParam{
		QPSLimiter: limiter, IDs: set.IdentityProvider(), LeaseIDStorage: identity.NewLeaseIDStorage(),
		NonUniqueRequestConcurrencyLimiter: traffic.NewConcurrencyLimiter(l.profile.KeyValue.MaxNonUniqueRequestConcurrency),
		KeyStore:                           keys, Storage: storage, Finish: done,
	})
	if err == nil && l.profile.Watch != nil {
		err = traffic.SimulateWatchTraffic(ctx, &wg, l.profile.Watch, e.endpoints(), set, l.traffic, traffic.RunWatchLoopParam{
			Config: *l.profile.Watch, QPSLimiter: limiter, KeyStore: keys, Storage: storage, Finish: done, Logger: zap.NewNop(),
		})
	}
	if err == nil && l.profile.Compaction != nil {
		err = traffic.SimulateCompactionTraffic(ctx, &wg, l.profile.Compaction, e.endpoints(), set, l.traffic, traffic.RunCompactLoopParam{
			Period: l.profile.Compaction.Period, Finish: done,
		})
	}
	if err != nil {
		e.t.Fatal(err)
	}
	return func() { close(done); wg.Wait() }
}

// final writes once more, which must succeed: all before it has found its end then.
func final(ctx context.Context, e *ensemble, set *client.ClientSet) {
	e.t.Helper()
	c, err := set.NewClient(e.endpoints())
	if err != nil {
		e.t.Fatal(err)
	}
	for {
		bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err = c.Put(bounded, "tombstone", "true")
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			e.t.Fatal(err)
		}
	}
}

// equal waits until all servers have the same key space.
func equal(ctx context.Context, e *ensemble) {
	e.t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: e.endpoints(), Logger: zap.NewNop()})
	if err != nil {
		e.t.Fatal(err)
	}
	defer c.Close()
	for {
		seen, what := map[string]bool{}, ""
		for _, endpoint := range e.endpoints() {
			h, err := c.HashKV(ctx, endpoint, 0)
			if ctx.Err() != nil {
				e.t.Fatalf("key spaces are not equal: %s: %v", what, err)
			}
			state := fmt.Sprint(err)
			if err == nil {
				state = fmt.Sprintf("%x at %d, compacted at %d", h.Hash, h.HashRevision, h.CompactRevision)
			}
			seen[state] = true
			what += state + "; "
		}
		if len(seen) == 1 {
			return
		}
		e.wait(50 * time.Millisecond)
	}
}

// check holds what clients saw against the logs and the model.
func check(e *ensemble, l load, reports []report.ClientReport) {
	e.t.Helper()
	var dirs []string
	for _, m := range e.members[:voters] {
		dirs = append(dirs, m.data())
	}
	persisted, err := committed(dirs)
	if err != nil {
		e.t.Fatal(err)
	}
	operations, failed, events, written := 0, 0, 0, []int64{}
	for _, r := range reports {
		operations += len(r.KeyValue)
		for _, o := range r.KeyValue {
			request := o.Input.(model.EtcdRequest)
			if o.Output.(model.MaybeEtcdResponse).Error != "" {
				failed++
			} else if !request.IsRead() {
				written = append(written, o.Return)
			}
		}
		events += r.WatchEventCount()
	}
	e.t.Logf("%d operations, %d of them failed; %d requests in the logs; %d events; at most %v without a write",
		operations, failed, len(persisted), events, longestGap(written).Round(time.Millisecond))
	if operations-failed < 100 || len(persisted) < 50 || events == 0 {
		e.t.Error("too little happened to prove anything")
	}
	if reports, persisted, err = outcomes(reports, persisted); err != nil {
		e.t.Error(err)
	}
	config := validate.Config{ExpectRevisionUnique: l.traffic.ExpectUniqueRevision()}
	start := time.Now()
	result := validate.ValidateAndReturnVisualize(zap.NewNop(), config, reports, persisted, time.Minute)
	e.t.Logf("checked in %v", time.Since(start).Round(time.Millisecond))
	if err := result.Error(); err != nil {
		e.t.Error(err)
		explain(e.t, reports, persisted)
		draw(e.t, result.Linearization)
	}
}

// longestGap is between two of the times, in nanoseconds.
func longestGap(times []int64) (gap time.Duration) {
	slices.Sort(times)
	for i := 1; i < len(times); i++ {
		gap = max(gap, time.Duration(times[i]-times[i-1]))
	}
	return gap
}

// explain tells what does not fit in a history that does not pass. Every answer has the revision that it was given at, so that its place is
// known: there it must be right, and whoever asked after an answer must not be told of less.
func explain(t *testing.T, reports []report.ClientReport, persisted []model.EtcdRequest) {
	t.Helper()
	var ops []porcupine.Operation
	for _, r := range reports {
		for _, op := range r.KeyValue {
			if response := op.Output.(model.MaybeEtcdResponse); max(response.Revision, response.PersistedRevision) > 0 {
				ops = append(ops, op)
			}
		}
	}
	replay := model.NewReplay(persisted)
	place := func(op porcupine.Operation) int64 {
		response := op.Output.(model.MaybeEtcdResponse)
		return max(response.Revision, response.PersistedRevision)
	}
	tell := func(what string, op porcupine.Operation) {
		text := model.NonDeterministicModel(nil).DescribeOperation(op.Input, op.Output)
		t.Logf("%s: %s, from %v to %v", what, text, time.Duration(op.Call), time.Duration(op.Return))
	}
	for _, op := range ops {
		request, response := op.Input.(model.EtcdRequest), op.Output.(model.MaybeEtcdResponse)
		if response.Persisted || request.Type != model.Range && request.Type != model.Txn {
			continue
		}
		before := response.Revision
		if changed(request, response) {
			before--
		}
		state, err := replay.StateForRevision(before)
		if err != nil {
			tell("of the future", op)
		} else if _, want := state.Step(request); !model.Match(want, response) && !leased(request) {
			tell("wrong answer", op)
			tell("right answer", porcupine.Operation{Input: request, Output: want})
		}
	}
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	returns := slices.Clone(ops)
	slices.SortFunc(returns, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	var last porcupine.Operation
	seen := int64(0)
	for _, op := range ops {
		for ; len(returns) > 0 && returns[0].Return < op.Call; returns = returns[1:] {
			if place(returns[0]) > seen {
				last, seen = returns[0], place(returns[0])
			}
		}
		if place(op) < seen {
			tell("stale", op)
			tell("after", last)
		}
	}
}

// leased tells whether a request needs a lease, which may have been granted at any time of a revision.
func leased(r model.EtcdRequest) bool {
	return r.Type == model.Txn && slices.ContainsFunc(r.Txn.AllOperations(), func(op model.EtcdOperation) bool { return op.Put.LeaseID != 0 })
}

// draw shows a history that does not pass.
func draw(t *testing.T, result validate.LinearizationResult) {
	t.Helper()
	dir := os.Getenv("ROBUSTNESS_REPORT")
	if dir == "" || result.Status == validate.DeadlineExceeded {
		return
	}
	if err := porcupine.VisualizePath(result.Model, result.Info, filepath.Join(dir, "history.html")); err != nil {
		t.Error(err)
	}
}
