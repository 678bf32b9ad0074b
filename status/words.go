package status

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"zebu/internal/metrics"
)

// notServing is what words, and AdminServer commands, answer while the server does not serve.
const notServing = "This ZooKeeper instance is not currently serving requests"

// ErrNotServing is what AdminServer commands say while the server does not serve.
const ErrNotServing = notServing

// defaultTraceMask is the trace mask that gtmk tells before the first stmk. It has no effect but to be told.
const defaultTraceMask = 306

// Version is what reports call the server's version.
type Version struct {
	ZooKeeper string    // the release that zebu stands in for, such as "3.9.5"
	Zebu      string    // zebu's own, such as "0.1.0"
	Built     time.Time // when this program was built, or its last change made
}

// String writes the version as "3.9.5-zebu.0.1.0, built on 02/11/2026 20:18 UTC". What stands before the first hyphen is
// ZooKeeper's, which clients and monitoring read; the date has the American form of ZooKeeper before 3.8, which every
// known parser takes: go-zookeeper/zk refuses the ISO form.
func (v Version) String() string {
	return fmt.Sprintf("%s-zebu.%s, built on %s", v.ZooKeeper, v.Zebu, v.Built.UTC().Format("01/02/2006 15:04 UTC"))
}

// Config is what conf and the AdminServer's configuration tell.
type Config struct {
	ClientPort        int    // -1: none
	SecureClientPort  int    // -1: none
	DataDir           string // absolute path of the directory version-2 of snapshots
	DataLogDir        string // absolute path of the directory version-2 of logs
	TickTime          int    // milliseconds, like the two session timeouts
	MaxClientCnxns    int
	MinSessionTimeout int
	MaxSessionTimeout int
	Backlog           int
	ServerID          int64
	Initial           string            // text of zoo.cfg, with secrets hidden
	Properties        map[string]string // the Java system properties in force, by full name, with secrets hidden
}

// Options are the settings of [NewReport].
type Options struct {
	Config       Config
	Version      Version
	Metrics      *metrics.Server
	Whitelist    []string // 4lw.commands.whitelist; "*" stands for every word
	ReadOnlyMode bool     // readonlymode.enabled: allows isro
}

// Report tells of one server: by four-letter words itself, and by AdminServer commands through package admin. It is
// safe for use by many goroutines at once.
type Report struct {
	Source
	Options
	allowed   map[string]bool
	traceMask atomic.Int64
}

// NewReport returns the report of a server.
func NewReport(src Source, o Options) *Report {
	r := &Report{Source: src, Options: o, allowed: map[string]bool{"srvr": true}}
	r.traceMask.Store(defaultTraceMask)
	for _, w := range o.Whitelist {
		if w = strings.TrimSpace(w); w == "*" {
			for name := range words {
				r.allowed[name] = true
			}
			r.allowed["stmk"] = true
		} else {
			r.allowed[w] = true
		}
	}
	if o.ReadOnlyMode {
		r.allowed["isro"] = true
	}
	return r
}

// TraceMask is the trace mask set last.
func (r *Report) TraceMask() int64 { return r.traceMask.Load() }

// SetTraceMask sets the trace mask, which has no effect but to be told.
func (r *Report) SetTraceMask(mask int64) { r.traceMask.Store(mask) }

// words are the four-letter words but for stmk. Those marked always answer while the server does not serve, too.
var words = map[string]struct {
	write  func(*Report, *bufio.Writer)
	always bool
}{
	"conf": {write: (*Report).conf},
	"cons": {write: (*Report).cons},
	"crst": {write: (*Report).crst},
	"dirs": {write: (*Report).dirs},
	"dump": {write: (*Report).dump},
	"envi": {write: (*Report).envi, always: true},
	"gtmk": {write: (*Report).gtmk, always: true},
	"hash": {write: (*Report).hash},
	"isro": {write: (*Report).isro, always: true},
	"mntr": {write: (*Report).mntr},
	"ruok": {write: (*Report).ruok, always: true},
	"srst": {write: (*Report).srst},
	"srvr": {write: (*Report).srvr},
	"stat": {write: (*Report).stat},
	"wchc": {write: (*Report).wchc},
	"wchp": {write: (*Report).wchp},
	"wchs": {write: (*Report).wchs},
}

// wordNames are all words, as the first four bytes of a connection hold them.
var wordNames = func() [][4]byte {
	names := [][4]byte{[4]byte([]byte("stmk"))}
	for w := range words {
		names = append(names, [4]byte([]byte(w)))
	}
	return names
}()

// IsWord says whether a connection that starts with these bytes asks for a four-letter word. No length of a packet is
// one: as a number, every word is above 1.6 billion.
func IsWord(first [4]byte) bool { return slices.Contains(wordNames, first) }

// IsWord says whether a connection that starts with these bytes asks for a four-letter word, allowed or not.
func (r *Report) IsWord(first [4]byte) bool { return IsWord(first) }

// Run writes the answer to a word; the connection is to be closed after it. For stmk the eight bytes of the mask, which
// follow the word on the wire, belong to word. A word that is not on the whitelist is answered by saying so (spec 12.2).
func (r *Report) Run(out io.Writer, word string) error {
	name := word[:min(4, len(word))]
	w := bufio.NewWriter(out)
	entry, known := words[name]
	switch {
	case !known && name != "stmk":
		return fmt.Errorf("%q is not a four-letter word", name)
	case !r.allowed[name]:
		line(w, name, " is not executed because it is not in the whitelist.")
	case name == "stmk":
		if len(word) < 12 {
			return fmt.Errorf("stmk: %d bytes of trace mask, expected 8", len(word)-4)
		}
		r.SetTraceMask(int64(binary.BigEndian.Uint64([]byte(word[4:12]))))
		r.gtmk(w)
	case !entry.always && !r.Server().Serving:
		line(w, notServing)
	default:
		entry.write(r, w)
	}
	return w.Flush()
}
