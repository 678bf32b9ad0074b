package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is this program's own version. ZooKeeper clients are told zooKeeperVersion (spec 12.2).
const (
	version          = "0.1.0-dev"
	zooKeeperVersion = "3.9.5"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and the ZooKeeper version that clients are told",
		Args:  atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "zebu %s%s (%s, %s/%s)\nZooKeeper version told to clients: %s\n",
				version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH, zooKeeperVersion)
			return err
		},
	}
}

// revision is the commit that the program was built from, where the build knew it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "-" + s.Value[:12]
		}
	}
	return ""
}
