// Package proto holds the values that travel on ZooKeeper's wires and lie in its files: the Jute codec and every record
// of the client protocol (release 3.9's zookeeper.jute), operation and error codes, transactions, watcher events and
// the number types used throughout zebu.
//
// Go structs in records.go are the schema: `go generate ./proto` writes an Append and a Decode method for each into
// records_gen.go. Append appends the record's Jute bytes to a buffer that the caller lends. Decode reads from a
// [Decoder]; decoded strings and byte slices alias the decoder's input, so nothing is allocated for them, and whoever
// keeps one longer than the input must clone it.
package proto

//go:generate go run ../internal/jutegen -in records.go -out records_gen.go
