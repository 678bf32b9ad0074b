// Package gateway serves the etcd v3 API, gRPC and JSON on one port, on a server of the ensemble ([Node]).
//
// It speaks as etcd 3.6, and RangeStream as 3.7: the same services, limits, codes and texts (spec etcd 1 and 2), which etcdtest checks against etcd
// itself. What is in the log and in the state is package mvcc's; the gateway checks requests ([mvcc.Check]), asks for read points, proposes,
// and fills in what a header has beside the revision. Users and roles are behind [Authenticator].
//
// # Where it does otherwise
//
//   - Members are ZooKeeper's: a member's id is its server id, a learner an observer, which unlike etcd's serves all requests. A
//     peer URL stands for a server line (see MemberAdd's service). All ensembles have the same [ClusterID].
//   - Indexes in a status are zxids, the term is the epoch.
//   - Defragment holds up nobody. Hash is that of the key space.
//   - A snapshot's messages do not tell how much remains.
//   - There is no older version: Downgrade refuses.
//   - The on-demand progress of a stream goes on when one of its watches ended by compaction.
//   - Callers of Lock and Election wait in their own names; in etcd the first caller's rights are those of all that wait.
//   - JSON comes over HTTP/2 only with TLS.
//   - A certificate without a common name is as none.
//   - RangeStream refuses, besides other orders, a target to sort by without an order: etcd sorts each message by itself, and loses keys.
package gateway
