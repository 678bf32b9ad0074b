package admin

import (
	"net/http"
	"strings"
	"testing"

	"zebu/status"
	"zebu/status/statustest"
)

// dashboardNames are the metrics that ZooKeeper's dashboards and alerts ask for (spec 12.5) and a standalone server has.
const dashboardNames = `avg_latency min_latency max_latency packets_received packets_sent num_alive_connections
outstanding_requests uptime znode_count watch_count ephemerals_count approximate_data_size global_sessions
open_file_descriptor_count max_file_descriptor_count looking_count proposal_count commit_count diff_count snap_count
connection_request_count connection_drop_count connection_rejected stale_sessions_expired sessionless_connections_expired
request_throttle_wait_count large_requests_rejected throttled_ops bytes_received_count response_bytes watch_bytes
unrecoverable_error_count digest_mismatches_count
election_time_sum fsynctime_sum fsynctime_count snapshottime_sum dbinittime_sum readlatency_sum updatelatency_sum
propagation_latency_sum proposal_latency_sum quorum_ack_latency_sum prep_processor_queue_size_sum sync_processor_queue_size_sum
sync_processor_batch_size_sum prep_process_time_sum sync_process_time_sum commit_process_time_sum
node_created_watch_count_sum node_deleted_watch_count_sum node_changed_watch_count_sum node_children_watch_count_sum
follower_sync_time_sum startup_txns_loaded_sum
jvm_memory_bytes_used{area="heap"} jvm_memory_bytes_used{area="nonheap"} jvm_memory_bytes_max{area="heap"}
jvm_gc_collection_seconds_count{gc="Go"} jvm_gc_collection_seconds_sum{gc="Go"} jvm_pause_time_ms_sum jvm_pause_time_ms_count
jvm_threads_current process_cpu_seconds_total process_open_fds process_resident_memory_bytes go_goroutines`

func TestPrometheusNames(t *testing.T) {
	h := MetricsHandler(MetricsOptions{Report: statustest.New().Report(), ExportJVM: true})
	code, header, body := ask(t, h, http.MethodGet, "/metrics", "", "")
	if code != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %v %s", code, header, body)
	}
	for name := range strings.FieldsSeq(dashboardNames) {
		if !strings.Contains(body, "\n"+name+" ") {
			t.Errorf("no %s", name)
		}
	}
	if strings.Contains(body, "\nzk_") {
		t.Error("names have mntr's prefix")
	}
}

// TestPrometheusEtcd: the etcd API's gauges have etcd's names, and are left to that API's own endpoint there.
func TestPrometheusEtcd(t *testing.T) {
	f := statustest.New()
	f.KeySpace = &status.Etcd{Revision: 1234}
	o := MetricsOptions{Report: f.Report()}
	const want = "etcd_debugging_mvcc_current_revision 1234\n"
	if _, _, body := ask(t, MetricsHandler(o), http.MethodGet, "/metrics", "", ""); !strings.Contains(body, want) {
		t.Errorf("no\n%s", want)
	}
	var b strings.Builder
	if err := MetricsWriter(o)(&b); err != nil || strings.Contains(b.String(), "etcd_") || !strings.Contains(b.String(), "znode_count 9\n") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestPrometheusText(t *testing.T) {
	f := statustest.New()
	report := f.Report()
	report.Metrics.CommitCount.Add(3)
	report.Metrics.FsyncTime.Observe(4)
	for v := range int64(101) {
		report.Metrics.ReadLatency.Observe(v / 10)
	}
	report.Metrics.QuotaExceededErrorPerNamespace.Add("bad\xffkey", 2)
	report.Metrics.Registry.GaugeSet("quota_count_limit_per_namespace", func(yield func(string, int64)) { yield("app", 9) })
	h := MetricsHandler(MetricsOptions{Report: report})
	_, _, body := ask(t, h, http.MethodGet, "/metrics", "", "")
	for _, want := range []string{
		"# TYPE commit_count counter\ncommit_count 3\n",
		"# TYPE znode_count gauge\nznode_count 9\n",
		"avg_latency 0.88079\n",
		"# TYPE fsynctime summary\nfsynctime{quantile=\"0.5\"} 4\nfsynctime_sum 4\nfsynctime_count 1\n",
		"readlatency{quantile=\"0.5\"} 5\nreadlatency{quantile=\"0.9\"} 9\nreadlatency{quantile=\"0.99\"} 9\nreadlatency_sum 460\nreadlatency_count 101\n",
		"updatelatency{quantile=\"0.99\"} NaN\n",
		"read_per_namespace{key=\"app\",quantile=\"0.5\"} 76\nread_per_namespace_sum{key=\"app\"} 313\nread_per_namespace_count{key=\"app\"} 4\n",
		"quota_exceeded_error_per_namespace{key=\"bad\uFFFDkey\"} 2\n",
		"quota_count_limit_per_namespace{key=\"app\"} 9\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no\n%s", want)
		}
	}
	if strings.Contains(body, "jvm_memory") || strings.Contains(body, "go_") {
		t.Error("the runtime is told though exportJvmInfo is off")
	}
	if code, _, _ := ask(t, h, http.MethodGet, "/other", "", ""); code != 404 {
		t.Errorf("other path: %d", code)
	}
	if code, _, _ := ask(t, h, http.MethodPost, "/metrics", "", ""); code != 405 {
		t.Errorf("POST: %d", code)
	}
}
