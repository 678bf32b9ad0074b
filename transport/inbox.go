package transport

import (
	"slices"
	"sync"

	"zebu/proto"
)

// Event is what a [Mesh] tells its owner: a [Received], [PeerUp] or [PeerDown].
type Event interface{ event() }

// Received is a notification, from a peer or from this server itself.
type Received struct {
	From         proto.ServerID
	Notification proto.Notification
}

// PeerUp says that there is a connection to a peer, or a new one instead of the last. What was sent before may have been
// lost, but for the last message, which is sent again.
type PeerUp struct{ ID proto.ServerID }

// PeerDown says that all addresses of a peer refuse connections: its host answers, and no server does. It is said
// once until the next PeerUp. A peer that is merely silent is not reported.
type PeerDown struct{ ID proto.ServerID }

func (Received) event() {}
func (PeerUp) event()   {}
func (PeerDown) event() {}

// maxReceived is how many notifications wait for the owner (spec 7.1).
const maxReceived = 100

// inbox holds events until the owner takes them. It holds no more than maxReceived notifications, and one other event for
// each peer.
type inbox struct {
	wake chan struct{} // holds one

	mu       sync.Mutex
	events   []Event
	received int
}

func (b *inbox) put(e Event) {
	b.mu.Lock()
	switch e := e.(type) {
	case Received:
		if b.received == maxReceived {
			at := slices.IndexFunc(b.events, func(o Event) bool { _, ok := o.(Received); return ok })
			b.events = slices.Delete(b.events, at, at+1)
		} else {
			b.received++
		}
	case PeerUp:
		b.forget(e.ID)
	case PeerDown:
		b.forget(e.ID)
	}
	b.events = append(b.events, e)
	b.mu.Unlock()
	wake(b.wake)
}

// forget drops the news of a peer's connection that newer ones replace.
func (b *inbox) forget(id proto.ServerID) {
	b.events = slices.DeleteFunc(b.events, func(o Event) bool { return o == Event(PeerUp{id}) || o == Event(PeerDown{id}) })
}

func (b *inbox) take() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.events
	b.events, b.received = nil, 0
	return events
}

// wake makes the one who waits for c look again.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
