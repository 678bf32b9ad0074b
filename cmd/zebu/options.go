package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"zebu/conf"
)

// configFlags are the flags and arguments that choose a configuration.
type configFlags struct {
	file   string
	define []string
}

func (f *configFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.file, "config", "c", "", "read this zoo.cfg (or give it as the argument)")
	cmd.Flags().StringArrayVarP(&f.define, "define", "D", nil, "set a Java system property of ZooKeeper: -Dzookeeper.snapCount=10000; may be repeated")
}

// load reads the configuration that flags, arguments and environment choose. With two arguments or more they are
// those of ZooKeeperServerMain: port, data directory, tickTime, maxClientCnxns.
func (f *configFlags) load(cmd *cobra.Command, args []string) (*conf.Config, error) {
	o := conf.Options{File: f.file, Define: f.define, Env: os.Getenv}
	switch {
	case len(args) > 0 && f.file != "":
		return nil, &exitError{exitInvalid, usageError{cmd, fmt.Errorf("--config %s leaves no room for arguments: %s", f.file, strings.Join(args, " "))}}
	case len(args) == 1:
		o.File = args[0]
	case len(args) > 1:
		o.Args = args
	}
	c, err := conf.Load(o)
	if err != nil {
		return nil, &exitError{exitInvalid, configError{err}}
	}
	return c, nil
}

// configError lists the faults of a configuration, one a line.
type configError struct{ faults error }

func (e configError) Error() string {
	return "invalid configuration\n  " + strings.ReplaceAll(e.faults.Error(), "\n", "\n  ")
}

func (e configError) Unwrap() error { return e.faults }
