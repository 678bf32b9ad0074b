package status

import (
	"bufio"
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"zebu/proto"
)

// javaDate is how Java prints a date.
const javaDate = "Mon Jan 02 15:04:05 MST 2006"

// line writes the parts and a newline. A write error stays in w and shows when it is flushed.
func line(w *bufio.Writer, parts ...string) {
	for _, p := range parts {
		_, _ = w.WriteString(p)
	}
	_ = w.WriteByte('\n')
}

func linef(w *bufio.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
	_ = w.WriteByte('\n')
}

// Float writes a number with a fraction as ZooKeeper does: at least one and at most four digits after the point.
func Float(f float64) string {
	s := strconv.FormatFloat(math.Round(f*1e4)/1e4, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// hexID writes a session id as ZooKeeper does.
func hexID(id proto.SessionID) string { return "0x" + strconv.FormatUint(uint64(id), 16) }

// Millis is t as reports write moments: milliseconds since 1970, 0 for the zero time.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func (r *Report) ruok(w *bufio.Writer) { _, _ = w.WriteString("imok") }

func (r *Report) gtmk(w *bufio.Writer) { _, _ = w.WriteString(strconv.FormatInt(r.TraceMask(), 10)) }

func (r *Report) isro(w *bufio.Writer) {
	answer := "rw"
	if s := r.Server(); !s.Serving {
		answer = "null"
	} else if s.Mode == ReadOnly {
		answer = "ro"
	}
	_, _ = w.WriteString(answer)
}

func (r *Report) crst(w *bufio.Writer) {
	r.ResetConns()
	line(w, "Connection stats reset.")
}

func (r *Report) srst(w *bufio.Writer) {
	r.ResetStats()
	line(w, "Server stats reset.")
}

// ResetStats resets the server's numbers and the metrics, as srst and the AdminServer's stat_reset do.
func (r *Report) ResetStats() {
	r.ResetServer()
	r.Metrics.Registry.Reset()
}

func (r *Report) dirs(w *bufio.Writer) {
	d := r.Dirs()
	linef(w, "datadir_size: %d", d.DataSize)
	linef(w, "logdir_size: %d", d.LogSize)
}

func (r *Report) conf(w *bufio.Writer) {
	c, d := r.Config, r.Dirs()
	linef(w, "clientPort=%d", c.ClientPort)
	linef(w, "secureClientPort=%d", c.SecureClientPort)
	linef(w, "dataDir=%s", c.DataDir)
	linef(w, "dataDirSize=%d", d.DataSize)
	linef(w, "dataLogDir=%s", c.DataLogDir)
	linef(w, "dataLogSize=%d", d.LogSize)
	linef(w, "tickTime=%d", c.TickTime)
	linef(w, "maxClientCnxns=%d", c.MaxClientCnxns)
	linef(w, "minSessionTimeout=%d", c.MinSessionTimeout)
	linef(w, "maxSessionTimeout=%d", c.MaxSessionTimeout)
	linef(w, "clientPortListenBacklog=%d", c.Backlog)
	linef(w, "serverId=%d", c.ServerID)
	if e := r.Ensemble(); e != nil {
		e.conf(w, r.Server().Mode == ReadOnly)
	}
}

func (r *Report) srvr(w *bufio.Writer) { r.summary(w, false) }

func (r *Report) stat(w *bufio.Writer) { r.summary(w, true) }

func (r *Report) summary(w *bufio.Writer, clients bool) {
	s := r.Server()
	line(w, "Zookeeper version: ", r.Version.String())
	if s.Mode == ReadOnly {
		line(w, "READ-ONLY mode; serving only read-only clients")
	}
	if clients {
		line(w, "Clients:")
		for _, c := range r.Conns() {
			writeConn(w, &c, true)
		}
		line(w)
	}
	linef(w, "Latency min/avg/max: %d/%s/%d", s.LatencyMin, Float(s.LatencyAvg), s.LatencyMax)
	linef(w, "Received: %d", s.Received)
	linef(w, "Sent: %d", s.Sent)
	linef(w, "Connections: %d", s.Connections)
	linef(w, "Outstanding: %d", s.Outstanding)
	linef(w, "Zxid: 0x%x", uint64(s.Zxid))
	linef(w, "Mode: %s", s.Mode)
	linef(w, "Node count: %d", s.NodeCount)
	if e := r.Ensemble(); e != nil && e.Leading != nil {
		p := e.Leading.Proposals
		linef(w, "Proposal sizes last/min/max: %d/%d/%d", p.Last, p.Min, p.Max)
	}
}

func (r *Report) cons(w *bufio.Writer) {
	for _, c := range r.Conns() {
		writeConn(w, &c, false)
	}
	line(w)
}

func writeConn(w *bufio.Writer, c *Conn, brief bool) {
	_, _ = fmt.Fprintf(w, " %s[%x](queued=%d,recved=%d,sent=%d", remote(c.Remote), c.InterestOps, c.Queued, c.Received, c.Sent)
	if !brief && c.Session != 0 {
		_, _ = fmt.Fprintf(w, ",sid=%s,lop=%s,est=%d,to=%d", hexID(c.Session), OpName(c.LastOp), Millis(c.Established), c.Timeout)
		if c.LastCxid >= 0 {
			_, _ = fmt.Fprintf(w, ",lcxid=0x%x", c.LastCxid)
		}
		_, _ = fmt.Fprintf(w, ",lzxid=0x%x,lresp=%d,llat=%d,minlat=%d,avglat=%d,maxlat=%d",
			uint64(c.LastZxid), Millis(c.LastResponse), c.LastLatency, c.MinLatency, c.AvgLatency, c.MaxLatency)
	}
	line(w, ")")
}

// remote writes an address as Java does: after a slash, because it has no name.
func remote(a netip.AddrPort) string {
	return "/" + netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}

// opNames are what cons calls requests.
var opNames = map[proto.OpCode]string{
	proto.OpPing: "PING", proto.OpCreateSession: "SESS", proto.OpMulti: "MULT", proto.OpMultiRead: "MLTR",
	proto.OpCreate: "CREA", proto.OpCreate2: "CREA", proto.OpCreateContainer: "CREA", proto.OpCreateTTL: "CREA",
	proto.OpDelete: "DELE", proto.OpDeleteContainer: "DELE", proto.OpSetData: "SETD", proto.OpReconfig: "RECO",
	proto.OpSetACL: "SETA", proto.OpCloseSession: "CLOS", proto.OpSync: "SYNC", proto.OpCheck: "CHEC",
	proto.OpExists: "EXIS", proto.OpGetData: "GETD", proto.OpSetWatches: "SETW", proto.OpSetWatches2: "STW2",
	proto.OpAddWatch: "ADDW", proto.OpGetACL: "GETA", proto.OpGetChildren: "GETC", proto.OpGetChildren2: "GETC",
	proto.OpGetAllChildrenNumber: "GETACN", proto.OpCheckWatches: "CHKW", proto.OpRemoveWatches: "REMW",
	proto.OpWhoAmI: "HOMI", proto.OpGetEphemerals: "GETE",
}

// OpName is what connection reports call a request: four letters, for some six, "NA" for none.
func OpName(op proto.OpCode) string {
	if name, ok := opNames[op]; ok {
		return name
	}
	return "NA"
}

func (r *Report) hash(w *bufio.Writer) {
	for _, d := range r.Digests() {
		linef(w, "%x: %d", uint64(d.Zxid), int64(d.Digest))
	}
}

func (r *Report) wchs(w *bufio.Writer) {
	s := r.WatchSummary()
	linef(w, "%d connections watching %d paths", s.Connections, s.Paths)
	linef(w, "Total watches:%d", s.Watches)
}

func (r *Report) wchp(w *bufio.Writer) {
	last, first := "", true
	r.Watches(func(path string, id proto.SessionID) bool {
		if first || path != last {
			line(w, path)
			last, first = path, false
		}
		line(w, "\t", hexID(id))
		return true
	})
	line(w)
}

func (r *Report) wchc(w *bufio.Writer) {
	by := r.WatchesBySession()
	for _, id := range slices.Sorted(maps.Keys(by)) {
		writePaths(w, id, by[id])
	}
	line(w)
}

// WatchesBySession returns the watched paths of the data table by session.
func (r *Report) WatchesBySession() map[proto.SessionID][]string {
	by := map[proto.SessionID][]string{}
	r.Watches(func(path string, id proto.SessionID) bool {
		by[id] = append(by[id], path)
		return true
	})
	return by
}

func writePaths(w *bufio.Writer, id proto.SessionID, paths []string) {
	line(w, hexID(id))
	for _, p := range paths {
		line(w, "\t", p)
	}
}

// dump tells of the sessions by expiry, of their ephemeral nodes and of the connections.
func (r *Report) dump(w *bufio.Writer) {
	sessions, ephemerals := r.Sessions(), r.Ephemerals()
	expiry := map[proto.SessionID]time.Time{}
	for _, s := range sessions {
		expiry[s.ID] = s.Expiry
	}
	line(w, "SessionTracker dump:")
	dumpSessions(w, r.Ensemble(), sessions)
	line(w, "ephemeral nodes dump:")
	linef(w, "Sessions with Ephemerals (%d):", len(ephemerals))
	for _, id := range slices.Sorted(maps.Keys(ephemerals)) {
		line(w, hexID(id), ":")
		for _, p := range ephemerals[id] {
			line(w, "\t", p)
		}
	}
	line(w, "Connections dump:")
	var rows []expiring
	for _, c := range r.Conns() {
		at := expiry[c.Session]
		if at.IsZero() { // no session yet, one that is just closing, or one that the leader lets expire
			at = c.Established
			if c.LastResponse.After(at) {
				at = c.LastResponse
			}
			at = at.Add(time.Duration(c.Timeout) * time.Millisecond)
		}
		rows = append(rows, expiring{at, fmt.Sprintf("ip: %s sessionId: 0x%x", remote(c.Remote), uint64(c.Session))})
	}
	writeExpiring(w, "Connections", rows)
}

// expiring is one line of a dump.
type expiring struct {
	at   time.Time
	text string
}

// writeExpiring writes rows in groups of equal time, soonest first.
func writeExpiring(w *bufio.Writer, what string, rows []expiring) {
	slices.SortStableFunc(rows, func(a, b expiring) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.text, b.text))
	})
	var groups [][]expiring
	for i, row := range rows {
		if i == 0 || !row.at.Equal(rows[i-1].at) {
			groups = append(groups, nil)
		}
		last := &groups[len(groups)-1]
		*last = append(*last, row)
	}
	linef(w, "%s Sets (%d)/(%d):", what, len(groups), len(rows))
	for _, g := range groups {
		linef(w, "%d expire at %s:", len(g), g[0].at.Format(javaDate))
		for _, row := range g {
			line(w, "\t", row.text)
		}
	}
}
