package recipes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"zebu/recipes"
)

// connect opens a client as each example needs one. In your program the servers are yours: "zk1:2181", "zk2:2181", …
func connect() *recipes.Client {
	c, err := recipes.Connect(recipes.Servers(), recipes.Options{SessionTimeout: 10 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	return c
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// What is done under the lock is done under the lease's context: that ends when the lock is lost.
func ExampleMutex() {
	c := connect()
	defer c.Close()
	ctx := context.Background()

	lease, err := recipes.NewMutex(c, "/example/mutex", recipes.LockOptions{ID: "worker 1"}).Lock(ctx)
	check(err)
	err = func(ctx context.Context) error {
		fmt.Println("alone, and the token is positive:", lease.Token() > 0)
		return ctx.Err()
	}(lease.Context())
	check(err)
	if err := lease.Release(ctx); errors.Is(err, recipes.ErrLost) {
		fmt.Println("perhaps not alone after all")
	}
	// Output: alone, and the token is positive: true
}

// Lock with a limit, or not at all.
func ExampleMutex_TryLock() {
	c, other := connect(), connect()
	defer c.Close()
	defer other.Close()
	ctx := context.Background()
	lease, err := recipes.NewMutex(c, "/example/try", recipes.LockOptions{}).Lock(ctx)
	check(err)

	m := recipes.NewMutex(other, "/example/try", recipes.LockOptions{})
	_, err = m.TryLock(ctx)
	fmt.Println(errors.Is(err, recipes.ErrNotAcquired))
	limited, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = m.Lock(limited)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	check(lease.Release(ctx))
	// Output:
	// true
	// true
}

// A reentrant lock is entered again under the context of the lease.
func ExampleLockOptions_reentrant() {
	c := connect()
	defer c.Close()
	m := recipes.NewMutex(c, "/example/reentrant", recipes.LockOptions{Reentrant: true})
	var count func(ctx context.Context, n int)
	count = func(ctx context.Context, n int) {
		lease, err := m.Lock(ctx)
		check(err)
		defer func() { check(lease.Release(ctx)) }()
		fmt.Println(n)
		if n > 1 {
			count(lease.Context(), n-1)
		}
	}
	count(context.Background(), 3)
	// Output:
	// 3
	// 2
	// 1
}

// Data in ZooKeeper is changed in one transaction with the proof that the lock is still held.
func ExampleLease_Check() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	lease, err := recipes.NewMutex(c, "/example/checked", recipes.LockOptions{}).Lock(ctx)
	check(err)
	write := func() error {
		_, err := c.Conn().Multi(lease.Check(), &zk.CreateRequest{Path: "/example/report-", Flags: zk.FlagSequence, Acl: zk.WorldACL(zk.PermAll)})
		return err
	}
	fmt.Println(write())
	check(lease.Release(ctx))
	fmt.Println(write())
	// Output:
	// <nil>
	// zk: node does not exist
}

// A resource of another kind remembers the greatest token.
func ExampleFence() {
	var store recipes.Fence
	fmt.Println(store.Admit(7)) // the holder
	fmt.Println(store.Admit(9)) // the next
	fmt.Println(store.Admit(7)) // the first one wakes up
	// Output:
	// <nil>
	// <nil>
	// recipes: a later holder has been here
}

func ExampleElection() {
	c := connect()
	defer c.Close()
	e := recipes.NewElection(c, "/example/election", recipes.ElectionOptions{ID: "node-1"})
	err := e.Run(context.Background(), func(ctx context.Context, token int64) error {
		all, err := e.Candidates(ctx)
		check(err)
		fmt.Println("leading:", all[0].ID, all[0].Token == token)
		return nil // resigns; a real leader works until ctx ends
	})
	check(err)
	// Output: leading: node-1 true
}

func ExampleElection_Observe() {
	c := connect()
	defer c.Close()
	e := recipes.NewElection(c, "/example/observed", recipes.ElectionOptions{ID: "node-1"})
	term, err := e.Campaign(context.Background())
	check(err)
	enough := errors.New("seen enough")
	err = e.Observe(context.Background(), func(l recipes.Leader) error {
		fmt.Println("leader:", l.ID)
		return enough
	})
	fmt.Println(errors.Is(err, enough))
	check(term.Release(context.Background()))
	// Output:
	// leader: node-1
	// true
}

func ExampleRWMutex() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	m := recipes.NewRWMutex(c, "/example/rw", recipes.LockOptions{})
	one, err := m.RLock(ctx)
	check(err)
	two, err := m.RLock(ctx)
	check(err)
	_, err = m.TryLock(ctx)
	fmt.Println("a writer beside two readers:", err)
	check(one.Release(ctx))
	check(two.Release(ctx))
	writer, err := m.Lock(ctx)
	check(err)
	check(writer.Release(ctx))
	// Output: a writer beside two readers: recipes: held by others
}

func ExampleSemaphore() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	s := recipes.NewSemaphore(c, "/example/semaphore", 2, recipes.LockOptions{ID: "job"})
	one, err := s.Acquire(ctx)
	check(err)
	_, err = s.Acquire(ctx)
	check(err)
	_, err = s.TryAcquire(ctx)
	fmt.Println(err)
	check(one.Release(ctx))
	ids, err := s.Holders(ctx)
	check(err)
	fmt.Println(ids)
	// Output:
	// recipes: held by others
	// [job]
}

func ExampleMultiLock() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	both := recipes.NewMultiLock(
		recipes.NewMutex(c, "/example/account/b", recipes.LockOptions{}),
		recipes.NewMutex(c, "/example/account/a", recipes.LockOptions{}),
	)
	lease, err := both.Lock(ctx)
	check(err)
	fmt.Println(len(lease.Parts()), "locks")
	check(lease.Release(ctx))
	// Output: 2 locks
}

func ExampleQueue() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	q := recipes.NewQueue(c, "/example/queue", recipes.QueueOptions{})
	check(q.Put(ctx, []byte("mail to alice")))
	item, err := q.Take(ctx)
	check(err)
	fmt.Printf("%s\n", item.Data) // the work; if this process dies another gets the item
	check(item.Ack(ctx))
	// Output: mail to alice
}

func ExamplePriorityQueue() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	q := recipes.NewPriorityQueue(c, "/example/priorities", recipes.QueueOptions{})
	check(q.Put(ctx, []byte("later"), 10))
	check(q.Put(ctx, []byte("first"), 1))
	for range 2 {
		item, err := q.Take(ctx)
		check(err)
		fmt.Printf("%s\n", item.Data)
		check(item.Ack(ctx))
	}
	// Output:
	// first
	// later
}

func ExampleDelayQueue() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	q := recipes.NewDelayQueue(c, "/example/delays", "")
	at := time.Now().Add(30 * time.Millisecond)
	check(q.Put(ctx, []byte("wake up"), at))
	item, err := q.Take(ctx)
	check(err)
	fmt.Printf("%s, not too early: %v\n", item.Data, !time.Now().Before(at.Truncate(time.Millisecond)))
	check(item.Ack(ctx))
	// Output: wake up, not too early: true
}

func ExampleBarrier() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	b := recipes.NewBarrier(c, "/example/barrier")
	check(b.Set(ctx))
	passed := make(chan error)
	go func() { passed <- b.Wait(ctx) }()
	check(b.Remove(ctx))
	fmt.Println(<-passed)
	// Output: <nil>
}

func ExampleDoubleBarrier() {
	ctx := context.Background()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			c := connect()
			defer c.Close()
			b := recipes.NewDoubleBarrier(c, "/example/together", 3)
			check(b.Enter(ctx))
			fmt.Println("working") // all at the same time
			check(b.Leave(ctx))
		})
	}
	all.Wait()
	// Output:
	// working
	// working
	// working
}

func ExampleCounter() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	n := recipes.NewCounter(c, "/example/visits", recipes.Curator)
	v, err := n.Add(ctx, 5)
	check(err)
	swapped, err := n.CompareAndSet(ctx, 5, 100)
	check(err)
	fmt.Println(v, swapped)
	// Output: 5 true
}

func ExampleSequence() {
	c := connect()
	defer c.Close()
	s := recipes.NewSequence(c, "/example/invoices")
	for range 2 {
		n, err := s.Next(context.Background())
		check(err)
		fmt.Println(n)
	}
	// Output:
	// 0
	// 1
}

func ExampleSegmentIDs() {
	c := connect()
	defer c.Close()
	ids := recipes.NewSegmentIDs(c, "/example/orders", 1000)
	for range 3 {
		n, err := ids.Next(context.Background())
		check(err)
		fmt.Println(n)
	}
	// Output:
	// 1
	// 2
	// 3
}

func ExampleSnowflake() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	ids := recipes.NewSnowflake(c, "/example/snowflake", recipes.SnowflakeOptions{})
	a, err := ids.Next(ctx)
	check(err)
	b, err := ids.Next(ctx)
	check(err)
	fmt.Println(a < b, recipes.Worker(a) == recipes.Worker(b))
	check(ids.Close(ctx))
	// Output: true true
}

func ExampleGroup() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	g := recipes.NewGroup(c, "/example/group")
	me, err := g.Join(ctx, "node-1", []byte("10.0.0.1"))
	check(err)
	members, err := g.Members(ctx)
	check(err)
	fmt.Printf("%s\n", members)
	check(me.Leave(ctx))
	// Output: map[node-1:10.0.0.1]
}

func ExampleRegistry() {
	c := connect()
	defer c.Close()
	ctx := context.Background()
	r := recipes.NewRegistry(c, "/example/services", recipes.CuratorServices)
	reg, err := r.Register(ctx, recipes.Instance{
		Service: "greeter", ID: "greeter-1", Address: "10.0.0.1", Port: 8080, Payload: json.RawMessage(`{"zone":"a"}`),
	}, recipes.Health{
		Interval: time.Second,
		Check:    func(context.Context) error { return nil }, // asks the service itself
	})
	check(err)

	greeters, err := r.Discover(ctx, "greeter")
	check(err)
	defer greeters.Close()
	instance, done, err := greeters.Pick(&recipes.LeastConnections{}, "")
	check(err)
	fmt.Println(instance.HostPort())
	done()
	check(reg.Unregister(ctx))
	// Output: 10.0.0.1:8080
}

func ExampleConfig() {
	c := connect()
	defer c.Close()
	for _, kv := range [][2]string{{"", ""}, {"/pool", "8"}, {"/timeout", "250ms"}} {
		_, err := c.Conn().Create("/example-config"+kv[0], []byte(kv[1]), zk.FlagPersistent, zk.WorldACL(zk.PermAll))
		check(err)
	}
	settings, err := recipes.OpenConfig(context.Background(), c, "/example-config", recipes.ConfigOptions{
		Check: func(m map[string]string) error {
			_, err := recipes.ParseSetting[time.Duration](m["timeout"])
			return err
		},
		OnChange: func(keys []string) { log.Print("changed: ", keys) },
	})
	check(err)
	defer settings.Close()
	fmt.Println(recipes.Setting(settings, "pool", 1), recipes.Setting(settings, "timeout", time.Second), recipes.Setting(settings, "debug", false))
	// Output: 8 250ms false
}

func ExampleNodeCache() {
	c := connect()
	defer c.Close()
	_, err := c.Conn().Create("/example-node", []byte("v1"), zk.FlagPersistent, zk.WorldACL(zk.PermAll))
	check(err)
	k := recipes.NewNodeCache(c, "/example-node", func(ch recipes.Change) {
		fmt.Printf("%s\n", ch.Node.Data)
	})
	check(k.Ready(context.Background()))
	k.Close()
	// Output: v1
}

func ExampleChildrenCache() {
	c := connect()
	defer c.Close()
	_, err := c.Conn().Create("/example-children", nil, zk.FlagPersistent, zk.WorldACL(zk.PermAll))
	check(err)
	_, err = c.Conn().Create("/example-children/a", []byte("1"), zk.FlagPersistent, zk.WorldACL(zk.PermAll))
	check(err)
	k := recipes.NewChildrenCache(c, "/example-children")
	defer k.Close()
	check(k.Ready(context.Background()))
	for _, n := range k.Children() {
		fmt.Printf("%s=%s\n", n.Path, n.Data)
	}
	// Output: /example-children/a=1
}

func ExampleTreeCache() {
	c := connect()
	defer c.Close()
	for _, p := range []string{"/example-tree", "/example-tree/a", "/example-tree/a/b"} {
		_, err := c.Conn().Create(p, nil, zk.FlagPersistent, zk.WorldACL(zk.PermAll))
		check(err)
	}
	k := recipes.NewTreeCache(c, "/example-tree")
	defer k.Close()
	check(k.Ready(context.Background()))
	for _, n := range k.Nodes() {
		fmt.Println(n.Path)
	}
	// Output:
	// /example-tree
	// /example-tree/a
	// /example-tree/a/b
}
