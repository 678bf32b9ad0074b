package conf

import "strings"

// define is one Java system property.
type define struct{ name, value string }

// parseDefine splits "name=value"; without "=" the value is empty, as for java -Dname.
func parseDefine(s string) define {
	name, value, _ := strings.Cut(s, "=")
	return define{name, value}
}

// definesIn returns the -Dname=value words of a string of Java options. Its other words are for the Java machine.
func definesIn(flags string) []define {
	var found []define
	for _, word := range words(flags) {
		if d, ok := strings.CutPrefix(word, "-D"); ok && d != "" {
			found = append(found, parseDefine(d))
		}
	}
	return found
}

// words splits at white space; single and double quotes keep words together and vanish.
func words(s string) []string {
	var out []string
	var word strings.Builder
	var quote rune
	inWord := false
	for _, c := range s {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			if inWord {
				out = append(out, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if inWord {
		out = append(out, word.String())
	}
	return out
}
