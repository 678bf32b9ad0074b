package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"zebu/internal/peers"
)

// TestGoClientSuite runs go-zookeeper/zk's own integration tests, which start their servers through zkServer.sh, on zebu.
func TestGoClientSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: takes a minute, mostly of waiting")
	}
	// Not beside other tests: it has deadlines of its own that a busy machine misses.
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
		failures := regexp.MustCompile(`(?m)^\s*--- FAIL.*|^panic.*|\S+_test\.go:\d+: [^\[].*`).FindAllString(string(out), 40)
		t.Fatalf("%v, %d passed:\n%s", err, passed, strings.Join(failures, "\n"))
	}
	t.Logf("%d integration tests passed", passed)
}

// TestCuratorRecipes runs Apache Curator's recipes, which most Java programs are made of, on both servers.
func TestCuratorRecipes(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: starts two Java programs")
	}
	t.Parallel()
	jars, err := peers.CuratorJars(t.Context())
	have(t, err)
	classes := t.TempDir()
	if out, err := exec.Command("javac", "-nowarn", "-d", classes, "-cp", peers.ClassPath(jars), "java/Recipes.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	var printed [2]string
	for i, m := range bothMakers(t) {
		s := start(t, m, peers.Config{Dir: t.TempDir(), Properties: properties})
		cmd := exec.CommandContext(t.Context(), "java", "-Xmx128m", "-XX:+UseSerialGC", "-Dzebu.peers.level=ERROR",
			"-cp", classes+string(os.PathListSeparator)+peers.ClassPath(jars), "Recipes", s.Addr)
		var log strings.Builder
		cmd.Stderr = &log
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", m.Name(), err, out, log.String())
		}
		printed[i] = string(out)
	}
	if printed[0] != printed[1] {
		t.Errorf("ZooKeeper:\n%szebu:\n%s", printed[0], printed[1])
	}
	t.Log(printed[1])
}
