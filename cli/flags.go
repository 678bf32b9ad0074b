package cli

import (
	"strconv"
	"strings"
)

// flag is an option of a command, written with one dash. What takes a value has a name for it.
type flag struct {
	name, value, help string
}

// outputFlag is understood by every command.
var outputFlag = flag{"o", "json|text", "how to print the result"}

func (c *command) flag(name string) *flag {
	for i := range c.flags {
		if c.flags[i].name == name {
			return &c.flags[i]
		}
	}
	return nil
}

// parseFlags takes the flags out of a command's words by the rules of zkCli's library: flags stand anywhere up to "--",
// several letters may share a dash, a value may follow at once, after "=" or as the next word.
func parseFlags(c *command, words []string) (map[string]string, []string, error) {
	set := map[string]string{}
	var args []string
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "--" {
			return set, append(args, words[i+1:]...), nil
		}
		if len(w) < 2 || w[0] != '-' || c.noFlags {
			args = append(args, w)
			continue
		}
		names, value, given := strings.Cut(strings.TrimPrefix(w[1:], "-"), "=")
		if names == "" {
			return nil, nil, c.unknownFlag(w)
		}
		for names != "" {
			f, rest := c.match(names)
			if f == nil {
				return nil, nil, c.unknownFlag(w)
			}
			if f.value == "" {
				set[f.name] = ""
				names = rest
				continue
			}
			switch {
			case rest != "":
				value = rest
			case given:
			case i+1 < len(words):
				i++
				value = words[i]
			default:
				return nil, nil, &usageError{"Missing argument for option: " + f.name + "\n" + c.synopsis()}
			}
			set[f.name] = unquote(value)
			break
		}
	}
	return set, args, nil
}

// match finds the flag at the beginning of names: a whole word first, else one letter.
func (c *command) match(names string) (f *flag, rest string) {
	if f = c.flag(names); f != nil {
		return f, ""
	}
	if f = c.flag(names[:1]); f != nil {
		return f, names[1:]
	}
	if names[0] == 'o' {
		return &outputFlag, names[1:]
	}
	return nil, ""
}

// unknownFlag says what to do with a word that looks like a flag and is none.
func (c *command) unknownFlag(w string) error {
	return &usageError{"Unrecognized option: " + w + "\n" + c.synopsis() + "\nIf it is not meant as an option, put -- before it."}
}

// unquote removes the quotes around the value of a flag.
func unquote(s string) string {
	if n := len(s); n >= 2 && s[0] == '"' && s[n-1] == '"' && strings.Count(s, `"`) == 2 {
		return s[1 : n-1]
	}
	return s
}

// number returns the value of a flag as a number that fits bits, or def without the flag.
func (k *call) number(name string, def int64, bits int) (int64, error) {
	v, ok := k.flags[name]
	if !ok {
		return def, nil
	}
	n, err := strconv.ParseInt(v, 10, bits)
	if err != nil {
		return 0, &usageError{"-" + name + " " + v + ": expected a whole number\n" + k.cmd.synopsis()}
	}
	return n, nil
}

// version is the value of -v, -1 without.
func (k *call) version() (int32, error) {
	n, err := k.number("v", -1, 32)
	return int32(n), err
}
