package server

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"zebu/internal/metrics"
	"zebu/proto"
	"zebu/replica"
	"zebu/storage"
)

// sessionless is a state whose sessions are lost.
type sessionless struct{ *replica.Image }

func (sessionless) NumSessions() int                           { return 0 }
func (sessionless) Sessions(func(proto.SessionID, int32) bool) {}

// Ephemerals without a session are dropped at the start without a transaction: the state without them must be on disk
// before the log goes on, or its digests cannot be right.
func TestOrphansAreDroppedForGood(t *testing.T) {
	cfg := testConfig(t)
	s, stop := startServer(t, cfg)
	newClient(t, s).must(1, proto.OpCreate, createReq("/orphan", proto.Ephemeral))
	img, err := s.image()
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	store, err := storage.Open(storageOptions(cfg, zap.NewNop(), metrics.New()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.WriteSnapshot(sessionless{img}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	s, stop = startServer(t, cfg)
	if s.exists("/orphan") {
		t.Fatal("the orphan is there")
	}
	newClient(t, s).must(1, proto.OpCreate, createReq("/a", 0))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	again, err := New(Options{Config: cfg, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.exists("/orphan") || !again.exists("/a") || again.rep.Counts().DigestMismatches != 0 {
		t.Errorf("/orphan %t, /a %t, %d digests do not agree", again.exists("/orphan"), again.exists("/a"), again.rep.Counts().DigestMismatches)
	}
}
