package admin

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"zebu/status"
)

// object is a JSON object that keeps its order.
type object []field

type field struct {
	name  string
	value any
}

// list is a JSON array: of strings, integers or objects.
type list []any

// set puts a value under a name: in its place if it has one already, else at the end.
func (o *object) set(name string, value any) {
	for i := range *o {
		if (*o)[i].name == name {
			(*o)[i].value = value
			return
		}
	}
	*o = append(*o, field{name, value})
}

// appendJSON appends v the way ZooKeeper's AdminServer writes JSON: objects over several lines, indented by two spaces
// a level, with " : " between name and value; arrays on one line; empty ones as "{ }" and "[ ]".
func appendJSON(dst []byte, v any, indent string) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case int32:
		return strconv.AppendInt(dst, int64(v), 10)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return append(dst, status.Float(v)...)
	case string:
		return appendString(dst, v)
	case list:
		return appendList(dst, v, indent)
	case object:
		return appendObject(dst, v, indent)
	default:
		return appendString(dst, fmt.Sprint(v))
	}
}

func appendObject(dst []byte, o object, indent string) []byte {
	if len(o) == 0 {
		return append(dst, "{ }"...)
	}
	inner := indent + "  "
	dst = append(dst, '{')
	for i, f := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '\n')
		dst = append(dst, inner...)
		dst = appendString(dst, f.name)
		dst = append(dst, " : "...)
		dst = appendJSON(dst, f.value, inner)
	}
	dst = append(dst, '\n')
	dst = append(dst, indent...)
	return append(dst, '}')
}

func appendList(dst []byte, l list, indent string) []byte {
	if len(l) == 0 {
		return append(dst, "[ ]"...)
	}
	dst = append(dst, "[ "...)
	for i, v := range l {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = appendJSON(dst, v, indent)
	}
	return append(dst, " ]"...)
}

// appendString appends a string with only those characters escaped that have to be; what is not UTF-8 is replaced.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r < ' ':
			dst = fmt.Appendf(dst, `\u%04X`, r)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
