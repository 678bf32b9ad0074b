package status

import (
	"bufio"
	"fmt"
)

// Gauge is one number that the server tells of itself.
type Gauge struct {
	Name  string // ZooKeeper's name, without zk_; of the etcd API etcd's name
	Value any    // int64 or float64
}

// Gauges are the numbers of mntr that are not counted in package metrics (spec 12.4), then those of the etcd API, if the server has it.
func (r *Report) Gauges() []Gauge {
	s := r.Server()
	open, most := descriptors()
	gauges := []Gauge{
		{"ephemerals_count", int64(s.EphemeralCount)},
		{"num_alive_connections", int64(s.Connections)},
		{"avg_latency", s.LatencyAvg},
		{"outstanding_requests", s.Outstanding},
		{"znode_count", int64(s.NodeCount)},
		{"global_sessions", int64(s.GlobalSessions)},
		{"non_mtls_remote_conn_count", s.NonMTLSRemote},
		{"last_client_response_size", s.ResponseLast},
		{"packets_sent", s.Sent},
		{"packets_received", s.Received},
		{"max_client_response_size", s.ResponseMax},
		{"connection_drop_probability", s.DropProbability},
		{"watch_count", int64(s.WatchCount)},
		{"auth_failed_count", s.AuthFailed},
		{"min_latency", s.LatencyMin},
		{"max_file_descriptor_count", most},
		{"approximate_data_size", s.DataSize},
		{"open_file_descriptor_count", open},
		{"local_sessions", int64(s.LocalSessions)},
		{"uptime", s.Uptime().Milliseconds()},
		{"max_latency", s.LatencyMax},
		{"outstanding_tls_handshake", s.TLSHandshakes},
		{"min_client_response_size", s.ResponseMin},
		{"non_mtls_local_conn_count", s.NonMTLSLocal},
	}
	if e := r.Ensemble(); e != nil && s.Mode != ReadOnly {
		gauges = append(gauges, e.gauges()...)
	}
	if e := r.Etcd(); e != nil {
		for _, g := range e.Gauges() {
			gauges = append(gauges, Gauge{g.Name, g.Value})
		}
	}
	return gauges
}

// Monitor calls yield with every line of mntr, without zk_: text, int64 or float64.
func (r *Report) Monitor(yield func(name string, value any)) {
	yield("version", r.Version.String())
	s := r.Server()
	yield("server_state", string(s.Mode))
	if e := r.Ensemble(); e != nil && s.Mode != ReadOnly {
		yield("peer_state", e.PeerState())
		if s.Mode == Observer {
			yield("observer_master_id", int64(e.Master))
		}
	}
	for _, g := range r.Gauges() {
		yield(g.Name, g.Value)
	}
	r.Metrics.Registry.Values(yield)
}

func (r *Report) mntr(w *bufio.Writer) {
	r.Monitor(func(name string, value any) {
		if f, ok := value.(float64); ok {
			value = Float(f)
		}
		line(w, "zk_", name, "\t", fmt.Sprint(value))
	})
}
