package election

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"zebu/internal/story"
	"zebu/proto"
	"zebu/quorum"
)

// TestStories runs testdata/*.txt. See package story for their form. Times are
// in milliseconds from the start of the story; a message takes 1 ms. Commands:
//
//	ensemble CONFIG           begin a new story with these members. CONFIG is voters=1,2 and any of observers=3
//	                          groups=1:2/3:4 weights=2:0,3:5 version=HEX, and reconfig to let servers adopt newer ones
//	fake ID...                servers that a story speaks for; what they are told is shown
//	start ID... [KEY=VALUE]   start servers at the same time, with zxid=HEX, epoch=N, CONFIG; old=28|40 makes them send the
//	                          forms of old releases
//	run [N]                   let N ms pass, or as long as anything but repetitions happens
//	look ID... [zxid= epoch=] the roles of these servers have ended
//	favour ID... heir=N zxid=HEX epoch=N for=N   these servers' leader wants another one to be the next, for N ms
//	synced ID... epoch=N      these servers have entered an epoch
//	kill ID..., vanish ID...  end processes, or whole machines, which cannot even refuse connections
//	cut A,B C,D ...           let nothing pass between these groups; lose A>B cuts one direction only
//	heal                      let everything pass again
//	say A>B STATE LEADER ...  a fake server's notification, with zxid=HEX round=N epoch=N version=N config=CONFIG or a
//	                          literal text, | for a new line; old=28|40
//	designate LEADER zxid=HEX a reconfiguration has named the next leader of all servers that are up
//	configure ID... CONFIG    a reconfiguration was committed; as seen=CONFIG, proposed
//	oracle ID... grants|denies
//	trace on|off              show all messages
//	show                      states of all servers
func TestStories(t *testing.T) {
	story.Run(t, "testdata/*.txt", func(t *testing.T) func([]string) string {
		s := &teller{T: t}
		return func(words []string) string {
			s.out.Reset()
			s.run(words)
			return s.out.String()
		}
	})
}

type teller struct {
	*testing.T
	*network
	options Options
	trace   bool
	out     strings.Builder
}

// arguments of a command: words, server ids, and the values of keys.
type arguments struct {
	s     *teller
	words []string
	ids   []proto.ServerID
	keys  map[string]string
}

func (s *teller) parse(fields []string) arguments {
	a := arguments{s: s, keys: map[string]string{}}
	for _, f := range fields {
		if key, value, ok := strings.Cut(f, "="); ok {
			a.keys[key] = value
		} else if id, err := strconv.ParseInt(f, 10, 64); err == nil {
			a.ids = append(a.ids, proto.ServerID(id))
		} else {
			a.words = append(a.words, f)
		}
	}
	return a
}

func (a *arguments) number(key string, base int) int64 {
	v, ok := a.keys[key]
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(v, base, 64)
	if err != nil {
		a.s.Fatalf("%s: %v", key, err)
	}
	return n
}

func (s *teller) list(text string) []proto.ServerID {
	if text == "" {
		return nil
	}
	var ids []proto.ServerID
	for f := range strings.SplitSeq(text, ",") {
		id, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			s.Fatalf("%q: %v", text, err)
		}
		ids = append(ids, proto.ServerID(id))
	}
	return ids
}

// config reads CONFIG, nil if there is none.
func (a *arguments) config() *quorum.Config {
	if a.keys["voters"] == "" {
		return nil
	}
	more := ""
	for i, g := range strings.Split(a.keys["groups"], "/") {
		if g != "" {
			more += fmt.Sprintf("group.%d=%s\n", i+1, g)
		}
	}
	for w := range strings.SplitSeq(a.keys["weights"], ",") {
		if id, value, ok := strings.Cut(w, ":"); ok {
			more += fmt.Sprintf("weight.%s=%s\n", id, value)
		}
	}
	if v := a.keys["version"]; v != "" {
		more += "version=" + v
	}
	return members(a.s, a.s.list(a.keys["voters"]), a.s.list(a.keys["observers"]), more)
}

func (s *teller) run(c []string) {
	a := s.parse(c[1:])
	switch c[0] {
	case "ensemble":
		s.begin(&a)
	case "trace":
		s.trace = a.words[0] == "on"
	case "run":
		s.pass(&a)
	case "heal":
		s.heal()
	case "cut":
		var groups [][]proto.ServerID
		for _, g := range c[1:] {
			groups = append(groups, s.list(g))
		}
		s.separate(groups...)
	case "lose":
		from, to := s.pair(a.words[0])
		s.cut[[2]proto.ServerID{from, to}] = true
	case "say":
		s.say(&a)
	case "designate":
		for _, h := range s.hosts {
			if h.e != nil {
				h.e.Designate(a.ids[0], proto.Zxid(a.number("zxid", 16)))
			}
		}
	case "show":
		s.show()
	default:
		for _, id := range a.ids {
			s.each(c[0], &a, s.host(id))
		}
	}
}

// each runs a command for one server.
func (s *teller) each(command string, a *arguments, h *host) {
	if command == "favour" {
		v := Vote{Leader: proto.ServerID(a.number("heir", 10)), Zxid: proto.Zxid(a.number("zxid", 16)), Epoch: proto.Epoch(a.number("epoch", 10))}
		h.e.Favour(v, s.now+proto.Millis(a.number("for", 10)))
		return
	}
	if _, ok := a.keys["zxid"]; ok {
		h.zxid = proto.Zxid(a.number("zxid", 16))
	}
	if _, ok := a.keys["epoch"]; ok {
		h.epoch = proto.Epoch(a.number("epoch", 10))
	}
	switch command {
	case "fake":
		h.fake = true
	case "start":
		o := s.options
		if c := a.config(); c != nil {
			o.Committed = c
		}
		h.size = int(a.number("old", 10))
		s.boot(h, o)
	case "unreachable": // by it
		id, err := strconv.ParseInt(a.keys["leader"], 10, 64)
		if err != nil {
			s.Fatalf("%v", err)
		}
		h.e.Unreachable(s.now, proto.ServerID(id))
	case "look":
		s.look(h)
	case "synced":
		h.e.Synced(h.epoch)
	case "kill", "vanish":
		s.kill(h, command == "kill")
	case "configure":
		c := a.config()
		if a.words != nil { // seen
			h.e.SetConfigs(s.now, h.e.Committed(), c)
		} else {
			h.e.SetConfigs(s.now, c, nil)
		}
		s.flush(h)
	case "oracle":
		h.e.SetOracle(s.now, quorum.Oracle{Needed: true, Grants: a.words[0] == "grants"})
		s.flush(h)
	default:
		s.Fatalf("no command %q", command)
	}
}

func (s *teller) begin(a *arguments) {
	s.network = newNetwork(s.T)
	s.options = Options{Committed: a.config(), Reconfig: a.words != nil}
	s.onDecision = func(h *host, d Decision) {
		s.line("%d %v %s", h.id, d.State, voteText(d.Vote))
	}
	s.onConfig = func(h *host, c *quorum.Config) {
		s.line("%d adopts configuration %x: voters %v", h.id, int64(c.Version), c.Voters())
	}
	s.onPacket = func(p *packet, n *proto.Notification) {
		if s.trace || p.to.fake {
			v := Vote{n.Leader, n.Zxid, n.Round, n.PeerEpoch}
			s.line("%d to %d: %v %s", p.from.id, p.to.id, n.State, voteText(v))
		}
	}
	s.onError = func(h *host, err error) { s.line("%d: %v", h.id, err) }
}

func (s *teller) line(format string, args ...any) {
	fmt.Fprintf(&s.out, "%5d  "+format+"\n", append([]any{int64(s.now)}, args...)...)
}

func voteText(v Vote) string {
	if v.Leader == proto.NoServer {
		return fmt.Sprintf("nobody, round %d", v.Round)
	}
	return fmt.Sprintf("%d, round %d (epoch %d, zxid %v)", v.Leader, v.Round, v.Epoch, v.Zxid)
}

// pass lets time pass.
func (s *teller) pass(a *arguments) {
	if len(a.ids) > 0 {
		for end := s.now + proto.Millis(a.ids[0]); s.step(end); {
		}
		return
	}
	for limit := s.sent + 10_000; !s.quiet(); {
		end := s.now + 10_000
		if !s.step(end) || s.sent > limit {
			s.Fatal("no end to it")
		}
	}
}

func (s *teller) pair(text string) (from, to proto.ServerID) {
	if _, err := fmt.Sscanf(text, "%d>%d", &from, &to); err != nil {
		s.Fatalf("%q: %v", text, err)
	}
	return from, to
}

// say sends a fake server's notification.
func (s *teller) say(a *arguments) {
	from, to := s.pair(a.words[0])
	states := map[string]proto.PeerState{
		"LOOKING": proto.Looking, "FOLLOWING": proto.Following, "LEADING": proto.Leading, "OBSERVING": proto.Observing,
	}
	n := proto.Notification{
		State: states[a.words[1]], Leader: a.ids[0], Zxid: proto.Zxid(a.number("zxid", 16)),
		Round: proto.Round(a.number("round", 10)), PeerEpoch: proto.Epoch(a.number("epoch", 10)),
		Config: s.options.Committed.String(),
	}
	if c := a.config(); c != nil {
		n.Config = c.String()
	} else if text, ok := a.keys["config"]; ok {
		n.Config = strings.ReplaceAll(strings.ReplaceAll(text, "|", "\n"), "~", "=")
	}
	body := n.Append(nil)
	if size := a.number("old", 10); size != 0 {
		body = body[:size]
	}
	s.push(packet{from: s.host(from), to: s.host(to), body: body})
}

func (s *teller) show() {
	for _, h := range s.hosts {
		switch {
		case h.fake:
		case h.e == nil:
			fmt.Fprintf(&s.out, "%d down\n", h.id)
		case h.e.State() == proto.Looking:
			fmt.Fprintf(&s.out, "%d LOOKING in round %d for %s\n", h.id, h.e.Round(), voteText(h.e.Vote()))
		default:
			fmt.Fprintf(&s.out, "%d %v %s\n", h.id, h.e.State(), voteText(h.e.Vote()))
		}
	}
}
