package cli

import (
	"context"
	"fmt"
	"strconv"
)

var shellCommands = []command{
	{name: "connect", args: "[host:port,…/chroot]", help: "open a new session", local: true, run: connect},
	{name: "close", help: "end the session", run: closeSession},
	{name: "version", help: "print the version", run: version},
	{name: "history", help: "print the last commands with their numbers", local: true, run: history},
	{name: "redo", args: "number", help: "run a command of the history again", min: 1, local: true, noFlags: true, run: redo},
	{name: "printwatches", args: "[on|off]", help: "say whether watch events are printed", local: true, run: printWatches},
	{name: "quit", help: "end the session and the shell", local: true, run: quit},
	{name: "help", args: "[command]", help: "print the commands, or the flags of one", local: true, ours: true, run: help},
}

func connect(_ context.Context, k *call) error {
	host := k.host
	if len(k.args) > 0 {
		host = k.args[0]
	}
	if err := k.connect(host); err != nil {
		return &usageError{err.Error()}
	}
	return nil
}

func closeSession(_ context.Context, k *call) error {
	k.close()
	return nil
}

func version(_ context.Context, k *call) error {
	if len(k.args) > 0 {
		return k.cmd.wrong()
	}
	return k.emit(map[string]string{"version": k.o.Version}, "ZooKeeper CLI version: "+k.o.Version+"\n")
}

// current is the number of the command being run, which counts as the last one.
func (s *shell) current() int { return max(len(s.history)-1, 0) }

func history(_ context.Context, k *call) error {
	type item struct {
		Number int    `json:"number"`
		Line   string `json:"line"`
	}
	var items []item
	text := ""
	for i := max(k.current()-10, 0); i <= k.current() && i < len(k.history); i++ {
		items = append(items, item{i, k.history[i]})
		text += strconv.Itoa(i) + " - " + k.history[i] + "\n"
	}
	return k.emit(items, text)
}

func redo(ctx context.Context, k *call) error {
	n, err := strconv.Atoi(k.args[0])
	if err != nil {
		return &usageError{k.args[0] + " is not a number: " + k.cmd.synopsis()}
	}
	if n < 0 || n >= k.current() {
		return &usageError{"Command index out of range"}
	}
	line := k.history[n]
	words := split(line)
	if words[0] == "redo" {
		return &usageError{"No redoing redos"}
	}
	k.history[len(k.history)-1] = line
	return k.execute(ctx, words)
}

func printWatches(_ context.Context, k *call) error {
	if len(k.args) > 0 {
		k.muted.Store(k.args[0] != "on")
		return nil
	}
	state := "on"
	if k.muted.Load() {
		state = "off"
	}
	return k.emit(map[string]bool{"printwatches": state == "on"}, fmt.Sprintf("printwatches is %s\n", state))
}

func quit(_ context.Context, k *call) error {
	k.quit = true
	k.close()
	return nil
}
