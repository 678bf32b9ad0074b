package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Instance is one running instance of a service.
type Instance struct {
	Service string
	ID      string // unique among the service's; "": Register makes one
	Address string // host name or number
	Port    int    // 0: none
	SSLPort int    // 0: none; not in Dubbo's layout
	// Payload is JSON for those who use the service; not in Dubbo's layout. For Java it needs an "@class" if the class there is
	// not one of Java's own.
	Payload json.RawMessage
	// Registered is when the instance was registered.
	Registered time.Time
	// Disabled instances are listed and not picked.
	Disabled bool
	// Weight is for balancers that weigh: "weight" of a payload that is an object, or of Dubbo's parameters. 0 counts as 100, Dubbo's
	// usual one. Register writes it only in Dubbo's layout.
	Weight int
	// Protocol and Params are Dubbo's: the URL's scheme (dubbo, tri …; "" is dubbo) and parameters.
	Protocol string
	Params   map[string]string

	node string // the name of the node it was read from
}

// HostPort is the instance's address for net.Dial.
func (i Instance) HostPort() string { return joinHostPort(i.Address, i.Port) }

func (i Instance) weight() int {
	if i.Weight <= 0 {
		return 100
	}
	return i.Weight
}

// RegistryLayout is how services are written down: [CuratorServices] or [DubboServices].
type RegistryLayout interface {
	dir(base, service string) string
	encode(Instance) (name string, data []byte, err error)
	decode(service, name string, data []byte) (Instance, error)
}

// Registry knows which instances of services there are and where: an ephemeral node each, in the layout of Curator's service discovery or of
// Dubbo's registry.
//
// Guaranteed: an instance is listed while its process has a session and says that it is healthy; after a session has expired it is
// registered again by itself. Those who ask work from a copy that stays usable while no server can be reached, however long, so
// what they are given may be gone: they try another. A registration may outlive its process by the session timeout.
type Registry struct {
	c      *Client
	base   string
	layout RegistryLayout
}

// NewRegistry is the registry at a base path: "/dubbo" for [DubboServices], any for [CuratorServices].
func NewRegistry(c *Client, base string, layout RegistryLayout) *Registry {
	return &Registry{c, path.Clean(base), layout}
}

// Health is asked whether an instance is able to serve; see [Registry.Register].
type Health struct {
	// Check returns nil if the instance is able to serve. It is called every Interval, and given as long.
	Check    func(context.Context) error
	Interval time.Duration // 0: 10 s
}

// Registration is an instance that is registered.
type Registration struct {
	r    *Registry
	stop context.CancelFunc
	done chan struct{} // closed when nobody looks after it any more

	mu       sync.Mutex
	instance Instance
	path     string
	p        *presence // nil while the instance is unwell
}

// Register lists an instance until it is taken off or the client is closed, and returns when it is listed. With a Health that has a
// Check, an instance whose check fails is taken off the list until one succeeds; the first check is made before anything is
// listed, and its failure does not fail Register.
func (r *Registry) Register(ctx context.Context, i Instance, h Health) (*Registration, error) {
	if i.ID == "" {
		i.ID = uuid()
	}
	if i.Registered.IsZero() {
		i.Registered = time.Now()
	}
	name, data, err := r.layout.encode(i)
	if err == nil && (i.Service == "" || strings.Contains(name, "/")) {
		err = errors.New("no name of a service, or a slash in the id")
	}
	if err != nil {
		return nil, fmt.Errorf("register %q: %w", i.Service, err)
	}
	g := &Registration{r: r, instance: i, path: path.Join(r.layout.dir(r.base, i.Service), name), done: make(chan struct{})}
	running, stop := context.WithCancel(context.Background())
	g.stop = stop
	if h.Check == nil || h.Check(ctx) == nil {
		if err := g.list(ctx, data); err != nil {
			stop()
			return nil, fmt.Errorf("register %q: %w", i.Service, err)
		}
	}
	if h.Check == nil {
		close(g.done)
		return g, nil
	}
	if h.Interval <= 0 {
		h.Interval = 10 * time.Second
	}
	if !r.c.spawn(func() {
		defer close(g.done)
		g.watch(running, h, data)
	}) {
		stop()
		return nil, ErrClosed
	}
	return g, nil
}

func (g *Registration) list(ctx context.Context, data []byte) error {
	p := g.r.c.keep(g.path, data)
	if err := p.established(ctx); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.p = p
	return nil
}

// watch lists the instance when it is well and takes it off when it is not.
func (g *Registration) watch(ctx context.Context, h Health, data []byte) {
	tick := time.NewTicker(h.Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		case <-g.r.c.done:
			return
		}
		limited, cancel := context.WithTimeout(ctx, h.Interval)
		well := h.Check(limited) == nil
		cancel()
		g.mu.Lock()
		p := g.p
		g.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return
		case well && p == nil:
			_ = g.list(ctx, data) // fails only at the end
		case !well && p != nil:
			g.mu.Lock()
			g.p = nil
			g.mu.Unlock()
			_ = p.leave(ctx) // likewise
		}
	}
}

// Instance is what is registered, with its ID.
func (g *Registration) Instance() Instance { return g.instance }

// Unregister takes the instance off the list.
func (g *Registration) Unregister(ctx context.Context) error {
	g.stop()
	if err := g.r.c.await(ctx, g.done); err != nil {
		return err
	}
	g.mu.Lock()
	p := g.p
	g.p = nil
	g.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.leave(ctx)
}

// Services lists the names of all services.
func (r *Registry) Services(ctx context.Context) ([]string, error) {
	names, err := r.c.children(ctx, r.base)
	slices.Sort(names)
	return names, err
}

// Service is a copy of the list of a service's instances, in the order of their nodes' names, kept up to date.
type Service struct {
	r    *Registry
	name string
	k    *ChildrenCache

	mu   sync.Mutex
	list []Instance
	bad  map[string]error // by name of node
	told []func([]Instance)
}

// ErrNoInstance is the result of [Service.Pick] if no instance is registered and enabled.
var ErrNoInstance = errors.New("recipes: no instance of the service")

// Discover starts to keep the list of a service's instances and waits until it has been read once. The functions are called with every new
// list, in one goroutine; they must not close the service.
func (r *Registry) Discover(ctx context.Context, service string, onChange ...func([]Instance)) (*Service, error) {
	s := &Service{r: r, name: service, bad: map[string]error{}, told: onChange}
	s.k = NewChildrenCache(r.c, r.layout.dir(r.base, service), s.change)
	if err := s.k.Ready(ctx); err != nil {
		s.k.Close()
		return nil, fmt.Errorf("discover %q: %w", service, err)
	}
	return s, nil
}

// change brings the list up to date.
func (s *Service) change(c Change) {
	name := path.Base(c.Node.Path)
	i, err := s.r.layout.decode(s.name, name, c.Node.Data)
	s.mu.Lock()
	list := slices.Clone(s.list) // what was given out stays as it was
	at, there := slices.BinarySearchFunc(list, name, func(i Instance, name string) int { return strings.Compare(i.node, name) })
	i.node = name
	delete(s.bad, name)
	switch {
	case there && (c.Type == Removed || err != nil):
		list = slices.Delete(list, at, at+1)
	case there:
		list[at] = i
	case c.Type != Removed && err == nil:
		list = slices.Insert(list, at, i)
	}
	if err != nil && c.Type != Removed {
		s.bad[name] = err
	}
	s.list = list
	s.mu.Unlock()
	for _, f := range s.told {
		f(list)
	}
}

// Instances returns the list. It is not to be changed.
func (s *Service) Instances() []Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list
}

// Unreadable returns what is wrong with nodes that are no instances, by their names.
func (s *Service) Unreadable() map[string]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := make(map[string]error, len(s.bad))
	for name, err := range s.bad {
		m[name] = err
	}
	return m
}

// Pick has a balancer choose among the enabled instances. done is called when the instance is no longer used; balancers that count
// connections need that. The key is for balancers that hash.
func (s *Service) Pick(b Balancer, key string) (i Instance, done func(), err error) {
	from := slices.DeleteFunc(slices.Clone(s.Instances()), func(i Instance) bool { return i.Disabled })
	if len(from) == 0 {
		return Instance{}, func() {}, fmt.Errorf("%q: %w", s.name, ErrNoInstance)
	}
	i, done = b.Pick(from, key)
	return i, done, nil
}

// Close ends the keeping. The list can still be used.
func (s *Service) Close() { s.k.Close() }
