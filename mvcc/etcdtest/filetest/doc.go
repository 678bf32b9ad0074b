// Package filetest holds zebu's etcdfile against etcd itself: its server starts from files of ours that its etcdutl has restored,
// and ours reads its snapshots.
package filetest
