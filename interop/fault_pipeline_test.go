package interop

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"zebu/proto"
)

// TestFaultPipelines kills the leader while sessions have many writes in flight, through the leader and through followers. Of each
// session's writes those that were acknowledged are there, of the others a prefix, in order; sessions go on elsewhere.
func TestFaultPipelines(t *testing.T) {
	t.Parallel()
	c := newFaultCluster(t, 3, newPlainNet(t, 3))
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	var clients []*durableClient
	for i := range 6 {
		client := &durableClient{dir: fmt.Sprintf("/c%d", i), rand: rand.New(rand.NewPCG(seed, uint64(i+1)))}
		if err := client.resume(c.members[i%3].addr); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, client)
	}
	for round := range faultRounds(8) {
		leader := c.leader()
		killed := make(chan struct{})
		var g errgroup.Group
		for _, client := range clients {
			g.Go(func() error { return client.load(killed) })
		}
		time.AfterFunc(time.Duration(50+r.IntN(150))*time.Millisecond, func() {
			close(killed)
			c.kill(leader)
		})
		if err := g.Wait(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		heir := c.leader(c.others(leader)...)
		c.start(leader)
		c.awaitServing(c.members...)
		for i, client := range clients {
			if err := client.moveTo(c.members[(i+round)%3].addr); err != nil {
				t.Errorf("round %d, member %d killed, %d took over: %v", round, leader.id, heir.id, err)
			}
		}
		if t.Failed() {
			return
		}
	}
	total := 0
	for _, client := range clients {
		total += client.total
	}
	t.Logf("%d acknowledged writes", total)
	verifyDigests(t, c)
}

// moveTo goes on with the session on a member, and checks what has become of its writes.
func (c *durableClient) moveTo(addr string) error {
	c.w.Close()
	w, err := resumeWire(addr, c.w)
	if err != nil {
		return fmt.Errorf("%s: resume after zxid %v: %w", c.dir, c.w.lastZxid, err)
	}
	w.xid = c.w.xid
	c.w = w
	if _, err := w.must(proto.OpSync, &proto.PathRequest{Path: c.dir}); err != nil {
		return err
	}
	got, err := c.read()
	if err != nil {
		return err
	}
	return c.check(got)
}
