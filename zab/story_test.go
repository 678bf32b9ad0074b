package zab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"zebu/internal/story"
	"zebu/proto"
)

// TestStories runs testdata/*.txt. See package story for their form. The output is packets as they
// arrive (1>2), writes as they become durable (disk), what is applied. Zxids are EPOCH:COUNTER in decimal, ranges
// 1:1..1:3. Commands:
//
//	ensemble voters=1,2,3 [observers=4] [keep=N] [reconfig] [oracle]   begin a new story; committed logs keep N transactions
//	fake ID...                 servers that the story speaks for; what they are told is shown at once
//	disk ID [accepted=N] [current=N] [snap=ZXIDS] [log=ZXIDS]   what a server finds when it starts
//	lead ID, follow A>B...     an election has ended
//	run                        carry all packets and perform all writes until nothing is left
//	carry A>B [N], write ID [N]   carry N packets, perform N writes; all if there is no N
//	hold ID|A>B..., free ...   run leaves these writes or packets alone
//	skip ID N                  the leader leaves out N zxids
//	propose ID DATA...         on the leader; reconfig ID voters=... proposes a configuration
//	say A>B TYPE [ZXID] [current=N] [leader=N] [config=N] [state=ZXIDS] [old]   a fake server's packet
//	cut A>B..., crash ID..., start ID...   a link breaks, a server stops, it starts again
//	snapshot ID                a server that serves writes its state and drops its log
//	sync A                     it is the turn of a sync of server A on the leader
//	observers ID               a follower that serves begins to serve observers, which "follow" it
//	ask A sync|write|SESSION   server A passes a client's request on, or asks whether a session exists
//	oracle ID grants|denies    what a leader's oracle says
//	confirm ID                 ask a leader whether it still leads
//	handover A B               leader A is to make room for B
//	pass N                     N ms go by
//	show                       all servers
func TestStories(t *testing.T) {
	story.Run(t, "testdata/*.txt", func(t *testing.T) func([]string) string {
		s := &teller{T: t}
		return func(words []string) string {
			s.out.Reset()
			s.run(words)
			if s.world.failure != "" {
				t.Fatalf("%s: %s\n%s", strings.Join(words, " "), s.world.failure, s.out.String())
			}
			return s.out.String()
		}
	})
}

type teller struct {
	*testing.T
	*world
	out  strings.Builder
	held map[string]bool
}

type arguments struct {
	s     *teller
	words []string
	keys  map[string]string
}

func (s *teller) parse(fields []string) arguments {
	a := arguments{s, nil, map[string]string{}}
	for _, f := range fields {
		if key, value, ok := strings.Cut(f, "="); ok {
			a.keys[key] = value
		} else {
			a.words = append(a.words, f)
		}
	}
	return a
}

func (s *teller) number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		s.Fatal(err)
	}
	return n
}

func (s *teller) ids(text string) []proto.ServerID {
	var ids []proto.ServerID
	for f := range strings.SplitSeq(text, ",") {
		if f != "" {
			ids = append(ids, proto.ServerID(s.number(f)))
		}
	}
	return ids
}

func (s *teller) zxid(text string) proto.Zxid {
	epoch, counter, ok := strings.Cut(text, ":")
	if !ok {
		s.Fatalf("%q is no zxid", text)
	}
	return proto.MakeZxid(proto.Epoch(s.number(epoch)), uint32(s.number(counter)))
}

// txns reads "1:1..1:3,2:1".
func (s *teller) txns(text string) []Txn {
	var txns []Txn
	for f := range strings.SplitSeq(text, ",") {
		if f == "" {
			continue
		}
		from, to, ok := strings.Cut(f, "..")
		if !ok {
			to = from
		}
		for z := s.zxid(from); z <= s.zxid(to); z++ {
			txns = append(txns, Txn{z, []byte(zx(z))})
		}
	}
	return txns
}

func (s *teller) pair(text string) (from, to *host) {
	a, b, ok := strings.Cut(text, ">")
	if !ok {
		s.Fatalf("%q: expected A>B", text)
	}
	return s.host(proto.ServerID(s.number(a))), s.host(proto.ServerID(s.number(b)))
}

func (s *teller) link(text string) (l *link, down bool) {
	a, b := s.pair(text)
	for _, l := range s.links {
		if l.leader == a && l.learner == b || l.leader == b && l.learner == a {
			return l, l.leader == a
		}
	}
	s.Fatalf("no link %s", text)
	return nil, false
}

func (s *teller) run(c []string) {
	a := s.parse(c[1:])
	switch c[0] {
	case "ensemble":
		s.begin(&a)
	case "run":
		s.settle()
	case "carry":
		s.carryAll(&a)
	case "hold", "free":
		for _, w := range a.words {
			s.held[w] = c[0] == "hold"
		}
	case "pass":
		s.pass(proto.Millis(s.number(a.words[0])))
	case "say":
		s.say(&a)
	case "follow":
		for _, w := range a.words {
			h, leader := s.pair(w)
			s.follow(h, leader)
		}
	case "cut":
		for _, w := range a.words {
			l, _ := s.link(w)
			s.close(l)
		}
	case "show":
		s.show()
	case "propose", "reconfig", "write", "disk", "skip", "ask", "oracle", "handover":
		s.one(c[0], &a)
	default:
		for _, w := range a.words {
			s.each(c[0], s.host(proto.ServerID(s.number(w))))
		}
	}
}

func (s *teller) begin(a *arguments) {
	s.world = newWorld(s.ids(a.keys["voters"]), s.ids(a.keys["observers"]))
	s.held = map[string]bool{}
	s.reconfig = slices.Contains(a.words, "reconfig")
	s.oracle = slices.Contains(a.words, "oracle")
	s.size = 500
	if n := a.keys["keep"]; n != "" {
		s.size = int(s.number(n))
	}
	s.trace = func(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }
}

// one runs a command for its first argument, a server.
func (s *teller) one(command string, a *arguments) {
	h := s.host(proto.ServerID(s.number(a.words[0])))
	switch command {
	case "propose":
		for _, data := range a.words[1:] {
			if err := s.propose(h, data); err != nil {
				s.trace("%d: %v", h.id, err)
			}
		}
	case "skip":
		h.leader.lastProposed += proto.Zxid(s.number(a.words[1])) // as zookeeper.testingonly.initialZxid does
	case "reconfig":
		z := h.leader.NextZxid()
		config := testConfig(s.ids(a.keys["voters"]), s.ids(a.keys["observers"]), z)
		if err := h.leader.Propose(Proposal{Txn: Txn{z, []byte("reconfig")}, Config: config}); err != nil {
			s.trace("%d: %v", h.id, err)
		}
		s.flush(h)
	case "ask":
		s.ask(h, a.words[1])
	case "handover":
		if err := h.leader.HandOver(proto.ServerID(s.number(a.words[1]))); err != nil {
			s.trace("%d: %v", h.id, err)
		}
		s.flush(h)
	case "oracle":
		h.leader.OracleSays(a.words[1] == "grants")
		s.flush(h)
	case "write":
		n := len(h.writes)
		if len(a.words) > 1 {
			n = int(s.number(a.words[1]))
		}
		s.persist(h, n)
	case "disk":
		for key, value := range a.keys {
			switch key {
			case "accepted":
				h.disk.accepted = proto.Epoch(s.number(value))
			case "current":
				h.disk.current = proto.Epoch(s.number(value))
			case "snap":
				h.disk.snap = s.txns(value)
				h.disk.snapZxid = last(h.disk.snap)
			case "log":
				h.disk.log = s.txns(value)
			}
		}
		s.boot(h)
	}
}

// each runs a command for one server.
func (s *teller) each(command string, h *host) {
	switch command {
	case "fake":
		s.fake[h.id] = true
	case "lead":
		s.lead(h)
	case "observers":
		s.serveObservers(h)
	case "confirm":
		s.trace("ticket %d", h.leader.Confirm())
		s.flush(h)
	case "crash":
		s.crash(h)
	case "start":
		s.boot(h)
	case "snapshot":
		s.snapshot(h)
	case "sync":
		for _, l := range s.hosts {
			if l.leader != nil && !l.ended {
				l.leader.Sync(h.id)
				s.flush(l)
			}
		}
	default:
		s.Fatalf("no command %q", command)
	}
}

func (s *teller) carryAll(a *arguments) {
	l, down := s.link(a.words[0])
	n := 1 << 20
	if len(a.words) > 1 {
		n = int(s.number(a.words[1]))
	}
	for ; n > 0 && slices.Contains(s.links, l); n-- {
		if down && len(l.down) == 0 || !down && len(l.upward) == 0 {
			return
		}
		s.carry(l, down)
	}
}

// settle performs writes and carries packets until there is nothing left to do.
func (s *teller) settle() {
	for moved := true; moved; {
		moved = false
		for _, h := range s.hosts {
			if len(h.writes) > 0 && !s.held[fmt.Sprint(h.id)] {
				s.persist(h, len(h.writes))
				moved = true
			}
		}
		for _, l := range slices.Clone(s.links) {
			for _, down := range []bool{false, true} {
				name, queue := fmt.Sprintf("%d>%d", l.learner.id, l.leader.id), &l.upward
				if down {
					name, queue = fmt.Sprintf("%d>%d", l.leader.id, l.learner.id), &l.down
				}
				for len(*queue) > 0 && !s.held[name] && slices.Contains(s.links, l) {
					s.carry(l, down)
					moved = true
				}
			}
		}
	}
}

// say has a fake server send a packet.
func (s *teller) say(a *arguments) {
	from, to := s.pair(a.words[0])
	var p proto.QuorumPacket
	for p.Type = 1; p.Type.String() != a.words[1]; p.Type++ {
		if p.Type > 100 {
			s.Fatalf("no packet %q", a.words[1])
		}
	}
	if len(a.words) > 2 {
		p.Zxid = s.zxid(a.words[2])
	}
	switch p.Type {
	case proto.PacketFollowerInfo, proto.PacketObserverInfo:
		info := proto.LearnerInfo{ServerID: from.id, ProtocolVersion: proto.QuorumProtocolVersion}
		if v := a.keys["config"]; v != "" {
			info.ConfigVersion = int64(s.zxid(v))
		}
		p.Data = info.Append(nil)
		if slices.Contains(a.words, "old") {
			p.Data = p.Data[:8]
		}
		to.hosts().LinkUp(from.id)
	case proto.PacketAckEpoch:
		p.Data = proto.AppendInt32(nil, int32(s.number(a.keys["current"])))
	case proto.PacketRevalidate:
		if session := a.keys["session"]; session != "" {
			v := proto.Revalidation{Session: proto.SessionID(s.number(session)), Valid: a.keys["valid"] != "no"}
			p.Data = v.Append(nil)
		}
	case proto.PacketProposal, proto.PacketInform:
		p.Data = []byte(zx(p.Zxid))
	case proto.PacketCommitAndActivate, proto.PacketInformAndActivate:
		p.Data = proto.AppendActivation(nil, proto.ServerID(s.number(a.keys["leader"])), []byte(zx(p.Zxid)))
	}
	if l := to.hosts(); l != nil && (to.learner == nil || to.toward.leader != from) {
		l.Recv(from.id, p)
		s.flush(to)
		return
	}
	l, _ := s.link(a.words[0])
	l.down = append(l.down, parcel{p, s.txns(a.keys["state"])})
	trace := s.trace
	s.trace = func(string, ...any) { s.trace = trace } // the packet is in the command
	s.carry(l, true)
}

// ask has a learner send its leader what a client wants.
func (s *teller) ask(h *host, what string) {
	var p proto.QuorumPacket
	switch what {
	case "sync", "write":
		f := proto.ForwardedRequest{Session: 1, Cxid: 1, Op: proto.OpSync}
		if what == "write" {
			f.Op = proto.OpSetData
		}
		p = proto.QuorumPacket{Type: proto.PacketRequest, Zxid: -1, Data: f.Append(nil)}
	default:
		t := proto.Touch{Session: proto.SessionID(s.number(what)), Timeout: 4000}
		p = proto.QuorumPacket{Type: proto.PacketRevalidate, Zxid: -1, Data: proto.AppendTouches(nil, t)}
	}
	if h.master != nil {
		h.master.Forward(p)
	} else {
		h.learner.Send(p)
	}
	s.flush(h)
}

func (s *teller) show() {
	for _, h := range s.hosts {
		if s.fake[h.id] {
			continue
		}
		role := "down"
		switch {
		case h.leader != nil:
			role = fmt.Sprintf("leads epoch %d", h.leader.Epoch())
		case h.learner != nil:
			role = fmt.Sprintf("learns from %d", h.toward.leader.id)
		case h.up:
			role = "looking"
		}
		if h.serving {
			role += " and serves"
		}
		fmt.Fprintf(&s.out, "%d %s: accepted %d, current %d, disk %s, memory %s\n", h.id, role,
			h.disk.accepted, h.disk.current, zxs(h.disk.history()), zxs(h.memory))
	}
}

// zxs prints the zxids of a history, ranges for runs.
func zxs(txns []Txn) string {
	var parts []string
	for i := 0; i < len(txns); {
		j := i
		for j+1 < len(txns) && txns[j+1].Zxid == txns[j].Zxid+1 {
			j++
		}
		part := zx(txns[i].Zxid)
		if j > i {
			part += ".." + zx(txns[j].Zxid)
		}
		parts = append(parts, part)
		i = j + 1
	}
	if parts == nil {
		return "empty"
	}
	return strings.Join(parts, ",")
}
