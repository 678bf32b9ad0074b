package fourletter

import (
	"fmt"
	"strconv"
	"strings"

	"zebu/proto"
	"zebu/status"
)

// Summary is the answer to srvr, and what stat says besides its clients. The numbers count from the server's start or the
// last srst; the connections include the one that asked.
type Summary struct {
	Version     string // "3.9.5-<commit or zebu's version>, built on <date>"
	Mode        status.Mode
	Zxid        proto.Zxid // the last that was applied
	LatencyMin  int64      // milliseconds, like the next two
	LatencyAvg  float64
	LatencyMax  int64
	Received    int64 // packets
	Sent        int64
	Connections int64
	Outstanding int64 // requests received and not answered
	Nodes       int64
}

// ParseSummary reads the answer to srvr or stat. Lines that it does not know are passed over; an answer without mode or
// zxid is no summary.
func ParseSummary(answer string) (Summary, error) {
	var s Summary
	var mode, zxid bool
	for line := range strings.Lines(answer) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
		if !ok {
			continue
		}
		var err error
		switch key {
		case "Zookeeper version":
			s.Version = value
		case "Mode":
			s.Mode, mode = status.Mode(value), true
		case "Zxid":
			s.Zxid, err = parseZxid(value)
			zxid = true
		case "Latency min/avg/max":
			err = s.parseLatency(value)
		case "Received":
			s.Received, err = strconv.ParseInt(value, 10, 64)
		case "Sent":
			s.Sent, err = strconv.ParseInt(value, 10, 64)
		case "Connections":
			s.Connections, err = strconv.ParseInt(value, 10, 64)
		case "Outstanding":
			s.Outstanding, err = strconv.ParseInt(value, 10, 64)
		case "Node count":
			s.Nodes, err = strconv.ParseInt(value, 10, 64)
		}
		if err != nil {
			return Summary{}, fmt.Errorf("line %q: %w", strings.TrimSpace(line), err)
		}
	}
	if !mode || !zxid {
		return Summary{}, fmt.Errorf("no answer of a ZooKeeper server: %.60q", answer)
	}
	return s, nil
}

func parseZxid(text string) (proto.Zxid, error) {
	z, err := strconv.ParseUint(text, 0, 64)
	return proto.Zxid(z), err
}

// parseLatency reads "min/avg/max". ZooKeeper before 3.6 writes the average without a fraction.
func (s *Summary) parseLatency(text string) error {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return fmt.Errorf("expected min/avg/max")
	}
	var err error
	if s.LatencyMin, err = strconv.ParseInt(parts[0], 10, 64); err != nil {
		return err
	}
	if s.LatencyAvg, err = strconv.ParseFloat(parts[1], 64); err != nil {
		return err
	}
	s.LatencyMax, err = strconv.ParseInt(parts[2], 10, 64)
	return err
}

// Values are the lines of an answer that has one value a line, by key.
type Values map[string]string

// ParseMonitor reads the answer to mntr. The keys are without their prefix "zk_".
func ParseMonitor(answer string) Values {
	v := Values{}
	for line := range strings.Lines(answer) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "\t"); ok {
			v[strings.TrimPrefix(key, "zk_")] = value
		}
	}
	return v
}

// ParseConfig reads the answer to conf: keys such as serverId and those of the membership, server.N.
func ParseConfig(answer string) Values {
	v := Values{}
	for line := range strings.Lines(answer) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "="); ok {
			v[key] = value
		}
	}
	return v
}

// Int returns the whole number under key, which mntr may have written with a fraction; false if there is none.
func (v Values) Int(key string) (int64, bool) {
	text, ok := v[key]
	if !ok {
		return 0, false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != float64(int64(f)) {
		return 0, false
	}
	return int64(f), true
}
