// Package etcdtest holds zebu's mvcc against etcd's own storage/mvcc, lease and txn packages: generated requests go to both,
// and every response, error, event and hash must be equal. It is a module of its own, so that etcd's server
// does not become a dependency of zebu.
//
//	go test .                                 # a few seconds
//	go test . -run Differential -ops 5000000  # as long as it takes
package etcdtest
