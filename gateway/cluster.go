package gateway

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/types"

	"zebu/proto"
	"zebu/quorum"
)

// clusterServer is etcd's Cluster service, on ZooKeeper's reconfiguration: members are the servers of the dynamic
// configuration, learners its observers. A peer URL holds the address for followers, and in a query what else a
// server line has:
//
//	http://10.0.0.4:2888?election=3888&client=10.0.0.4:2181
//
// Without "election" the election's port is 1000 above; without "client" the port for clients is 2181, on all addresses.
type clusterServer struct{ *Server }

// The ports that ZooKeeper's documentation uses throughout.
const (
	electionAbove     = 1000
	defaultClientPort = 2181
)

// MemberList implements pb.ClusterServer.
func (s *clusterServer) MemberList(ctx context.Context, r *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	if r.Linearizable {
		if err := s.readPoint(ctx); err != nil {
			return nil, err
		}
		s.locate(ctx)
	}
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	return &pb.MemberListResponse{Header: s.bareHeader(), Members: s.members(s.Node.Status().Config)}, nil
}

// MemberAdd implements pb.ClusterServer. The new server gets the next id, which is what its myid file must say.
func (s *clusterServer) MemberAdd(ctx context.Context, r *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	if _, err := types.NewURLs(r.PeerURLs); err != nil {
		return nil, rpctypes.ErrGRPCMemberBadURLs
	}
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	config := s.Node.Status().Config
	added := quorum.Member{ID: serverID(s.member) + 1, Observer: r.IsLearner}
	if config != nil {
		for _, m := range config.Members {
			added.ID = max(added.ID, m.ID+1)
		}
	}
	if err := setPeerURLs(&added, r.PeerURLs); err != nil {
		return nil, err
	}
	if taken(config, &added) {
		return nil, rpctypes.ErrGRPCPeerURLExist
	}
	members, err := s.reconfigure(ctx, serverLine(&added), "")
	if err != nil {
		return nil, err
	}
	resp := &pb.MemberAddResponse{Header: s.bareHeader(), Members: members}
	// etcd's new members are without a name until they start, and etcdctl says what to do by that.
	resp.Member = &pb.Member{ID: MemberID(added.ID), PeerURLs: peerURLs(&added), IsLearner: added.Observer}
	return resp, nil
}

// MemberRemove implements pb.ClusterServer.
func (s *clusterServer) MemberRemove(ctx context.Context, r *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	m, err := s.find(r.ID)
	if err != nil {
		return nil, err
	}
	members, err := s.reconfigure(ctx, "", strconv.FormatInt(int64(m.ID), 10))
	if err != nil {
		return nil, err
	}
	return &pb.MemberRemoveResponse{Header: s.bareHeader(), Members: members}, nil
}

// MemberUpdate implements pb.ClusterServer.
func (s *clusterServer) MemberUpdate(ctx context.Context, r *pb.MemberUpdateRequest) (*pb.MemberUpdateResponse, error) {
	if _, err := types.NewURLs(r.PeerURLs); err != nil {
		return nil, rpctypes.ErrGRPCMemberBadURLs
	}
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	m, err := s.find(r.ID)
	if err != nil {
		return nil, err
	}
	if err := setPeerURLs(&m, r.PeerURLs); err != nil {
		return nil, err
	}
	if taken(s.Node.Status().Config, &m) {
		return nil, rpctypes.ErrGRPCPeerURLExist
	}
	members, err := s.reconfigure(ctx, serverLine(&m), "")
	if err != nil {
		return nil, err
	}
	return &pb.MemberUpdateResponse{Header: s.bareHeader(), Members: members}, nil
}

// MemberPromote implements pb.ClusterServer: the observer becomes a voter.
func (s *clusterServer) MemberPromote(ctx context.Context, r *pb.MemberPromoteRequest) (*pb.MemberPromoteResponse, error) {
	if err := s.permit(ctx, r); err != nil {
		return nil, err
	}
	m, err := s.find(r.ID)
	if err != nil {
		return nil, err
	}
	if !m.Observer {
		return nil, rpctypes.ErrGRPCMemberNotLearner
	}
	m.Observer = false
	members, err := s.reconfigure(ctx, serverLine(&m), "")
	if err != nil {
		return nil, err
	}
	return &pb.MemberPromoteResponse{Header: s.bareHeader(), Members: members}, nil
}

// find looks a member up by etcd's id.
func (s *clusterServer) find(id uint64) (quorum.Member, error) {
	if config := s.Node.Status().Config; config != nil {
		if m := config.Member(serverID(id)); m != nil {
			return *m, nil
		}
	}
	return quorum.Member{}, rpctypes.ErrGRPCMemberNotFound
}

func (s *clusterServer) reconfigure(ctx context.Context, joining, leaving string) ([]*pb.Member, error) {
	bounded, cancel := context.WithTimeout(ctx, s.RequestTimeout)
	defer cancel()
	text, err := s.Node.Reconfigure(bounded, joining, leaving)
	if err != nil {
		return nil, timedOut(ctx, err)
	}
	config, err := quorum.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("configuration of the ensemble: %w", err)
	}
	return s.members(config), nil
}

// bareHeader is one without a revision: membership has nothing to do with the key space.
func (s *clusterServer) bareHeader() *pb.ResponseHeader {
	h := &pb.ResponseHeader{}
	s.fill(h)
	return h
}

// members lists the servers of a configuration; this one alone if there is none.
func (s *clusterServer) members(config *quorum.Config) []*pb.Member {
	if config == nil {
		return []*pb.Member{{ID: s.member, Name: name(serverID(s.member)), ClientURLs: s.clientURLs(nil)}}
	}
	list := make([]*pb.Member, 0, len(config.Members))
	for i := range config.Members {
		m := &config.Members[i]
		list = append(list, &pb.Member{
			ID: MemberID(m.ID), Name: name(m.ID), PeerURLs: peerURLs(m), ClientURLs: s.clientURLs(m), IsLearner: m.Observer,
		})
	}
	return list
}

func name(id proto.ServerID) string { return "server." + strconv.FormatInt(int64(id), 10) }

// locate asks where the members' gateways are. What was known before is good enough if there is no answer.
func (s *clusterServer) locate(ctx context.Context) {
	if s.ClientURLs == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.RequestTimeout)
	defer cancel()
	if urls, err := s.ClientURLs(ctx); err == nil {
		s.mu.Lock()
		s.urls = urls
		s.mu.Unlock()
	}
}

// clientURLs tells where a member's gateway is reached, or this server's for nil.
func (s *clusterServer) clientURLs(m *quorum.Member) []string {
	own := m == nil || MemberID(m.ID) == s.member
	s.mu.Lock()
	defer s.mu.Unlock()
	if m != nil && s.urls[m.ID] != "" {
		return []string{s.urls[m.ID]}
	}
	var list []string
	for _, p := range s.ports {
		host, port, err := net.SplitHostPort(p.Addr().String())
		if err != nil {
			continue // no TCP
		}
		if ip := net.ParseIP(host); !own || ip != nil && ip.IsUnspecified() && m != nil {
			host = m.Addrs[0].Host
		}
		list = append(list, s.scheme()+"://"+net.JoinHostPort(host, port))
	}
	return list
}

func (s *Server) scheme() string {
	if s.tls != nil {
		return "https"
	}
	return "http"
}

func peerURLs(m *quorum.Member) []string {
	list := make([]string, 0, len(m.Addrs))
	for _, a := range m.Addrs {
		u := url.URL{Scheme: "http", Host: net.JoinHostPort(a.Host, strconv.Itoa(a.Quorum))}
		if a.Election != a.Quorum+electionAbove {
			u.RawQuery = "election=" + strconv.Itoa(a.Election)
		}
		list = append(list, u.String())
	}
	slices.Sort(list)
	return list
}

// serverLine is what ZooKeeper's reconfig takes.
func serverLine(m *quorum.Member) string {
	return name(m.ID) + "=" + m.String()
}

// setPeerURLs gives a member the addresses of URLs that etcd would take; not all that etcd takes are addresses for us.
func setPeerURLs(m *quorum.Member, urls []string) error {
	m.Addrs = nil
	for _, text := range urls {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil {
			return rpctypes.ErrGRPCMemberBadURLs
		}
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || u.Hostname() == "" {
			return rpctypes.ErrGRPCMemberBadURLs
		}
		a := quorum.PeerAddr{Host: u.Hostname(), Quorum: int(port), Election: int(port) + electionAbove}
		if e := u.Query().Get("election"); e != "" {
			if a.Election, err = strconv.Atoi(e); err != nil {
				return rpctypes.ErrGRPCMemberBadURLs
			}
		}
		if c := u.Query().Get("client"); c != "" {
			if m.Client, err = proto.ParseHostPort(c); err != nil {
				return rpctypes.ErrGRPCMemberBadURLs
			}
		}
		m.Addrs = append(m.Addrs, a)
	}
	if m.Client == (proto.HostPort{}) {
		m.Client = proto.HostPort{Host: "0.0.0.0", Port: defaultClientPort}
	}
	// Read back, what is no member for ZooKeeper is found out.
	if _, err := quorum.ParseMember(m.ID, m.String()); err != nil {
		return rpctypes.ErrGRPCMemberBadURLs
	}
	return nil
}

// taken tells whether another member has one of a member's addresses.
func taken(config *quorum.Config, m *quorum.Member) bool {
	if config == nil {
		return false
	}
	for _, other := range config.Members {
		for _, a := range other.Addrs {
			if other.ID != m.ID && slices.ContainsFunc(m.Addrs, func(b quorum.PeerAddr) bool { return a.Host == b.Host && a.Quorum == b.Quorum }) {
				return true
			}
		}
	}
	return false
}
