package conf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// value is a field of a [Config] seen as text: how a key's setter and the printed configuration reach it. set's error
// says what was expected, and never repeats the text, which may be a secret.
type value interface {
	set(text string) error
	String() string
}

// expected is set's error: what the text should have been.
type expected string

func (e expected) Error() string { return "expected " + string(e) }

// number is any integer field, in the unit of its key.
type number interface{ ~int | ~int32 | ~int64 }

// intValue is an integer within bounds; a field holds unit times the number in the text.
type intValue[T number] struct {
	p        *T
	min, max int64
	unit     int64
}

func (v intValue[T]) set(text string) error {
	n, err := parseInt(text)
	if err != nil || n < v.min || n > v.max {
		if v.max >= math.MaxInt32 {
			return expected(fmt.Sprintf("a whole number, %d or more", v.min))
		}
		return expected(fmt.Sprintf("a whole number from %d to %d", v.min, v.max))
	}
	*v.p = T(n * v.unit)
	return nil
}

func (v intValue[T]) String() string { return strconv.FormatInt(int64(*v.p)/v.unit, 10) }

// parseInt reads a decimal number, or 0x and a hexadecimal one as Java's properties may be written.
func parseInt(text string) (int64, error) {
	sign, digits := "", strings.TrimPrefix(text, "+")
	if d, ok := strings.CutPrefix(text, "-"); ok {
		sign, digits = "-", d
	}
	if hex, ok := strings.CutPrefix(strings.ToLower(digits), "0x"); ok {
		return strconv.ParseInt(sign+hex, 16, 64)
	}
	return strconv.ParseInt(sign+digits, 10, 64)
}

// whole is an integer of at least min.
func whole[T number](p *T, min int64) value {
	return intValue[T]{p, min, math.MaxInt32, 1}
}

// scaled is a number of units that fits the field when multiplied.
func scaled[T number](p *T, min, unit int64) value {
	return intValue[T]{p, min, math.MaxInt64 / unit, unit}
}

// millis is a duration in milliseconds of at least min.
func millis(p *time.Duration, min int64) value {
	return scaled(p, min, int64(time.Millisecond))
}

const hour = time.Hour

// floatValue is a real number from 0 up.
type floatValue struct{ p *float64 }

func (v floatValue) set(text string) error {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || math.IsInf(f, 0) || math.IsNaN(f) {
		return expected("a number, 0 or more")
	}
	*v.p = f
	return nil
}

func (v floatValue) String() string { return strconv.FormatFloat(*v.p, 'g', -1, 64) }

// boolValue is true or false, in any case.
type boolValue struct{ p *bool }

func (v boolValue) set(text string) error {
	switch strings.ToLower(text) {
	case "true":
		*v.p = true
	case "false":
		*v.p = false
	default:
		return expected("true or false")
	}
	return nil
}

func (v boolValue) String() string { return strconv.FormatBool(*v.p) }

// yesNoValue is yes or no: the three switches that ZooKeeper spells so.
type yesNoValue struct{ p *bool }

func (v yesNoValue) set(text string) error {
	switch text {
	case "yes":
		*v.p = true
	case "no":
		*v.p = false
	default:
		return expected("yes or no")
	}
	return nil
}

func (v yesNoValue) String() string {
	if *v.p {
		return "yes"
	}
	return "no"
}

// textValue is any text.
type textValue struct{ p *string }

func (v textValue) set(text string) error { *v.p = text; return nil }
func (v textValue) String() string        { return *v.p }

// pathValue is text that may not be empty.
type pathValue struct{ p *string }

func (v pathValue) set(text string) error {
	if text == "" {
		return expected("a path")
	}
	*v.p = text
	return nil
}

func (v pathValue) String() string { return *v.p }

// enumValue is one of a few words.
type enumValue struct {
	p     *string
	words []string
}

func (v enumValue) set(text string) error {
	for _, w := range v.words {
		if text == w {
			*v.p = text
			return nil
		}
	}
	return expected("one of " + quoteAll(v.words))
}

func (v enumValue) String() string { return *v.p }

// choiceValue is a switch whose two positions have names of their own, in any case.
type choiceValue struct {
	p       *bool
	off, on string
}

func (v choiceValue) set(text string) error {
	switch {
	case strings.EqualFold(text, v.on):
		*v.p = true
	case strings.EqualFold(text, v.off):
		*v.p = false
	default:
		return expected(v.off + " or " + v.on)
	}
	return nil
}

func (v choiceValue) String() string {
	if *v.p {
		return v.on
	}
	return v.off
}

// listValue is words between commas.
type listValue struct{ p *[]string }

func (v listValue) set(text string) error {
	*v.p = nil
	for w := range strings.SplitSeq(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			*v.p = append(*v.p, w)
		}
	}
	return nil
}

func (v listValue) String() string { return strings.Join(*v.p, ",") }

// portValue is the port of an address; setting it sets the address.
type portValue struct{ p *HostPort }

func (v portValue) set(text string) error {
	n, err := parseInt(text)
	if err != nil || n < 0 || n > math.MaxUint16 {
		return expected("a port number from 0 to 65535")
	}
	v.p.Port, v.p.set = int(n), true
	return nil
}

func (v portValue) String() string {
	if !v.p.set {
		return ""
	}
	return strconv.Itoa(v.p.Port)
}

// hostValue is the host of an address. The words for all addresses become "".
type hostValue struct{ p *HostPort }

func (v hostValue) set(text string) error {
	host := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if host == "" || strings.ContainsAny(host, " \t/[]") {
		return expected("a host name or an IP address without a port")
	}
	if strings.Count(host, ":") == 1 {
		return expected("a host name or an IP address; the port has a key of its own")
	}
	v.p.Host = host
	return nil
}

func (v hostValue) String() string { return v.p.Host }

// anyFloat is a real number of any sign.
type anyFloat struct{ p *float64 }

func (v anyFloat) set(text string) error {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return expected("a number")
	}
	*v.p = f
	return nil
}

func (v anyFloat) String() string { return strconv.FormatFloat(*v.p, 'g', -1, 64) }

// urlPathValue is the path of a URL.
type urlPathValue struct{ p *string }

func (v urlPathValue) set(text string) error {
	if !strings.HasPrefix(text, "/") || strings.ContainsAny(text, " \t?#") {
		return expected("a path that starts with a slash")
	}
	*v.p = text
	return nil
}

func (v urlPathValue) String() string { return *v.p }

// metricsClass is the class of a metrics provider; true for the Prometheus one.
type metricsClass struct{ p *bool }

const (
	defaultMetrics    = "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider"
	nullMetrics       = "org.apache.zookeeper.metrics.impl.NullMetricsProvider"
	prometheusMetrics = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider"
)

func (v metricsClass) set(text string) error {
	switch text {
	case prometheusMetrics:
		*v.p = true
	case defaultMetrics, nullMetrics:
		*v.p = false
	default:
		return expected("one of " + quoteAll([]string{defaultMetrics, nullMetrics, prometheusMetrics}))
	}
	return nil
}

func (v metricsClass) String() string {
	if *v.p {
		return prometheusMetrics
	}
	return defaultMetrics
}

// onlyValue accepts one text and stores nothing.
type onlyValue string

func (v onlyValue) set(text string) error {
	if text != string(v) {
		return expected(string(v) + ", the only one supported")
	}
	return nil
}

func (v onlyValue) String() string { return string(v) }

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return strings.Join(quoted, ", ")
}
