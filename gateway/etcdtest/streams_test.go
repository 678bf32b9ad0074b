package etcdtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"zebu/mvcc"
)

// create begins a watch.
type create = pb.WatchCreateRequest

// cancel ends one, progress asks how far the stream is, synced asks until there is an answer; quiet closes the sending side.
type (
	cancel   int64
	progress struct{}
	synced   struct{}
	quiet    struct{}
)

// reaches waits until a watch has an event of a revision, or ends by compaction. After a watch ended so, etcd answers no more how far the
// stream is.
type reaches struct{ watch, revision int64 }

// A script is what is done to a stream of watches, in order: creations and so on, and calls. Before each call all watches created before are
// waited for. Unless the stream is half closed, all watches must have begun and be synced in the end.
var scripts = map[string][]any{
	"events": {
		&put{Key: b("a"), Value: b("0")}, &create{Key: b("a")}, &create{Key: b("a"), RangeEnd: b("c"), PrevKv: true},
		&create{Key: b("b"), Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT}},
		&create{Key: b("b"), Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NODELETE}}, &create{},
		&put{Key: b("a"), Value: b("1")}, &put{Key: b("b"), Value: b("1")}, &del{Key: b("a"), RangeEnd: b("c")}, &del{Key: b("a")}, &put{Key: b("c")},
		&txn{Success: list{putOp(&put{Key: b("a"), Value: b("2")}), putOp(&put{Key: b("b")}), delOp(&del{Key: b("c")})}},
		&pb.LeaseGrantRequest{ID: 5, TTL: 100}, &put{Key: b("b"), Lease: 5}, &put{Key: b("a"), Lease: 5}, &pb.LeaseRevokeRequest{ID: 5},
	},
	"history": {
		&put{Key: b("a"), Value: b("0")}, &put{Key: b("a"), Value: b("1")}, &put{Key: b("b"), Value: b("1")}, &del{Key: b("a")}, &put{Key: b("a")},
		&create{Key: b("a"), StartRevision: 1}, &create{Key: b("a"), StartRevision: 3, PrevKv: true}, &create{Key: b("a"), RangeEnd: b("z"), StartRevision: 2},
		&create{Key: b("b"), StartRevision: 5}, &create{Key: b("a"), StartRevision: 6}, &create{Key: b("a"), StartRevision: 8}, &put{Key: b("a")}, &put{Key: b("a")}, &put{Key: b("a")},
	},
	"refusals": {
		&create{Key: b("a"), WatchId: 7}, &create{Key: b("a"), WatchId: 7}, &create{Key: b("b"), RangeEnd: b("a")}, &create{Key: b("a"), RangeEnd: b("a")},
		&create{Key: b("a"), StartRevision: -1}, &create{Key: b("a")}, &create{Key: b("a"), WatchId: 1}, &create{Key: b("a")}, cancel(99), cancel(7), &put{Key: b("a")},
		cancel(0), &create{Key: b("a"), WatchId: 7}, &put{Key: b("a")},
	},
	"compaction": {
		&put{Key: b("a"), Value: b("0")}, &put{Key: b("a"), Value: b("1")}, &put{Key: b("a"), Value: b("2")}, &del{Key: b("a")}, &pb.CompactionRequest{Revision: 4, Physical: true},
		&create{Key: b("a"), StartRevision: 3}, &create{Key: b("a"), StartRevision: 4}, &create{Key: b("a"), StartRevision: 5, PrevKv: true}, &put{Key: b("a")},
		reaches{0, math.MaxInt64}, reaches{1, 6}, reaches{2, 6},
		&pb.CompactionRequest{Revision: 5, Physical: true}, &create{Key: b("a"), StartRevision: 5}, &put{Key: b("a")}, reaches{1, 7}, reaches{2, 7}, reaches{3, 7},
	},
	"progress": {
		progress{}, &create{Key: b("a")}, &create{Key: b("b")}, &put{Key: b("x")}, progress{}, &put{Key: b("a")}, progress{}, cancel(1), progress{}, cancel(0), progress{}, &put{Key: b("x")},
	},
	"progress waits for the future": {
		&create{Key: b("a"), StartRevision: 5}, &create{Key: b("b")}, progress{}, &put{Key: b("b")}, &put{Key: b("b")}, progress{}, &put{Key: b("a")}, &put{Key: b("a")}, progress{},
	},
	"half closed": {&create{Key: b("a")}, &create{Key: b("b")}, quiet{}, &put{Key: b("a")}, &put{Key: b("b")}},
	"fragments": {
		&create{Key: b("f"), RangeEnd: b("g"), Fragment: true}, &create{Key: b("f"), RangeEnd: b("g")},
		&put{Key: b("f1"), Value: bytes.Repeat(b("x"), 1<<20)}, &put{Key: b("f2"), Value: bytes.Repeat(b("x"), 1<<20)}, &put{Key: b("f3"), Value: bytes.Repeat(b("x"), 1<<20)},
		&create{Key: b("f"), RangeEnd: b("g"), Fragment: true, StartRevision: 1}, &create{Key: b("f"), RangeEnd: b("g"), StartRevision: 1}, synced{}, &del{Key: b("f"), RangeEnd: b("g")},
		&create{Key: b("f"), RangeEnd: b("g"), Fragment: true, StartRevision: 1, PrevKv: true},
	},
}

// watching is a stream and what came on it.
type watching struct {
	stream    pb.Watch_WatchClient
	responses chan *pb.WatchResponse
	failed    chan error
	told      []string
	reached   map[int64]int64 // by watch, the last event's revision; a very great one if the watch ended
	created   int
	progress  bool // answers about progress are noted
}

func watch(ctx context.Context, conn *grpc.ClientConn) (*watching, error) {
	stream, err := pb.NewWatchClient(conn).Watch(ctx)
	if err != nil {
		return nil, err
	}
	w := &watching{stream: stream, reached: map[int64]int64{}, responses: make(chan *pb.WatchResponse, 1000), failed: make(chan error, 1)}
	go func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				w.failed <- err
				return
			}
			w.responses <- r
		}
	}()
	return w, nil
}

// note writes a response down.
func (w *watching) note(r *pb.WatchResponse) {
	if answersProgress(r) && !w.progress {
		return
	}
	if r.Created {
		w.created++
	}
	if r.CompactRevision != 0 {
		w.reached[r.WatchId] = math.MaxInt64
	}
	head := fmt.Sprintf("watch %d", r.WatchId)
	if len(r.Events) == 0 {
		w.told = append(w.told, fmt.Sprintf("%s at %d created=%v canceled=%v compacted=%d %q", head, r.Header.Revision, r.Created, r.Canceled, r.CompactRevision, r.CancelReason))
		return
	}
	w.reached[r.WatchId] = r.Events[len(r.Events)-1].Kv.ModRevision
	line := head + " events"
	for _, e := range r.Events {
		s := e.String()
		line += fmt.Sprintf(" %s(%d)", s[:min(len(s), 100)], len(s))
	}
	if r.Fragment {
		line += " ..."
	}
	w.told = append(w.told, line)
}

func answersProgress(r *pb.WatchResponse) bool { return r.WatchId == mvcc.NoWatch && !r.Created }

// until notes responses until one fits.
func (w *watching) until(t *testing.T, fits func(*pb.WatchResponse) bool) {
	t.Helper()
	for {
		select {
		case r := <-w.responses:
			w.note(r)
			if fits(r) {
				return
			}
		case err := <-w.failed:
			t.Fatal(err)
		case <-time.After(patience):
			t.Fatal("waited too long")
		}
	}
}

// perWatch sorts what came by watch: between watches there is no order, but for creations. Events that follow one another are one line,
// for it is a matter of time which of them come in one message; but where a message is in fragments.
func (w *watching) perWatch() (lines []string) {
	var ids []string
	watches := map[string][]string{}
	for _, line := range w.told {
		words := strings.SplitN(line, " ", 4)
		id, what := words[1], words[2]
		told, known := watches[id]
		if !known {
			ids = append(ids, id)
		}
		last := len(told) - 1
		if what == "events" && last >= 0 && strings.Contains(told[last], " events ") && !strings.HasSuffix(told[last], "...") && !strings.HasSuffix(line, "...") {
			told[last] += " " + words[3]
		} else {
			told = append(told, line)
		}
		watches[id] = told
	}
	for _, id := range ids {
		lines = append(lines, watches[id]...)
	}
	return lines
}

// reach waits for an event that may have come already.
func (w *watching) reach(t *testing.T, to reaches) {
	t.Helper()
	for w.reached[to.watch] < to.revision {
		w.until(t, func(*pb.WatchResponse) bool { return true })
	}
}

// sync asks how far the stream is until it says, which it does when all watches are synced. That is not noted.
func (w *watching) sync(t *testing.T, send func(*pb.WatchRequest)) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for {
		select {
		case r := <-w.responses:
			if w.note(r); answersProgress(r) {
				return
			}
		case err := <-w.failed:
			t.Fatal(err)
		case <-late:
			t.Fatal("waited too long")
		case <-again.C:
			send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
		}
	}
}

const mark = "zzz-mark"

func play(t *testing.T, addr string, script []any) []string {
	conn := dial(t, addr)
	w, err := watch(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	const markID = 1000
	asked := 1
	send := func(r *pb.WatchRequest) {
		if err := w.stream.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	begin := func(r *create) {
		send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: r}})
	}
	// settle waits for everything that was asked for before: a watch of its own hears of a change after all others have.
	settle := func() {
		for w.created < asked {
			w.until(t, func(*pb.WatchResponse) bool { return true })
		}
	}
	begin(&create{Key: b(mark), WatchId: markID})
	marks := 0
	marked := func() {
		marks++
		value := fmt.Sprint(marks)
		call(t.Context(), conn, &put{Key: b(mark), Value: b(value)})
		w.until(t, func(r *pb.WatchResponse) bool {
			return r.WatchId == markID && len(r.Events) > 0 && string(r.Events[len(r.Events)-1].Kv.Value) == value
		})
	}
	open := true
	for _, step := range script {
		switch s := step.(type) {
		case synced:
			settle()
			w.sync(t, send)
		case *create:
			asked++
			begin(s)
		case cancel:
			settle()
			send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: int64(s)}}})
			if s != 99 {
				w.until(t, func(r *pb.WatchResponse) bool { return r.Canceled && r.WatchId == int64(s) })
			}
		case reaches:
			settle()
			open = false
			w.reach(t, s)
		case progress:
			settle()
			marked()
			w.progress = true
			send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
			begin(&create{Key: b("none")}) // when that is answered, the question has been looked at
			asked++
			settle()
			marked()
			w.progress = false
		case quiet:
			settle()
			open = false
			if err := w.stream.CloseSend(); err != nil {
				t.Fatal(err)
			}
		default:
			settle()
			if told := call(t.Context(), conn, s); strings.HasPrefix(told, "error") {
				t.Fatal(told)
			}
		}
	}
	settle()
	if open {
		w.sync(t, send)
	}
	marked()
	return w.perWatch()
}

func TestWatches(t *testing.T) {
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, addr string) []string { return play(t, addr, script) })
		})
	}
}

func TestKeepAlive(t *testing.T) {
	both(t, func(t *testing.T, addr string) (told []string) {
		conn := dial(t, addr)
		call(t.Context(), conn, &pb.LeaseGrantRequest{ID: 3, TTL: 1000})
		stream, err := pb.NewLeaseClient(conn).LeaseKeepAlive(metadata.AppendToOutgoingContext(t.Context(), "hasleader", "true"))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []int64{3, 4, 0, 3} {
			if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
				t.Fatal(err)
			}
			r, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, text(r))
		}
		stream.CloseSend()
		_, err = stream.Recv()
		return append(told, fmt.Sprint(errors.Is(err, io.EOF)))
	})
}
