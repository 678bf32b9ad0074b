package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"zebu/cli"
)

func newCLICommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cli [flags] [command [argument…]]",
		Short: "A shell for any ZooKeeper server, with zkCli's commands and more",
		Long: `Run one command against a ZooKeeper or zebu server, or, without one, a shell: interactive on a terminal, else one
command a line from standard input. All of zkCli's commands and flags are there; 'zebu cli help' lists them, with those
that zkCli has not.

Flags, with one dash or two, stand before the command:

  -server HOST:PORT,…[/chroot]   where to connect (localhost:2181)
  -timeout DURATION              session timeout; a number alone is milliseconds (30s)
  -r, --read-only                take a server that is cut off from its quorum
  -waitforconnection             wait for the connection, up to the timeout, before the first command
  -client-configuration FILE     properties of ZooKeeper's client: jute.maxbuffer
  -o, --output text|json         how to print results; any command also takes -o itself
  -zkcli                         banners, messages and exit codes exactly as zkCli's (dist/zkCli.sh sets it)

Environment: ZEBU_HISTORY names the file of past commands, empty for none.

Exit codes: 0 done, 1 the answer is no (diff: there are differences; find, grep: nothing found), 2 wrong invocation,
3 the node does not exist, 4 conflict (exists, not empty, other version), 5 not permitted, 6 no server reached,
connection or session lost, 7 any other failure, 127 no such command, 130 interrupted.
With -zkcli: 0, 1, 127 and 130.`,
		Example: `  zebu cli                                          # a shell at localhost:2181
  zebu cli -server zk1:2181,zk2:2181/app ls -s /    # one command, below a chroot
  zebu cli -o json get /config | jq -r .data
  echo 'create /a hello' | zebu cli`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := cli.Options{In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr(), Version: zooKeeperVersion + " (zebu " + version + revision() + ")"}
			asked, err := cliFlags(&o, args)
			if err != nil {
				return &exitError{exitInvalid, usageError{cmd, err}}
			}
			if asked {
				return cmd.Help()
			}
			o.Terminal = onTerminal(o.In) && onTerminal(o.Out) && os.Getenv("TERM") != "dumb"
			o.History = historyFile()
			if code := cli.Run(cmd.Context(), o); code != 0 {
				return &exitError{code, errTold}
			}
			return nil
		},
	}
}

// errTold is a failure that was already printed.
var errTold = errors.New("")

// cliFlags reads the flags before the command; -server and --server are the same. help says that help was asked for.
func cliFlags(o *cli.Options, args []string) (help bool, err error) {
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		name, value, given := strings.Cut(strings.TrimPrefix(args[0][1:], "-"), "=")
		args = args[1:]
		if name == "" { // --
			break
		}
		switch name {
		case "h", "help":
			return true, nil
		case "r", "read-only":
			o.ReadOnly = true
			continue
		case "waitforconnection":
			o.Wait = true
			continue
		case "zkcli":
			o.Compat = true
			continue
		case "server", "timeout", "client-configuration", "o", "output":
		default:
			return false, fmt.Errorf("unknown flag -%s", name)
		}
		if !given {
			if len(args) == 0 {
				return false, fmt.Errorf("-%s needs a value", name)
			}
			value, args = args[0], args[1:]
		}
		if err := cliFlag(o, name, value); err != nil {
			return false, err
		}
	}
	o.Command = args
	return false, nil
}

// cliFlag sets what a flag with a value says.
func cliFlag(o *cli.Options, name, value string) error {
	switch name {
	case "server":
		o.Server = value
	case "timeout":
		d, err := time.ParseDuration(value)
		if ms, merr := strconv.Atoi(value); merr == nil {
			d, err = time.Duration(ms)*time.Millisecond, nil
		}
		if err != nil || d <= 0 || d.Milliseconds() > 1<<31-1 {
			return fmt.Errorf("-timeout %s: expected milliseconds, or a duration such as 30s", value)
		}
		o.Timeout = d
	case "o", "output":
		if value != "json" && value != "text" {
			return fmt.Errorf("-%s %s: expected text or json", name, value)
		}
		o.JSON = value == "json"
	case "client-configuration":
		return o.Configure(value)
	}
	return nil
}

func onTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// historyFile is where the shell keeps past commands: below XDG's state directory unless ZEBU_HISTORY says otherwise.
func historyFile() string {
	if file, ok := os.LookupEnv("ZEBU_HISTORY"); ok {
		return file
	}
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "zebu", "cli_history")
}
