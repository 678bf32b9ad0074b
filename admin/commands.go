package admin

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"zebu/proto"
	"zebu/status"
)

// reply is the outcome of a command. Without a body, data is sent as JSON, followed by the command's name and its error.
type reply struct {
	code   int // 0 stands for 200
	data   object
	err    string // "": null
	header map[string]string
	body   io.ReadCloser // sent as it is
}

// request is what a command sees of an HTTP request.
type request struct {
	*http.Request
	w http.ResponseWriter
}

type command struct {
	names  []string // the primary one first
	method string   // "": GET
	idle   bool     // answers while the server does not serve, too
	auth   bool     // needs an identity that may do everything to the root
	run    func(*commands, *request) reply
}

// table is every command, in the order of primary names.
var table = []*command{
	{names: []string{"configuration", "conf", "config"}, run: configuration},
	{names: []string{"connection_stat_reset", "crst"}, run: connectionStatReset},
	{names: []string{"connections", "cons"}, run: connections},
	{names: []string{"dirs"}, run: dirs},
	{names: []string{"dump"}, run: dump},
	{names: []string{"environment", "env", "envi"}, idle: true, run: environment},
	{names: []string{"get_trace_mask", "gtmk"}, idle: true, run: getTraceMask},
	{names: []string{"hash"}, run: hash},
	{names: []string{"initial_configuration", "icfg"}, run: initialConfiguration},
	{names: []string{"is_read_only", "isro"}, run: isReadOnly},
	{names: []string{"last_snapshot", "lsnp"}, run: lastSnapshot},
	{names: []string{"leader", "lead"}, run: leader},
	{names: []string{"monitor", "mntr"}, idle: true, run: monitor},
	{names: []string{"observer_connection_stat_reset", "orst"}, run: observerStatReset},
	{names: []string{"observers", "obsr"}, run: observers},
	{names: []string{"restore", "rest"}, method: http.MethodPost, auth: true, run: restore},
	{names: []string{"ruok"}, run: nothing},
	{names: []string{"server_stats", "srvr"}, run: serverStats},
	{names: []string{"set_trace_mask", "stmk"}, idle: true, run: setTraceMask},
	{names: []string{"snapshot", "snap"}, auth: true, run: snapshot},
	{names: []string{"stat_reset", "srst"}, run: statReset},
	{names: []string{"stats", "stat"}, run: stats},
	{names: []string{"system_properties", "sysp"}, idle: true, run: systemProperties},
	{names: []string{"voting_view"}, run: votingView},
	{names: []string{"watch_summary", "wchs"}, run: watchSummary},
	{names: []string{"watches", "wchc"}, run: watches},
	{names: []string{"watches_by_path", "wchp"}, run: watchesByPath},
	{names: []string{"zabstate"}, idle: true, run: zabState},
}

// commands is the handler of all commands.
type commands struct {
	Options
	table  []*command
	byName map[string][]*command // several if they differ by method
	atOnce chan struct{}         // as long as commands may run at once
	snaps  *limiter
	loads  *limiter
}

func newCommands(o Options) *commands {
	interval := o.RateInterval
	if interval == 0 {
		interval = 5 * time.Minute
	}
	c := &commands{
		Options: o, table: slices.Clone(table), byName: map[string][]*command{}, atOnce: make(chan struct{}, maxAtOnce),
		// ZooKeeper takes the interval for microseconds where it limits snapshots.
		snaps: &limiter{interval: interval / 1000}, loads: &limiter{interval: interval},
	}
	if o.Level != nil {
		c.table = append(c.table, logLevelCommands...)
		slices.SortStableFunc(c.table, func(a, b *command) int { return strings.Compare(a.names[0], b.names[0]) })
	}
	for _, cmd := range c.table {
		for _, name := range cmd.names {
			c.byName[name] = append(c.byName[name], cmd)
		}
	}
	return c
}

// ServeHTTP implements http.Handler.
func (c *commands) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	deadline := time.Now().Add(answerTimeout)
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(deadline) // not supported by every ResponseWriter of a test
	_ = rc.SetWriteDeadline(deadline)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut:
	case http.MethodTrace:
		w.WriteHeader(http.StatusForbidden)
		return
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, c.CommandURL), "/")
	if name == "" {
		c.index(w)
		return
	}
	c.answer(w, r, name)
}

// index lists links to the commands.
func (c *commands) index(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	var last string
	for _, cmd := range c.table {
		if name := cmd.names[0]; name != last {
			_, _ = fmt.Fprintf(w, "<a href=\"%s/%s\">%s</a>\n<br/>\n", c.CommandURL, name, name)
			last = name
		}
	}
}

// answer runs a command and sends what came of it.
func (c *commands) answer(w http.ResponseWriter, r *http.Request, name string) {
	out, name := c.run(&request{r, w}, name)
	if out.body != nil {
		defer func() { _ = out.body.Close() }()
	}
	h := w.Header()
	for k, v := range out.header {
		h[k] = []string{v} // as they stand: these have no canonical form
	}
	if out.code == 0 {
		out.code = http.StatusOK
	}
	if out.body != nil {
		h.Set("Content-Type", "application/octet-stream")
		w.WriteHeader(out.code)
		if _, err := io.Copy(&patientWriter{w: w, rc: http.NewResponseController(w)}, out.body); err != nil {
			c.Log.Warn("AdminServer: sending a snapshot", zap.Error(err))
		}
		return
	}
	out.data.set("command", name)
	if out.err != "" {
		out.data.set("error", out.err)
	} else if !slices.ContainsFunc(out.data, func(f field) bool { return f.name == "error" }) {
		out.data.set("error", nil)
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(out.code)
	_, _ = w.Write(appendJSON(nil, out.data, ""))
}

// run runs a command and returns its outcome, and the name that the answer gives it: the primary one, or the one it was
// asked by if it did not come to run.
func (c *commands) run(r *request, name string) (reply, string) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	cmd, takes := c.find(name, method)
	if cmd == nil {
		return reply{err: "Unknown command: " + name}, name
	}
	if !cmd.idle && !c.Report.Server().Serving {
		return reply{err: status.ErrNotServing}, name
	}
	if cmd.auth {
		if refused := c.authorize(r); refused != nil {
			return *refused, name
		}
	}
	if !takes {
		return reply{code: http.StatusMethodNotAllowed, err: "Method not allowed"}, name
	}
	select {
	case c.atOnce <- struct{}{}:
		defer func() { <-c.atOnce }()
	case <-r.Context().Done():
		return reply{code: http.StatusServiceUnavailable, err: r.Context().Err().Error()}, name
	}
	return cmd.run(c, r), cmd.names[0]
}

// find returns the command of a name and whether it takes the method; nil if there is none of the name.
func (c *commands) find(name, method string) (cmd *command, takes bool) {
	for _, cmd = range c.byName[name] {
		if method == cmp.Or(cmd.method, http.MethodGet) {
			return cmd, true
		}
	}
	return cmd, false
}

// authorize checks the header "Authorization: scheme data" for an identity that holds every permission on the root, and
// returns the refusal if there is none.
func (c *commands) authorize(r *request) *reply {
	header := r.Header.Get("Authorization")
	if header == "" {
		return &reply{code: http.StatusUnauthorized, err: "Auth info is missing for the command"}
	}
	scheme, data, _ := strings.Cut(header, " ")
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	byConnection := scheme == "ip" || scheme == "x509" // who it is shows without data, and only there
	if err != nil || strings.Contains(data, " ") || data == "" && !byConnection {
		return &reply{code: http.StatusUnauthorized, err: "Not authenticated"}
	}
	known, allowed := c.Report.Allowed(scheme, []byte(data), remote.Addr().Unmap(), proto.PermAll)
	switch {
	case !known:
		return &reply{code: http.StatusUnauthorized, err: "Not authenticated"}
	case !allowed:
		return &reply{code: http.StatusForbidden, err: "Not authorized"}
	}
	return nil
}
