package sim

import (
	"flag"
	"runtime"
	"testing"
)

var (
	seedFlag  = flag.Uint64("sim.seed", 0, "run this seed only")
	seedsFlag = flag.Uint64("sim.seeds", 1000, "run so many seeds")
	fromFlag  = flag.Uint64("sim.from", 1, "the first of them")
	lastFlag  = flag.Int("sim.last", 400, "lines of the trace to show of a failure; 0 all")
)

// explain runs a seed again and shows how it came to fail.
func explain(t *testing.T, seed uint64) {
	last := &Tail{Size: *lastFlag}
	r := Run(seed, last.Add)
	for _, line := range last.Lines() {
		t.Log(line)
	}
	t.Errorf("%v\nrerun: zebu sim --seed %d, or go test ./sim -run TestSeeds -sim.seed=%d -v", r.Err, seed, seed)
}

// TestSeeds runs seeds until one fails.
func TestSeeds(t *testing.T) {
	if *seedFlag != 0 {
		r := Run(*seedFlag, nil)
		t.Logf("seed %d: %v", *seedFlag, &r)
		if r.Err != nil {
			explain(t, *seedFlag)
		}
		return
	}
	h := Hunt{From: *fromFlag, To: *fromFlag + *seedsFlag - 1, Workers: runtime.GOMAXPROCS(0)}
	total := h.Run()
	t.Log(total, total.Counts)
	if total.Failed != 0 {
		explain(t, total.Failed)
	}
}

// TestSameSeedSameRun holds the simulator to being deterministic.
func TestSameSeedSameRun(t *testing.T) {
	for seed := uint64(1); seed <= 8; seed++ {
		a, b := Run(seed, nil), Run(seed, func(string, ...any) {})
		if a.Hash != b.Hash || a.Steps != b.Steps {
			t.Errorf("seed %d: hash %016x after %d events, then %016x after %d", seed, a.Hash, a.Steps, b.Hash, b.Steps)
		}
	}
}

// TestPlanFromArguments checks that a plan that was made smaller can be told again.
func TestPlanFromArguments(t *testing.T) {
	p := NewPlan(7)
	p.Keep([]int{0, 1})
	p.Noise, p.Options.Clients = 2, 1
	if got, want := p.Args(), "--seed 7 --noise 2 --faults '0,1' --clients 1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestPeace checks that an ensemble without faults serves at once and does a fair amount of work.
func TestPeace(t *testing.T) {
	o := DefaultOptions()
	w := NewWorld(1, o)
	w.Start()
	if !w.RunUntil(20*Second) || w.Err() != nil {
		t.Fatal(w.Err())
	}
	w.settle(true)
	r := w.result()
	t.Logf("%+v", r)
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	if len(w.check.begins) != 1 || r.Replies < 1000 {
		t.Errorf("%d epochs, %d replies: %s", len(w.check.begins), r.Replies, w.describe())
	}
}

// BenchmarkWorld measures how much virtual time a second of one processor brings, under three loads: five servers and
// ten clients that think for 20 ms, 200 ms and 2 s between requests.
func BenchmarkWorld(b *testing.B) {
	for _, think := range []Time{20 * Millisecond, 200 * Millisecond, 2 * Second} {
		b.Run(think.String(), func(b *testing.B) {
			o := DefaultOptions()
			o.Voters, o.Clients, o.Think, o.Tick, o.SessionTimeout = 5, 10, think, 2000, 10000
			w := NewWorld(1, o)
			w.Start()
			w.RunUntil(10 * Second)
			steps, commits := w.steps, len(w.check.committed)
			b.ResetTimer()
			for range b.N {
				if !w.RunUntil(w.now + Second) {
					b.Fatal(w.Err())
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "virtual-s/s")
			b.ReportMetric(float64(w.steps-steps)/float64(b.N), "events/virtual-s")
			b.ReportMetric(float64(len(w.check.committed)-commits)/float64(b.N), "txns/virtual-s")
		})
	}
}
