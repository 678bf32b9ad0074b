package recipes

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// DelayQueue delivers items no sooner than at a time given with each, by the clock of the taker, those due earlier first: Curator's
// DistributedDelayQueue with a lockPath. Kazoo has none. What is guaranteed is what [Queue] says.
type DelayQueue struct{ *queue }

// NewDelayQueue is the queue at a path, in Curator's layout. lockPath is that of [QueueOptions].
func NewDelayQueue(c *Client, dir, lockPath string) *DelayQueue {
	q := newQueue(c, dir, QueueOptions{LockPath: lockPath})
	q.ready = due
	q.compare = func(a, b string) int {
		return cmp.Or(due(a).Compare(due(b)), strings.Compare(a, b))
	}
	return &DelayQueue{q}
}

// Put adds an item for a time, to the millisecond, as [Queue.Put] does.
func (q *DelayQueue) Put(ctx context.Context, data []byte, at time.Time) error {
	return q.put(ctx, fmt.Sprintf("queue-|%08X|", max(at.UnixMilli(), 0)), data)
}

// due reads the time from a name, queue-|HEX|SEQUENCE; one without is due since ever.
func due(name string) time.Time {
	if parts := strings.Split(name, "|"); len(parts) >= 3 {
		if ms, err := strconv.ParseInt(parts[len(parts)-2], 16, 64); err == nil {
			return time.UnixMilli(ms)
		}
	}
	return time.UnixMilli(0)
}
