package conf

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

// TestDocs keeps docs/configuration.md, the list of all keys, to the key table.
func TestDocs(t *testing.T) {
	const path = "../docs/configuration.md"
	got := keyDocs()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Error("docs/configuration.md is out of date: go test ./conf -run TestDocs -update")
	}
}

const docsHead = `# Configuration keys

<!-- Written by go test ./conf -run TestDocs -update from the key table; do not edit. -->

What each key means is said in ZooKeeper's Administrator's Guide; this is the list of what zebu does with it.
` + "`zebu config check FILE`" + ` prints the effective value of every key and where it came from.

"zoo.cfg" in the second column: the key stands in zoo.cfg. "property" names the Java system property, given as
` + "`-Dname=value`" + ` to ` + "`zebu server`" + ` or in the environment's SERVER_JVMFLAGS or JVMFLAGS. Where both are possible zoo.cfg
wins, as in ZooKeeper.

## Keys with an effect

| key | given in | default |
|---|---|---|
`

const docsMiddle = `| ` + "`server.N`, `group.N`, `weight.N`" + ` | zoo.cfg or the dynamic file | |
| ` + "`authProvider.N`" + ` | zoo.cfg, property ` + "`zookeeper.authProvider.N`" + ` | |
| ` + "`superUser`, `superUser.N`" + ` | zoo.cfg, property ` + "`zookeeper.superUser`" + ` … | |

## Keys without an effect

Each of these is answered with a warning that says why, except those that stock scripts pass to every server, and values that
ask for nothing but what zebu does anyway.

| key | why |
|---|---|
`

func keyDocs() string {
	var b strings.Builder
	b.WriteString(docsHead)
	for i := range honoured {
		d := &honoured[i]
		text := d.value(javaDefaults()).String()
		if text != "" {
			text = "`" + text + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", d.name, d.places(), derivedDefault(d.name, text))
	}
	b.WriteString(docsMiddle)
	for i := range unhonoured {
		d := &unhonoured[i]
		name := d.name
		if strings.HasSuffix(name, ".") {
			name += "*"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, d.note)
	}
	return b.String()
}

// places says where a key is given.
func (d *keyDef) places() string {
	var places []string
	if d.inZooCfg() {
		places = append(places, "zoo.cfg")
	}
	if p := d.property(); p != "" {
		places = append(places, "property `"+p+"`")
	}
	if d.alias != "" {
		places = append(places, "property `"+d.alias+"`")
	}
	return strings.Join(places, ", ")
}

// derivedDefault tells the defaults that follow from other values.
func derivedDefault(key, text string) string {
	switch key {
	case "dataDir":
		return "none, it must be set"
	case "dataLogDir":
		return "`dataDir`"
	case "minSessionTimeout":
		return "2 `tickTime`"
	case "maxSessionTimeout":
		return "20 `tickTime`"
	}
	return text
}
