package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"zebu/internal/client"
	"zebu/proto"
)

const (
	// batchBytes and batchOps bound a transaction: half of jute.maxbuffer's default, and a moment of the server's time.
	batchBytes = 512 << 10
	batchOps   = 500
	// tries is how often a request is sent whose reply was lost with the connection: some requests cost it every time.
	tries = 3
	// goodbye is how long the end of a session may take.
	goodbye = 2 * time.Second
)

// Auth is an identity for addauth.
type Auth struct{ Scheme, Credentials string }

// zkEnd is a path of a ZooKeeper cluster.
type zkEnd struct {
	servers  string
	root     string
	patience time.Duration
	auths    []Auth
	batch    int // bytes of a transaction; write's

	mu     sync.Mutex
	c      *client.Client
	feed   *feed // set while following
	stop   context.CancelFunc
	pumped sync.WaitGroup
}

// openZK connects. Errors concern the servers and the identities.
func openZK(ctx context.Context, l Location, auths []Auth, patience time.Duration) (*zkEnd, error) {
	z := &zkEnd{servers: strings.Join(l.Servers, ","), root: l.Root, patience: patience, auths: auths, batch: batchBytes}
	c, err := z.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", l, err)
	}
	z.c = c
	z.pump(c, nil)
	return z, nil
}

// connect opens a session with the identities.
func (z *zkEnd) connect(ctx context.Context) (*client.Client, error) {
	c, err := client.New(client.Options{Servers: z.servers, Patience: z.patience})
	if err != nil {
		return nil, err
	}
	for _, a := range z.auths {
		if err = c.AddAuth(ctx, a.Scheme, []byte(a.Credentials)); err != nil {
			err = fmt.Errorf("addauth %s: %w", a.Scheme, err)
			break
		}
	}
	if err == nil {
		_, err = c.Exists(ctx, "/", false)
		if errors.Is(err, proto.ErrNoAuth) {
			err = nil
		}
	}
	if err != nil {
		z.bye(c)
		return nil, err
	}
	return c, nil
}

// bye ends a session; a server that cannot be told ends it by itself.
func (z *zkEnd) bye(c *client.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = c.Close(ctx)
}

// pump takes a session's events, so that replies never wait behind them, and gives them to f if there is one.
func (z *zkEnd) pump(c *client.Client, f *feed) {
	z.pumped.Go(func() {
		lost := false
		for e := range c.Events() {
			f := f
			if f == nil {
				z.mu.Lock()
				f = z.feed
				z.mu.Unlock()
			}
			if f == nil {
				continue
			}
			switch {
			case e.Path == "" && e.State == client.Connecting:
				lost = true
			case e.Path == "" && lost: // persistent watches are set again, but tell nothing of the time between
				lost = false
				f.resync()
			case e.Path != "":
				if path, ok := relative(z.root, e.Path); ok {
					f.changed(path)
				}
			}
		}
	})
}

// session is the current one.
func (z *zkEnd) session() *client.Client {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.c
}

// renew replaces an expired session, and sets its watch again.
func (z *zkEnd) renew(ctx context.Context, old *client.Client) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.c != old {
		return nil
	}
	deadline := time.Now().Add(z.patience)
	for {
		c, err := z.connect(ctx)
		if err == nil {
			f := z.feed
			z.pump(c, f)
			if f != nil {
				err = c.AddWatch(ctx, z.root, proto.AddWatchRecursive)
			}
			if err == nil {
				z.bye(old)
				z.c = c
				if f != nil {
					f.resync()
				}
				return nil
			}
			z.bye(c)
		}
		if !errors.Is(err, proto.ErrConnectionLoss) || time.Now().After(deadline) || !rest(ctx, time.Second) {
			return err
		}
	}
}

// rest waits; false if ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// do calls f, again if the session was lost or the connection broke before the reply came. What a server refuses, or
// what costs the connection every time, is a nodeError.
func (z *zkEnd) do(ctx context.Context, f func(*client.Client) error) error {
	for try := 1; ; try++ {
		c := z.session()
		err := f(c)
		var lost *client.ConnectionError
		var code proto.ErrCode
		var path *client.PathError
		switch {
		case err == nil:
			return nil
		case errors.Is(err, proto.ErrSessionExpired):
			if err := z.renew(ctx, c); err != nil {
				return err
			}
			try = 0
		case errors.As(err, &lost):
			if !lost.Lost {
				return err
			}
			if try == tries {
				return &nodeError{fmt.Errorf("%w (%d times; larger than jute.maxbuffer?)", err, tries)}
			}
		case errors.As(err, &code), errors.As(err, &path):
			return &nodeError{err}
		default:
			return err
		}
	}
}

func (z *zkEnd) begin(ctx context.Context) (int, error) {
	if err := z.do(ctx, func(c *client.Client) error { return c.Sync(ctx, z.root) }); err != nil {
		var one *nodeError
		if !errors.As(err, &one) {
			return 0, err
		}
	}
	total := -1
	err := z.do(ctx, func(c *client.Client) error {
		n, err := c.Descendants(ctx, z.root)
		if err == nil {
			total = n + 1
		}
		return err
	})
	var one *nodeError
	if errors.As(err, &one) { // no such node, or a server before 3.6
		err = nil
	}
	return total, err
}

func (z *zkEnd) read(ctx context.Context, path string, acl bool) (*node, error) {
	abs := join(z.root, path)
	var n *node
	err := z.do(ctx, func(c *client.Client) error {
		n = &node{}
		var both errgroup.Group
		if acl {
			both.Go(func() (err error) {
				n.acl, _, err = c.ACL(ctx, abs)
				return err
			})
		}
		data, stat, err := c.Get(ctx, abs, false)
		aclErr := both.Wait()
		n.data, n.ephemeral = data, stat.EphemeralOwner != 0
		if err == nil && stat.NumChildren > 0 {
			n.children, _, err = c.Children(ctx, abs, false)
		}
		if err == nil {
			err = aclErr
		}
		return err
	})
	if errors.Is(err, proto.ErrNoNode) {
		return nil, nil
	}
	return n, err
}

func (z *zkEnd) prepare(ctx context.Context) error {
	var above []string
	for path := parent(z.root); path != "/"; path = parent(path) {
		var there bool
		err := z.do(ctx, func(c *client.Client) error {
			_, err := c.Exists(ctx, path, false)
			there = err == nil
			if errors.Is(err, proto.ErrNoNode) {
				err = nil
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if there {
			break
		}
		above = append(above, path)
	}
	slices.Reverse(above)
	for _, path := range above {
		err := z.do(ctx, func(c *client.Client) error {
			_, _, err := c.Create(ctx, client.Create{Path: path, ACL: openACL()})
			if errors.Is(err, proto.ErrNodeExists) {
				err = nil
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (z *zkEnd) write(ctx context.Context, changes []change) ([]failure, error) {
	var failed []failure
	var acls []change
	for len(changes) > 0 {
		var ops []client.Op
		size, n, before := 0, 0, len(acls)
		for n < len(changes) && len(ops) < batchOps {
			ch := &changes[n]
			if len(ops) > 0 && size+ch.size() > z.batch {
				break
			}
			size += ch.size()
			if n++; ch.kind == setACL {
				acls = append(acls, *ch)
				continue
			}
			ops = append(ops, z.op(ch))
		}
		some := changes[:n]
		if len(ops) == 0 {
			changes = changes[n:]
			continue
		}
		err := z.do(ctx, func(c *client.Client) error { return c.Multi(ctx, ops) })
		var one *nodeError
		if errors.As(err, &one) && errors.Is(err, proto.ErrConnectionLoss) && len(ops) > 1 { // jute.maxbuffer may be small there
			z.batch = size / 2
			acls = acls[:before]
			continue
		}
		changes = changes[n:]
		if errors.As(err, &one) {
			var f []failure
			f, err = z.singly(ctx, some)
			failed = append(failed, f...)
		}
		if err != nil {
			return failed, err
		}
	}
	f, err := z.setACLs(ctx, acls)
	return append(failed, f...), err
}

// op is a change as a part of a transaction.
func (z *zkEnd) op(ch *change) client.Op {
	o := client.Op{Op: proto.OpCreate, Path: join(z.root, ch.path), Data: ch.data, ACL: ch.acl, Version: client.AnyVersion}
	switch ch.kind {
	case setData:
		o.Op = proto.OpSetData
	case remove:
		o.Op = proto.OpDelete
	}
	return o
}

// singly makes changes one by one when they could not be made together.
func (z *zkEnd) singly(ctx context.Context, changes []change) ([]failure, error) {
	var failed []failure
	for i := range changes {
		ch := &changes[i]
		if ch.kind == setACL {
			continue
		}
		err := z.do(ctx, func(c *client.Client) error { return z.one(ctx, c, ch) })
		var one *nodeError
		switch {
		case errors.As(err, &one):
			failed = append(failed, failure{ch.path, err})
		case err != nil:
			return failed, err
		}
	}
	return failed, nil
}

// one makes a change whatever has become of the node meanwhile.
func (z *zkEnd) one(ctx context.Context, c *client.Client, ch *change) error {
	abs := join(z.root, ch.path)
	var err error
	switch ch.kind {
	case create:
		_, _, err = c.Create(ctx, client.Create{Path: abs, Data: ch.data, ACL: ch.acl})
		if !errors.Is(err, proto.ErrNodeExists) {
			return err
		}
		if _, err = c.Set(ctx, abs, ch.data, client.AnyVersion); err == nil && !ch.keep {
			_, err = c.SetACL(ctx, abs, ch.acl, client.AnyVersion)
		}
	case setData:
		_, err = c.Set(ctx, abs, ch.data, client.AnyVersion)
	case remove:
		err = c.Delete(ctx, abs, client.AnyVersion)
		if errors.Is(err, proto.ErrNoNode) {
			err = nil
		}
		if errors.Is(err, proto.ErrNotEmpty) {
			err = &nodeError{errKept}
		}
	}
	return err
}

// setACLs changes ACLs, for which there is no transaction.
func (z *zkEnd) setACLs(ctx context.Context, changes []change) (failed []failure, err error) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(batchOps / 4)
	for _, ch := range changes {
		group.Go(func() error {
			err := z.do(ctx, func(c *client.Client) error {
				_, err := c.SetACL(ctx, join(z.root, ch.path), ch.acl, client.AnyVersion)
				return err
			})
			var one *nodeError
			if errors.As(err, &one) {
				mu.Lock()
				failed = append(failed, failure{ch.path, err})
				mu.Unlock()
				return nil
			}
			return err
		})
	}
	err = group.Wait()
	return failed, err
}

func (z *zkEnd) watch(ctx context.Context, f *feed) error {
	z.mu.Lock()
	z.feed = f
	z.mu.Unlock()
	err := z.do(ctx, func(c *client.Client) error { return c.AddWatch(ctx, z.root, proto.AddWatchRecursive) })
	if err != nil {
		return fmt.Errorf("persistent recursive watch, which servers have since 3.6: %w", err)
	}
	ctx, z.stop = context.WithCancel(ctx)
	z.pumped.Go(func() { z.keep(ctx) })
	return nil
}

// keep renews the session whenever it has expired, though nothing else is asked of it.
func (z *zkEnd) keep(ctx context.Context) {
	for ctx.Err() == nil {
		c := z.session()
		for c.State().Alive() {
			if !rest(ctx, time.Second) {
				return
			}
		}
		if z.renew(ctx, c) != nil && !rest(ctx, time.Second) {
			return
		}
	}
}

// reserved holds for ZooKeeper's own nodes.
func (z *zkEnd) reserved(path string) bool {
	abs := join(z.root, path)
	return abs == "/zookeeper" || strings.HasPrefix(abs, "/zookeeper/")
}

func (z *zkEnd) close() {
	if z.stop != nil {
		z.stop()
	}
	z.bye(z.session())
	z.pumped.Wait()
}
