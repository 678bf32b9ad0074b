package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.uber.org/zap"

	"zebu/mvcc"
)

// check is one thing that must be so for a server to be healthy.
type check struct {
	name string
	test func(context.Context) error
}

// serveHealth answers /health, /livez and /readyz as etcd does. An observer is ready: it serves all that a voter does.
func (s *Server) serveHealth(mux *http.ServeMux) {
	mux.HandleFunc("/health", s.health)
	local := check{"serializable_read", func(ctx context.Context) error { return s.tryRead(ctx, true) }}
	s.serveChecks(mux, "/livez", []check{local})
	s.serveChecks(mux, "/readyz", []check{
		{"data_corruption", s.notCorrupt},
		{"linearizable_read", func(ctx context.Context) error { return s.tryRead(ctx, false) }},
		{"non_learner", func(context.Context) error { return nil }},
		local,
	})
}

// tryRead reads, in nobody's name.
func (s *Server) tryRead(ctx context.Context, serializable bool) error {
	if !serializable {
		if err := s.readPoint(ctx); err != nil {
			return err
		}
	}
	var read *mvcc.Read
	err := s.look(func(state *mvcc.Store) (err error) {
		read, err = state.StartRange(&pb.RangeRequest{Key: []byte{0}, KeysOnly: true, Limit: 1})
		return err
	})
	if err == nil {
		_, err = read.Finish()
	}
	return err
}

func (s *Server) alarms() (list []*pb.AlarmMember) {
	s.Node.Read(func(state *mvcc.Store) { list = state.Alarms(pb.AlarmType_NONE) })
	return list
}

func (s *Server) notCorrupt(context.Context) error {
	for _, a := range s.alarms() {
		if a.Alarm == pb.AlarmType_CORRUPT {
			return fmt.Errorf("alarm activated: %s", a.Alarm)
		}
	}
	return nil
}

// health answers /health: with serializable=true about this server alone, with exclude=NOSPACE whatever that alarm says.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	if onlyGet(w, r) {
		return
	}
	query := r.URL.Query()
	reason := s.illness(r.Context(), query["exclude"], query.Get("serializable") == "true")
	answer := struct {
		Health string `json:"health"`
		Reason string `json:"reason"`
	}{fmt.Sprint(reason == ""), reason}
	b, err := json.Marshal(answer)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case reason != "":
		s.Log.Warn("etcd health check failed", zap.String("reason", reason))
		http.Error(w, string(b), http.StatusServiceUnavailable)
	default:
		_, _ = w.Write(b)
	}
}

// illness says what is wrong, as etcd does; nothing if all is well.
func (s *Server) illness(ctx context.Context, excluded []string, serializable bool) string {
	for _, a := range s.alarms() {
		if !slices.Contains(excluded, a.Alarm.String()) {
			return "ALARM " + a.Alarm.String()
		}
	}
	if !serializable && !s.hasLeader() {
		return "RAFT NO LEADER"
	}
	if err := s.tryRead(ctx, serializable); err != nil {
		return fmt.Sprintf("RANGE ERROR:%s", err)
	}
	return ""
}

// serveChecks answers for all checks together, but for those excluded, and for each.
func (s *Server) serveChecks(mux *http.ServeMux, path string, checks []check) {
	serve := func(path string, checks []check) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if !onlyGet(w, r) {
				s.answerChecks(w, r, path, checks)
			}
		})
	}
	serve(path, checks)
	for _, c := range checks {
		serve(path+"/"+c.name, []check{c})
	}
}

func (s *Server) answerChecks(w http.ResponseWriter, r *http.Request, path string, checks []check) {
	query := r.URL.Query()
	var report strings.Builder
	failed := false
	for _, c := range checks {
		if len(checks) > 1 && slices.Contains(query["exclude"], c.name) {
			continue
		}
		if err := c.test(r.Context()); err != nil {
			failed = true
			fmt.Fprintf(&report, "[-]%s failed: %v\n", c.name, err)
		} else {
			fmt.Fprintf(&report, "[+]%s ok\n", c.name)
		}
	}
	if failed {
		s.Log.Warn("etcd health check failed", zap.String("path", path), zap.String("reason", report.String()))
		http.Error(w, report.String(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if query.Has("verbose") {
		fmt.Fprint(w, report.String())
	}
	fmt.Fprint(w, "ok\n")
}
