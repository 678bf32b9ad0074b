package dist

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"zebu/internal/freeport"
)

// fakeZebu prints its arguments and the flags in its environment; told to by the word wait in the file, it waits for
// SIGTERM after that.
const fakeZebu = `#!/usr/bin/env bash
printf 'arg<%s>\n' "$@"
echo "env<${SERVER_JVMFLAGS:-}><${JVMFLAGS:-}>"
if grep -q wait "${!#}" 2>/dev/null; then
	trap 'exit 0' TERM
	while :; do read -rt 0.1 <> <(:) || true; done
fi
`

// bench is an installation with a zebu that only tells how it was called.
type bench struct {
	dir, bin, cfg string
	env           []string
}

func newBench(t *testing.T, cfg string) *bench {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("LEFT OUT: the scripts' tests, for want of bash")
	}
	dir := t.TempDir()
	b := &bench{dir: dir, bin: filepath.Join(dir, "bin"), cfg: filepath.Join(dir, "conf", "zoo.cfg")}
	for _, d := range []string{b.bin, filepath.Join(dir, "conf"), filepath.Join(dir, "data"), filepath.Join(dir, "tmp")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"zkServer.sh", "zkCli.sh", "zkEnv.sh", "java"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b.write(t, filepath.Join(b.bin, name), string(text))
	}
	b.write(t, filepath.Join(b.bin, "zebu"), fakeZebu)
	b.write(t, b.cfg, "dataDir="+dir+"/data\n"+cfg)
	b.env = []string{"PATH=" + os.Getenv("PATH"), "HOSTNAME=host", "USER=user", "TMPDIR=" + filepath.Join(dir, "tmp")}
	return b
}

func (b *bench) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// run runs a script and returns its output, both streams together, and its exit code.
func (b *bench) run(t *testing.T, script string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(b.bin, script), args...)
	cmd.Env = b.env
	cmd.Dir = b.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func want(t *testing.T, out string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(out, p) {
			t.Errorf("no %q in output:\n%s", p, out)
		}
	}
}

func TestStartForeground(t *testing.T) {
	b := newBench(t, "clientPort=2181\n")
	out, code := b.run(t, "zkServer.sh", "start-foreground")
	want(t, out, "arg<server>\narg<--config>\narg<"+b.bin+"/../conf/zoo.cfg>\nenv<><>")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	b.env = append(b.env, "SERVER_JVMFLAGS=-Dzookeeper.snapCount=7 -Xmx1g", "JVMFLAGS=-Dx=1")
	out, _ = b.run(t, "zkServer.sh", "start-foreground", b.cfg)
	want(t, out, "Using config: "+b.cfg, "arg<"+b.cfg+">", "env<-Dzookeeper.snapCount=7 -Xmx1g><-Dx=1>")
}

func TestConfigDirectory(t *testing.T) {
	b := newBench(t, "clientPort=2181\n")
	other := filepath.Join(b.dir, "other dir")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	b.write(t, filepath.Join(other, "my.cfg"), "dataDir="+b.dir+"/data\n")
	b.write(t, filepath.Join(other, "java.env"), "export SERVER_JVMFLAGS=\"-Dfrom=java.env $UNSET\"\n")
	b.write(t, filepath.Join(other, "zookeeper-env.sh"), "ZOO_LOG_DIR="+b.dir+"/logs\n")
	for name, args := range map[string][]string{
		"--config":  {"--config", other, "print-cmd", "my.cfg"},
		"ZOOCFGDIR": {"print-cmd", "my.cfg"},
	} {
		t.Run(name, func(t *testing.T) {
			c := *b
			if name == "ZOOCFGDIR" {
				c.env = append(c.env, "ZOOCFGDIR="+other)
			}
			out, code := c.run(t, "zkServer.sh", args...)
			want(t, out, "zebu server --config ", "other\\ dir/my.cfg", "> "+b.dir+"/logs/zookeeper-user-server-host.out")
			if code != 0 {
				t.Errorf("exit code %d", code)
			}
			args[len(args)-2] = "start-foreground"
			out, _ = c.run(t, "zkServer.sh", args...)
			want(t, out, "env<-Dfrom=java.env ><>")
		})
	}
}

func TestStartStop(t *testing.T) {
	b := newBench(t, "# wait\n")
	pidFile := filepath.Join(b.dir, "data", "zookeeper_server.pid")
	t.Cleanup(func() { b.run(t, "zkServer.sh", "stop") })
	out, code := b.run(t, "zkServer.sh", "start")
	want(t, out, "Starting zookeeper ... STARTED")
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	out, code = b.run(t, "zkServer.sh", "start")
	want(t, out, "already running as process "+string(pid)+".")
	if code != 1 {
		t.Errorf("second start: exit code %d", code)
	}
	out, code = b.run(t, "zkServer.sh", "stop")
	want(t, out, "Stopping zookeeper ... STOPPED")
	if _, err := os.Stat(pidFile); code != 0 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stop: exit code %d, process id file: %v", code, err)
	}
	out, _ = b.run(t, "zkServer.sh", "stop")
	want(t, out, "no zookeeper to stop (could not find file "+pidFile+")")
	log, err := os.ReadFile(filepath.Join(b.bin, "..", "logs", "zookeeper-user-server-host.out"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, string(log), "arg<server>")
}

func TestStartThatFails(t *testing.T) {
	b := newBench(t, "")
	out, code := b.run(t, "zkServer.sh", "start")
	want(t, out, "FAILED TO START", "arg<server>")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func TestStatus(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		answerSrvr(l)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	port := l.Addr().(*net.TCPAddr).Port
	for name, cfg := range map[string]string{
		"clientPort":  fmt.Sprintf("clientPort = %d\nclientPortAddress=127.0.0.1\n", port),
		"server line": fmt.Sprintf("server.3=h:1:2;127.0.0.1:%d\n", port),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, cfg)
			b.write(t, filepath.Join(b.dir, "data", "myid"), "3\n")
			out, code := b.run(t, "zkServer.sh", "status")
			want(t, out, fmt.Sprintf("Client port found: %d. Client address: 127.0.0.1. Client SSL: false.\nMode: standalone\n", port))
			if code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// answerSrvr answers every connection as the four-letter word srvr is answered, until l is closed.
func answerSrvr(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		word := make([]byte, 4)
		if _, err := bufio.NewReader(c).Read(word); err == nil && string(word) == "srvr" {
			fmt.Fprint(c, "Zookeeper version: 3.9.5\nMode: standalone\nNode count: 5\n")
		}
		c.Close()
	}
}

func TestStatusOfNothing(t *testing.T) {
	port, err := freeport.Next()
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, fmt.Sprintf("clientPort=%d\nclientPortAddress=127.0.0.1\n", port))
	out, code := b.run(t, "zkServer.sh", "status")
	want(t, out, "Error contacting service. It is probably not running.")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func TestOtherVerbs(t *testing.T) {
	b := newBench(t, "")
	out, code := b.run(t, "zkServer.sh", "version")
	want(t, out, "arg<version>")
	if code != 0 {
		t.Errorf("version: exit code %d", code)
	}
	out, code = b.run(t, "zkServer.sh", "dance")
	want(t, out, "Usage: ")
	if code != 2 {
		t.Errorf("dance: exit code %d", code)
	}
	out, code = b.run(t, "zkServer.sh", "start", "none.cfg")
	want(t, out, "there is no file")
	if code != 1 {
		t.Errorf("no file: exit code %d", code)
	}
}

func TestCLI(t *testing.T) {
	b := newBench(t, "")
	out, code := b.run(t, "zkCli.sh", "-server", "h:1", "set", "/a", "two words")
	want(t, out, "arg<cli>\narg<-zkcli>\narg<-server>\narg<h:1>\narg<set>\narg</a>\narg<two words>\n")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	out, _ = b.run(t, "zkCli.sh")
	want(t, out, "arg<cli>\narg<-zkcli>\nenv")
	if err := os.Remove(filepath.Join(b.bin, "zebu")); err != nil {
		t.Fatal(err)
	}
	out, code = b.run(t, "zkCli.sh", "ls", "/")
	want(t, out, "zebu was found neither beside", "Set ZEBU")
	if code != 1 {
		t.Errorf("without zebu: exit code %d", code)
	}
}

func TestJava(t *testing.T) {
	b := newBench(t, "")
	out, _ := b.run(t, "java", "-cp", "/a b/x.jar:y.jar", "-Xmx100m", "-Dfile.encoding=UTF-8", "-Da=b c", "-XX:+UseG1GC",
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", b.cfg)
	want(t, out, "arg<server>\narg<-Dfile.encoding=UTF-8>\narg<-Da=b c>\narg<-->\narg<"+b.cfg+">\n")
	out, _ = b.run(t, "java", "-classpath", "x", "org.apache.zookeeper.server.ZooKeeperServerMain", "2181", "/data")
	want(t, out, "arg<server>\narg<-->\narg<2181>\narg</data>\n")

	other := filepath.Join(b.dir, "real")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	b.write(t, filepath.Join(other, "java"), "#!/bin/sh\necho real java \"$@\"\n")
	b.env = append(b.env, "PATH="+b.bin+":"+other+":"+os.Getenv("PATH"))
	out, _ = b.run(t, "java", "-version")
	want(t, out, "real java -version")
	out, _ = b.run(t, "java", "-cp", "x", "org.apache.zookeeper.ZooKeeperMain", "-server", "h")
	want(t, out, "real java -cp x org.apache.zookeeper.ZooKeeperMain -server h")
	b.env = append(b.env, "ZEBU_JAVA=/bin/echo")
	out, _ = b.run(t, "java", "-jar", "x.jar")
	want(t, out, "-jar x.jar")
}
