package main

import "github.com/spf13/cobra"

func newSnapshotCommand() *cobra.Command {
	return &cobra.Command{Use: "snapshot", Short: "Look into snapshots"}
}
