// Package conf reads ZooKeeper's zoo.cfg, its dynamic configuration file and Java system properties into a validated
// [Config] (spec 11.2 and 12.1). Every key is honoured or named in a [Warning] with the reason why not; every value
// knows where it came from. [DynamicFiles] writes the files that keep an ensemble's configurations as they change.
package conf
