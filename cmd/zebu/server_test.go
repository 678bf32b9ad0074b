package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestServer runs a server from a zoo.cfg, connects where it says, and stops it.
func TestServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zoo.cfg")
	text := "dataDir=" + t.TempDir() + "\nclientPort=0\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	said, say := io.Pipe()
	root := newRootCommand()
	root.SetArgs([]string{"server", file, "--log-level", "error"})
	root.SetOut(say)
	done := make(chan error, 1)
	go func() {
		err := root.ExecuteContext(ctx)
		say.CloseWithError(io.EOF)
		done <- err
	}()
	words := make([]byte, 1000)
	n, err := said.Read(words)
	if err != nil {
		t.Fatal(err, <-done)
	}
	match := regexp.MustCompile(`zebu cli --server (127\.0\.0\.1:[0-9]+)\n`).FindSubmatch(words[:n])
	if match == nil {
		t.Fatalf("no address in %q", words[:n])
	}
	c, err := net.Dial("tcp", string(match[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	connect := make([]byte, 4+45) // a ConnectRequest for a new session, 10 s, with an empty password
	connect[3], connect[18], connect[19], connect[31] = 45, 0x27, 0x10, 16
	if _, err := c.Write(connect); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4+37)
	if _, err := io.ReadFull(c, answer); err != nil || answer[3] != 37 || answer[10] != 0x27 || answer[11] != 0x10 {
		t.Errorf("connect response %x, %v", answer, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("stopped with %v", err)
	}
}

// TestServerThatCannotStart checks the exit codes that scripts know.
func TestServerThatCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	notADir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notADir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		port int
		dir  string
		code int
	}{
		"port taken":     {taken.Addr().(*net.TCPAddr).Port, t.TempDir(), exitPort},
		"data directory": {0, notADir, exitDataDir},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "zoo.cfg")
			text := fmt.Sprintf("dataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n", c.dir, c.port)
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			out, code := run(t, "server", file, "--log-level", "fatal")
			if code != c.code {
				t.Errorf("exit code %d, want %d:\n%s", code, c.code, out)
			}
		})
	}
}

// TestServerWithoutCertificate starts no server that would be in plain text where TLS is asked for.
func TestServerWithoutCertificate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zoo.cfg")
	text := "dataDir=" + t.TempDir() + "\nclientPort=0\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n" +
		"etcd.clientPort=0\netcd.certFile=/nowhere/cert.pem\netcd.keyFile=/nowhere/key.pem\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, code := run(t, "server", file, "--log-level", "fatal")
	want := file + ":6: etcd.certFile=/nowhere/cert.pem: expected a PEM file with the server's certificate: open /nowhere/cert.pem: "
	if code != exitInvalid || !strings.Contains(out, want) {
		t.Errorf("exit code %d: %s, not %s", code, out, want)
	}
}
