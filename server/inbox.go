package server

import (
	"sync"

	"zebu/proto"
	"zebu/replica"
)

// itemKind is what an inbox item asks of the loop.
type itemKind uint8

const (
	itemRequest itemKind = iota
	itemConnect
	itemGone // the connection's reader has ended
	itemCall // of the etcd API
)

// item is one thing for the loop to do. Its body lies in the inbox's arena and is valid until the next take.
type item struct {
	kind itemKind
	c    *conn
	call *etcdCall
	req  replica.Request
}

// inbox hands requests from the connections' readers to the loop, a batch at a time. It is bounded: a reader waits while the
// inbox is full, stops reading its socket, and TCP pushes back on the client.
type inbox struct {
	mu     sync.Mutex
	room   sync.Cond
	items  []item
	arena  []byte
	closed bool
	wake   chan struct{} // holds a token while there is something to take

	taken      []item // what the loop works on; swapped with items
	takenArena []byte
}

// Bounds of the inbox: readers wait beyond either.
const (
	maxInboxItems = 16 << 10
	maxInboxBytes = 64 << 20
)

func newInbox() *inbox {
	in := &inbox{wake: make(chan struct{}, 1)}
	in.room.L = &in.mu
	return in
}

// push copies the items in; bodies may be reused by the caller afterwards. It reports false if the loop has ended.
func (in *inbox) push(items []item) bool {
	in.mu.Lock()
	for !in.closed && (len(in.items) > maxInboxItems || len(in.arena) > maxInboxBytes) {
		in.room.Wait()
	}
	if in.closed {
		in.mu.Unlock()
		return false
	}
	for i := range items {
		it := items[i]
		at := len(in.arena)
		// Growing moves the arena; bodies copied before stay valid where they were.
		in.arena = append(in.arena, it.req.Body...)
		it.req.Body = in.arena[at:len(in.arena):len(in.arena)]
		in.items = append(in.items, it)
	}
	first := len(in.items) == len(items)
	in.mu.Unlock()
	if first {
		select {
		case in.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// take returns all items, valid until the next take. Only the loop calls it.
func (in *inbox) take() []item {
	in.mu.Lock()
	clear(in.taken)
	in.items, in.taken = in.taken[:0], in.items
	if cap(in.takenArena) > 4<<20 {
		in.takenArena = nil
	}
	in.arena, in.takenArena = in.takenArena[:0], in.arena
	in.mu.Unlock()
	in.room.Broadcast()
	return in.taken
}

// close makes every push fail from now on.
func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	in.room.Broadcast()
}

// connectItem wraps a connection's first frame, which the loop decodes.
func connectItem(c *conn, body []byte, at proto.Millis) item {
	return item{kind: itemConnect, c: c, req: replica.Request{Op: proto.OpCreateSession, Body: body, At: at}}
}
