package admin

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"zebu/status"
	"zebu/status/statustest"
)

var (
	emptyList  = regexp.MustCompile(`(?m)^.*"\d+" : \[ \],?\n`)
	expiryTime = regexp.MustCompile(`"\d{8,13}" : \[ (\d+), (\d+), (\d+) \]`)
	fields     = regexp.MustCompile(`: -?\d+(\.\d+)?`)
	keyed      = regexp.MustCompile(`(?m)^  "\w+_\d_learner_handler_\w+" : .*\n`)
	perName    = regexp.MustCompile(`(?m)^  "\w+_per_namespace" : .*\n`)
)

// TestMembersAsApache holds the commands to what a leader, a follower and an observer of Apache ZooKeeper 3.9.5 answered.
func TestMembersAsApache(t *testing.T) {
	names := func(s string) string { return fields.ReplaceAllString(s, ": N") } // and their order
	unordered := func(s string) string {
		lines := strings.Split(strings.ReplaceAll(names(s), ",\n", "\n"), "\n")
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	for command, norm := range map[string]func(string) string{
		"configuration": nil, "is_read_only": nil, "leader": nil, "observers": nil, "observer_connection_stat_reset": nil,
		"voting_view": nil, "zabstate": nil,
		"dump": func(s string) string { // the keys are times, and Apache sorts by nothing
			return expiryTime.ReplaceAllString(emptyList.ReplaceAllString(s, ""), `"TIME" : [ $1, $2, $3 ]`)
		},
		"server_stats": unordered,
		"stats": func(s string) string {
			return unordered(regexp.MustCompile(`"127\.0\.0\.1:\d+"`).ReplaceAllString(s, "ADDRESS"))
		},
		"monitor": func(s string) string {
			return unordered(zebusOwn.ReplaceAllString(perName.ReplaceAllString(keyed.ReplaceAllString(s, ""), ""), ""))
		},
	} {
		for _, mode := range []status.Mode{status.Leader, status.Follower, status.Observer} {
			b, err := os.ReadFile(filepath.Join("testdata", "apache-3.9.5", string(mode), command+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			_, want, _ := strings.Cut(string(b), "\n")
			got := get(t, Handler(Options{Report: statustest.NewMember(mode).Report()}), "/commands/"+command)
			if command == "dump" {
				want, got = unorderedIDs(want), unorderedIDs(got)
			}
			got, want = version.ReplaceAllString(got, "VERSION"), version.ReplaceAllString(want, "VERSION")
			if norm != nil {
				got, want = norm(got), norm(want)
			}
			if got != want {
				t.Errorf("%s of a %s:\n%s\nApache:\n%s", command, mode, got, want)
			}
		}
	}
}

// unorderedIDs sorts the sessions in lists of three, and the objects by session.
func unorderedIDs(s string) string {
	s = expiryTime.ReplaceAllStringFunc(s, func(m string) string {
		head, list, _ := strings.Cut(m, "[ ")
		ids := strings.Split(strings.TrimSuffix(list, " ]"), ", ")
		slices.Sort(ids)
		return head + "[ " + strings.Join(ids, ", ") + " ]"
	})
	lines := strings.Split(strings.ReplaceAll(s, ",\n", "\n"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestObserverStatReset(t *testing.T) {
	f := statustest.NewMember(status.Leader)
	get(t, Handler(Options{Report: f.Report()}), "/commands/orst")
	if !slices.Equal(f.Calls(), []string{"ResetObservers"}) {
		t.Errorf("called %v", f.Calls())
	}
}

// TestReadOnlyMember: without a quorum a server answers as one that stands alone.
func TestReadOnlyMember(t *testing.T) {
	f := statustest.NewMember(status.Follower)
	f.Now.Mode = status.ReadOnly
	h := Handler(Options{Report: f.Report()})
	for command, want := range map[string]string{
		"leader": `"error" : "server is not initialized"`, "voting_view": `"current_config" : { }`, "zabstate": `"zabstate" : ""`,
	} {
		if got := get(t, h, "/commands/"+command); !strings.Contains(got, want) {
			t.Errorf("%s: %s", command, got)
		}
	}
}
