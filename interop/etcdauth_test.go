package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zebu/internal/peers"
)

// etcdServer is an etcd of one member on free ports, with what is in dir if there is something; it returns its endpoint.
func etcdServer(t *testing.T, dir string) string {
	t.Helper()
	client := launchEtcd(t, dir, "http")
	awaitEtcd(t, etcdctl(t, client))
	return client
}

// launchEtcd is such an etcd that need not serve yet, with more flags.
func launchEtcd(t *testing.T, dir, scheme string, flags ...string) string {
	t.Helper()
	etcd := etcdProgram(t, "etcd")
	client, peer := freeAddress(t), freeAddress(t)
	log, err := os.Create(filepath.Join(t.TempDir(), "etcd.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(etcd.path, "--name=default", "--data-dir="+dir, "--listen-client-urls="+scheme+"://"+client, "--advertise-client-urls="+scheme+"://"+client,
		"--listen-peer-urls=http://"+peer, "--initial-advertise-peer-urls=http://"+peer, "--initial-cluster=default=http://"+peer, "--log-level=warn")
	cmd.Args = append(cmd.Args, flags...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		_ = log.Close()
	})
	return client
}

// zebuEtcd is a zebu of one server with the etcd API on, and returns the endpoint of that.
func zebuEtcd(t *testing.T) string {
	t.Helper()
	endpoint := launchZebuEtcd(t)
	awaitEtcd(t, etcdctl(t, endpoint))
	return endpoint
}

// launchZebuEtcd is such a zebu, with more lines for zoo.cfg.
func launchZebuEtcd(t *testing.T, lines ...string) string {
	t.Helper()
	endpoint := freeAddress(t)
	_, port, _ := strings.Cut(endpoint, ":")
	start(t, zebu(t), peers.Config{Dir: t.TempDir(), Extra: append(lines, "etcd.clientPort="+port, "etcd.clientPortAddress=127.0.0.1")})
	return endpoint
}

func freeAddress(t *testing.T) string { return fmt.Sprint("127.0.0.1:", memberPort(t)) }

// awaitEtcd waits until a server answers etcdctl.
func awaitEtcd(t *testing.T, shell etcdShell) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		// Whatever it says of authentication, it says something.
		_, complaint, ok := shell.run(ctx, "get", "awaited")
		switch {
		case ok || strings.Contains(complaint, "user name is empty"):
			return
		case ctx.Err() != nil:
			t.Fatalf("the server does not serve: %s", complaint)
		}
	}
}

// authScript is what administrators and users do and try to do.
const authScript = `
put a 1
put foo bar
put foo/x bar
auth enable
user add root:secret
user add root:other
user grant-role nobody root
role add r
role add r
role grant-permission r readwrite foo
role grant-permission r read foo/ foo0
role grant-permission r read z a
role get r
user add u:pw
user add cert --no-password
user grant-role u r
user get u
user list
auth enable
get foo
--user u:pw get foo
--user u:pw put foo baz --prev-kv
--user u:pw put foo/x baz
--user u:pw get --prefix foo/
--user u:pw get --prefix foo
--user u:pw del foo --prev-kv
--user u:bad get foo
--user cert:x get foo
--user u:pw user list
--user u:pw user get u --detail
--user u:pw user get root
--user u:pw role get r
--user u:pw role add mine
--user u:pw auth status
--user u:pw compact 2
--user u:pw alarm disarm
--user u:pw alarm list
--user u:pw member add x --peer-urls=http://127.0.0.1:1
--user u:pw lease list
lease grant 100
--user u:pw lease revoke 1
--user u:pw watch a
--user root:secret user delete root
--user root:secret user revoke-role root root
--user root:secret role revoke-permission r foo
--user u:pw put foo again
--user root:secret role grant-permission r --from-key=true readwrite y
--user u:pw get --from-key y
--user root:secret user revoke-role u r
--user u:pw get --from-key y
--user root:secret role delete r
--user root:secret role delete r
--user root:secret user delete u
--user u:pw get foo
--user root:secret auth status
--user root:secret auth disable
auth status
role list
get --from-key a --keys-only
`

// TestEtcdctlAuth does the same to an etcd and to a zebu, and gets the same answers.
func TestEtcdctlAuth(t *testing.T) {
	t.Parallel()
	ours, theirs := etcdctl(t, zebuEtcd(t)), etcdctl(t, etcdServer(t, filepath.Join(t.TempDir(), "etcd")))
	done := 0
	for _, line := range strings.Split(strings.TrimSpace(authScript), "\n") {
		args := strings.Fields(line)
		want := make(chan string, 1)
		go func() { want <- said(t.Context(), theirs, args) }()
		got := said(t.Context(), ours, args)
		if want := <-want; got != want {
			t.Errorf("etcdctl %s\n-- etcd:\n%s-- zebu:\n%s", line, want, got)
		}
		if strings.HasSuffix(got, "true\n") {
			done++
		}
	}
	if done < 25 {
		t.Errorf("%d commands have done something: the script is not what it was", done)
	}
}

// TestEtcdctlSnapshot moves from a zebu to an etcd: what etcdctl has saved of the one etcdutl makes the other of.
func TestEtcdctlSnapshot(t *testing.T) {
	t.Parallel()
	ours := etcdctl(t, zebuEtcd(t))
	must := func(s etcdShell, args ...string) string {
		t.Helper()
		out, complaint, ok := s.run(t.Context(), args...)
		if !ok {
			t.Fatalf("%v: %s", args, complaint)
		}
		return out
	}
	for _, line := range []string{
		"put a 1", "put a 2", "put b 3", "del b", "put c 4", "compact 3", "lease grant 1000", "user add root:secret", "role add r",
		"role grant-permission r read a", "user add u:pw", "user grant-role u r", "auth enable",
	} {
		must(ours, strings.Fields(line)...)
	}
	dir := t.TempDir()
	saved, restored := filepath.Join(dir, "snapshot"), filepath.Join(dir, "etcd")
	must(ours, "--user=root:secret", "snapshot", "save", saved)
	if out := must(etcdutl(t), "snapshot", "status", saved, "-w", "fields"); !strings.Contains(out, `"Revision" : 6`) || !strings.Contains(out, `"Keys" : 2`) {
		t.Errorf("etcdutl tells of %s", out)
	}
	endpoint := freeAddress(t)
	must(etcdutl(t), "snapshot", "restore", saved, "--data-dir="+restored, "--initial-cluster=default=http://"+endpoint, "--initial-advertise-peer-urls=http://"+endpoint)
	theirs := etcdctl(t, etcdServer(t, restored))
	for _, line := range []string{
		"get --prefix --rev=3 \x00", "--user=root:secret get --from-key a -w fields", "--user=root:secret get a --rev=2", "--user=u:pw get a", "--user=u:pw get c",
		"--user=root:secret lease list", "--user=root:secret role get r", "--user=root:secret user get u",
	} {
		want, got := said(t.Context(), ours, strings.Fields(line)), said(t.Context(), theirs, strings.Fields(line))
		for _, own := range []string{"MemberID", "ClusterID", "RaftTerm"} {
			want, got = withoutField(want, own), withoutField(got, own)
		}
		if got != want {
			t.Errorf("etcdctl %s\n-- zebu:\n%s-- etcd of its snapshot:\n%s", line, want, got)
		}
	}
}

// withoutField leaves out the line of a field in what etcdctl prints with -w fields.
func withoutField(text, field string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, `"`+field+`"`) }), "\n")
}

// said is what etcdctl prints for people, without its own log.
func said(ctx context.Context, s etcdShell, args []string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*etcdctlTimeout)
	defer cancel()
	out, complaint, ok := s.run(ctx, args...)
	var lines []string
	for _, line := range strings.Split(complaint, "\n") {
		if line != "" && !strings.HasPrefix(line, "{") {
			lines = append(lines, line)
		}
	}
	return fmt.Sprintf("%s%s\nexit well: %v\n", out, strings.Join(lines, "\n"), ok)
}
