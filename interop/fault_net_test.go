package interop

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// labNet gives every member a network namespace of its own, joined by this process's, which routes between them. It exists
// only within a process that runs in a user and network namespace made for it: see inLab.
type labNet struct {
	t       *testing.T
	holders []*exec.Cmd // a process in each namespace, which keeps it
	cuts    [][]string
}

const inLabVariable = "INTEROP_LAB"

func labAddr(id, host int) string { return fmt.Sprintf("10.77.%d.%d", id, host) }

// inLab says whether this process has a network to itself. If not it runs the test again in a process that has one, and
// says whether that could be done.
func inLab(t *testing.T) (here, done bool) {
	t.Helper()
	if os.Getenv(inLabVariable) != "" {
		return true, false
	}
	if runtime.GOOS != "linux" || exec.Command("unshare", "-rn", "ip", "link", "add", "probe", "type", "veth").Run() != nil {
		return false, false
	}
	args := []string{"-rn", os.Args[0], "-test.run=^" + t.Name() + "$", "-test.v"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = append(os.Environ(), inLabVariable+"=1", "ZEBU_BINARY="+zebu(t).Binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	t.Logf("in network namespaces:\n%s", out)
	if err != nil {
		t.Error(err)
	}
	return false, true
}

// newLabNet makes one for a parallel test. Nil says that the test has run in another process; where networks are not to be had it is left out.
func newLabNet(t *testing.T, n int) *labNet {
	t.Helper()
	here, done := inLab(t)
	if done {
		return nil
	}
	t.Parallel()
	if !here {
		t.Skip("network namespaces are not to be had: unshare -rn")
	}
	l := &labNet{t: t}
	t.Cleanup(func() {
		l.heal()
		for _, h := range l.holders {
			_ = h.Process.Kill() // it sleeps until then
			_ = h.Wait()
		}
	})
	l.ip("link", "set", "lo", "up")
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	for id := 1; id <= n; id++ {
		l.join(id)
	}
	return l
}

// join makes member id's namespace and the link to it.
func (l *labNet) join(id int) {
	l.t.Helper()
	// It says when it is in its namespace, and stays there.
	h := exec.Command("unshare", "-n", "sh", "-c", "echo; exec sleep 1000000")
	h.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := h.StdoutPipe()
	if err == nil {
		err = h.Start()
	}
	if err == nil {
		_, err = out.Read(make([]byte, 1))
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.holders = append(l.holders, h)
	pid := strconv.Itoa(h.Process.Pid)
	here, there := fmt.Sprintf("m%d", id), "eth0"
	l.ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", pid)
	l.ip("address", "add", labAddr(id, 1)+"/24", "dev", here)
	l.ip("link", "set", here, "up")
	for _, args := range []string{"address add " + labAddr(id, 2) + "/24 dev " + there, "link set " + there + " up", "link set lo up", "route add default via " + labAddr(id, 1)} {
		l.run(append([]string{"nsenter", "-t", pid, "-n", "ip"}, strings.Fields(args)...)...)
	}
}

func (l *labNet) ip(args ...string) {
	l.t.Helper()
	l.run(append([]string{"ip"}, args...)...)
}

func (l *labNet) run(args ...string) {
	l.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		l.t.Fatal(errors.Join(fmt.Errorf("%s: %s", strings.Join(args, " "), out), err))
	}
}

func (l *labNet) server(_, id int) string { return labAddr(id, 2) + ":2888:3888" }

func (l *labNet) client(id int) string { return labAddr(id, 2) + ":2181" }

func (l *labNet) command(id int, cmd *exec.Cmd) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"-t", strconv.Itoa(l.holders[id-1].Process.Pid), "-n"}, cmd.Args...)...)
}

// cut loses every packet from one member to another.
func (l *labNet) cut(from, to int) {
	l.t.Helper()
	rule := []string{"iif", fmt.Sprintf("m%d", from), "to", labAddr(to, 2), "blackhole"}
	l.ip(append([]string{"rule", "add"}, rule...)...)
	l.cuts = append(l.cuts, rule)
}

func (l *labNet) heal() {
	l.t.Helper()
	for _, rule := range l.cuts {
		l.ip(append([]string{"rule", "delete"}, rule...)...)
	}
	l.cuts = nil
}
