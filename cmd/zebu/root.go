package main

import "github.com/spf13/cobra"

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "zebu",
		Short: "A coordination server that takes the place of Apache ZooKeeper",
		Long: `zebu takes the place of Apache ZooKeeper: it speaks its protocol to any client, reads its
zoo.cfg unchanged and keeps its transaction logs and snapshots, so that one can be stopped
and the other started on the same data directory.`,
		Example: `  zebu server                          # a server for this machine at 127.0.0.1:2181, data in ./zebu-data
  zebu server /etc/zookeeper/zoo.cfg   # what ZooKeeper would run
  zebu config check zoo.cfg            # what a zoo.cfg means, and what is wrong with it`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &exitError{exitInvalid, usageError{cmd, err}}
	})
	root.AddCommand(newServerCommand(), newEnsembleCommand(), newConfigCommand(), newTxnlogCommand(), newSnapshotCommand(), newDatadirCommand(), newStatusCommand(), newVersionCommand())
	root.AddCommand(newCLICommand())
	root.AddCommand(newCopyCommand(), newSimCommand())
	root.AddCommand(newLabCommand())
	return root
}

// usageError is a wrong invocation: it tells where to read on.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e usageError) Error() string {
	return e.err.Error() + "\nSee '" + e.cmd.CommandPath() + " --help'."
}

func (e usageError) Unwrap() error { return e.err }

// atMost is cobra.MaximumNArgs with exit code 2.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.MaximumNArgs(n)(cmd, args); err != nil {
			return &exitError{exitInvalid, usageError{cmd, err}}
		}
		return nil
	}
}
