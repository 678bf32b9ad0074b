package sim

import (
	"fmt"
	"math/rand/v2"

	"zebu/proto"
)

// Plan is an ensemble and what goes wrong with it. [NewPlan] draws one from a seed; what fails can be made smaller by
// leaving faults out.
type Plan struct {
	Seed    uint64
	Noise   uint64 // another choice of all that is not planned, such as latencies
	Options Options
	Length  Time // of the first phase, in which things go wrong
	Long    bool // faults last for seconds
	Faults  []Fault
}

// Fault is one thing that goes wrong. Whom it hits, and how, its salt says, and the state that the ensemble is in then.
type Fault struct {
	Index int // in the plan as it was drawn
	At    Time
	Kind  Kind
	salt  uint64
}

func (f Fault) String() string { return fmt.Sprintf("%d: %v at %v", f.Index, f.Kind, f.At) }

// Kind is a kind of fault.
type Kind uint8

// The kinds of faults.
const (
	CrashProcess Kind = iota
	PowerFailure      // of one machine
	CrashAll
	CrashLeader
	CrashBeginners // whoever gets a role, for a while
	PauseProcess   // or suspend the machine
	Isolation      // cut one off, perhaps in one direction
	Cut            // two from each other, perhaps in one direction
	SlowLink
	BrokenConnection
	LostDisk
	PowerFailureMidway // in the middle of what a server does to its disk
	ClockJump
	ClientStorm // clients leave their servers
	ClockDrift
	DiskError
	FullDisk
	BitFlip       // in a file at rest
	AddressChange // of a server, which others learn later
	Reconfiguration
	kinds
)

func (k Kind) String() string {
	return [...]string{
		"a process crashes", "the power of a machine fails", "everything crashes", "the leader crashes", "beginners crash", "a process pauses",
		"a server is isolated", "two servers are cut off from each other", "a link is slow", "a connection breaks", "a disk is lost",
		"the power fails midway", "a wall clock jumps", "clients move", "a clock drifts", "a disk fails", "a disk is full",
		"a bit flips", "an address changes", "a reconfiguration",
	}[k]
}

// NewPlan draws a plan.
func NewPlan(seed uint64) *Plan {
	d := newDice(seed, 0x6d6978)
	p := &Plan{Seed: seed, Options: drawOptions(d)}
	weights, total := drawWeights(d)
	p.Long = d.chance(4) || p.Options.Oracle
	p.Length = Time(d.one(10, 20, 40)) * Second
	every := Time(d.one(200, 500, 1000, 3000)) * Millisecond
	for at := 2 * Second; at < p.Length && total > 0; at += every/2 + Time(d.intn(int(every)+1)) {
		p.add(d, at, pick(weights, d.intn(total)))
	}
	if every = p.Options.Reconfigure; every > 0 {
		for at := 2 * Second; at < p.Length; at += every/2 + Time(d.intn(int(every)+1)) {
			p.add(d, at, Reconfiguration)
		}
	}
	return p
}

func (p *Plan) add(d dice, at Time, k Kind) {
	p.Faults = append(p.Faults, Fault{Index: len(p.Faults), At: at, Kind: k, salt: d.Uint64()})
}

func drawOptions(d dice) Options {
	o := DefaultOptions()
	o.Voters = d.one(1, 2, 2, 3, 3, 3, 3, 4, 5, 5, 5)
	o.Observers = d.one(0, 0, 0, 1, 2)
	o.Clients = d.one(2, 3, 5, 8)
	o.Keys = d.one(1, 2, 4, 6)
	o.Pipeline = d.one(1, 2, 5, 20)
	o.Think = Time(d.one(2, 5, 20, 50, 100)) * Millisecond
	o.QuorumSync = !d.chance(4)
	o.LogSync = !d.chance(4)
	o.Tick = proto.Millis(d.one(100, 200, 500))
	o.InitLimit = d.one(5, 10)
	o.SyncLimit = d.one(2, 5)
	o.SessionTimeout = int32(d.one(2, 4, 10)) * int32(o.Tick)
	o.Latency = Time(d.one(100, 500, 1000, 5000, 20000))
	o.Fsync = Time(d.one(100, 1000, 10000, 40000))
	o.Turn = Time(d.one(0, 100, 1000, 5000))
	o.SessionTimeout = max(o.SessionTimeout, int32(15*(o.Latency+o.Fsync)/Millisecond))  // else sessions end before they begin
	o.InitLimit = max(o.InitLimit, int(30*(o.Latency+o.Fsync)/Millisecond/Time(o.Tick))) // else learners cannot write in time what they missed
	o.SyncLimit = max(o.SyncLimit, int(20*(o.Latency+o.Fsync)/Millisecond/Time(o.Tick))) // nor answer in time
	o.SnapshotEvery = d.one(20, 100, 1000)
	o.LogSize = int64(d.one(2, 16, 256)) << 10
	o.LocalSessions = d.chance(6)
	o.ObserverMasters, o.ReadOnly, o.Reaping = !d.chance(3), d.chance(3), d.chance(2)
	o.LocalSessions = o.LocalSessions || o.ReadOnly && d.chance(2)
	o.Locking, o.Following = d.chance(2), d.chance(2)
	o.OwnLogDir = d.chance(3)
	o.SnapSync, o.OneSync, o.EpochWait = d.chance(12), d.chance(6), proto.Millis(d.one(0, 0, 0, 100))
	o.Oracle = o.Voters == 2 && !d.chance(4)
	if o.Oracle {
		o.Observers = 0
	}
	if !o.Oracle && d.chance(3) {
		o.Reconfigure = Time(d.one(500, 2000, 5000)) * Millisecond
	}
	if d.chance(3) {
		o.EtcdUsers = d.one(1, 3, 6)
	} else if d.chance(4) {
		o.LastCounter = uint32(d.one(300, 1000))
	}
	return o
}

// drawWeights says how often each kind of fault is to happen: about half of them never.
func drawWeights(d dice) (weights [Reconfiguration]int, total int) {
	for k := range weights {
		if d.chance(2) {
			continue
		}
		weights[k] = 1 + d.intn(4)
		if Kind(k) == CrashAll || Kind(k) == CrashBeginners {
			weights[k] = 1
		}
		total += weights[k]
	}
	return weights, total
}

// pick returns the kind at a place in the row of weights.
func pick(weights [Reconfiguration]int, at int) Kind {
	for k, n := range weights {
		if at -= n; at < 0 {
			return Kind(k)
		}
	}
	panic("sim: there are no faults")
}

// dice make choices that depend on nothing else.
type dice struct{ *rand.Rand }

func newDice(seed, stream uint64) dice { return dice{rand.New(rand.NewPCG(seed, stream))} }

func (d dice) intn(n int) int {
	if n <= 0 {
		return 0
	}
	return d.IntN(n)
}

// chance is true once in n times.
func (d dice) chance(n int) bool { return d.intn(n) == 0 }

func (d dice) one(choices ...int) int { return choices[d.intn(len(choices))] }

func (d dice) host(w *World) *Host { return w.hosts[d.intn(len(w.hosts))] }
