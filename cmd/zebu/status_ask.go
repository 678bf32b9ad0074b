package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"zebu/internal/fourletter"
	"zebu/proto"
	"zebu/status"
)

// Roles of a server that serves nobody, besides the modes that servers report.
const (
	roleLooking status.Mode = "looking" // up, without a part in a quorum
	roleDown    status.Mode = "down"    // does not answer as a server
)

// ensembleStatus is what 'zebu status' reports. Its JSON form is for scripts: names stay.
type ensembleStatus struct {
	Healthy  bool           `json:"healthy"`
	Leader   string         `json:"leader"`   // address of the only leader, "" if there is none
	Problems []string       `json:"problems"` // why not healthy
	Servers  []serverStatus `json:"servers"`
}

// serverStatus is what one server told. What it did not tell is nil.
type serverStatus struct {
	Address     string      `json:"address"`
	Role        status.Mode `json:"role"`
	Reason      string      `json:"reason,omitempty"` // why it does not serve
	ID          *int64      `json:"id"`
	Epoch       *int64      `json:"epoch"`
	Zxid        *string     `json:"zxid"`
	Lag         *int64      `json:"lag"` // transactions behind the leader
	Connections *int64      `json:"connections"`
	Sessions    *int64      `json:"sessions"`
	Outstanding *int64      `json:"outstanding"` // requests received and not answered
	Latency     *latency    `json:"latency"`
	Nodes       *int64      `json:"nodes"`
	Version     string      `json:"version,omitempty"` // as the server writes it
	Etcd        *etcdStatus `json:"etcd,omitempty"`    // absent of a server without the etcd API

	zxid proto.Zxid
}

// latency is of requests, in milliseconds.
type latency struct {
	Min int64   `json:"min"`
	Avg float64 `json:"avg"`
	Max int64   `json:"max"`
}

// etcdStatus is what a server tells of the etcd API's key space. Sizes are in bytes.
type etcdStatus struct {
	Revision  int64 `json:"revision"`
	Compacted int64 `json:"compactRevision"` // -1: never
	DBSize    int64 `json:"dbSize"`
	InUse     int64 `json:"dbSizeInUse"`
	Quota     int64 `json:"dbSizeQuota"` // 0: none
	Watchers  int64 `json:"watchers"`    // of this server's clients
	Leases    int64 `json:"leases"`
}

// ask asks all servers at once and waits for each no longer than limit.
func ask(ctx context.Context, addrs []string, limit time.Duration) *ensembleStatus {
	e := &ensembleStatus{Problems: []string{}, Servers: make([]serverStatus, len(addrs))}
	var group sync.WaitGroup
	for i, addr := range addrs {
		group.Go(func() { e.Servers[i] = askServer(ctx, addr, limit) })
	}
	group.Wait()
	e.judge()
	return e
}

// askServer asks for the one word that every server answers, then for those that add to it.
func askServer(ctx context.Context, addr string, limit time.Duration) serverStatus {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s := serverStatus{Address: addr}
	sum, err := summary(ctx, addr)
	switch {
	case errors.Is(err, fourletter.ErrNotServing):
		s.Role, s.Reason = roleLooking, "it elects a leader, or joins one"
		return s
	case err != nil:
		s.Role, s.Reason = roleDown, reason(err, limit)
		return s
	}
	s.Role, s.Version, s.zxid = sum.Mode, sum.Version, sum.Zxid
	epoch, zxid := int64(sum.Zxid.Epoch()), sum.Zxid.String()
	s.Epoch, s.Zxid, s.Nodes = &epoch, &zxid, &sum.Nodes
	s.Connections, s.Outstanding = &sum.Connections, &sum.Outstanding
	s.Latency = &latency{sum.LatencyMin, sum.LatencyAvg, sum.LatencyMax}
	var more sync.WaitGroup
	more.Go(func() {
		if text, err := fourletter.Ask(ctx, addr, "mntr"); err == nil {
			v := fourletter.ParseMonitor(text)
			if global, ok := v.Int("global_sessions"); ok {
				local, _ := v.Int("local_sessions")
				sessions := global + local
				s.Sessions = &sessions
			}
			s.Etcd = etcdFrom(v)
		}
	})
	more.Go(func() {
		if text, err := fourletter.Ask(ctx, addr, "conf"); err == nil && s.Role != status.Standalone {
			if id, ok := fourletter.ParseConfig(text).Int("serverId"); ok {
				s.ID = &id
			}
		}
	})
	more.Wait()
	return s
}

// etcdFrom picks the etcd API's numbers out of an answer to mntr; nil if there are none.
func etcdFrom(v fourletter.Values) *etcdStatus {
	var e etcdStatus
	for name, to := range map[string]*int64{
		"etcd_debugging_mvcc_current_revision":    &e.Revision,
		"etcd_debugging_mvcc_compact_revision":    &e.Compacted,
		"etcd_mvcc_db_total_size_in_bytes":        &e.DBSize,
		"etcd_mvcc_db_total_size_in_use_in_bytes": &e.InUse,
		"etcd_server_quota_backend_bytes":         &e.Quota,
		"etcd_debugging_mvcc_watcher_total":       &e.Watchers,
		"etcd_debugging_lease_total":              &e.Leases,
	} {
		var ok bool
		if *to, ok = v.Int(name); !ok {
			return nil
		}
	}
	return &e
}

// summary asks a server for srvr.
func summary(ctx context.Context, addr string) (fourletter.Summary, error) {
	text, err := fourletter.Ask(ctx, addr, "srvr")
	if err != nil {
		return fourletter.Summary{}, err
	}
	return fourletter.ParseSummary(text)
}

// reason says in few words why a server did not answer.
func reason(err error, limit time.Duration) string {
	var dns *net.DNSError
	var timed net.Error
	switch {
	case errors.As(err, &timed) && timed.Timeout():
		return fmt.Sprintf("no answer within %v", limit)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // without the addresses, which stand before it
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return err.Error()
}

// judge finds the leader, how far the others are behind it, and what is wrong.
func (e *ensembleStatus) judge() {
	var leaders, alone []*serverStatus
	for i := range e.Servers {
		s := &e.Servers[i]
		switch s.Role {
		case status.Leader:
			leaders = append(leaders, s)
		case status.Standalone:
			alone = append(alone, s)
		case status.ReadOnly:
			e.problem("%s is read-only: it sees no quorum", s.Address)
		case roleLooking, roleDown:
			e.problem("%s is %s: %s", s.Address, s.Role, s.Reason)
		}
	}
	switch {
	case len(leaders) == 1:
		e.Leader = leaders[0].Address
		for i := range e.Servers {
			e.Servers[i].measureLag(leaders[0])
		}
	case len(leaders) > 1:
		e.problem("%d leaders: two ensembles, or one of them has not noticed yet that another was elected", len(leaders))
	case len(alone) == 0:
		e.problem("no leader among the servers asked")
	}
	if len(alone) > 0 && len(e.Servers) > 1 {
		e.problem("%s is standalone: no part of an ensemble with the others", alone[0].Address)
	}
	e.Healthy = len(e.Problems) == 0
}

func (e *ensembleStatus) problem(format string, args ...any) {
	e.Problems = append(e.Problems, fmt.Sprintf(format, args...))
}

// measureLag sets how far s, if it serves with this leader, is behind it. A server shows the leader's epoch from that
// epoch's first transaction on: before it nobody lags.
func (s *serverStatus) measureLag(leader *serverStatus) {
	if s.Role != status.Leader && s.Role != status.Follower && s.Role != status.Observer {
		return
	}
	lag := int64(0)
	switch {
	case s.zxid.Epoch() == leader.zxid.Epoch():
		// It may have been asked later than the leader, and be ahead of what that said.
		lag = max(0, int64(leader.zxid.Counter())-int64(s.zxid.Counter()))
	case leader.zxid.Counter() > 0 || s.zxid.Epoch() > leader.zxid.Epoch():
		return
	}
	s.Lag = &lag
}

func (e *ensembleStatus) err() error {
	if e.Healthy {
		return nil
	}
	return errUnhealthy
}

func (e *ensembleStatus) writeJSON(w io.Writer, indent bool) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if indent {
		encoder.SetIndent("", "  ")
	}
	return encoder.Encode(e)
}

// writeTable writes a row for each server, the etcd API's where there is one, then what is wrong.
func (e *ensembleStatus) writeTable(b *strings.Builder) {
	tw := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "SERVER\tID\tROLE\tEPOCH\tZXID\tLAG\tCONNS\tSESSIONS\tLATENCY\tNODES\tVERSION")
	for i := range e.Servers {
		s := &e.Servers[i]
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Address, told(s.ID), s.Role, told(s.Epoch), told(s.Zxid),
			told(s.Lag), told(s.Connections), told(s.Sessions), s.Latency, told(s.Nodes), shortVersion(s.Version))
	}
	tw.Flush() // into memory
	e.writeEtcd(b)
	if len(e.Problems) > 0 {
		fmt.Fprintln(b)
	}
	for _, p := range e.Problems {
		fmt.Fprintln(b, p)
	}
}

// writeEtcd writes a row for each server that has told of the etcd API.
func (e *ensembleStatus) writeEtcd(b *strings.Builder) {
	if !slices.ContainsFunc(e.Servers, func(s serverStatus) bool { return s.Etcd != nil }) {
		return
	}
	fmt.Fprintln(b)
	tw := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "ETCD API OF\tREVISION\tCOMPACTED\tDB SIZE\tIN USE\tQUOTA\tWATCHERS\tLEASES")
	for i := range e.Servers {
		s := &e.Servers[i]
		if s.Etcd == nil {
			continue
		}
		compacted, quota := "-", "-"
		if s.Etcd.Compacted >= 0 {
			compacted = fmt.Sprint(s.Etcd.Compacted)
		}
		if s.Etcd.Quota > 0 {
			quota = bytesText(s.Etcd.Quota)
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%s\t%s\t%d\t%d\n", s.Address, s.Etcd.Revision, compacted,
			bytesText(s.Etcd.DBSize), bytesText(s.Etcd.InUse), quota, s.Etcd.Watchers, s.Etcd.Leases)
	}
	tw.Flush() // into memory
}

// told is a cell for what a server may not have told.
func told[T any](value *T) string {
	if value == nil {
		return "-"
	}
	return fmt.Sprint(*value)
}

func (l *latency) String() string {
	if l == nil {
		return "-"
	}
	return fmt.Sprintf("%d/%s/%d", l.Min, status.Float(l.Avg), l.Max)
}

// shortVersion leaves out what fills the line: "3.9.5" of Apache's, whose commit follows, and "zebu 0.1.0".
func shortVersion(version string) string {
	number, _, _ := strings.Cut(version, ",")
	release, build, _ := strings.Cut(number, "-")
	if zebu, ok := strings.CutPrefix(build, "zebu."); ok {
		return "zebu " + zebu
	}
	if release == "" {
		return "-"
	}
	return release
}
