package server

import (
	"slices"
	"strings"

	"zebu/znode"
)

// registerQuotas adds the gauges of quotas, summed up by namespace: the first element of a quota's path.
func (s *Server) registerQuotas() {
	for _, g := range []struct {
		name string
		of   func(*znode.Quota) int64
	}{
		{"quota_count_limit_per_namespace", func(q *znode.Quota) int64 { return q.CountLimit }},
		{"quota_bytes_limit_per_namespace", func(q *znode.Quota) int64 { return q.BytesLimit }},
		{"quota_count_usage_per_namespace", func(q *znode.Quota) int64 { return q.Count }},
		{"quota_bytes_usage_per_namespace", func(q *znode.Quota) int64 { return q.Bytes }},
	} {
		s.met.Registry.GaugeSet(g.name, func(yield func(string, int64)) { s.sumQuotas(g.of, yield) })
	}
}

func (s *Server) sumQuotas(of func(*znode.Quota) int64, yield func(string, int64)) {
	s.state.RLock()
	quotas := s.rep.Tree().Quotas()
	s.state.RUnlock()
	sums := map[string]int64{}
	var names []string
	for i := range quotas {
		ns, _, _ := strings.Cut(strings.TrimPrefix(quotas[i].Path, "/"), "/")
		if _, ok := sums[ns]; !ok {
			names = append(names, ns)
		}
		sums[ns] += of(&quotas[i])
	}
	slices.Sort(names)
	for _, ns := range names {
		yield(ns, sums[ns])
	}
}
