package conf

import "fmt"

// Options say where a configuration comes from.
type Options struct {
	// File is the path of a zoo.cfg; "" takes [Default] unless Args is set.
	File string
	// Args are ZooKeeperServerMain's arguments: port, dataDir, then perhaps tickTime and maxClientCnxns.
	Args []string
	// Define are Java system properties, "name=value" each, the last of a name winning.
	Define []string
	// Env looks an environment variable up: SERVER_JVMFLAGS and JVMFLAGS are read.
	Env func(name string) string
}

// Load reads, validates and returns a configuration. Its error is an [Errors] that names every fault found. Nothing but
// the configuration's own files and dataDir/myid is opened.
func Load(o Options) (*Config, error) {
	if o.File != "" {
		return nil, fmt.Errorf("read %s: not implemented", o.File)
	}
	return Default(), nil
}

// Default returns the embedded default: a server on loopback that needs no file.
func Default() *Config {
	c := &Config{}
	c.DataDir, c.DataLogDir = "./zebu-data", "./zebu-data"
	c.Client.Addr = Address("127.0.0.1", 2181)
	return c
}

// Setting is a value as given, with its source.
type Setting struct {
	Value  string
	Source Source
}

// Source is where a value came from.
type Source struct {
	Kind SourceKind
	File string // for FromFile
	Line int    // for FromFile, counted from 1
	Name string // for FromEnv: the variable
}

// SourceKind tells the kinds of sources apart.
type SourceKind int

// Kinds of sources, in the order in which they are read.
const (
	FromDefault SourceKind = iota
	FromEnv
	FromFlag
	FromFile
	FromArgs
)

// Warning is something in a configuration that will not be as its writer may think.
type Warning struct {
	Source  Source
	Key     string
	Message string
}

// Warnings returns what [Load] found to warn about, in the order of the inputs.
func (c *Config) Warnings() []Warning { return c.warnings }

// Distributed says whether the configuration describes a member of an ensemble (spec 12.1).
func (c *Config) Distributed() bool { return false }
