package cli

import (
	"context"
	"os"
	"strconv"
	"strings"

	"zebu/internal/client"
)

var ensembleCommands = []command{
	{name: "config", help: "print the ensemble's configuration", run: config,
		flags: []flag{statFlag, watchFlag, {"c", "", "as version and client addresses only"}}},
	{name: "reconfig", help: "change the ensemble's members", run: reconfig,
		flags: []flag{statFlag, {"v", "version", "only if the configuration has this version, in hexadecimal"},
			{"file", "path", "the members are those of a configuration file"},
			{"members", "id=host:port:port;port,…", "the members are these"},
			{"add", "id=host:port:port;port,…", "these join"}, {"remove", "id,…", "these leave"}}},
}

func config(ctx context.Context, k *call) error {
	data, s, err := k.c.Config(ctx, k.has("w"))
	if err != nil {
		return at("/zookeeper/config", err)
	}
	text := string(data)
	switch {
	case k.has("c"):
		text = clientConfig(text)
	case data == nil:
		text = "null"
	}
	v := struct {
		Config string    `json:"config"`
		Stat   *statJSON `json:"stat,omitempty"`
	}{Config: text}
	text += "\n"
	if k.has("s") {
		v.Stat = statOf(s)
		text += statText(s)
	}
	return k.emit(v, text)
}

// clientConfig makes of a configuration its version and where its members serve clients.
func clientConfig(text string) string {
	version := ""
	var addrs []string
	for _, line := range strings.Split(text, "\n") {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key == "version" {
			version = value
		}
		if !strings.HasPrefix(key, "server.") {
			continue
		}
		_, addr, _ := strings.Cut(value, ";") // one without an address leaves its place empty
		if _, err := strconv.Atoi(addr); err == nil {
			addr = "0.0.0.0:" + addr
		}
		addrs = append(addrs, addr)
	}
	return version + " " + strings.Join(addrs, ",")
}

func reconfig(ctx context.Context, k *call) error {
	whole, parts := k.has("file") || k.has("members"), k.has("add") || k.has("remove")
	switch {
	case !whole && !parts:
		return k.cmd.wrong()
	case whole && parts:
		return &usageError{"-file and -members name all members and cannot be used together with -add or -remove"}
	case k.has("file") && k.has("members"):
		return &usageError{"-file and -members cannot be used together"}
	}
	r := client.Reconfig{
		Joining: strings.ToLower(k.flags["add"]), Leaving: strings.ToLower(k.flags["remove"]),
		Members: strings.ToLower(k.flags["members"]), Version: -1,
	}
	if v, ok := k.flags["v"]; ok {
		n, err := strconv.ParseInt(v, 16, 64)
		if err != nil {
			return &usageError{"-v must be followed by a long (configuration version)"}
		}
		r.Version = n
	}
	if file, ok := k.flags["file"]; ok {
		text, err := os.ReadFile(file)
		if err != nil {
			return &usageError{err.Error()}
		}
		if r.Members = members(string(text)); r.Members == "" {
			return &usageError{file + " has no line server.N=…"}
		}
	}
	data, s, err := k.c.Reconfig(ctx, r)
	if err != nil {
		return at("", err)
	}
	text := "Committed new configuration:\n" + string(data) + "\n"
	v := struct {
		Config string    `json:"config"`
		Stat   *statJSON `json:"stat,omitempty"`
	}{Config: string(data)}
	if k.has("s") {
		v.Stat = statOf(s)
		text += statText(s)
	}
	return k.emit(v, text)
}

// members joins the lines of a configuration file that say who is a member, and with what weight.
func members(text string) string {
	var lines []string
	servers := false
	for _, line := range strings.Split(text, "\n") {
		line = strings.ToLower(strings.TrimSpace(line))
		for _, prefix := range []string{"server.", "group.", "weight."} {
			if strings.HasPrefix(line, prefix) {
				lines = append(lines, line)
				servers = servers || prefix == "server."
			}
		}
	}
	if !servers {
		return ""
	}
	return strings.Join(lines, ",")
}
