package recipes

import (
	"context"
	"fmt"
)

// kazooPriority is what kazoo takes for an item without a priority.
const kazooPriority = 100

// PriorityQueue delivers items with smaller priorities first, and those of one priority in the order in which they were put:
// Curator's DistributedPriorityQueue with a lockPath, kazoo's LockingQueue. What is guaranteed is what [Queue] says; of items put while others
// are being taken nothing is promised.
type PriorityQueue struct{ *queue }

// NewPriorityQueue is the queue at a path.
func NewPriorityQueue(c *Client, dir string, o QueueOptions) *PriorityQueue {
	return &PriorityQueue{newQueue(c, dir, o)}
}

// Put adds an item, as [Queue.Put] does. Kazoo's layout has priorities from 0 to 999, 100 is usual; Curator's has all of 32 bits.
func (q *PriorityQueue) Put(ctx context.Context, data []byte, priority int32) error {
	if q.layout == Curator {
		sign := 1 // sorts behind 0
		if priority < 0 {
			sign = 0
		}
		return q.put(ctx, fmt.Sprintf("queue-%d%08X", sign, uint32(priority)), data)
	}
	if priority < 0 || priority > 999 {
		return fmt.Errorf("put into %s: priority %d: expected 0 to 999", q.entries, priority)
	}
	return q.put(ctx, fmt.Sprintf("entry-%03d-", priority), data)
}
