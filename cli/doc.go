// Package cli is zebu's shell, `zebu cli`: every command of Apache ZooKeeper 3.9's zkCli with its flags, output and
// exit codes, and commands of its own (tree, find, grep, du, watch, diff, export, import). It runs one command, a script
// from standard input, or an interactive session with completion and history. dist/zkCli.sh runs it in [Options.Compat]
// mode, in which a script cannot tell it from the original.
//
// The commands are in one table (commands.go); each is a function of a call. Output leaves through [call.emit], once as
// text and as JSON.
package cli
