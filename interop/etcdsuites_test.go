package interop

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"zebu/internal/peers"
)

// etcd's own tests of what etcdctl does, tests/common of etcd 3.6.16, with shims/etcd in etcd's place. Most run twice: on one server
// and on an ensemble of three, which the suite calls PeerTLS for the flags that it gives.

// etcdSuite are the tests that run always. They take most of what there is to do; those of [etcdLongSuite] repeat it with other rights.
var etcdSuite = []string{
	"TestAlarm", "TestAlarmlistOnMemberRestart",
	"TestAuthEnable", "TestAuthDisable", "TestAuthGracefulDisable", "TestAuthStatus", "TestAuthRoleUpdate", "TestAuthUserDeleteDuringOps",
	"TestAuthTxn", "TestAuthPrefixPerm", "TestAuthRevokeWithDelete", "TestAuthLeaseTimeToLiveExpired", "TestAuthRevisionConsistency",
	"TestCompact", "TestDefragOnline", "TestEndpointStatus", "TestEndpointHashKV", "TestEndpointHealth",
	"TestKVPut", "TestKVGet", "TestKVGetNoQuorum", "TestLeaseGrantTimeToLive", "TestLeaseGrantKeepAliveOnce", "TestLeaseGrantRevoke",
	"TestMemberList", "TestRoleAdd_Error", "TestRootRole", "TestRoleGrantRevokePermission", "TestRoleDelete",
	"TestStatus", "TestTxnSucc", "TestUserDelete", "TestUserChangePassword", "TestWaitLeader", "TestWatch",
}

// etcdLongSuite are those that run when ETCD_SUITES is set, too.
var etcdLongSuite = []string{
	"TestAuthRoleRevokeDuringOps", "TestAuthWriteKey", "TestAuthLeaseKeepAlive", "TestAuthLeaseGrantLeases", "TestAuthCompact", "TestAuthLeaseLeases",
	"TestAuthMemberList", "TestAuthTestInvalidMgmt", "TestAuthLeaseRevoke", "TestAuthRoleGet", "TestAuthUserGet", "TestAuthRoleList",
	"TestAuthJWTExpire", "TestAuthTestCacheReload", "TestAuthLeaseTimeToLive", "TestAuthAlarm", "TestAuthMemberRemove",
	"TestKVDelete", "TestLeaseGrantAndList", "TestLeaseGrantTimeToLiveExpired", "TestMemberAdd", "TestMemberRemove",
	"TestDefragmentWithNoAuth", "TestDefragmentWithInvalidAuth", "TestDefragmentWithRootAuth", "TestDefragmentWithUserAuth",
	"TestHashKVWithNoAuth", "TestHashKVWithInvalidAuth", "TestHashKVWithRootAuth", "TestHashKVWithUserAuth",
	"TestStatusWithNoAuth", "TestStatusWithInvalidAuth", "TestStatusWithRootAuth", "TestStatusWithUserAuth",
	"TestRoleAdd_Simple", "TestTxnFail", "TestUserAdd_Simple", "TestUserAdd_DuplicateUserNotAllowed", "TestUserList", "TestWaitLeader_MemberStop",
}

// etcdLongPart is what of all tests runs then only: one server with TLS.
const etcdLongPart = "/ClientTLS"

// etcdLeftOut are patterns of what is not run, and why.
var etcdLeftOut = map[string]string{
	"/ClientAutoTLS": "the gateway makes no certificates itself",
	"/PeerAutoTLS":   "it is PeerTLS once more, for neither has an effect",
	// The same two levels further down.
	"TestMemberAdd////(Client(Auto)?|PeerAuto)TLS":                      "as above",
	"TestMemberRemove///(Client(Auto)?|PeerAuto)TLS":                    "as above",
	"TestAuthMemberAdd":                                                 "a server without an ensemble has no members to add",
	"TestMemberAdd////NoTLS":                                            "a server without an ensemble has no members to add",
	"TestMemberRemove///NoTLS":                                          "a server without an ensemble has no members to remove",
	"TestMemberAdd//StrictReconfigCheck/NoWaitForQuorum":                "etcd refuses until its members have been connected for 5 s; ZooKeeper's reconfig asks who is there now",
	"TestMemberRemove/StrictReconfigCheck/NoWaitForQuorum":              "etcd refuses until its members have been connected for 5 s; ZooKeeper's reconfig asks who is there now",
	"Test(Downgrade|MoveLeader|Snapshot)With(No|Invalid|Root|User)Auth": "etcd skips it itself",
}

// TestEtcdSuite runs etcd's tests on zebu.
func TestEtcdSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: takes a minute, mostly of starting servers")
	}
	t.Parallel()
	program, dir := etcdSuiteProgram(t)
	want, skip := etcdSuite, []string{etcdLongPart}
	if os.Getenv("ETCD_SUITES") != "" {
		want, skip = append(slices.Clone(want), etcdLongSuite...), nil
	}
	sorted(t, program, dir)
	bin := etcdSuitePrograms(t)
	// Its ports are always the same; whoever holds this one uses them.
	poll(t, 10*time.Minute, "free ports", func() bool {
		l, err := net.Listen("tcp", "127.0.0.1:20099")
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err == nil
	})
	for pattern := range etcdLeftOut {
		skip = append(skip, pattern)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.v", "-bin-dir="+bin, "-test.run=^("+strings.Join(want, "|")+")$", "-test.skip="+strings.Join(skip, "|"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	out, err := runSuite(t, cmd)
	passed := regexp.MustCompile(`(?m)^--- PASS: (\S+)`).FindAllStringSubmatch(out, -1)
	if err != nil || len(passed) != len(want) {
		failures := regexp.MustCompile(`(?m)^\s*--- (FAIL|SKIP).*|^panic.*|^\s+Error(:| Trace:).*|^\s+(expected|actual) *:.*|^.*desc = .*`).FindAllString(out, -1)
		t.Fatalf("%v, %d of %d passed:\n%s", err, len(passed), len(want), strings.Join(failures[max(0, len(failures)-80):], "\n"))
	}
	t.Logf("%d tests, %d parts of them included, passed", len(passed), strings.Count(out, "--- PASS"))
}

// sorted checks that each test of the suite is run or left out.
func sorted(t *testing.T, program, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-test.list=.")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		out := slices.Contains(etcdSuite, name) || slices.Contains(etcdLongSuite, name)
		for pattern := range etcdLeftOut {
			out = out || !strings.Contains(pattern, "/") && regexp.MustCompile("^"+pattern+"$").MatchString(name)
		}
		if !out && strings.HasPrefix(name, "Test") {
			t.Errorf("%s is neither run nor left out", name)
		}
	}
}

// etcdSuitePrograms is a folder with what the suite runs: etcdctl, etcdutl and the stand-in for etcd, with zebu for it.
func etcdSuitePrograms(t *testing.T) string {
	t.Helper()
	shim, err := filepath.Abs("shims/etcd")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for name, path := range map[string]string{"etcd": shim, "zebu": zebu(t).Binary, "etcdctl": etcdctl(t).path, "etcdutl": etcdutl(t).path} {
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// etcdSuiteProgram returns the compiled suite and the folder that it is to run in, where its sources are. It is compiled the first
// time, and kept in the cache under a name that changes with its modules.
func etcdSuiteProgram(t *testing.T) (program, dir string) {
	t.Helper()
	const suite = "go.etcd.io/etcd/tests/v3/common"
	versions, err := os.ReadFile("etcdcommon/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = "etcdcommon"
		var complaint strings.Builder
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil {
			have(t, &peers.Missing{What: "etcd's own tests", Why: fmt.Sprintf("%v\n%s", err, complaint.String())})
		}
		return strings.TrimSpace(string(out))
	}
	run("mod", "download", "go.etcd.io/etcd/tests/v3")
	dir = run("list", "-tags=e2e", "-f={{.Dir}}", suite)
	cache, err := peers.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(fmt.Append(versions, runtime.Version(), shortTimes, sixTimes))
	program = filepath.Join(cache, fmt.Sprintf("etcdsuite-%x", sum[:6]))
	if _, err := os.Stat(program); err == nil {
		return program, dir
	}
	built := fmt.Sprintf("%s-%d", program, os.Getpid())
	run("test", "-c", "-tags=e2e", "-trimpath", "-ldflags=-s -w", "-modfile="+patientSuite(t, filepath.Dir(dir)), "-o", built, suite)
	if err := os.Rename(built, program); err != nil {
		t.Fatal(err)
	}
	return program, dir
}

// shortTimes is how the suite's tests bound themselves: most to 10 s, in which they start servers and, for every step, an etcdctl.
var shortTimes = regexp.MustCompile(`(context\.WithTimeout\((?:context\.Background|t\.Context)\(\), )(\d+\*time\.Second\))`)

// sixTimes replaces shortTimes.
const sixTimes = "${1}6*${2}"

// patientSuite copies the module of the suite, with six times as long for each of its tests, for a machine with more to do, and returns
// a go.mod that has the copy.
func patientSuite(t *testing.T, module string) string {
	t.Helper()
	dir := t.TempDir()
	tests := filepath.Join(dir, "tests")
	if err := os.CopyFS(tests, os.DirFS(module)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(tests, "common", "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(from, to string, change func([]byte) []byte) {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(to) // copies of read-only files are read-only
		if err := os.WriteFile(to, change(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		rewrite(f, f, func(text []byte) []byte { return shortTimes.ReplaceAll(text, []byte(sixTimes)) })
	}
	rewrite("etcdcommon/go.sum", filepath.Join(dir, "go.sum"), bytes.Clone)
	modfile := filepath.Join(dir, "go.mod")
	rewrite("etcdcommon/go.mod", modfile, func(text []byte) []byte {
		return fmt.Appendf(text, "\nreplace go.etcd.io/etcd/tests/v3 => %s\n", tests)
	})
	return modfile
}
