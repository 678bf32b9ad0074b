package status_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"zebu/proto"
	"zebu/status"
	"zebu/status/statustest"
)

var members = []status.Mode{status.Leader, status.Follower, status.Observer}

var (
	anyConn    = regexp.MustCompile(`(?m)^ /\S+\n`)
	emptySets  = regexp.MustCompile(`(?m)^0 expire at .*\n`)
	latencies  = regexp.MustCompile(`(?m)^(Latency|Received|Sent|Connections|Outstanding).*$`)
	dirSize    = regexp.MustCompile(`(dataDirSize|dataLogSize)=\d+`)
	handlers   = regexp.MustCompile(`(?m)^zk_\w+_\d_learner_handler_\w+\t.*\n`) // a key for every learner
	namespaces = regexp.MustCompile(`(?m)^zk_\w+_per_namespace\t.*\n`)
)

func sortedLines(s string) string {
	lines := strings.SplitAfter(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// TestMembersAsApache holds the words to what a leader, a follower and an observer of Apache ZooKeeper 3.9.5 answered.
func TestMembersAsApache(t *testing.T) {
	withoutConns := func(s string) string { return anyConn.ReplaceAllString(s, "") }
	for word, norm := range map[string]func(string) string{
		"isro": func(s string) string { return s },
		"conf": func(s string) string { return dirSize.ReplaceAllString(s, "$1=N") },
		"srvr": func(s string) string { return latencies.ReplaceAllString(s, "$1") },
		"stat": func(s string) string { return withoutConns(latencies.ReplaceAllString(s, "$1")) },
		"dump": func(s string) string { // Apache keeps empty buckets, and sorts by nothing
			s = date.ReplaceAllString(emptySets.ReplaceAllString(s, ""), "DATE")
			connections := strings.Index(s, "Connections dump:")
			return sortedLines(setCount.ReplaceAllString(s[:connections], "Sets"))
		},
		"mntr": func(s string) string { // names, and what kind of number each has
			s = zebusOwn.ReplaceAllString(handlers.ReplaceAllString(namespaces.ReplaceAllString(s, ""), ""), "")
			s = regexp.MustCompile(`(?m)\t-?\d+$`).ReplaceAllString(s, "\tINTEGER")
			return sortedLines(regexp.MustCompile(`(?m)\t\d+\.\d{1,4}$`).ReplaceAllString(s, "\tFLOAT"))
		},
	} {
		for _, mode := range members {
			got := norm(version.ReplaceAllString(run(t, statustest.NewMember(mode).Report(), word), "VERSION"))
			want := norm(version.ReplaceAllString(golden(t, filepath.Join(string(mode), word)), "VERSION"))
			if got != want {
				t.Errorf("%s of a %s:\n%s\nApache:\n%s", word, mode, got, want)
			}
		}
	}
}

// TestMemberValues looks at numbers that the comparison with Apache leaves out.
func TestMemberValues(t *testing.T) {
	leader := run(t, statustest.NewMember(status.Leader).Report(), "mntr")
	for _, want := range []string{
		"zk_peer_state\tleading - broadcast", "zk_quorum_size\t3", "zk_learners\t3", "zk_synced_followers\t2",
		"zk_synced_non_voting_followers\t0", "zk_synced_observers\t1", "zk_pending_syncs\t0", "zk_last_proposal_size\t73",
		"zk_max_proposal_size\t113", "zk_min_proposal_size\t48",
	} {
		if !strings.Contains(leader, want+"\n") {
			t.Errorf("no %q", want)
		}
	}
	if got := run(t, statustest.NewMember(status.Observer).Report(), "mntr"); !strings.Contains(got, "zk_observer_master_id\t3\n") {
		t.Error("no observer_master_id")
	}
	f := statustest.NewMember(status.Follower)
	f.Member.Stage, f.Member.State = status.Election, proto.Looking
	if got := f.Member.PeerState(); got != "looking" {
		t.Errorf("peer state %q", got)
	}
}

// TestReadOnlyMember: without a quorum a server tells nothing of one.
func TestReadOnlyMember(t *testing.T) {
	f := statustest.NewMember(status.Follower)
	f.Now.Mode = status.ReadOnly
	if got := run(t, f.Report(), "mntr"); strings.Contains(got, "peer_state") || strings.Contains(got, "quorum_size") {
		t.Error("mntr tells of a quorum")
	}
	got := run(t, f.Report(), "conf")
	if !strings.HasSuffix(got, "quorumPort=29121\npeerType=0\n") {
		t.Errorf("conf:\n%s", got)
	}
}

// TestLocalSessions: dump tells them apart from those that all servers know.
func TestLocalSessions(t *testing.T) {
	f := statustest.NewMember(status.Follower)
	f.Member.LocalSessions = true
	got := run(t, f.Report(), "dump")
	if want := "SessionTracker dump:\nLocal Session Sets (0)/(0):\nGlobal Sessions(3):\n0x10000d297fd0000\t30000ms\n"; !strings.HasPrefix(got, want) {
		t.Errorf("follower:\n%s", got)
	}
	f = statustest.NewMember(status.Leader)
	f.Member.LocalSessions = true
	if got := run(t, f.Report(), "dump"); !strings.Contains(got, "Local Session Sets (0)/(0):\nGlobal Session Sets (1)/(3):\n3 expire at") {
		t.Errorf("leader:\n%s", got)
	}
}
