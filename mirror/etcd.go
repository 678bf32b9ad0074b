package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// etcdOps is etcd's default limit of operations in a transaction, --max-txn-ops.
	etcdOps = 128
	// page is how many keys are listed at a time.
	page = 5000
	// answer is how long one request may take.
	answer = 10 * time.Second
)

// etcdEnd is a prefix of etcd keys: the path /a/b is the key PREFIX/a/b, and PREFIX itself is the root's.
type etcdEnd struct {
	c        *clientv3.Client
	prefix   string
	patience time.Duration
	stop     context.CancelFunc
	tasks    sync.WaitGroup

	mu    sync.Mutex
	index *index
	rev   int64 // that the index was listed at
}

// openEtcd connects.
func openEtcd(ctx context.Context, l Location, patience time.Duration) (*etcdEnd, error) {
	config := clientv3.Config{Endpoints: l.Servers, Username: l.User, Password: l.Password, DialTimeout: answer, Logger: zap.NewNop()}
	if l.TLS != nil {
		var err error
		if config.TLS, err = l.TLS.config(); err != nil {
			return nil, &OptionError{fmt.Errorf("%v: %w", l, err)}
		}
	}
	reached, wrong := greet(ctx, l.Servers, config.TLS)
	if reached && wrong != nil {
		return nil, fmt.Errorf("%v: %w", l, wrong)
	}
	// A server that is not there yet may come, and etcd's client knows proxies.
	c, err := clientv3.New(config)
	e := &etcdEnd{c: c, prefix: l.Root, index: newIndex()}
	if err == nil {
		if _, err = e.get(ctx, e.key("/"), clientv3.WithCountOnly()); err != nil {
			err = errors.Join(err, c.Close())
		}
	}
	if err != nil && wrong != nil && Unreachable(err) {
		err = wrong
	}
	if err != nil {
		return nil, fmt.Errorf("%v: %w", l, err)
	}
	e.patience = patience
	return e, nil
}

// key of a path; "" for the root of all keys, which cannot be one.
func (e *etcdEnd) key(path string) string {
	if path == "/" {
		return e.prefix
	}
	return e.prefix + path
}

// do calls f until it succeeds or fails for good. Requests of a copy may be repeated.
func (e *etcdEnd) do(ctx context.Context, f func(context.Context) error) error {
	deadline := time.Now().Add(e.patience)
	for {
		once, cancel := context.WithTimeout(ctx, answer)
		err := f(once)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		code := status.Code(err)
		var told rpctypes.EtcdError
		if errors.As(err, &told) {
			code = told.Code()
		}
		switch {
		case code == codes.Unavailable, code == codes.DeadlineExceeded, errors.Is(err, context.DeadlineExceeded):
			if time.Now().After(deadline) || !rest(ctx, 200*time.Millisecond) {
				return err
			}
		case code == codes.Unknown, code == codes.Canceled, code == codes.Unauthenticated:
			return err
		default:
			return &nodeError{err}
		}
	}
}

// Unreachable says whether an error is that of an etcd cluster that could not be reached.
func Unreachable(err error) bool {
	var none *ConnectError
	return errors.As(err, &none) || status.Code(err) == codes.Unavailable || errors.Is(err, context.DeadlineExceeded)
}

func (e *etcdEnd) get(ctx context.Context, key string, o ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if key == "" {
		key = "\x00"
	}
	var r *clientv3.GetResponse
	err := e.do(ctx, func(ctx context.Context) (err error) {
		r, err = e.c.Get(ctx, key, o...)
		return err
	})
	return r, err
}

// begin lists the keys at one revision.
func (e *etcdEnd) begin(ctx context.Context) (int, error) {
	for {
		x, rev, err := e.list(ctx)
		if errors.Is(err, rpctypes.ErrCompacted) {
			continue
		}
		if err != nil {
			return 0, err
		}
		e.mu.Lock()
		if rev >= e.rev { // the watch may already know more
			e.index, e.rev = x, rev
		}
		e.mu.Unlock()
		keys, _ := x.counts()
		return keys, nil
	}
}

func (e *etcdEnd) list(ctx context.Context) (*index, int64, error) {
	x, rev := newIndex(), int64(0)
	if e.prefix != "" {
		r, err := e.get(ctx, e.prefix, clientv3.WithKeysOnly())
		if err != nil {
			return nil, 0, err
		}
		rev = r.Header.Revision
		if r.Count > 0 {
			x.add("")
		}
	}
	from := e.prefix + "/"
	end := clientv3.GetPrefixRangeEnd(from)
	for {
		o := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithKeysOnly(), clientv3.WithLimit(page)}
		if rev > 0 {
			o = append(o, clientv3.WithRev(rev))
		}
		r, err := e.get(ctx, from, o...)
		if err != nil {
			return nil, 0, err
		}
		if rev == 0 {
			rev = r.Header.Revision
		}
		for _, kv := range r.Kvs {
			x.add(string(kv.Key[len(e.prefix):]))
		}
		if !r.More || len(r.Kvs) == 0 {
			return x, rev, nil
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
}

func (e *etcdEnd) tree() *index {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.index
}

func (e *etcdEnd) read(ctx context.Context, path string, _ bool) (*node, error) {
	key, children := e.tree().look(path)
	n := &node{children: children, implied: true}
	if key {
		r, err := e.get(ctx, e.key(path))
		if err != nil {
			return nil, err
		}
		if len(r.Kvs) > 0 {
			n.data, n.ephemeral, n.implied = r.Kvs[0].Value, r.Kvs[0].Lease != 0, false
		}
	}
	if n.implied && len(children) == 0 && path != "/" {
		return nil, nil
	}
	return n, nil
}

// prepare has nothing to do: a key needs no others.
func (e *etcdEnd) prepare(context.Context) error { return nil }

func (e *etcdEnd) write(ctx context.Context, changes []change) ([]failure, error) {
	var failed []failure
	for len(changes) > 0 {
		var ops []clientv3.Op
		seen := map[string]bool{} // a transaction may name a key once
		size, n := 0, 0
		for n < len(changes) && len(ops) < etcdOps {
			ch := &changes[n]
			if size += ch.size(); len(ops) > 0 && (size > batchBytes || seen[ch.path]) {
				break
			}
			seen[ch.path] = true
			n++
			if op, ok := e.op(ch); ok {
				ops = append(ops, op)
			}
		}
		some := changes[:n]
		changes = changes[n:]
		if len(ops) == 0 {
			continue
		}
		err := e.commit(ctx, ops)
		var one *nodeError
		switch {
		case err == nil:
			e.note(some)
		case errors.As(err, &one):
			f, err := e.singly(ctx, some)
			failed = append(failed, f...)
			if err != nil {
				return failed, err
			}
		default:
			return failed, err
		}
	}
	return failed, nil
}

// op is a change as a part of a transaction; false if etcd has nothing of the kind.
func (e *etcdEnd) op(ch *change) (clientv3.Op, bool) {
	key := e.key(ch.path)
	if key == "" {
		return clientv3.Op{}, false
	}
	switch ch.kind {
	case create, setData:
		return clientv3.OpPut(key, string(ch.data)), true
	case remove:
		return clientv3.OpDelete(key), true
	}
	return clientv3.Op{}, false
}

func (e *etcdEnd) commit(ctx context.Context, ops []clientv3.Op) error {
	return e.do(ctx, func(ctx context.Context) error {
		_, err := e.c.Txn(ctx).Then(ops...).Commit()
		return err
	})
}

// singly makes changes one by one when they could not be made together.
func (e *etcdEnd) singly(ctx context.Context, changes []change) ([]failure, error) {
	var failed []failure
	for i := range changes {
		op, ok := e.op(&changes[i])
		if !ok {
			continue
		}
		err := e.commit(ctx, []clientv3.Op{op})
		var one *nodeError
		switch {
		case err == nil:
			e.note(changes[i : i+1])
		case errors.As(err, &one):
			failed = append(failed, failure{changes[i].path, err})
		default:
			return failed, err
		}
	}
	return failed, nil
}

// note keeps the index up to date with what was written.
func (e *etcdEnd) note(changes []change) {
	x := e.tree()
	for i := range changes {
		switch path := changes[i].path; changes[i].kind {
		case create, setData:
			x.add(strings.TrimSuffix(path, "/"))
		case remove:
			x.drop(path)
		}
	}
}

// watch follows the keys from the listing on; changes that were compacted away while there was no connection are made up for
// by a new one.
func (e *etcdEnd) watch(ctx context.Context, f *feed) error {
	if _, err := e.begin(ctx); err != nil {
		return err
	}
	ctx, e.stop = context.WithCancel(ctx)
	e.tasks.Go(func() {
		for ctx.Err() == nil {
			e.follow(ctx, f)
			if !rest(ctx, time.Second) {
				return
			}
			if _, err := e.begin(ctx); err == nil {
				f.resync()
			}
		}
	})
	return nil
}

// follow notes events until the watch breaks.
func (e *etcdEnd) follow(ctx context.Context, f *feed) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	e.mu.Lock()
	rev := e.rev
	e.mu.Unlock()
	from, end := e.prefix, clientv3.GetPrefixRangeEnd(e.prefix+"/")
	if from == "" {
		from = "/"
	}
	for r := range e.c.Watch(ctx, from, clientv3.WithRange(end), clientv3.WithRev(rev+1)) {
		if r.Err() != nil {
			return
		}
		for _, ev := range r.Events {
			below := string(ev.Kv.Key[len(e.prefix):])
			if below != "" && below[0] != '/' {
				continue // sorts between the prefix and what is below it
			}
			e.event(ev, below, f)
		}
	}
}

// event brings the index up to date. An index that was listed meanwhile may already know more than an event: it is wrong
// then until the next event of that key comes, which is on its way.
func (e *etcdEnd) event(ev *clientv3.Event, below string, f *feed) {
	path := below
	if path == "" {
		path = "/"
	}
	e.mu.Lock()
	x := e.index
	e.rev = max(e.rev, ev.Kv.ModRevision)
	e.mu.Unlock()
	if ev.Type == mvccpb.PUT {
		for _, p := range x.add(below) {
			f.changed(p)
		}
		return
	}
	for _, p := range x.drop(path) {
		f.changed(p)
	}
}

// reserved holds for the empty key, which etcd does not take.
func (e *etcdEnd) reserved(path string) bool { return e.key(path) == "" }

func (e *etcdEnd) close() {
	if e.stop != nil {
		e.stop()
	}
	_ = e.c.Close() // what was written is acknowledged
	e.tasks.Wait()
}
