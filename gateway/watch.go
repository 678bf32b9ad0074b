package gateway

import (
	"context"
	"errors"
	"io"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"zebu/mvcc"
)

// watchServer is etcd's Watch service.
type watchServer struct {
	*Server
	framed bool // streams are gRPC's, which take frames
}

// watchStream is one client's stream with all its watches. One goroutine sends what is delivered, another receives what the
// client wants.
type watchStream struct {
	*watchServer
	stream  pb.Watch_WatchServer
	watches Watches

	// mu lets one goroutine send at a time, and guards what follows.
	mu       sync.Mutex
	asked    int // creations
	answered int // of those, refusals included
	refusals []refusal
	over     bool // nothing may be sent any more
}

// refusal is the answer to a creation that was not passed on. It must go out in its turn: clients take the answers to
// their creations in order.
type refusal struct {
	after  int // so many answers to creations
	reason string
}

// Watch implements pb.WatchServer.
func (s *watchServer) Watch(stream pb.Watch_WatchServer) error {
	ws := &watchStream{watchServer: s, stream: stream, watches: s.Node.OpenWatches()}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	go func() {
		err := ws.receive()
		if errors.Is(err, io.EOF) {
			<-stream.Context().Done() // a client that has nothing more to say may go on to listen
		} else {
			cancel(err)
		}
		ws.watches.Close()
	}()
	err := ws.send(ctx)
	ws.mu.Lock()
	ws.over = true
	ws.mu.Unlock()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if errors.Is(err, context.Canceled) {
		err = rpctypes.ErrGRPCWatchCanceled
	}
	return err
}

func (ws *watchStream) receive() error {
	for {
		r, err := ws.stream.Recv()
		if err != nil {
			return err
		}
		// While the client takes no answers, it has no more questions answered: they would pile up.
		ws.mu.Lock()
		if _, ok := r.RequestUnion.(*pb.WatchRequest_CreateRequest); ok {
			ws.asked++
		}
		ws.mu.Unlock()
		switch u := r.RequestUnion.(type) {
		case *pb.WatchRequest_CreateRequest:
			err = ws.create(u.CreateRequest)
		case *pb.WatchRequest_CancelRequest:
			ws.watches.Cancel(u.CancelRequest.WatchId)
		case *pb.WatchRequest_ProgressRequest:
			ws.watches.Progress()
		}
		if err != nil {
			return err
		}
	}
}

func (ws *watchStream) create(r *pb.WatchCreateRequest) error {
	if len(r.Key) == 0 {
		r.Key = []byte{0} // the smallest one
	}
	// A negative start is refused for that, whoever asks.
	if err := ws.permit(ws.stream.Context(), r); err != nil && r.StartRevision >= 0 {
		return ws.refuse(err)
	}
	ws.watches.Create(r)
	return nil
}

// refuse answers a creation that the client has no right to. It returns other errors.
func (ws *watchStream) refuse(why error) error {
	switch why {
	case rpctypes.ErrGRPCPermissionDenied, rpctypes.ErrGRPCInvalidAuthToken, rpctypes.ErrGRPCAuthOldRevision, rpctypes.ErrGRPCUserEmpty:
	default:
		return why
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.refusals = append(ws.refusals, refusal{ws.asked - 1, why.Error()})
	return ws.sendRefusals()
}

// sendRefusals sends those whose turn it is. It is called with mu locked.
func (ws *watchStream) sendRefusals() error {
	for len(ws.refusals) > 0 && ws.refusals[0].after == ws.answered && !ws.over {
		r := &pb.WatchResponse{
			Header: ws.header(), WatchId: mvcc.NoWatch, Created: true, Canceled: true, CancelReason: ws.refusals[0].reason,
		}
		ws.refusals = ws.refusals[1:]
		ws.answered++
		if err := ws.stream.Send(r); err != nil {
			return err
		}
	}
	return nil
}

// send returns why it cannot go on.
func (ws *watchStream) send(ctx context.Context) error {
	for {
		list, err := ws.watches.Next(ctx)
		if err != nil {
			return err
		}
		for i := range list {
			if err := ws.deliver(&list[i]); err != nil {
				return err
			}
		}
	}
}

func (ws *watchStream) deliver(d *mvcc.Delivery) error {
	head := &pb.WatchResponse{
		Header:          &pb.ResponseHeader{},
		WatchId:         d.Watch,
		Created:         d.Created,
		Canceled:        d.Canceled,
		CompactRevision: d.CompactRevision,
		CancelReason:    d.Reason,
	}
	ws.fill(head.Header)
	head.Header.Revision = d.Revision
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if err := ws.sendEvents(head, d.Events, d.Fragment); err != nil {
		return err
	}
	if d.Created {
		ws.answered++
		return ws.sendRefusals()
	}
	return nil
}

func (ws *watchStream) sendEvents(head *pb.WatchResponse, events []*mvccpb.Event, fragment bool) error {
	if len(events) == 0 {
		return ws.stream.Send(head)
	}
	if fragment && len(events) > 1 {
		whole := *head
		whole.Events = events
		if limit := ws.MaxRequestBytes + requestOverhead; whole.Size() >= limit {
			return ws.sendFragments(head, events, limit)
		}
	}
	if !ws.framed {
		head.Events = events
		return ws.stream.Send(head)
	}
	encoded, err := ws.shared.encode(events)
	if err != nil {
		return err
	}
	return ws.stream.SendMsg(&frame{head, encoded})
}

// sendFragments sends events in several messages of less than limit bytes each, if single events allow that.
func (ws *watchStream) sendFragments(head *pb.WatchResponse, events []*mvccpb.Event, limit int) error {
	for len(events) > 0 {
		part := *head
		part.Fragment = true
		size := part.Size()
		n := 0
		for n < len(events) {
			// As part.Size would have it: the event, its length and its tag.
			e := &pb.WatchResponse{Events: events[n : n+1]}
			size += e.Size()
			if n > 0 && size >= limit {
				break
			}
			n++
		}
		part.Events, events = events[:n], events[n:]
		part.Fragment = len(events) > 0
		if err := ws.stream.Send(&part); err != nil {
			return err
		}
	}
	return nil
}
