package server

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"zebu/conf"
	"zebu/internal/freeport"
	"zebu/internal/metrics"
	"zebu/proto"
	"zebu/status"
	"zebu/zab"
)

func TestMarksPass(t *testing.T) {
	var m marks
	var cursor uint64
	seen := func(z proto.Zxid) (n int) {
		m.pass(&cursor, z, func(*mark) { n++ })
		return n
	}
	if seen(9) != 0 {
		t.Error("a batch before the first")
	}
	m.add(mark{zxid: 3})
	m.add(mark{zxid: 5})
	if got := seen(4); got != 1 {
		t.Errorf("%d batches end by 4, want 1", got)
	}
	if got := seen(5); got != 1 {
		t.Errorf("%d more by 5, want 1", got)
	}
	for z := proto.Zxid(6); z < 6+2*maxMarks; z++ {
		m.add(mark{zxid: z})
	}
	if got := seen(1 << 40); got != maxMarks {
		t.Errorf("%d batches for one that lags far behind, want the last %d", got, maxMarks)
	}
}

func proposalOf(z proto.Zxid, at proto.Millis) zab.Write {
	hdr := proto.TxnHeader{Zxid: z, Time: at, Type: proto.OpSetData}
	return zab.Write{Kind: zab.AppendTxn, Txn: zab.Txn{Zxid: z, Data: hdr.Append(nil)}}
}

func TestTxnTime(t *testing.T) {
	w := proposalOf(7, 1795242244238)
	if got := txnTime(w.Txn.Data); got != 1795242244238 {
		t.Errorf("%d", got)
	}
	if got := txnTime(w.Txn.Data[:20]); got != 0 {
		t.Errorf("cut off: %d", got)
	}
}

// TestLeaderStats plays a leader's proposal, acknowledgements of it, and its commit.
func TestLeaderStats(t *testing.T) {
	met := metrics.New()
	st := newMemberStats(met, 3)
	st.now.Mono = 100
	st.assume(proto.Looking)
	st.now.Mono = 150
	st.assume(proto.Leading)
	st.reach(status.Synchronization, proto.Leading)
	st.now.Mono = 180
	st.reach(status.Broadcast, proto.Leading)
	st.linked(1, false)
	for _, p := range []proto.PacketType{proto.PacketDiff, proto.PacketUpToDate} {
		st.synchronise(st.links[1], p)
	}
	now := proto.Millis(time.Now().UnixMilli())
	st.proposed([]zab.Write{proposalOf(1<<32+1, now), {Kind: zab.SaveConfig}, proposalOf(1<<32+2, now)})
	st.received(1, []proto.QuorumPacket{{Type: proto.PacketAck, Zxid: 1<<32 + 1}}, true)
	if met.AckLatency.Each(func(string, *metrics.Summary) { t.Error("half a batch is acknowledged") }); t.Failed() {
		return
	}
	st.received(1, []proto.QuorumPacket{{Type: proto.PacketAck, Zxid: 1<<32 + 2}, {Type: proto.PacketRevalidate}}, true)
	st.applied(2, 1<<32+2, time.Now(), time.Now(), proto.Leading)
	for name, got := range map[string][2]int64{
		"looking":            {met.LookingCount.Count(), 1},
		"election time":      {met.ElectionTime.Sum(), 50},
		"unavailable":        {met.LeaderUnavailableTime.Sum(), 80},
		"diffs":              {met.DiffCount.Count(), 1},
		"diffs in flight":    {met.InflightDiffCount.Max(), 1},
		"proposals":          {met.ProposalCount.Count(), 2},
		"commits":            {met.CommitCount.Count(), 2},
		"quorums":            {met.QuorumAckLatency.Count(), 1},
		"quorum stage":       {met.StageQuorum.Count(), 1},
		"revalidations":      {met.RevalidateCount.Count(), 1},
		"packets":            {st.links[1].received, 3},
		"last proposal size": {st.proposals.load().Last, 32},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %d, want %d", name, got[0], got[1])
		}
	}
	met.AckLatency.Each(func(key string, s *metrics.Summary) {
		if key != "1" || s.Count() != 1 {
			t.Errorf("%d acknowledgements of %s", s.Count(), key)
		}
	})
	st.unlinked(1)
	if met.InflightDiffCount.Count() != 2 {
		t.Error("a synchronised learner that leaves is counted again")
	}
}

// startMembers runs three participants and an observer, and returns them by id.
func startMembers(t *testing.T) map[proto.ServerID]*Server {
	t.Helper()
	base, err := freeport.Successive(12)
	if err != nil {
		t.Fatal(err)
	}
	base-- // ids begin with 1
	lines := ""
	for id := 1; id <= 4; id++ {
		kind := "participant"
		if id == 4 {
			kind = "observer"
		}
		lines += fmt.Sprintf("server.%d=127.0.0.1:%d:%d:%s\n", id, base+id, base+4+id, kind)
	}
	members := map[proto.ServerID]*Server{}
	for id := 1; id <= 4; id++ {
		dir := t.TempDir()
		text := fmt.Sprintf("tickTime=200\ninitLimit=50\nsyncLimit=50\ndataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\n"+
			"4lw.commands.whitelist=*\nadmin.enableServer=false\n", dir, base+8+id) + lines
		if id == 4 {
			text += "peerType=observer\n"
		}
		file := filepath.Join(dir, "zoo.cfg")
		for name, content := range map[string]string{file: text, filepath.Join(dir, "myid"): fmt.Sprint(id)} {
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cfg, err := conf.Load(conf.Options{File: file})
		if err != nil {
			t.Fatal(err)
		}
		members[proto.ServerID(id)], _ = startWith(t, Options{Config: cfg, Log: zaptest.NewLogger(t).Named(fmt.Sprint(id))})
	}
	return members
}

func word(t *testing.T, s *Server, name string) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.Report().Run(&b, name); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestMembersReport asks a leader, a follower and an observer that run.
func TestMembersReport(t *testing.T) {
	members := startMembers(t)
	byMode := map[status.Mode]*Server{}
	for id := proto.ServerID(1); id <= 4; id++ {
		c := dial(t, members[id])
		if _, err := c.Create(fmt.Sprintf("/of-%d", id), nil, 0, open); err != nil {
			t.Fatal(err)
		}
		byMode[members[id].Server().Mode] = members[id]
	}
	leader := byMode[status.Leader]
	for mode, s := range byMode {
		c := dial(t, s)
		if _, err := c.Sync("/"); err != nil {
			t.Fatal(err)
		}
		srvr, mntr, config := word(t, s, "srvr"), word(t, s, "mntr"), word(t, s, "conf")
		if !strings.Contains(srvr, "Mode: "+string(mode)+"\n") || strings.Contains(srvr, "Proposal sizes") != (mode == status.Leader) {
			t.Errorf("srvr:\n%s", srvr)
		}
		for text, of := range map[string]status.Mode{
			"zk_synced_followers\t2\n": status.Leader, "zk_synced_observers\t1\n": status.Leader, "zk_learners\t3\n": status.Leader,
			"zk_observer_master_id\t": status.Observer, "zk_peer_state\tfollowing - broadcast\n": status.Follower,
			"zk_peer_state\tleading - broadcast\n": status.Leader, "zk_peer_state\tobserving - broadcast\n": status.Observer,
		} {
			if strings.Contains(mntr, text) != (mode == of) {
				t.Errorf("mntr of the %s, %q: %v", mode, text, mode != of)
			}
		}
		if !strings.Contains(mntr, "zk_quorum_size\t3\n") || !strings.HasSuffix(config, ":observer\nversion=0") {
			t.Errorf("conf:\n%s", config)
		}
		if e := s.Ensemble(); members[e.Leader] != leader || e.Voting() != (mode != status.Observer) {
			t.Errorf("the %s takes %d for the leader", mode, e.Leader)
		}
	}
	checkLinks(t, byMode)
}

// checkLinks looks at what members have counted of each other.
func checkLinks(t *testing.T, byMode map[status.Mode]*Server) {
	leader, follower, observer := byMode[status.Leader].met, byMode[status.Follower].met, byMode[status.Observer].met
	for name, n := range map[string]int64{
		"proposals":             leader.ProposalCount.Count(),
		"commits":               leader.CommitCount.Count(),
		"quorums":               leader.QuorumAckLatency.Count(),
		"elections":             leader.ElectionTime.Count(),
		"synchronisations":      follower.FollowerSyncTime.Count(),
		"proposals received":    follower.LearnerProposalReceivedCount.Count(),
		"commits received":      follower.LearnerCommitReceivedCount.Count(),
		"requests forwarded":    follower.LearnerRequestProcessorQueueSize.Count(),
		"informs":               observer.LearnerCommitReceivedCount.Count(),
		"observer synchronised": observer.ObserverSyncTime.Count(),
		"propagation":           observer.PropagationLatency.Count(),
		"stage of the log":      follower.StageLog.Count(),
		"stage of the quorum":   leader.StageQuorum.Count(),
	} {
		if n == 0 {
			t.Errorf("no %s", name)
		}
	}
	if n := leader.DiffCount.Count() + leader.SnapCount.Count(); n < 3 {
		t.Errorf("%d learners synchronised", n)
	}
	keys := ""
	leader.AckLatency.Each(func(key string, _ *metrics.Summary) { keys += key })
	if keys != "123" {
		t.Errorf("acknowledgements of %q", keys)
	}
	s := byMode[status.Leader]
	links := s.Observers()
	if len(links) != 1 || links[0].ID != 4 || links[0].Sent == 0 || links[0].Requests == 0 || links[0].LastZxid == -1 {
		t.Errorf("observers: %+v", links)
	}
	s.ResetObservers()
	s.ResetServer()
	if links := s.Observers(); links[0].Requests != 0 || s.Ensemble().Leading.Proposals.Last != -1 {
		t.Errorf("after a reset: %+v %+v", links, s.Ensemble().Leading)
	}
}
