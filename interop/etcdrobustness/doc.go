// Package etcdrobustness holds zebu against etcd's own idea of what robust is: the traffic, the model and the checks of etcd's robustness
// tests, on an ensemble of three, perhaps with an observer, whose servers are killed, stopped and cut off, lose their disks or their
// power. It is a module of its own, for etcd's tests are of 3.7 and bring etcd's server along.
//
// Checked are that the requests are linearizable in etcd's model, that every watch told all events, once and in order, with the
// right previous values, what reads of old revisions returned, and that the key spaces of all servers end up equal. What was committed,
// and in which order, is read from ZooKeeper's transaction logs: all that was answered must be there, and all that is there
// must have been asked for. They also tell what became of requests without an answer, so that the model need not try all that might have.
package etcdrobustness
