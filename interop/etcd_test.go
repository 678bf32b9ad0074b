package interop

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"zebu/internal/peers"
)

// etcdShell is etcd's own etcdctl or etcdutl.
type etcdShell struct {
	path string
	env  []string
}

// etcdctlTimeout is how long etcdctl may wait for an answer, a machine that does much else at the time included.
const etcdctlTimeout = 30 * time.Second

// etcdctl is etcdctl 3.6 for the servers at endpoints, HOST:PORT each.
func etcdctl(t *testing.T, endpoints ...string) etcdShell {
	t.Helper()
	return etcdProgram(t, "etcdctl", "ETCDCTL_ENDPOINTS="+strings.Join(endpoints, ","),
		"ETCDCTL_COMMAND_TIMEOUT="+etcdctlTimeout.String(), "ETCDCTL_DIAL_TIMEOUT="+etcdctlTimeout.String())
}

// etcdutl is etcdutl 3.6.
func etcdutl(t *testing.T) etcdShell {
	t.Helper()
	return etcdProgram(t, "etcdutl")
}

func etcdProgram(t *testing.T, name string, env ...string) etcdShell {
	t.Helper()
	path, err := peers.Etcd(t.Context(), name)
	have(t, err)
	return etcdShell{path: path, env: append(os.Environ(), env...)}
}

// run runs a command and returns what it prints and, if it fails, what it complains of.
func (s etcdShell) run(ctx context.Context, args ...string) (out, complaint string, ok bool) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, s.path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, &stdout, &stderr
	err := cmd.Run()
	complaint = stderr.String()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		complaint += err.Error()
	}
	return stdout.String(), complaint, err == nil
}

// TestEtcdPrograms checks that what later tests need is the etcd that zebu is compatible with.
func TestEtcdPrograms(t *testing.T) {
	for _, s := range []etcdShell{etcdctl(t, "127.0.0.1:1"), etcdutl(t)} {
		out, complaint, ok := s.run(t.Context(), "version")
		if !ok || !strings.Contains(out, "version: 3.6.16") {
			t.Errorf("%s: %s%s", s.path, out, complaint)
		}
	}
	out, complaint, ok := etcdctl(t, "127.0.0.1:1").run(t.Context(), "--command-timeout=1s", "--dial-timeout=1s", "get", "a")
	if ok || out != "" || complaint == "" {
		t.Errorf("without a server etcdctl says %q and %q", out, complaint)
	}
}
