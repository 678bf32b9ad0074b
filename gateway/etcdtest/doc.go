// Package etcdtest holds zebu's gateway against a real etcd server: the same requests go to both, over gRPC and JSON, and responses,
// errors with their codes and texts, and watch events must be equal. It is a module of its own, so that etcd's
// server does not become a dependency of zebu.
//
//	go test .
package etcdtest
