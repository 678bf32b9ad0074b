package gateway

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// calls counts gRPC calls by method and outcome, under the names that etcd's dashboards look for.
type calls struct {
	methods map[string]*call // by full name; fixed once the server serves
}

// call is one method's count.
type call struct {
	labels  string
	started atomic.Int64
	handled [codes.Unauthenticated + 1]atomic.Int64
}

// know takes in the methods of all services.
func (c *calls) know(services map[string]grpc.ServiceInfo) {
	c.methods = map[string]*call{}
	for service, info := range services {
		for _, m := range info.Methods {
			kind := "unary"
			switch {
			case m.IsClientStream && m.IsServerStream:
				kind = "bidi_stream"
			case m.IsServerStream:
				kind = "server_stream"
			case m.IsClientStream:
				kind = "client_stream"
			}
			labels := fmt.Sprintf("grpc_method=%q,grpc_service=%q,grpc_type=%q", m.Name, service, kind)
			c.methods["/"+service+"/"+m.Name] = &call{labels: labels}
		}
	}
}

// began counts a call of a method that is known.
func (c *calls) began(method string) *call {
	m := c.methods[method]
	m.started.Add(1)
	return m
}

func (m *call) ended(err error) {
	code := codes.OK
	if err != nil {
		s, ok := status.FromError(err)
		if !ok {
			s = status.FromContextError(err)
		}
		code = min(s.Code(), codes.Unauthenticated)
	}
	m.handled[code].Add(1)
}

// write writes the counts as text for Prometheus.
func (c *calls) write(w io.Writer) error {
	var b strings.Builder
	names := slices.Sorted(maps.Keys(c.methods))
	b.WriteString("# HELP grpc_server_started_total Total number of RPCs started on the server.\n# TYPE grpc_server_started_total counter\n")
	for _, name := range names {
		m := c.methods[name]
		fmt.Fprintf(&b, "grpc_server_started_total{%s} %d\n", m.labels, m.started.Load())
	}
	b.WriteString("# HELP grpc_server_handled_total Total number of RPCs completed on the server, regardless of success or failure.\n" +
		"# TYPE grpc_server_handled_total counter\n")
	for _, name := range names {
		m := c.methods[name]
		for code := range m.handled {
			if n := m.handled[code].Load(); n > 0 || code == int(codes.OK) {
				fmt.Fprintf(&b, "grpc_server_handled_total{grpc_code=%q,%s} %d\n", codes.Code(code), m.labels, n)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
