package interop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"zebu/internal/peers"
	"zebu/proto"
)

// durableClient is one session that lives through every crash, with a subtree of its own.
type durableClient struct {
	dir   string
	w     *wire
	rand  *rand.Rand
	tree  *durableTree // with everything acknowledged
	sent  []durableOp  // in order, acknowledged or not, of this round
	zxids []proto.Zxid // of the acknowledged prefix of sent
	total int
}

// TestKill kills a server with SIGKILL at random points under pipelined load, again and again on one data directory, and
// checks after each restart that every acknowledged write is there and that of the others a prefix, in order, is: nothing
// that was never sent, nothing out of order. Sessions and their ephemerals survive all of it.
func TestKill(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 15
	}
	if s := os.Getenv("INTEROP_ROUNDS"); s != "" {
		rounds, _ = strconv.Atoi(s)
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("INTEROP_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("again with INTEROP_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var maker peers.Maker = zebu(t)
	if os.Getenv("INTEROP_ONLY") == "apache" {
		maker = apache39(t)
	}
	config := peers.Config{
		Dir:        t.TempDir(),
		Extra:      []string{"tickTime=2000", "maxSessionTimeout=600000", "autopurge.purgeInterval=0"},
		Properties: []string{"zookeeper.snapCount=2000", "zookeeper.preAllocSize=256", "zookeeper.extendedTypesEnabled=true"},
	}
	clients := make([]*durableClient, 4)
	for i := range clients {
		clients[i] = &durableClient{dir: fmt.Sprintf("/c%d", i), rand: rand.New(rand.NewPCG(seed, uint64(i+1)))}
	}
	for round := range rounds {
		s, err := peers.Start(t.Context(), maker, config)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := durableRound(t.Context(), s, clients, r); err != nil {
			s.Kill()
			t.Fatalf("round %d: %v\nits log ends:\n%s", round, err, s.LogTail(20))
		}
	}
	total := 0
	for _, c := range clients {
		total += c.total
	}
	t.Logf("%d rounds, %d acknowledged writes", rounds, total)
}

// durableRound checks the state, loads the server and kills it.
func durableRound(ctx context.Context, s *peers.Server, clients []*durableClient, r *rand.Rand) error {
	for _, c := range clients {
		if err := c.resume(s.Addr); err != nil {
			return err
		}
	}
	g, _ := errgroup.WithContext(ctx)
	killed := make(chan struct{})
	for _, c := range clients {
		g.Go(func() error { return c.load(killed) })
	}
	time.AfterFunc(time.Duration(r.IntN(250))*time.Millisecond, func() {
		close(killed)
		s.Kill()
	})
	if err := g.Wait(); err != nil {
		return err
	}
	<-s.Done()
	return nil
}

// resume reconnects and verifies; the first time it opens the session and prepares.
func (c *durableClient) resume(addr string) error {
	if c.w == nil {
		w, err := connectWire(addr, 10*time.Minute)
		if err != nil {
			return err
		}
		c.w, c.tree = w, &durableTree{nodes: map[string]durableNode{}}
		if _, err := w.create(c.dir, "", 0, openACL); err != nil {
			return err
		}
		_, err = w.create("/ephemeral"+c.dir[1:], "", proto.Ephemeral, openACL)
		return err
	}
	c.w.Close()
	w, err := resumeWire(addr, c.w)
	if err != nil {
		return fmt.Errorf("%s: resume after zxid %v: %w", c.dir, c.w.lastZxid, err)
	}
	w.xid = c.w.xid
	c.w = w
	got, err := c.read()
	if err != nil {
		return err
	}
	return c.check(got)
}

// read fetches the connection's subtree and its ephemeral.
func (c *durableClient) read() (*durableTree, error) {
	got := &durableTree{nodes: map[string]durableNode{}}
	b, err := c.w.must(proto.OpGetChildren2, &proto.PathWatchRequest{Path: c.dir})
	if err != nil {
		return nil, err
	}
	var children proto.GetChildren2Response
	d := proto.NewDecoder(b)
	children.Decode(&d)
	// the wire's cversion counts creations and deletions
	got.creations = (children.Stat.Cversion + children.Stat.NumChildren) / 2
	for _, name := range children.Children {
		b, err := c.w.must(proto.OpGetData, &proto.PathWatchRequest{Path: c.dir + "/" + name})
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", c.dir, name, err)
		}
		var n proto.GetDataResponse
		d := proto.NewDecoder(b)
		n.Decode(&d)
		got.nodes[strings.Clone(name)] = durableNode{data: string(n.Data), version: n.Stat.Version, mzxid: n.Stat.Mzxid}
	}
	b, err = c.w.must(proto.OpExists, &proto.PathWatchRequest{Path: "/ephemeral" + c.dir[1:]})
	if err != nil {
		return nil, fmt.Errorf("the ephemeral: %w", err)
	}
	var st proto.Stat
	d = proto.NewDecoder(b)
	if st.Decode(&d); st.EphemeralOwner != c.w.resp.SessionID {
		return nil, fmt.Errorf("the ephemeral belongs to %v, not to %v", st.EphemeralOwner, c.w.resp.SessionID)
	}
	return got, nil
}

// check finds the prefix of what was sent that the server has, at least as long as what was acknowledged.
func (c *durableClient) check(got *durableTree) error {
	state := c.tree
	for k := len(c.zxids); ; k++ {
		if state.same(got) {
			// zxids of writes that were not acknowledged are known now
			state.nodes = got.nodes
			c.tree, c.sent, c.zxids = state, nil, nil
			return nil
		}
		if k == len(c.sent) {
			return fmt.Errorf("%s: %d writes were sent, %d acknowledged; the server's state is that after none of them from there on\n"+
				"want at least %v\n got %v", c.dir, len(c.sent), len(c.zxids), c.tree, got)
		}
		if k == len(c.zxids) {
			state = state.clone()
		}
		state.apply(c.sent[k], 0)
	}
}

// durableDepth is how many writes a connection keeps in flight.
const durableDepth = 32

// load keeps writes in flight until the connection breaks, which is an error only if nobody has killed the server.
func (c *durableClient) load(killed <-chan struct{}) error {
	broken := func(err error) error {
		select {
		case <-killed:
			return nil
		default:
			return fmt.Errorf("%s: %w", c.dir, err)
		}
	}
	ahead := c.tree.clone() // with everything sent
	var expect []proto.ErrCode
	first := c.w.xid + 1
	for {
		for len(c.sent)-len(c.zxids) < durableDepth {
			op := ahead.nextOp(c.rand, c.total+len(c.sent))
			code, body := op.encode(c.dir)
			c.sent = append(c.sent, op)
			expect = append(expect, ahead.apply(op, 0))
			if _, err := c.w.send(code, body); err != nil {
				return broken(err)
			}
		}
		f, err := c.w.read()
		if err != nil {
			return broken(err)
		}
		k := len(c.zxids)
		if f.Xid != first+int32(k) || f.Err != expect[k] {
			return fmt.Errorf("%s: write %d, %+v: reply xid %d, %v; want xid %d, %v", c.dir, k, c.sent[k], f.Xid, f.Err, first+int32(k), expect[k])
		}
		c.tree.apply(c.sent[k], f.Zxid)
		c.zxids = append(c.zxids, f.Zxid)
		c.total++
	}
}
