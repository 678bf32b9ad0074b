// Package etcdtest holds zebu's mvcc and auth against etcd's own storage/mvcc, lease, txn, auth and apply packages: generated
// requests go to both, and every response, error, event and hash must be equal. It is a module of its own, so that etcd's
// storage and raft do not become dependencies of zebu.
//
//	go test .                                            # a few seconds
//	go test . -run Differential -ops 5000000 -timeout 0  # as long as it takes: minutes
package etcdtest
