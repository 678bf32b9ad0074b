package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"zebu/gateway"
	"zebu/gateway/gatewaytest"
)

func TestKV(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	c, ctx := s.client(t), soon(t)
	first := must[*clientv3.PutResponse](t)(c.Put(ctx, "k", "1"))
	if h := first.Header; h.ClusterId != gateway.ClusterID || h.MemberId != 1 || h.RaftTerm != 1 || h.Revision != 2 {
		t.Errorf("header %v", h)
	}
	txn := must[*clientv3.TxnResponse](t)(c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision("k"), "=", 2)).Then(clientv3.OpPut("k", "2"), clientv3.OpGet("k")).Commit())
	if !txn.Succeeded || string(txn.Responses[1].GetResponseRange().Kvs[0].Value) != "2" {
		t.Errorf("transaction: %v", txn)
	}
	old := must[*clientv3.GetResponse](t)(c.Get(ctx, "k", clientv3.WithRev(2)))
	if string(old.Kvs[0].Value) != "1" || old.Header.Revision != 3 {
		t.Errorf("old revision: %v", old)
	}
	must[*clientv3.CompactResponse](t)(c.Compact(ctx, 3, clientv3.WithCompactPhysical()))
	if _, err := c.Get(ctx, "k", clientv3.WithRev(2)); !errors.Is(err, rpctypes.ErrCompacted) {
		t.Errorf("compacted revision: %v", err)
	}
	if d := must[*clientv3.DeleteResponse](t)(c.Delete(ctx, "", clientv3.WithPrefix())); d.Deleted != 1 {
		t.Errorf("deleted %d", d.Deleted)
	}
}

// TestQuota fills the space: the alarm is raised, and bars writes until it is disarmed.
func TestQuota(t *testing.T) {
	nodes := gatewaytest.Options{}
	nodes.Mvcc.Quota = 10000
	s := start(t, nodes, gateway.Options{})
	c, ctx := s.client(t), soon(t)
	var err error
	for i := 0; err == nil && i < 100; i++ {
		_, err = c.Put(ctx, "k", strings.Repeat("x", 1000))
	}
	if !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("too much: %v", err)
	}
	alarms := must[*clientv3.AlarmResponse](t)(c.AlarmList(ctx))
	if len(alarms.Alarms) != 1 || alarms.Alarms[0].MemberID != 1 {
		t.Fatalf("alarms: %v", alarms)
	}
	status := must[*clientv3.StatusResponse](t)(c.Status(ctx, s.addr))
	if len(status.Errors) != 1 || status.DbSizeQuota != 10000 || status.Leader != 1 || status.Version != "3.6.16" {
		t.Errorf("status: %v", status)
	}
	revision := must[*clientv3.GetResponse](t)(c.Get(ctx, "k")).Header.Revision
	must[*clientv3.CompactResponse](t)(c.Compact(ctx, revision, clientv3.WithCompactPhysical()))
	if _, err := c.Put(ctx, "k", "y"); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Errorf("with the alarm: %v", err)
	}
	must[*clientv3.AlarmResponse](t)(c.AlarmDisarm(ctx, &clientv3.AlarmMember{}))
	must[*clientv3.PutResponse](t)(c.Put(ctx, "k", "y"))
}

func TestLeases(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	c, ctx := s.client(t), soon(t)
	short := must[*clientv3.LeaseGrantResponse](t)(c.Grant(ctx, 1))
	kept := must[*clientv3.LeaseGrantResponse](t)(c.Grant(ctx, 2))
	if short.TTL != 2 || short.ID == kept.ID {
		t.Errorf("granted %v and %v", short, kept)
	}
	must[*clientv3.PutResponse](t)(c.Put(ctx, "short", "", clientv3.WithLease(short.ID)))
	must[*clientv3.PutResponse](t)(c.Put(ctx, "kept", "", clientv3.WithLease(kept.ID)))
	alive, err := c.KeepAlive(ctx, kept.ID)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	watching := c.Watch(ctx, "short")
	for r := range watching {
		if len(r.Events) > 0 && r.Events[0].Type == clientv3.EventTypeDelete {
			break
		}
	}
	if waited := time.Since(began); waited < time.Second {
		t.Errorf("the lease ended after %v", waited)
	}
	if r := must[*clientv3.GetResponse](t)(c.Get(ctx, "kept")); r.Count != 1 {
		t.Error("the lease that is kept alive ended")
	}
	if r, ok := <-alive; !ok || r.TTL != 2 {
		t.Errorf("keepalive: %v", r)
	}
	left := must[*clientv3.LeaseTimeToLiveResponse](t)(c.TimeToLive(ctx, kept.ID, clientv3.WithAttachedKeys()))
	if left.TTL > 2 || left.TTL < 0 || left.GrantedTTL != 2 || len(left.Keys) != 1 {
		t.Errorf("time to live: %v", left)
	}
	if gone := must[*clientv3.LeaseTimeToLiveResponse](t)(c.TimeToLive(ctx, short.ID)); gone.TTL != -1 {
		t.Errorf("a lease that is gone: %v", gone)
	}
	if r := must[*clientv3.LeaseLeasesResponse](t)(c.Leases(ctx)); len(r.Leases) != 1 {
		t.Errorf("leases: %v", r)
	}
	must[*clientv3.LeaseRevokeResponse](t)(c.Revoke(ctx, kept.ID))
	for range alive { // ends with the lease
	}
	if _, err := c.KeepAliveOnce(ctx, short.ID); !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Errorf("keepalive of a lease that is gone: %v", err)
	}
}

// TestMutex lets several clients count under a lock, and in transactions.
func TestMutex(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	ctx := soon(t)
	const workers, rounds = 4, 10
	var wg sync.WaitGroup
	for range workers {
		c := s.client(t)
		wg.Go(func() {
			if err := countLocked(ctx, c, rounds); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c := s.client(t)
	for _, key := range []string{"locked", "stm"} {
		r := must[*clientv3.GetResponse](t)(c.Get(ctx, key))
		if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != fmt.Sprint(workers*rounds) {
			t.Errorf("%s: %v", key, r.Kvs)
		}
	}
}

func countLocked(ctx context.Context, c *clientv3.Client, rounds int) error {
	session, err := concurrency.NewSession(c)
	if err != nil {
		return err
	}
	defer session.Close()
	mutex := concurrency.NewMutex(session, "lock/")
	for range rounds {
		if err := mutex.Lock(ctx); err != nil {
			return err
		}
		r, err := c.Get(ctx, "locked")
		if err != nil {
			return err
		}
		n := 0
		if len(r.Kvs) > 0 {
			fmt.Sscan(string(r.Kvs[0].Value), &n)
		}
		if _, err := c.Put(ctx, "locked", fmt.Sprint(n+1)); err != nil {
			return err
		}
		if err := mutex.Unlock(ctx); err != nil {
			return err
		}
		_, err = concurrency.NewSTM(c, func(stm concurrency.STM) error {
			n := 0
			fmt.Sscan(stm.Get("stm"), &n)
			stm.Put("stm", fmt.Sprint(n+1))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func TestElection(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	ctx := soon(t)
	c := s.client(t)
	first, second := must[*concurrency.Session](t)(concurrency.NewSession(c)), must[*concurrency.Session](t)(concurrency.NewSession(c))
	defer second.Close()
	one, two := concurrency.NewElection(first, "e"), concurrency.NewElection(second, "e")
	if err := one.Campaign(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	seen := two.Observe(ctx)
	if r := <-seen; string(r.Kvs[0].Value) != "one" {
		t.Errorf("leader %v", r.Kvs)
	}
	won := make(chan error, 1)
	go func() { won <- two.Campaign(ctx, "two") }()
	if err := first.Close(); err != nil { // as if it died: its lease is gone
		t.Fatal(err)
	}
	if err := <-won; err != nil {
		t.Fatal(err)
	}
	if r := <-seen; string(r.Kvs[0].Value) != "two" {
		t.Errorf("leader %v", r.Kvs)
	}
}
