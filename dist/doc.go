// Package dist holds the scripts that stand in for Apache ZooKeeper's own, and their tests; it has no Go code.
package dist
