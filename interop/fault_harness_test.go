package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"zebu/internal/fourletter"
	"zebu/internal/freeport"
)

// faultNet is what the members of an ensemble are connected by.
type faultNet interface {
	// server is what viewer's configuration says of server id.
	server(viewer, id int) string
	// client is where clients find a member.
	client(id int) string
	// command has a member's process run where the member lives.
	command(id int, cmd *exec.Cmd) *exec.Cmd
}

// brokenNet is a network whose directed pairs can be cut and healed. Nothing that is sent in a direction that is cut arrives,
// and no side is told so.
type brokenNet interface {
	faultNet
	cut(from, to int)
	heal()
}

// plainNet connects members by ports of 127.0.0.1, three each.
type plainNet struct{ base int }

func newPlainNet(t *testing.T, n int) *plainNet {
	t.Helper()
	return &plainNet{faultPorts(t, 3*n)}
}

func (l *plainNet) port(id, k int) int { return l.base + 3*(id-1) + k }

func (l *plainNet) server(_, id int) string {
	return fmt.Sprintf("127.0.0.1:%d:%d", l.port(id, 1), l.port(id, 2))
}

func (l *plainNet) client(id int) string { return fmt.Sprintf("127.0.0.1:%d", l.port(id, 0)) }

func (l *plainNet) command(_ int, cmd *exec.Cmd) *exec.Cmd { return cmd }

// faultPorts returns the first of n successive ports.
func faultPorts(t *testing.T, n int) int {
	t.Helper()
	base, err := freeport.Successive(n)
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// faultTick is short, so that failures are noticed soon; a leader gives up after faultSyncLimit of them.
const (
	faultTick      = 200 * time.Millisecond
	faultSyncLimit = 5
)

// recoveryLimit bounds the time until an ensemble is available again after whatever happened to it.
const recoveryLimit = 30 * time.Second

// faultCluster is an ensemble of processes that tests kill and suspend.
type faultCluster struct {
	t       *testing.T
	dir     string
	binary  string
	net     faultNet
	members []*faultMember
}

type faultMember struct {
	id   int
	addr string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended; nil before the first start
}

func newFaultCluster(t *testing.T, n int, network faultNet) *faultCluster {
	t.Helper()
	c := &faultCluster{t: t, dir: t.TempDir(), binary: zebu(t).Binary, net: network}
	for id := 1; id <= n; id++ {
		c.members = append(c.members, &faultMember{id: id, addr: network.client(id)})
		if err := c.configure(id, n); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(c.end)
	for _, m := range c.members {
		c.start(m)
	}
	c.awaitServing(c.members...)
	return c
}

func (c *faultCluster) home(id int) string { return filepath.Join(c.dir, strconv.Itoa(id)) }

func (c *faultCluster) configure(id, n int) error {
	host, port, err := net.SplitHostPort(c.net.client(id))
	if err != nil {
		return err
	}
	data := filepath.Join(c.home(id), "data")
	lines := []string{
		fmt.Sprintf("tickTime=%d", faultTick.Milliseconds()), "initLimit=20", fmt.Sprintf("syncLimit=%d", faultSyncLimit),
		"dataDir=" + data, "clientPort=" + port, "clientPortAddress=" + host, "admin.enableServer=false", "4lw.commands.whitelist=*",
		"maxClientCnxns=0", "maxSessionTimeout=60000", "snapCount=2000", "zebu.sync.quorum=true",
	}
	for other := 1; other <= n; other++ {
		lines = append(lines, fmt.Sprintf("server.%d=%s", other, c.net.server(id, other)))
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(data, "myid"), fmt.Appendln(nil, id), 0o644),
		os.WriteFile(filepath.Join(c.home(id), "zoo.cfg"), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
}

// end kills all members and shows the logs if the test has failed.
func (c *faultCluster) end() {
	for _, m := range c.members {
		c.kill(m)
	}
	if !c.t.Failed() {
		return
	}
	for _, m := range c.members {
		log, _ := os.ReadFile(filepath.Join(c.home(m.id), "log")) // what is missing cannot be shown
		c.t.Logf("log of member %d ends:\n%s", m.id, log[max(0, len(log)-6000):])
	}
}

// start runs a member on what it has on its disk.
func (c *faultCluster) start(m *faultMember) {
	c.t.Helper()
	log, err := os.OpenFile(filepath.Join(c.home(m.id), "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	cmd := c.net.command(m.id, exec.Command(c.binary, "server", filepath.Join(c.home(m.id), "zoo.cfg")))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	done := make(chan struct{})
	m.cmd, m.done = cmd, done
	go func() {
		_ = cmd.Wait() // tests find out by talking to it
		close(done)
	}()
}

// kill ends members at once, as kill -9 does, and waits for that.
func (c *faultCluster) kill(members ...*faultMember) {
	for _, m := range members {
		if m.done != nil {
			_ = m.cmd.Process.Kill() // fails if the process has ended, which is what is wanted
		}
	}
	for _, m := range members {
		if m.done != nil {
			<-m.done
		}
	}
}

func (c *faultCluster) signal(m *faultMember, s syscall.Signal) {
	c.t.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// mode is a member's part: leader, follower, observer, or nothing if it does not serve.
func (m *faultMember) mode() string {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	answer, err := fourletter.Ask(ctx, m.addr, "srvr")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(answer, "\nMode: ")
	mode, _, _ := strings.Cut(rest, "\n")
	return mode
}

// leader waits for a leader among members, or among all.
func (c *faultCluster) leader(among ...*faultMember) (leader *faultMember) {
	c.t.Helper()
	if len(among) == 0 {
		among = c.members
	}
	poll(c.t, recoveryLimit, "leader", func() bool {
		for _, m := range among {
			if m.mode() == "leader" {
				leader = m
				return true
			}
		}
		return false
	})
	return leader
}

// others are all members but those given.
func (c *faultCluster) others(not ...*faultMember) (others []*faultMember) {
	for _, m := range c.members {
		if !containsMember(not, m) {
			others = append(others, m)
		}
	}
	return others
}

func containsMember(members []*faultMember, m *faultMember) bool {
	for _, o := range members {
		if o == m {
			return true
		}
	}
	return false
}

// awaitServing waits until members serve, with one leader among all.
func (c *faultCluster) awaitServing(members ...*faultMember) {
	c.t.Helper()
	for _, m := range members {
		poll(c.t, recoveryLimit, fmt.Sprintf("service from member %d", m.id), func() bool {
			mode := m.mode()
			return mode == "leader" || mode == "follower"
		})
	}
}

func (c *faultCluster) addrs() (addrs []string) {
	for _, m := range c.members {
		addrs = append(addrs, m.addr)
	}
	return addrs
}
