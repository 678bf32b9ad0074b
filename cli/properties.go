package cli

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Configure honours a file of ZooKeeper's client properties (zkCli's -client-configuration) as far as the shell can:
// jute.maxbuffer. What it cannot honour it refuses by name, rather than to connect otherwise than was asked.
func (o *Options) Configure(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("-client-configuration: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		cut := strings.IndexAny(line, "=: \t")
		if cut < 0 {
			cut = len(line)
		}
		key := line[:cut]
		value := strings.TrimSpace(strings.TrimLeft(line[cut:], "=: \t"))
		switch {
		case key == "jute.maxbuffer":
			n, err := strconv.ParseInt(value, 0, 32)
			if err != nil || n <= 0 {
				return fmt.Errorf("%s: jute.maxbuffer=%s: expected a number of bytes", file, value)
			}
			o.MaxFrame = int(n)
		case key == "zookeeper.client.secure" && value == "true":
			return fmt.Errorf("%s: zookeeper.client.secure=true: the shell does not speak TLS yet", file)
		case key == "zookeeper.sasl.clientconfig", key == "java.security.auth.login.config":
			return fmt.Errorf("%s: %s: the shell does not do SASL yet; addauth digest works", file, key)
		}
	}
	return lines.Err()
}
