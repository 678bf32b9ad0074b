package recipes

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func TestHosts(t *testing.T) {
	names := map[string][]string{"a": {"10.0.0.1"}, "b": {"10.0.0.2", "10.0.0.3"}}
	h := &hosts{lookup: func(_ context.Context, host string) ([]string, error) {
		if names[host] == nil {
			return nil, errors.New("no such host")
		}
		return names[host], nil
	}}
	if err := h.Init([]string{"a:1", "b:2", "c:3"}); err != nil || h.Len() != 3 {
		t.Fatal(h.Len(), err)
	}
	pass := func(n int) (got []string, rests int) {
		for range n {
			s, rest := h.Next()
			if rest {
				rests++
			}
			got = append(got, s)
		}
		slices.Sort(got)
		return got, rests
	}
	all := []string{"10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:2"}
	if got, rests := pass(3); !slices.Equal(got, all) || rests != 0 {
		t.Errorf("%v, %d rests", got, rests)
	}
	h.Connected()
	if got, rests := pass(3); !slices.Equal(got, all) || rests != 0 {
		t.Errorf("after a connection: %v, %d rests", got, rests)
	}
	names["a"], names["b"] = []string{"10.0.0.9"}, nil
	if got, rests := pass(1); !slices.Equal(got, []string{"10.0.0.9:1"}) || rests != 1 {
		t.Errorf("after the servers have moved: %v, %d rests", got, rests)
	}
	names["a"] = nil
	if got, rests := pass(1); !slices.Equal(got, []string{"10.0.0.9:1"}) || rests != 1 {
		t.Errorf("without a name service: %v, %d rests", got, rests)
	}
	if err := h.Init([]string{"a:1"}); err == nil {
		t.Error("no address, and no error")
	}
	if err := h.Init([]string{"a"}); err == nil {
		t.Error("no port, and no error")
	}
}
