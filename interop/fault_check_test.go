package interop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/go-zookeeper/zk"

	"zebu/internal/fourletter"
	"zebu/proto"
)

// verify ends the load and checks everything: while the members agree, whatever clients were told must be so.
func (l *faultLoad) verify(c *faultCluster) {
	t := l.t
	t.Helper()
	l.stop()
	c.awaitServing(c.members...)
	l.verifyEphemerals(c)
	trees := make([]map[string]faultNode, len(c.members))
	poll(t, recoveryLimit, "agreement of all members", func() bool {
		for i, m := range c.members {
			var err error
			if trees[i], err = l.walk(m.addr); err != nil {
				t.Fatalf("member %d: %v", m.id, err)
			}
		}
		for _, tree := range trees[1:] {
			if !maps.Equal(tree, trees[0]) {
				return false
			}
		}
		return true
	})
	if t.Failed() {
		return
	}
	l.verifyCreated(trees[0])
	l.verifyHistory()
	verifyDigests(t, c)
	t.Log(l.report())
	if len(l.wrong) > 0 {
		t.Error("see above")
	}
}

// faultNode is a node as every member must have it.
type faultNode struct {
	data string
	stat proto.Stat
}

// walk reads all of a member's tree but what ZooKeeper keeps for itself, behind a sync.
func (l *faultLoad) walk(addr string) (map[string]faultNode, error) {
	w, err := connectWire(addr, faultSession)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	begin := l.now()
	if _, err := w.must(proto.OpSync, &proto.PathRequest{Path: "/"}); err != nil {
		return nil, err
	}
	nodes := map[string]faultNode{}
	todo := []string{"/"}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		b, err := w.must(proto.OpGetData, &proto.PathWatchRequest{Path: path})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var n proto.GetDataResponse
		d := proto.NewDecoder(b)
		n.Decode(&d)
		nodes[path] = faultNode{string(n.Data), n.Stat}
		var key int
		if k, err := fmt.Sscanf(path, "/register%d", &key); k == 1 && err == nil {
			l.extra = append(l.extra, faultOp{client: faultClients, key: key, value: string(n.Data), mzxid: int64(n.Stat.Mzxid), call: begin, ret: l.now()})
		}
		if n.Stat.NumChildren == 0 {
			continue
		}
		if b, err = w.must(proto.OpGetChildren2, &proto.PathWatchRequest{Path: path}); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var children proto.GetChildren2Response
		d = proto.NewDecoder(b)
		children.Decode(&d)
		for _, name := range children.Children {
			if path != "/" || name != "zookeeper" {
				todo = append(todo, strings.TrimSuffix(path, "/")+"/"+strings.Clone(name))
			}
		}
	}
	_, err = w.must(proto.OpCloseSession, nil)
	return nodes, err
}

// verifyEphemerals waits until exactly the sessions that live own ephemerals, and then ends one.
func (l *faultLoad) verifyEphemerals(c *faultCluster) {
	t := l.t
	t.Helper()
	live := map[int64]bool{}
	for _, client := range l.clients {
		client.keepEphemeral()
		poll(t, recoveryLimit, "session", func() bool {
			client.keepEphemeral()
			return client.owned != 0 && client.owned == client.conn.SessionID() && client.conn.State() == zk.StateHasSession
		})
		live[client.owned] = true
	}
	await := func(what string) {
		for _, m := range c.members {
			poll(t, recoveryLimit, what, func() bool {
				tree, err := l.walk(m.addr)
				if err != nil {
					t.Fatalf("member %d: %v", m.id, err)
				}
				owners := map[int64]bool{}
				for path, n := range tree {
					if strings.HasPrefix(path, ephemeralDir+"/") {
						owners[int64(n.stat.EphemeralOwner)] = true
					}
				}
				return maps.Equal(owners, live)
			})
		}
	}
	await("end of the ephemerals of sessions that have expired")
	first := l.clients[0]
	delete(live, first.owned)
	first.conn.Close()
	await("end of the ephemeral of a session that was closed")
}

// verifyCreated looks for all nodes whose creation was acknowledged, and that no client's creations took effect out of order.
func (l *faultLoad) verifyCreated(tree map[string]faultNode) {
	for _, c := range l.clients {
		for _, name := range c.created {
			if _, ok := tree[logDir+"/"+name]; !ok {
				l.violated("client %d: the creation of %s was acknowledged, and it is gone", c.id, name)
			}
		}
		var last proto.Zxid
		for _, path := range slices.Sorted(maps.Keys(tree)) {
			if strings.HasPrefix(path, fmt.Sprintf("%s/%d-", logDir, c.id)) {
				if z := tree[path].stat.Czxid; z <= last {
					l.violated("client %d: %s was created by %v, before the one sent before it, by %v", c.id, path, z, last)
				} else {
					last = z
				}
			}
		}
	}
}

// verifyHistory checks the accesses to registers.
func (l *faultLoad) verifyHistory() {
	history := slices.Clone(l.extra)
	for _, c := range l.clients {
		history = append(history, c.ops...)
	}
	versions := make([][]int64, faultKeys) // zxids of all writes to a key, as far as known
	for _, op := range history {
		if op.mzxid != 0 {
			versions[op.key] = append(versions[op.key], op.mzxid)
		}
	}
	for k := range versions {
		slices.Sort(versions[k])
		versions[k] = slices.Compact(versions[k])
	}
	for _, c := range l.clients {
		l.verifySession(c, versions)
	}
	if result := linearizable(history); result != porcupine.Ok {
		l.violated("the history is not linearizable: %v", result)
	}
}

// verifySession checks that within a session nothing is read that is older than what the session has seen, of any register.
func (l *faultLoad) verifySession(c *faultClient, versions [][]int64) {
	var session, seen, wrote int64
	for _, op := range c.ops {
		if op.mzxid == 0 {
			continue
		}
		if op.session != session {
			session, seen = op.session, 0
		}
		if op.write {
			if op.mzxid <= wrote {
				l.violated("client %d: write %s has zxid %#x, the one before %#x", c.id, op.value, op.mzxid, wrote)
			}
			wrote = op.mzxid
		} else {
			later, _ := slices.BinarySearch(versions[op.key], op.mzxid+1)
			if later < len(versions[op.key]) && versions[op.key][later] <= seen {
				l.violated("client %d, session %#x: saw %#x, then %s of %#x in register %d, which %#x had replaced", c.id, session, seen, op.value, op.mzxid,
					op.key, versions[op.key][later])
			}
		}
		if op.session != 0 {
			seen = max(seen, op.mzxid)
		}
	}
}

// linearizable checks writes and the reads behind a sync, of each register by itself. A write of unknown outcome that nobody
// has read may have come last, if at all, so it says nothing; one that was read took effect before that read returned.
func linearizable(history []faultOp) porcupine.CheckResult {
	read := map[string]int64{} // value -> when it was first known to be there
	for _, op := range history {
		if before, ok := read[op.value]; !op.write && (!ok || op.ret < before) {
			read[op.value] = op.ret
		}
	}
	var ops []porcupine.Operation
	for _, op := range history {
		if op.plain {
			continue
		}
		if op.write && op.ret == never {
			first, ok := read[op.value]
			if !ok {
				continue
			}
			op.ret = first
		}
		ops = append(ops, porcupine.Operation{ClientId: op.client, Input: op, Call: op.call, Return: op.ret})
	}
	model := porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byKey := make([][]porcupine.Operation, faultKeys)
			for _, o := range history {
				key := o.Input.(faultOp).key
				byKey[key] = append(byKey[key], o)
			}
			return byKey
		},
		Init: func() any { return "" },
		Step: func(state, input, _ any) (bool, any) {
			op := input.(faultOp)
			if op.write {
				return true, op.value
			}
			return state == op.value, state
		},
	}
	return porcupine.CheckOperationsTimeout(model, ops, time.Minute)
}

// verifyDigests compares the digests that members have kept, and has each say that all it was told of agreed with its own.
func verifyDigests(t *testing.T, c *faultCluster) {
	t.Helper()
	at := map[string]string{}
	for _, m := range c.members {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		monitor, err := fourletter.Ask(ctx, m.addr, "mntr")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(monitor, "zk_digest_mismatches_count\t0\n") {
			t.Errorf("member %d has met digests that were not its own:\n%s", m.id, monitor)
		}
		hash, err := fourletter.Ask(ctx, m.addr, "hash")
		// It has just answered, so it does not turn connections away. Every 128th zxid is recorded: who has been sent a snapshot and
		// less than that since has none, and says nothing.
		if err != nil && !errors.Is(err, fourletter.ErrNoAnswer) {
			t.Fatal(err)
		}
		for line := range strings.Lines(hash) {
			zxid, digest, _ := strings.Cut(line, ": ")
			if other, ok := at[zxid]; ok && other != digest {
				t.Errorf("digest at %s: %s and %s", zxid, other, digest)
			}
			at[zxid] = digest
		}
	}
	if len(at) == 0 {
		t.Error("no member has kept a digest")
	}
}

// TestFaultChecks makes sure that the checks find what they are for.
func TestFaultChecks(t *testing.T) {
	w := func(value string, call, ret int64) faultOp {
		return faultOp{write: true, value: value, call: call, ret: ret}
	}
	r := func(value string, call, ret int64) faultOp { return faultOp{value: value, call: call, ret: ret} }
	tests := []struct {
		name    string
		history []faultOp
		want    porcupine.CheckResult
	}{
		{"lost write", []faultOp{w("a", 1, 2), r("", 3, 4)}, porcupine.Illegal},
		{"stale read", []faultOp{w("a", 1, 2), w("b", 3, 4), r("a", 5, 6)}, porcupine.Illegal},
		{"unknown, never seen", []faultOp{w("a", 1, 2), w("b", 3, never), r("a", 5, 6)}, porcupine.Ok},
		{"unknown, seen", []faultOp{w("a", 1, 2), w("b", 3, never), r("a", 5, 6), r("b", 7, 8)}, porcupine.Ok},
		{"unknown, seen and gone", []faultOp{w("a", 1, 2), w("b", 3, never), r("b", 5, 6), r("a", 7, 8)}, porcupine.Illegal},
	}
	for _, tt := range tests {
		if got := linearizable(tt.history); got != tt.want {
			t.Errorf("%s: %v, expected %v", tt.name, got, tt.want)
		}
	}
	l := &faultLoad{}
	versions := [][]int64{{1, 5}, {3}}
	l.verifySession(&faultClient{ops: []faultOp{{session: 1, key: 0, mzxid: 1}, {session: 1, key: 1, mzxid: 3}, {session: 1, key: 0, mzxid: 5}}}, versions)
	l.verifySession(&faultClient{ops: []faultOp{{session: 1, key: 0, mzxid: 5}, {session: 2, key: 0, mzxid: 1}}}, versions)
	if len(l.wrong) != 0 {
		t.Errorf("sessions in order: %v", l.wrong)
	}
	l.verifySession(&faultClient{ops: []faultOp{{session: 1, key: 0, mzxid: 5}, {session: 1, key: 0, mzxid: 1}}}, versions)
	if len(l.wrong) != 1 {
		t.Errorf("a session that goes back: %v", l.wrong)
	}
}
