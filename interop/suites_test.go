package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGoClientSuite runs go-zookeeper/zk's own integration tests, which start their servers through zkServer.sh, on zebu.
func TestGoClientSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: takes a minute, mostly of waiting")
	}
	t.Parallel()
	dist, err := filepath.Abs("../dist")
	if err != nil {
		t.Fatal(err)
	}
	// Left out are those that want an ensemble of three.
	cmd := exec.CommandContext(t.Context(), "go", "test", "github.com/go-zookeeper/zk", "-count=1", "-v", "-run=Integration",
		"-skip=BasicCluster|RecurringReAuth|ClusterFailover|NoQuorum|Reconfig|DNSHostProviderReconnect")
	cmd.Env = append(os.Environ(), "ZOOKEEPER_BIN_PATH="+dist, "ZEBU="+zebu(t).Binary, "ZOO_LOG_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	passed := strings.Count(string(out), "\n--- PASS: TestIntegration")
	if err != nil || passed < 20 {
		failures := regexp.MustCompile(`(?m)^\s*--- FAIL.*|^panic.*|\S+_test\.go:\d+: .*`).FindAllString(string(out), 40)
		t.Fatalf("%v, %d passed:\n%s", err, passed, strings.Join(failures, "\n"))
	}
	t.Logf("%d integration tests passed", passed)
}
