package report

import (
	"strconv"
	"strings"

	"zebu/lab"
)

// protocolNames are how the page calls the protocols; a protocol that is not among them is called what the laboratory calls it.
var protocolNames = map[string]string{lab.ZAB: "ZAB", lab.Raft: "Raft", lab.RaftPreVote: "Raft with pre-vote"}

func protocolName(p string) string {
	if name, ok := protocolNames[p]; ok {
		return name
	}
	return p
}

// absent stands for a measure of something that did not happen.
const absent = "–"

// number writes v with three significant digits, and no more than it has.
func number(v float64) string {
	if v < 0 {
		return "-" + number(-v)
	}
	decimals := 0
	switch {
	case v == 0 || v >= 99.95:
	case v >= 9.995:
		decimals = 1
	default:
		decimals = 2
	}
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// span writes a time of v microseconds in the unit that suits it.
func span(v float64) string {
	switch {
	case v < 0:
		return absent
	case v < 999.5:
		return number(v) + " µs"
	case v < 999_500:
		return number(v/1e3) + " ms"
	default:
		return number(v/1e6) + " s"
	}
}

// quantity writes a value of a measure with its unit, as [lab.Stat] has it.
func quantity(v float64, unit string) string {
	switch unit {
	case "us":
		return span(v)
	case "bytes":
		switch {
		case v >= 999_500:
			return number(v/1e6) + " MB"
		case v >= 9995:
			return number(v/1e3) + " kB"
		default:
			return number(v) + " B"
		}
	case "1/s":
		return number(v) + "/s"
	default:
		return number(v)
	}
}

// list joins words as a sentence does.
func list(words []string) string {
	switch len(words) {
	case 0:
		return "none"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
	}
}

// count writes a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func serverName(n int) string {
	if n == 0 {
		return "none"
	}
	return "S" + strconv.Itoa(n)
}
