package etcdtest

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// numbers are those that are different from server to server.
var numbers = regexp.MustCompile(`(dbSize|dbSizeInUse|leader|raftIndex|raftTerm|raftAppliedIndex|ID|name|clientURLs|peerURLs|id|term):("[^"]*"|[0-9]+)`)

func TestStatus(t *testing.T) {
	both(t, func(t *testing.T, addr string) (told []string) {
		conn := dial(t, addr)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		maintenance, cluster := pb.NewMaintenanceClient(conn), pb.NewClusterClient(conn)
		note := func(resp any, err error) {
			told = append(told, numbers.ReplaceAllString(outcome(resp, err), "$1:_"))
		}
		status := func() {
			resp, err := maintenance.Status(ctx, &pb.StatusRequest{})
			if err == nil {
				resp.RaftTerm = 1
				slices.Sort(resp.Errors) // etcd goes through a map
			}
			note(resp, err)
		}
		call(ctx, conn, &put{Key: b("k")})
		status()
		call(ctx, conn, &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 3, Alarm: pb.AlarmType_NOSPACE})
		call(ctx, conn, &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 2, Alarm: pb.AlarmType_CORRUPT})
		status()
		for _, linearizable := range []bool{false, true} {
			list, err := cluster.MemberList(ctx, &pb.MemberListRequest{Linearizable: linearizable})
			if err != nil {
				t.Fatal(err)
			}
			m := list.Members[0]
			told = append(told, fmt.Sprint(list.Header.Revision, len(list.Members), m.ID == list.Header.MemberId, m.Name != "", len(m.ClientURLs), m.IsLearner))
			moved, err := maintenance.MoveLeader(ctx, &pb.MoveLeaderRequest{TargetID: m.ID})
			note(moved, err)
		}
		health := healthpb.NewHealthClient(conn)
		for _, service := range []string{"", "etcdserverpb.KV"} {
			resp, err := health.Check(ctx, &healthpb.HealthCheckRequest{Service: service})
			if err == nil {
				told = append(told, resp.Status.String())
			} else {
				told = append(told, err.Error())
			}
		}
		return told
	})
}

func TestLocksAndElections(t *testing.T) {
	both(t, func(t *testing.T, addr string) (told []string) {
		conn := dial(t, addr)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		locks, elections := v3lockpb.NewLockClient(conn), v3electionpb.NewElectionClient(conn)
		note := func(resp any, err error) { told = append(told, outcome(resp, err)) }
		for id := range int64(3) {
			told = append(told, call(ctx, conn, &pb.LeaseGrantRequest{ID: id + 1, TTL: 600}))
		}
		lock := func(lease int64) { note(locks.Lock(ctx, &v3lockpb.LockRequest{Name: b("l"), Lease: lease})) }
		lock(1)
		lock(1)
		lock(99)
		waited := make(chan string, 1)
		go func() { waited <- outcome(locks.Lock(ctx, &v3lockpb.LockRequest{Name: b("l"), Lease: 2})) }()
		for call(ctx, conn, &get{Key: b("l/2"), CountOnly: true}) != call(ctx, conn, &get{Key: b("l/1"), CountOnly: true}) {
		}
		note(locks.Unlock(ctx, &v3lockpb.UnlockRequest{Key: b("l/1")}))
		told = append(told, <-waited)
		note(locks.Unlock(ctx, &v3lockpb.UnlockRequest{Key: b("l/1")}))

		leader := &v3electionpb.LeaderRequest{Name: b("e")}
		note(elections.Leader(ctx, leader))
		won, err := elections.Campaign(ctx, &v3electionpb.CampaignRequest{Name: b("e"), Lease: 3, Value: b("one")})
		note(won, err)
		note(elections.Leader(ctx, leader))
		note(elections.Proclaim(ctx, &v3electionpb.ProclaimRequest{Leader: won.Leader, Value: b("two")}))
		note(elections.Proclaim(ctx, &v3electionpb.ProclaimRequest{}))
		watching, err := elections.Observe(ctx, leader)
		if err != nil {
			t.Fatal(err)
		}
		note(watching.Recv())
		note(elections.Resign(ctx, &v3electionpb.ResignRequest{Leader: won.Leader}))
		note(elections.Resign(ctx, &v3electionpb.ResignRequest{}))
		note(elections.Proclaim(ctx, &v3electionpb.ProclaimRequest{Leader: won.Leader, Value: b("three")}))
		note(elections.Leader(ctx, leader))
		return told
	})
}
