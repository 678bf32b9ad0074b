package main

import "github.com/spf13/cobra"

func newRootCommand() *cobra.Command {
	return &cobra.Command{
		Use:           "zebu",
		Short:         "A coordination server that takes the place of Apache ZooKeeper",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
}
