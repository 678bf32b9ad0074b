// Package etcdtest holds `zebu copy` against a real etcd server, which runs in the test's process. It is a module of its own, so
// that etcd's server does not become a dependency of zebu.
//
//	go test .
package etcdtest
