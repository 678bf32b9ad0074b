package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"zebu/internal/freeport"
	"zebu/internal/peers"
)

// settings go into every server's configuration: limits that would bound a benchmark rather than a server are out of
// the way, all else is the default, fsync included.
var settings = []string{"tickTime=2000", "maxSessionTimeout=600000", "globalOutstandingLimit=100000"}

// contestant is a make of server to be measured.
type contestant struct {
	name string
	peers.Maker
	version string // as reported, once it has run
}

// contestants returns the makes with the given names.
func contestants(ctx context.Context, names []string, zebuBinary string) ([]*contestant, error) {
	var all []*contestant
	for _, name := range names {
		c := &contestant{name: name}
		var err error
		switch name {
		case "zebu":
			c.Maker, err = zebuMaker(ctx, zebuBinary)
		case "apache":
			c.Maker, err = apacheMaker(ctx)
		case "echo":
			c.Maker, err = newEchoMaker()
		default:
			err = fmt.Errorf("unknown server %q, expected zebu, apache or echo", name)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func zebuMaker(ctx context.Context, binary string) (peers.Maker, error) {
	if binary == "" {
		return peers.BuildZebu(ctx, false)
	}
	binary, err := filepath.Abs(binary)
	return &peers.Zebu{Binary: binary}, err
}

// apacheMaker gives Apache ZooKeeper the heap that the targets were set with, and has it log no more than warnings.
func apacheMaker(ctx context.Context) (peers.Maker, error) {
	java, err := peers.Apache39(ctx)
	if err != nil {
		return nil, err
	}
	java.Options = []string{"-Xms512m", "-Xmx2g", "-Dzebu.peers.level=WARN"}
	return java, nil
}

// echoMaker runs this program's own echo server.
type echoMaker struct{ self string }

func newEchoMaker() (peers.Maker, error) {
	self, err := os.Executable()
	return echoMaker{self}, err
}

func (e echoMaker) Name() string { return "echo" }

func (e echoMaker) Command(cfg string, _ []string) *exec.Cmd {
	return exec.Command(e.self, "echo", cfg)
}

// server is a running contestant.
type server struct {
	*peers.Server
	maker     *contestant
	admin     string        // address of the profiling endpoints, "" without
	startTime time.Duration // from the start of the process until it answered
}

// options are what a server is started with beyond settings.
type options struct {
	pprof bool     // with zebu's profiling endpoints
	lines []string // of the configuration
}

// start runs c on dir, which may hold data from before, and waits until it serves clients.
func (c *contestant) start(ctx context.Context, dir string, opt options) (*server, error) {
	s := &server{maker: c}
	cfg := peers.Config{Dir: dir, Extra: slices.Concat(settings, opt.lines)}
	if opt.pprof {
		port, err := freeport.Next()
		if err != nil {
			return nil, err
		}
		s.admin = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		cfg.Extra = append(cfg.Extra, "admin.enableServer=true", "admin.serverAddress=127.0.0.1",
			fmt.Sprintf("admin.serverPort=%d", port))
		cfg.Properties = []string{"zebu.pprof=true"}
	}
	begin := time.Now()
	var err error
	if s.Server, err = peers.Start(ctx, c.Maker, cfg); err != nil {
		return nil, err
	}
	s.startTime = time.Since(begin)
	if c.version == "" {
		c.version = reportedVersion(s.Addr)
	}
	return s, nil
}

// reportedVersion returns the release that the server at addr says it is, "" if it does not say.
func reportedVersion(addr string) string {
	text, err := peers.FourLetterWord(addr, "srvr")
	rest, ok := strings.CutPrefix(text, "Zookeeper version: ")
	if err != nil || !ok {
		return ""
	}
	version, _, _ := strings.Cut(rest, "-")
	return version
}

// number returns the number after label, at the beginning of a line of the server's answer to a four-letter word.
func (s *server) number(word, label string) (float64, error) {
	text, err := peers.FourLetterWord(s.Addr, word)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", word, err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, label); ok {
			if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return n, nil
			}
		}
	}
	return 0, fmt.Errorf("%s: no number after %q in %.200q", word, label, text)
}

// confirm returns an error unless that number is at least want: what is not there has not been measured.
func (s *server) confirm(word, label string, want int) error {
	n, err := s.number(word, label)
	if err == nil && n < float64(want) {
		err = fmt.Errorf("%s: %s%.0f, expected at least %d", word, label, n, want)
	}
	return err
}

// measure runs load and puts down to it the CPU time that the server and this process spend meanwhile.
func (s *server) measure(load func() (*Result, error)) (*Result, error) {
	return measure([]int{s.PID()}, load)
}

// measure is server.measure for the processes with the given ids.
func measure(pids []int, load func() (*Result, error)) (*Result, error) {
	before, err := totalCPU(pids)
	if err != nil {
		return nil, err
	}
	own, err := cpuTime(os.Getpid())
	if err != nil {
		return nil, err
	}
	res, err := load()
	if err != nil {
		return nil, err
	}
	after, err := totalCPU(pids)
	if err != nil {
		return nil, err
	}
	ownAfter, err := cpuTime(os.Getpid())
	res.ServerCPU, res.ClientCPU = after-before, ownAfter-own
	return res, err
}

func totalCPU(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		t, err := cpuTime(pid)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

// saveProfile stores a CPU profile of the server with the given admin address, over duration d, in file.
func saveProfile(ctx context.Context, admin string, d time.Duration, file string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, max(1, int(d.Seconds())))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200q", resp.Status, body)
	}
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return os.WriteFile(file, body, 0o644)
}
