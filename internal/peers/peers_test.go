package peers

import (
	"strings"
	"testing"
)

func TestConfigTextExtraWins(t *testing.T) {
	got := configText(Config{Dir: "/d", Extra: []string{"tickTime=2000", "snapCount=7"}}, 1234)
	for _, want := range []string{"tickTime=2000\n", "snapCount=7\n", "clientPort=1234\n", "dataDir=/d/data\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "tickTime=500") {
		t.Errorf("the default tickTime is still there:\n%s", got)
	}
}
