//go:build mutants

package sim

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"zebu/internal/mutant"
)

var (
	mutantFlag = flag.String("sim.mutants", "", "put back these bugs only, by name, with commas between")
	boundFlag  = flag.Uint64("sim.bound", 200, "look at so many seeds for each bug at most")
	onlySeeds  = flag.Bool("sim.onlyseeds", false, "look at seeds only")
	fromMutant = flag.Uint64("sim.mutantfrom", 1, "the first seed")
)

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	why      string
	cleanups []func()
}

func (r *recorder) Helper()                   {}
func (r *recorder) Log(...any)                {}
func (r *recorder) Logf(string, ...any)       {}
func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool              { return r.why != "" }
func (r *recorder) Error(args ...any)         { r.fail(fmt.Sprint(args...)) }
func (r *recorder) Errorf(f string, a ...any) { r.fail(fmt.Sprintf(f, a...)) }
func (r *recorder) Fatal(args ...any)         { r.Error(args...); runtime.Goexit() }
func (r *recorder) Fatalf(f string, a ...any) { r.Errorf(f, a...); runtime.Goexit() }

func (r *recorder) fail(why string) {
	if r.why == "" {
		r.why = why
	}
}

// fails says how a scenario fails, "" if it does not.
func fails(play func(testing.TB)) string {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.fail(fmt.Sprint("panic: ", p))
			}
		}()
		play(r)
	}()
	<-done
	return r.why
}

// TestDisastersSeeTheirBugs puts back the bug that each scenario is about, and expects it to fail.
func TestDisastersSeeTheirBugs(t *testing.T) {
	defer func() { mutant.Active = mutant.None }()
	for _, d := range disasters {
		for _, b := range d.bugs {
			mutant.Active = b
			if why := fails(d.play); why == "" {
				t.Errorf("%s does not see %v", d.id, b)
			} else {
				t.Logf("%s sees %v: %.120s", d.id, b, why)
			}
		}
	}
}

// runSeed runs a seed, in which a bug may even lead to a panic.
func runSeed(seed uint64) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return Run(seed, nil).Err
}

// TestMutants puts back each bug and looks for a scenario and a seed that see it. It prints a table for README.md.
func TestMutants(t *testing.T) {
	defer func() { mutant.Active = mutant.None }()
	wanted := strings.Split(*mutantFlag, ",")
	found, total := 0, 0
	for b := mutant.None + 1; b < mutant.Count; b++ {
		if *mutantFlag != "" && !slices.Contains(wanted, b.String()) {
			continue
		}
		mutant.Active = b
		total++
		scenario, why := "", ""
		for _, d := range disasters {
			if *onlySeeds {
				break
			}
			if why = fails(d.play); why != "" {
				scenario = d.id
				break
			}
		}
		start := time.Now()
		seeds := uint64(0)
		var err error
		for err == nil && seeds < *boundFlag {
			err = runSeed(*fromMutant + seeds)
			seeds++
		}
		switch {
		case err != nil:
			found++
			t.Logf("| %v | %s | %d | %.150v | %v", b, scenario, seeds, err, time.Since(start).Round(time.Second/10))
		case scenario != "":
			found++
			t.Logf("| %v | %s | not in %d | %.150v |", b, scenario, seeds, why)
		default:
			t.Logf("| %v | SURVIVES | not in %d | |", b, seeds)
		}
	}
	t.Logf("%d of %d found", found, total)
}
