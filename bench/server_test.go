package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zebu/internal/peers"
)

// startAdmin serves f as an admin server and returns its address.
func startAdmin(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestProfileIsSavedBesideTheLoad(t *testing.T) {
	admin := startAdmin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL) })
	file := filepath.Join(t.TempDir(), "p")
	res, err := withProfile(t.Context(), admin, 2500*time.Millisecond, file, func() (*Result, error) { return &Result{Ops: 7}, nil })
	if err != nil || res.Ops != 7 {
		t.Fatalf("%+v, %v", res, err)
	}
	if text, err := os.ReadFile(file); string(text) != "/debug/pprof/profile?seconds=2" {
		t.Errorf("saved %q, %v", text, err)
	}
	admin = startAdmin(t, func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) })
	load := func() (*Result, error) { return new(Result), nil }
	if _, err := withProfile(t.Context(), admin, time.Second, file, load); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("without a profile: %v", err)
	}
}

func TestConfirmReadsTheServersOwnCount(t *testing.T) {
	addr := startEcho(t)
	s := &server{Server: &peers.Server{Addr: addr}}
	for label, ok := range map[string]bool{"Mode: ": false, "Node count: ": true, "Total watches:": false} {
		if err := s.confirm("srvr", label, 0); (err == nil) != ok {
			t.Errorf("%q: %v", label, err)
		}
	}
	if err := s.confirm("srvr", "Node count: ", 1); err == nil {
		t.Error("a node was found on a server that keeps none")
	}
	if v := reportedVersion(addr); v != "none" {
		t.Errorf("version %q", v)
	}
}
