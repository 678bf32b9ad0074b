package lab

import (
	"fmt"
	"testing"
)

func TestSmoke(t *testing.T) {
	for _, sc := range Scenarios() {
		for _, p := range Protocols() {
			r, err := Execute(sc, p, 1, true)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("%s %s: %d events %+v\n %v\n", sc.Name, p, len(r.Events), r.Measures, r.Violations)
		}
	}
}
