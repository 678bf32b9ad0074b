package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"zebu/internal/freeport"
	"zebu/internal/peers"
)

const (
	keyConnections = 10
	keyClients     = 100
	keySize        = 8
	valueSize      = 256
	keySpace       = 100_000 // keys that the loads go to

	keyTimeout    = 20 * time.Second // for one request
	startPatience = 60 * time.Second
)

// keyServer is a running server of the etcd API.
type keyServer struct {
	*peers.Server
	addr  string // of the etcd API, host and port
	admin string // of the profiling endpoints, "" without
}

// keyTeam is a running server, or ensemble, and the clients' connections to it.
type keyTeam struct {
	id      teamID
	dir     string
	servers []*keyServer
	conns   []*clientv3.Client // spread over the members
	leader  *clientv3.Client
	next    *counter // of the keys that puts go to
	lease   clientv3.LeaseID
	watched int // keys that watches have been on
}

// etcdMaker runs an etcd with the given flags. It has no zoo.cfg.
type etcdMaker struct {
	program string
	args    []string
}

func (e *etcdMaker) Name() string { return "etcd" }

func (e *etcdMaker) Command(string, []string) *exec.Cmd { return exec.Command(e.program, e.args...) }

// seat is what a member of an ensemble is reached at: ports of 127.0.0.1.
type seat struct{ client, peer, election, admin int }

func freeSeats(n int) ([]seat, error) {
	seats := make([]seat, n)
	for i := range seats {
		s := &seats[i]
		for _, port := range []*int{&s.client, &s.peer, &s.election, &s.admin} {
			var err error
			if *port, err = freeport.Next(); err != nil {
				return nil, err
			}
		}
	}
	return seats, nil
}

// startTeam starts the servers and waits until they answer.
func (b *etcdBench) startTeam(ctx context.Context, id teamID, pprof bool) (t *keyTeam, err error) {
	t = &keyTeam{id: id, next: new(counter)}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if t.dir, err = os.MkdirTemp(b.dir, fmt.Sprintf("%s-%d-", id.system, id.members)); err != nil {
		return t, err
	}
	seats, err := freeSeats(id.members)
	if err != nil {
		return t, err
	}
	for i := range seats {
		s := &keyServer{addr: fmt.Sprintf("127.0.0.1:%d", seats[i].client)}
		cfg := peers.Config{Dir: filepath.Join(t.dir, fmt.Sprint(i+1))}
		maker := b.zebu
		if id.system == "zebu" {
			if err := os.MkdirAll(filepath.Join(cfg.Dir, "data"), 0o755); err != nil {
				return t, err
			}
			cfg.Extra = zebuLines(seats, i)
			if id.members > 1 {
				if err := os.WriteFile(filepath.Join(cfg.Dir, "data", "myid"), fmt.Appendln(nil, i+1), 0o644); err != nil {
					return t, err
				}
			}
			if pprof {
				s.admin = fmt.Sprintf("127.0.0.1:%d", seats[i].admin)
				cfg.Extra = append(cfg.Extra, "admin.enableServer=true", "admin.serverAddress=127.0.0.1", fmt.Sprintf("admin.serverPort=%d", seats[i].admin))
				cfg.Properties = []string{"zebu.pprof=true"}
			}
		} else {
			maker = &etcdMaker{b.etcd, etcdArgs(seats, i, filepath.Join(cfg.Dir, "data"))}
		}
		if s.Server, err = peers.Launch(maker, cfg); err != nil {
			return t, err
		}
		t.servers = append(t.servers, s)
	}
	return t, t.await(ctx)
}

// zebuLines are those of member i's configuration that are not the same for all servers that are measured.
func zebuLines(seats []seat, i int) []string {
	lines := append(slices.Clone(settings), fmt.Sprintf("etcd.clientPort=%d", seats[i].client), "etcd.clientPortAddress=127.0.0.1")
	if len(seats) > 1 {
		for j, s := range seats {
			lines = append(lines, fmt.Sprintf("server.%d=127.0.0.1:%d:%d", j+1, s.peer, s.election))
		}
		lines = append(lines, "initLimit=10", "syncLimit=5")
	}
	return lines
}

// etcdArgs are the flags of member i: the defaults, but for where it is and how much it logs.
func etcdArgs(seats []seat, i int, dir string) []string {
	var cluster []string
	for j, s := range seats {
		cluster = append(cluster, fmt.Sprintf("m%d=http://127.0.0.1:%d", j+1, s.peer))
	}
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", seats[i].client), fmt.Sprintf("http://127.0.0.1:%d", seats[i].peer)
	return []string{
		fmt.Sprintf("--name=m%d", i+1), "--data-dir=" + dir, "--log-level=warn",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=" + strings.Join(cluster, ","),
	}
}

// dialKeys connects to one server.
func dialKeys(addr string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{addr}, DialTimeout: keyTimeout, Logger: zap.NewNop()})
}

// await waits until all servers answer a linearizable read.
func (t *keyTeam) await(ctx context.Context) error {
	for _, s := range t.servers {
		if err := s.await(ctx); err != nil {
			return fmt.Errorf("%w; its log ends:\n%s", err, s.LogTail(20))
		}
	}
	return nil
}

// await asks until there is an answer: as soon as the server listens, for a client that was refused once waits a second before it
// tries again.
func (s *keyServer) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr)
		if err == nil {
			nc.Close()
			err = s.ask(ctx)
		}
		if err == nil {
			return nil
		}
		select {
		case <-s.Done():
			return errors.New("exited before serving")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-poll.C:
		}
	}
}

// ask makes a linearizable read, with a connection of its own.
func (s *keyServer) ask(ctx context.Context) error {
	c, err := dialKeys(s.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err = c.Get(ctx, "nothing")
	return err
}

// connect opens the connections that the loads use.
func (t *keyTeam) connect(ctx context.Context) error {
	for i := range keyConnections {
		c, err := dialKeys(t.servers[i%len(t.servers)].addr)
		if err != nil {
			return err
		}
		t.conns = append(t.conns, c)
	}
	for i, s := range t.servers {
		status, err := t.conns[i].Status(ctx, s.addr)
		if err != nil {
			return err
		}
		if status.Leader == status.Header.MemberId {
			t.leader = t.conns[i]
		}
	}
	if t.leader == nil {
		return errors.New("no server says that it leads")
	}
	return nil
}

func (t *keyTeam) pids() []int {
	var pids []int
	for _, s := range t.servers {
		pids = append(pids, s.PID())
	}
	return pids
}

func (t *keyTeam) disconnect() {
	for _, c := range t.conns {
		c.Close()
	}
	t.conns = nil
}

func (t *keyTeam) close() {
	t.disconnect()
	for _, s := range t.servers {
		s.Kill()
	}
}
