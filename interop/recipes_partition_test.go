package interop

import (
	"context"
	"fmt"
	"testing"

	"zebu/recipes"
)

// TestRecipesPartition cuts the servers of those apart who share a mutex, the lead or a queue, in one direction and in both: whoever is
// inside when its server is cut off has left before another one is let in, every item is delivered, and none
// after its acknowledgement.
func TestRecipesPartition(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: waits for sessions to expire")
	}
	n := newLabNet(t, 3)
	if n == nil {
		return
	}
	c := newFaultCluster(t, 3, n)
	crew := func(task string) *referee {
		r := newReferee(t)
		for range 2 {
			startWorker(t, task, r.ln.Addr().String(), c.addrs())
		}
		return r
	}
	mutex, election, queue := crew("mutex"), crew("election"), crew("queue")
	ctx, cancel := context.WithTimeout(t.Context(), 3*recipeLimit)
	defer cancel()
	q := recipes.NewQueue(recipesClient(t, c.addrs()...), "/safety/queue", recipes.QueueOptions{})
	put := 0
	progress := func(steps int) {
		t.Helper()
		for range 3 * steps {
			if err := q.Put(ctx, fmt.Appendf(nil, "item%d", put)); err != nil {
				t.Fatal(err)
			}
			put++
		}
		mutex.progress(steps)
		election.progress(steps)
	}
	progress(3)
	for _, p := range partitions {
		leader := c.leader()
		t.Logf("%s: member %d leads", p.name, leader.id)
		p.cut(n, leader, c.others(leader))
		progress(3)
		n.heal()
		c.awaitServing(c.members...)
		progress(1)
	}
	queue.await("all items to be acknowledged", func() bool { return len(queue.acked) == put })
}
