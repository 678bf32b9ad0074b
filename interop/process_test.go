package interop

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zebu/internal/peers"
)

// process is a driver in a process of its own: a step a line on its standard input, a result a line on its output.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	log   string
}

// stepTimeout bounds one step of a driver: a session's expiry, at most.
const stepTimeout = 40 * time.Second

func startProcess(t *testing.T, cmd *exec.Cmd) driver {
	t.Helper()
	p := &process{cmd: cmd, lines: make(chan string, 1), log: filepath.Join(t.TempDir(), "driver.log")}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		defer log.Close()
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		p.close()
		if b, err := os.ReadFile(p.log); t.Failed() && err == nil && len(b) > 0 {
			t.Logf("the driver says:\n%s", b[max(0, len(b)-3000):])
		}
	})
	return p
}

func (p *process) do(line string) (string, error) {
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return "", err
	}
	select {
	case out, ok := <-p.lines:
		if !ok {
			return "", fmt.Errorf("the driver has ended")
		}
		return out, nil
	case <-time.After(stepTimeout):
		return "", fmt.Errorf("no answer within %v", stepTimeout)
	}
}

func (p *process) close() {
	p.in.Close()
	timer := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	for range p.lines {
	}
	_ = p.cmd.Wait() // its exit status says nothing: the result lines do
}

var javaClasses = struct {
	sync.Once
	dir string
	err error
}{}

func javaDriver() *driverKind {
	return &driverKind{
		name: "java",
		start: func(t *testing.T) driver {
			apache := apache39(t)
			javaClasses.Do(func() {
				javaClasses.dir, javaClasses.err = os.MkdirTemp("", "interop-java-")
				if javaClasses.err == nil {
					out, err := exec.Command("javac", "-nowarn", "-d", javaClasses.dir, "-cp", apache.ClassPath(), "java/Driver.java").CombinedOutput()
					if err != nil {
						javaClasses.err = fmt.Errorf("javac: %w\n%s", err, out)
					}
				}
			})
			if javaClasses.err != nil {
				t.Fatal(javaClasses.err)
			}
			cp := javaClasses.dir + string(os.PathListSeparator) + apache.ClassPath()
			return startProcess(t, exec.Command("java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
				"-Dzebu.peers.level=WARN", "-cp", cp, "Driver"))
		},
	}
}

// debianPython is the interpreter that Debian's kazoo belongs to.
const debianPython = "/usr/bin/python3"

func pythonDriver() *driverKind {
	return &driverKind{
		name: "python",
		start: func(t *testing.T) driver {
			if err := exec.Command(debianPython, "-c", "import kazoo").Run(); err != nil {
				have(t, &peers.Missing{What: "kazoo", Why: debianPython + " cannot import it (Debian package python3-kazoo)"})
			}
			return startProcess(t, exec.Command(debianPython, "python/driver.py"))
		},
		lacks: map[string]string{
			"addwatch":       "kazoo 2.8 has no addWatch",
			"removewatches":  "kazoo 2.8 has no removeWatches",
			"multiread":      "kazoo has no multiRead",
			"scenario quota": "kazoo 2.8 does not know QUOTAEXCEEDED and drops the connection",
			"whoami":         "kazoo has no whoAmI",
			"ephemerals":     "kazoo has no getEphemerals",
			"allchildren":    "kazoo has no getAllChildrenNumber",
			"create c":       "kazoo 2.8 has no containers",
			"create2 c":      "kazoo 2.8 has no containers",
			"create2 ttl":    "kazoo has no TTL nodes",
			"create2 ttls":   "kazoo has no TTL nodes",
			"removeall":      "kazoo 2.8 has no removeWatches",
			"multi create2":  "kazoo 2.8 has no create2 in a transaction",
		},
	}
}

var cBinary = struct {
	sync.Once
	path string
	err  error
}{}

func cDriver() *driverKind {
	return &driverKind{
		name: "c",
		start: func(t *testing.T) driver {
			if _, err := os.Stat("/usr/include/zookeeper/zookeeper.h"); err != nil {
				have(t, &peers.Missing{What: "the C client", Why: "no zookeeper.h (Debian package libzookeeper-mt-dev)"})
			}
			cBinary.Do(func() {
				var dir string
				if dir, cBinary.err = os.MkdirTemp("", "interop-c-"); cBinary.err != nil {
					return
				}
				cBinary.path = filepath.Join(dir, "driver")
				out, err := exec.Command("gcc", "-O1", "-Wall", "-DTHREADED", "-I/usr/include/zookeeper", "-o", cBinary.path,
					"c/driver.c", "-lzookeeper_mt", "-lpthread").CombinedOutput()
				if err != nil {
					cBinary.err = fmt.Errorf("gcc: %w\n%s", err, out)
				}
			})
			if cBinary.err != nil {
				t.Fatal(cBinary.err)
			}
			return startProcess(t, exec.Command(cBinary.path))
		},
		lacks: map[string]string{
			"multi create2": "the C client 3.8 has no create2 in multi",
			"addwatch":      "the C client 3.8 has no addWatch",
			"multiread":     "the C client has no multiRead",
			"whoami":        "the C client 3.8 has no whoAmI",
			"ephemerals":    "the C client has no getEphemerals",
			"allchildren":   "the C client has no getAllChildrenNumber",
		},
	}
}

// removeCompiled deletes what the drivers were compiled to; for the end of TestMain.
func removeCompiled() {
	for _, dir := range []string{javaClasses.dir, strings.TrimSuffix(cBinary.path, "/driver")} {
		if dir != "" {
			_ = os.RemoveAll(dir) // leftovers in the temporary directory
		}
	}
}
