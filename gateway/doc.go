// Package gateway serves the etcd v3 API, gRPC and JSON on one port, on a server of the ensemble ([Node]).
package gateway
