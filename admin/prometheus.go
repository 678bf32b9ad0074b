package admin

import (
	"io"
	"math"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/zap"

	"zebu/internal/metrics"
	"zebu/status"
)

// MetricsOptions are the settings of [NewMetrics].
type MetricsOptions struct {
	Report    *status.Report
	Log       *zap.Logger // nil: none
	Addr      string      // metricsProvider.httpHost and metricsProvider.httpPort, as net.Listen takes them
	ExportJVM bool        // metricsProvider.exportJvmInfo: the process, the Go runtime, and this under the JVM's names
}

// NewMetrics opens the Prometheus endpoint's port. Nothing is served before Run.
func NewMetrics(o MetricsOptions) (*Server, error) {
	return listen("Prometheus endpoint", o.Addr, o.Log, 0, MetricsHandler(o))
}

func (o MetricsOptions) registry(c *collector) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	if o.ExportJVM {
		reg.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector(),
			jvmCollector{})
	}
	return reg
}

// MetricsWriter returns a function that writes what MetricsHandler serves but for the gauges of the etcd API: its
// endpoint adds them to its own.
func MetricsWriter(o MetricsOptions) func(io.Writer) error {
	reg := o.registry(&collector{report: o.Report, withoutEtcd: true})
	return func(w io.Writer) error {
		families, err := reg.Gather()
		for _, f := range families {
			if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
				return err
			}
		}
		return err
	}
}

// MetricsHandler returns what the Prometheus endpoint serves: /metrics.
func MetricsHandler(o MetricsOptions) http.Handler {
	reg := o.registry(&collector{report: o.Report})
	scrape := promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxAtOnce, Timeout: answerTimeout,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(2 * answerTimeout))
		scrape.ServeHTTP(w, r)
	})
	return mux
}

// collector turns a report into Prometheus metrics: ZooKeeper's names without a prefix, counters without "_total", sets
// with the label "key". It describes nothing in advance, because keys come and go.
type collector struct {
	report      *status.Report
	withoutEtcd bool // leave out the gauges of the etcd API
}

// Describe implements prometheus.Collector.
func (*collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for _, g := range c.report.Gauges() {
		if c.withoutEtcd && strings.HasPrefix(g.Name, "etcd_") {
			continue
		}
		send(ch, prometheus.GaugeValue, g.Name, number(g.Value))
	}
	for _, m := range c.report.Metrics.Registry.All() {
		name := m.Name()
		switch m := m.(type) {
		case *metrics.Counter:
			send(ch, prometheus.CounterValue, name, float64(m.Count()))
		case *metrics.Gauge:
			send(ch, prometheus.GaugeValue, name, number(m.Value()))
		case *metrics.Summary:
			if m != c.report.Metrics.JVMPauseTime { // told by jvmCollector
				sendSummary(ch, now, name, m)
			}
		case *metrics.CounterSet:
			m.Each(func(key string, k *metrics.Counter) {
				send(ch, prometheus.CounterValue, name, float64(k.Count()), "key", key)
			})
		case *metrics.GaugeSet:
			m.Each(func(key string, v int64) { send(ch, prometheus.GaugeValue, name, float64(v), "key", key) })
		case *metrics.SummarySet:
			m.Each(func(key string, k *metrics.Summary) { sendSummary(ch, now, name, k, "key", key) })
		}
	}
}

// number returns an int64 or float64 as a float64.
func number(v any) float64 {
	if f, ok := v.(float64); ok {
		return f
	}
	return float64(v.(int64))
}

// describeMetric returns the description of a metric with the label values of pairs of name and value.
func describeMetric(name string, pairs []string) (desc *prometheus.Desc, values []string) {
	var labels []string
	for i := 0; i+1 < len(pairs); i += 2 {
		labels = append(labels, pairs[i])
		values = append(values, strings.ToValidUTF8(pairs[i+1], "\uFFFD"))
	}
	return prometheus.NewDesc(name, name, labels, nil), values
}

func send(ch chan<- prometheus.Metric, kind prometheus.ValueType, name string, v float64, pairs ...string) {
	desc, values := describeMetric(name, pairs)
	ch <- prometheus.MustNewConstMetric(desc, kind, v, values...)
}

// sendSummary sends the quantiles that ZooKeeper's provider sends, of the last ten minutes like there; NaN if nothing was
// observed in them.
func sendSummary(ch chan<- prometheus.Metric, now time.Time, name string, m *metrics.Summary, pairs ...string) {
	desc, values := describeMetric(name, pairs)
	shares := []float64{0.5}
	if m.Advanced() {
		shares = []float64{0.5, 0.9, 0.99}
	}
	quantiles := make(map[float64]float64, len(shares))
	recent, n := m.Recent(now, shares...)
	for i, q := range shares {
		quantiles[q] = math.NaN()
		if n > 0 {
			quantiles[q] = float64(recent[i])
		}
	}
	ch <- prometheus.MustNewConstSummary(desc, uint64(max(0, m.Count())), float64(m.Sum()), quantiles, values...)
}

// jvmCollector tells of the Go runtime under the names of Java's exporter, which ZooKeeper's dashboards read.
type jvmCollector struct{}

// Describe implements prometheus.Collector.
func (jvmCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (jvmCollector) Collect(ch chan<- prometheus.Metric) {
	r := readRuntime()
	for _, area := range []struct {
		name            string
		used, committed uint64
		most            float64
	}{{"heap", r.heapUsed, r.heapHeld, r.limit}, {"nonheap", r.otherUsed, r.otherUsed, -1}} {
		send(ch, prometheus.GaugeValue, "jvm_memory_bytes_used", float64(area.used), "area", area.name)
		send(ch, prometheus.GaugeValue, "jvm_memory_bytes_committed", float64(area.committed), "area", area.name)
		send(ch, prometheus.GaugeValue, "jvm_memory_bytes_max", area.most, "area", area.name)
		send(ch, prometheus.GaugeValue, "jvm_memory_bytes_init", 0, "area", area.name)
	}
	send(ch, prometheus.GaugeValue, "jvm_memory_pool_bytes_used", float64(r.heapUsed), "pool", "Go heap")
	send(ch, prometheus.GaugeValue, "jvm_threads_current", float64(r.goroutines))
	send(ch, prometheus.GaugeValue, "jvm_threads_daemon", 0)
	send(ch, prometheus.GaugeValue, "jvm_threads_peak", float64(r.goroutines))
	send(ch, prometheus.GaugeValue, "jvm_info", 1, "runtime", "Go", "vendor", "Go", "version", runtime.Version())

	desc, values := describeMetric("jvm_gc_collection_seconds", []string{"gc", "Go"})
	ch <- prometheus.MustNewConstSummary(desc, r.collections, r.pauses.sum, nil, values...)
	desc, values = describeMetric("jvm_pause_time_ms", nil)
	ch <- prometheus.MustNewConstSummary(desc, r.pauses.count, r.pauses.sum*1e3, map[float64]float64{
		0.5: r.pauses.quantile(0.5) * 1e3, 0.9: r.pauses.quantile(0.9) * 1e3, 0.99: r.pauses.quantile(0.99) * 1e3,
	}, values...)
}
