package admin

import (
	"strconv"
	"strings"

	"zebu/proto"
	"zebu/quorum"
	"zebu/status"
)

// The functions in this file are the commands about the ensemble. A server that stands alone answers as a standalone
// ZooKeeper does.

func leader(c *commands, _ *request) reply {
	e := c.Report.Ensemble()
	if e == nil || c.Report.Server().Mode == status.ReadOnly {
		return reply{data: object{{"error", "server is not initialized"}}}
	}
	address := ""
	if m := e.Config.Member(e.Leader); m != nil {
		var hosts []string
		for _, a := range m.Addrs {
			hosts = append(hosts, a.Host)
		}
		address = strings.Join(hosts, "|")
	}
	id := int64(e.Leader)
	if e.Leader == proto.NoServer {
		id = -1
	}
	return reply{data: object{{"is_leader", e.Leading != nil}, {"leader_id", id}, {"leader_ip", address}}}
}

func observers(c *commands, _ *request) reply {
	all := list{}
	synced := 0
	if e := c.Report.Ensemble(); e != nil && (e.Leading != nil || e.ServesObservers) {
		if synced = e.SyncedObservers; e.Leading != nil {
			synced = e.Leading.SyncedObservers
		}
		for _, o := range c.Report.Observers() {
			all = append(all, object{
				{"remote_socket_address", "/" + o.Remote}, {"sid", int64(o.ID)}, {"established", status.Millis(o.Established)},
				{"queued_packets", o.Queued}, {"queued_packets_size", o.QueuedBytes}, {"packets_received", o.Received},
				{"packets_sent", o.Sent}, {"requests", o.Requests}, {"last_zxid", int64(o.LastZxid)},
			})
		}
	}
	return reply{data: object{{"synced_observers", synced}, {"observers", all}}}
}

func observerStatReset(c *commands, _ *request) reply {
	c.Report.ResetObservers()
	return reply{}
}

func votingView(c *commands, _ *request) reply {
	view := object{}
	if e := c.Report.Ensemble(); e != nil && c.Report.Server().Mode != status.ReadOnly {
		for i := range e.Config.Members {
			m := &e.Config.Members[i]
			if m.Observer {
				continue
			}
			client := ""
			switch {
			case m.Client.Port != 0:
				client = m.Client.String()
			case m.ID == e.Me.ID:
				client = e.Client // from zoo.cfg
			}
			view = append(view, field{strconv.FormatInt(int64(m.ID), 10), object{
				{"server_addresses", hostPorts(m, quorumPort)}, {"election_addresses", hostPorts(m, electionPort)},
				{"client_address", client}, {"learner_type", "participant"},
			}})
		}
	}
	return reply{data: object{{"current_config", view}}}
}

func zabState(c *commands, _ *request) reply {
	e := c.Report.Ensemble()
	s := c.Report.Server()
	if e == nil || s.Mode == status.ReadOnly {
		return reply{data: object{{"voting", false}, {"zabstate", ""}}}
	}
	return reply{data: object{
		{"myid", int64(e.Me.ID)}, {"is_leader", e.Leading != nil}, {"quorum_address", addresses(e.Me, quorumPort)},
		{"election_address", addresses(e.Me, electionPort)}, {"client_address", e.Client}, {"voting", e.Voting()},
		{"last_zxid", "0x" + strconv.FormatUint(uint64(s.Zxid), 16)}, {"zab_epoch", int64(s.Zxid.Epoch())},
		{"zab_counter", int64(s.Zxid.Counter())}, {"zabstate", string(e.Stage)},
	}}
}

func quorumPort(a *quorum.PeerAddr) int { return a.Quorum }

func electionPort(a *quorum.PeerAddr) int { return a.Election }

// hostPorts returns the addresses of a member for one of its ports.
func hostPorts(m *quorum.Member, port func(*quorum.PeerAddr) int) list {
	var all list
	for i := range m.Addrs {
		all = append(all, proto.HostPort{Host: m.Addrs[i].Host, Port: port(&m.Addrs[i])}.String())
	}
	return all
}

// addresses describes a member's addresses for one of its ports with ZooKeeper's fields. They are not tried out: a server
// reaches its own.
func addresses(m *quorum.Member, port func(*quorum.PeerAddr) int) object {
	all := hostPorts(m, port)
	var wildcards, ports, hosts list
	for i := range m.Addrs {
		p := port(&m.Addrs[i])
		wildcards = append(wildcards, "0.0.0.0:"+strconv.Itoa(p))
		ports = append(ports, p)
		hosts = append(hosts, m.Addrs[i].Host)
	}
	return object{
		{"empty", false}, {"all_addresses", all}, {"wildcard_addresses", wildcards}, {"all_ports", ports},
		{"all_host_strings", hosts}, {"reachable_address", all[0]}, {"all_reachable_addresses", all},
		{"all_reachable_addresses_or_all", all}, {"reachable_or_one", all[0]}, {"one", all[0]},
	}
}
