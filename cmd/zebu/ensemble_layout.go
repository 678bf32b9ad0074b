package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf16"

	"zebu/conf"
)

const (
	loopback = "127.0.0.1"
	// portStep is between the first ports that are tried when nobody asked for one: 2181, 2281 and so on, below what
	// systems hand out to clients.
	portStep = 100
	lastBase = 9981
	// maxServers is what fits between two first ports.
	maxServers = portStep / 4
)

// layout says where the servers of a trial ensemble live: ids 1 and up, voters first, in directories of dir named after
// them, at consecutive ports of loopback from base on: one for the clients of each server, then one each for the quorum,
// then one each for elections, then one each for etcd clients.
type layout struct {
	dir       string // absolute
	voters    int
	observers int
	base      int
}

// alone says that the one server is a standalone one. It becomes a voter when there are observers.
func (l *layout) alone() bool { return l.voters == 1 && l.observers == 0 }

func (l *layout) size() int { return l.voters + l.observers }

// ports is how many ports the servers take.
func (l *layout) ports() int {
	if l.alone() {
		return 2
	}
	return 4 * l.size()
}

// etcdPort is where server id serves etcd clients.
func (l *layout) etcdPort(id int) int { return l.base + l.ports() - l.size() + id - 1 }

// endpoints are what etcd clients connect to.
func (l *layout) endpoints() string {
	var all []string
	for id := 1; id <= l.size(); id++ {
		all = append(all, net.JoinHostPort(loopback, strconv.Itoa(l.etcdPort(id))))
	}
	return strings.Join(all, ",")
}

func (l *layout) home(id int) string   { return filepath.Join(l.dir, strconv.Itoa(id)) }
func (l *layout) config(id int) string { return filepath.Join(l.home(id), "zoo.cfg") }
func (l *layout) log(id int) string    { return filepath.Join(l.home(id), "zebu.log") }
func (l *layout) data(id int) string   { return filepath.Join(l.home(id), "data") }

// address is where server id serves clients.
func (l *layout) address(id int) string {
	return net.JoinHostPort(loopback, strconv.Itoa(l.base+id-1))
}

// addresses are those of all servers.
func (l *layout) addresses() []string {
	var all []string
	for id := 1; id <= l.size(); id++ {
		all = append(all, l.address(id))
	}
	return all
}

// connectString is for clients.
func (l *layout) connectString() string { return strings.Join(l.addresses(), ",") }

// earlier reads from its first server's zoo.cfg what an earlier run left in a directory; nil if there was none.
func earlier(dir string) (*layout, error) {
	file := (&layout{dir: dir}).config(1)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	c, err := conf.Load(conf.Options{File: file})
	if err != nil {
		return nil, fmt.Errorf("what an earlier ensemble left in %s cannot be read: %w", dir, configError{err})
	}
	l := &layout{dir: dir, voters: c.Quorum.Voters(), observers: c.Quorum.Config.Observers().Len(), base: c.Client.Addr.Port}
	l.voters = max(1, l.voters)
	return l, nil
}

// choosePorts sets base to asked, or if that is 0 to the earlier run's, or else to the first that will do.
func (l *layout) choosePorts(asked, before int) error {
	if asked > 0 {
		l.base = asked
		if err := l.portsFree(); err != nil {
			return fmt.Errorf("ports %d to %d are needed, and one is not to be had: %w", l.base, l.base+l.ports()-1, err)
		}
		return nil
	}
	candidates := []int{}
	if before > 0 {
		candidates = append(candidates, before)
	}
	for base := 2181; base <= lastBase; base += portStep {
		candidates = append(candidates, base)
	}
	var err error
	for _, l.base = range candidates {
		if err = l.portsFree(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no free ports found (--base-port says where to look): %w", err)
}

// portsFree tries to listen at each port.
func (l *layout) portsFree() error {
	for port := l.base; port < l.base+l.ports(); port++ {
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err != nil {
			return err
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	return nil
}

// write makes the directories, zoo.cfg and myid of every server. What an earlier run left as data stays.
func (l *layout) write() error {
	for id := 1; id <= l.size(); id++ {
		if err := os.MkdirAll(l.data(id), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(l.data(id), "myid"), fmt.Appendln(nil, id), 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(l.config(id), []byte(l.configText(id)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// configText is the zoo.cfg of a server.
func (l *layout) configText(id int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Server %d of an ensemble for trying things out. 'zebu ensemble' writes this file anew at every start.
clientPort=%d
clientPortAddress=%s
dataDir=%s
tickTime=2000
initLimit=10
syncLimit=5
maxClientCnxns=0
4lw.commands.whitelist=*
admin.enableServer=false
autopurge.purgeInterval=1
etcd.clientPort=%d
etcd.clientPortAddress=%s
`, id, l.base+id-1, loopback, propertyValue(l.data(id)), l.etcdPort(id), loopback)
	if l.alone() {
		return b.String()
	}
	if l.voters == 1 {
		b.WriteString("standaloneEnabled=false\n")
	}
	if id > l.voters {
		b.WriteString("peerType=observer\n")
	}
	for other := 1; other <= l.size(); other++ {
		suffix := ""
		if other > l.voters {
			suffix = ":observer"
		}
		quorumPort := l.base + l.size() + other - 1
		fmt.Fprintf(&b, "server.%d=%s:%d:%d%s\n", other, loopback, quorumPort, quorumPort+l.size(), suffix)
	}
	return b.String()
}

// propertyValue escapes a text for a Java properties file, which is Latin-1.
func propertyValue(text string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		switch {
		case unit == '\\':
			b.WriteString(`\\`)
		case unit < ' ' || unit > '~':
			fmt.Fprintf(&b, `\u%04x`, unit)
		default:
			b.WriteByte(byte(unit))
		}
	}
	return b.String()
}
