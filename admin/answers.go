package admin

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"zebu/proto"
	"zebu/status"
)

// The functions in this file are the commands that only tell. Their keys, and the order of these, are ZooKeeper's.

func nothing(*commands, *request) reply { return reply{} }

func configuration(c *commands, _ *request) reply {
	f := c.Report.Config
	return reply{data: object{
		{"client_port", f.ClientPort}, {"data_dir", f.DataDir}, {"data_log_dir", f.DataLogDir}, {"tick_time", f.TickTime},
		{"max_client_cnxns", f.MaxClientCnxns}, {"min_session_timeout", f.MinSessionTimeout},
		{"max_session_timeout", f.MaxSessionTimeout}, {"server_id", f.ServerID}, {"client_port_listen_backlog", f.Backlog},
	}}
}

func connectionStatReset(c *commands, _ *request) reply {
	c.Report.ResetConns()
	return reply{}
}

func statReset(c *commands, _ *request) reply {
	c.Report.ResetStats()
	return reply{}
}

func connections(c *commands, _ *request) reply {
	return reply{data: describe(c.Report.Conns(), false)}
}

// describe returns the plain and the secure connections.
func describe(conns []status.Conn, brief bool) object {
	var plain, secure list
	for i := range conns {
		conn := &conns[i]
		o := object{
			{"remote_socket_address", netip.AddrPortFrom(conn.Remote.Addr().Unmap(), conn.Remote.Port()).String()},
			{"interest_ops", conn.InterestOps}, {"outstanding_requests", conn.Queued},
			{"packets_received", conn.Received}, {"packets_sent", conn.Sent},
		}
		if !brief {
			o = append(o, object{
				{"session_id", int64(conn.Session)}, {"last_operation", status.OpName(conn.LastOp)},
				{"established", status.Millis(conn.Established)}, {"session_timeout", conn.Timeout},
				{"last_cxid", conn.LastCxid}, {"last_zxid", int64(conn.LastZxid)},
				{"last_response_time", status.Millis(conn.LastResponse)}, {"last_latency", conn.LastLatency},
				{"min_latency", conn.MinLatency}, {"avg_latency", conn.AvgLatency}, {"max_latency", conn.MaxLatency},
			}...)
		}
		if conn.Secure {
			secure = append(secure, o)
		} else {
			plain = append(plain, o)
		}
	}
	return object{{"connections", plain}, {"secure_connections", secure}}
}

func dirs(c *commands, _ *request) reply {
	d := c.Report.Dirs()
	return reply{data: object{{"datadir_size", d.DataSize}, {"logdir_size", d.LogSize}}}
}

func dump(c *commands, _ *request) reply {
	expiring := map[int64][]proto.SessionID{}
	for _, s := range c.Report.Sessions() {
		if s.Expiry.IsZero() {
			continue // the leader knows when
		}
		at := status.Millis(s.Expiry)
		expiring[at] = append(expiring[at], s.ID)
	}
	byExpiry := object{}
	for _, at := range slices.Sorted(maps.Keys(expiring)) {
		slices.Sort(expiring[at])
		ids := list{}
		for _, id := range expiring[at] {
			ids = append(ids, int64(id))
		}
		byExpiry = append(byExpiry, field{strconv.FormatInt(at, 10), ids})
	}
	return reply{data: object{
		{"expiry_time_to_session_ids", byExpiry}, {"session_id_to_ephemeral_paths", bySession(c.Report.Ephemerals())},
	}}
}

// bySession returns an object of paths by session.
func bySession(paths map[proto.SessionID][]string) object {
	o := object{}
	for _, id := range slices.Sorted(maps.Keys(paths)) {
		var l list
		for _, p := range paths[id] {
			l = append(l, p)
		}
		o = append(o, field{strconv.FormatInt(int64(id), 10), l})
	}
	return o
}

func environment(c *commands, _ *request) reply {
	var o object
	for _, kv := range c.Report.Environment() {
		o = append(o, field{kv[0], kv[1]})
	}
	return reply{data: o}
}

func hash(c *commands, _ *request) reply {
	digests := list{}
	for _, d := range c.Report.Digests() {
		digests = append(digests, object{{"zxid", int64(d.Zxid)}, {"digest", int64(d.Digest)}, {"digest_version", 2}})
	}
	return reply{data: object{{"digests", digests}}}
}

func initialConfiguration(c *commands, _ *request) reply {
	return reply{data: object{{"initial_configuration", c.Report.Config.Initial}}}
}

func isReadOnly(c *commands, _ *request) reply {
	return reply{data: object{{"read_only", c.Report.Server().Mode == status.ReadOnly}}}
}

func lastSnapshot(c *commands, _ *request) reply {
	s := c.Report.LastSnapshot()
	at := int64(-1)
	if !s.Time.IsZero() {
		at = s.Time.Unix()
	}
	return reply{data: object{{"zxid", strconv.FormatUint(uint64(s.Zxid), 16)}, {"timestamp", at}}}
}

func monitor(c *commands, _ *request) reply {
	var o object
	c.Report.Monitor(func(name string, value any) { o = append(o, field{name, value}) })
	return reply{data: o}
}

func serverStats(c *commands, _ *request) reply {
	s, d := c.Report.Server(), c.Report.Dirs()
	responses := object{
		{"last_buffer_size", s.ResponseLast}, {"min_buffer_size", s.ResponseMin}, {"max_buffer_size", s.ResponseMax},
	}
	data := object{
		{"version", c.Report.Version.String()}, {"read_only", s.Mode == status.ReadOnly},
		{"server_stats", object{
			{"packets_sent", s.Sent}, {"packets_received", s.Received}, {"fsync_threshold_exceed_count", s.FsyncSlow},
			{"client_response_stats", responses}, {"provider_null", false}, {"data_dir_size", d.DataSize},
			{"log_dir_size", d.LogSize}, {"last_processed_zxid", int64(s.Zxid)}, {"outstanding_requests", s.Outstanding},
			{"server_state", string(s.Mode)}, {"avg_latency", s.LatencyAvg}, {"max_latency", s.LatencyMax},
			{"min_latency", s.LatencyMin}, {"num_alive_client_connections", s.Connections},
			{"uptime", s.Uptime().Milliseconds()}, {"auth_failed_count", s.AuthFailed},
			{"non_mtlsremote_conn_count", s.NonMTLSRemote}, {"non_mtlslocal_conn_count", s.NonMTLSLocal},
		}},
		{"client_response", responses},
	}
	if e := c.Report.Ensemble(); e != nil && e.Leading != nil {
		p := e.Leading.Proposals
		data = append(data, field{"proposal_stats", object{
			{"last_buffer_size", p.Last}, {"min_buffer_size", p.Min}, {"max_buffer_size", p.Max},
		}})
	}
	return reply{data: append(data, field{"node_count", s.NodeCount})}
}

func stats(c *commands, r *request) reply {
	out := serverStats(c, r)
	out.data = append(out.data, describe(c.Report.Conns(), true)...)
	return out
}

func systemProperties(c *commands, _ *request) reply {
	var o object
	for _, name := range slices.Sorted(maps.Keys(c.Report.Config.Properties)) {
		o = append(o, field{name, c.Report.Config.Properties[name]})
	}
	return reply{data: o}
}

func getTraceMask(c *commands, _ *request) reply {
	return reply{data: object{{"tracemask", c.Report.TraceMask()}}}
}

func setTraceMask(c *commands, r *request) reply {
	q := r.URL.Query()
	const needs = "setTraceMask requires long traceMask argument"
	if !q.Has("traceMask") {
		return reply{data: object{{"error", needs}}}
	}
	mask, err := strconv.ParseInt(q.Get("traceMask"), 10, 64)
	if err != nil {
		return reply{data: object{{"error", needs + ", got " + q.Get("traceMask")}}}
	}
	c.Report.SetTraceMask(mask)
	return reply{data: object{{"tracemask", mask}}}
}

func watchSummary(c *commands, _ *request) reply {
	s := c.Report.WatchSummary()
	return reply{data: object{{"num_connections", s.Connections}, {"num_paths", s.Paths}, {"num_total_watches", s.Watches}}}
}

func watches(c *commands, _ *request) reply {
	return reply{data: object{{"session_id_to_watched_paths", bySession(c.Report.WatchesBySession())}}}
}

func watchesByPath(c *commands, _ *request) reply {
	type watch struct {
		path string
		id   proto.SessionID
	}
	var all []watch
	c.Report.Watches(func(path string, id proto.SessionID) bool {
		all = append(all, watch{path, id})
		return true
	})
	slices.SortFunc(all, func(a, b watch) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.id, b.id)) })
	paths := object{}
	for i, w := range all {
		if i == 0 || w.path != all[i-1].path {
			paths = append(paths, field{w.path, list{}})
		}
		last := &paths[len(paths)-1]
		last.value = append(last.value.(list), int64(w.id))
	}
	return reply{data: object{{"path_to_session_ids", paths}}}
}
