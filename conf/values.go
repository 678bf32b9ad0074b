package conf

import "strings"

// Value is one row of the effective configuration.
type Value struct {
	Key    string
	Value  string // in the unit of the key; secrets hidden
	Source Source
}

// Values returns the effective configuration: every key that zebu honours, then the ensemble, then every other key and
// property that was given, whether it does something or not.
func (c *Config) Values() []Value {
	var out []Value
	done := map[string]bool{}
	for i := range honoured {
		d := &honoured[i]
		done[d.name], done[d.property()], done[d.alias] = true, true, true
		out = append(out, Value{d.name, show(d.name, d.value(c).String()), c.settings[d.name].Source})
	}
	for _, key := range sortedKeys(c.settings) {
		if !done[key] {
			done["zookeeper."+key] = true
			out = append(out, Value{key, show(key, c.settings[key].Value), c.settings[key].Source})
		}
	}
	for _, name := range sortedKeys(c.props) {
		if !done[name] && (isOurs(name) || strings.HasPrefix(name, "zookeeper.")) {
			out = append(out, Value{name, show(name, c.props[name].Value), c.props[name].Source})
		}
	}
	return out
}

func show(key, text string) string {
	if text != "" && isSecret(key) {
		return hidden
	}
	return text
}

// Properties returns the Java system properties in force by their full names, secrets hidden.
func (c *Config) Properties() map[string]string {
	m := make(map[string]string, len(c.props))
	for name, set := range c.props {
		m[name] = show(name, set.Value)
	}
	return m
}

// redact returns the text of a properties file with the values of secrets hidden.
func redact(text string, props []property) string {
	var b strings.Builder
	done := 0
	for _, p := range props {
		if isSecret(p.key) {
			b.WriteString(text[done:p.from] + p.key + "=" + hidden)
			done = p.to
		}
	}
	return b.String() + text[done:]
}
