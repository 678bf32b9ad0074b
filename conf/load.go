package conf

import (
	_ "embed"
	"os"
	"slices"
	"strings"
)

// Options say where a configuration comes from.
type Options struct {
	// File is the path of a zoo.cfg; "" takes the embedded default unless Args is set.
	File string
	// Args are ZooKeeperServerMain's arguments: port, dataDir, then perhaps tickTime and maxClientCnxns.
	Args []string
	// Define are Java system properties, "name=value" each, the last of a name winning.
	Define []string
	// Env looks an environment variable up: SERVER_JVMFLAGS and JVMFLAGS are read. Nil for no environment.
	Env func(name string) string
}

//go:embed default.cfg
var defaultText []byte

// DefaultName is what stands for the file name in the sources of the embedded default's values.
const DefaultName = "built-in"

// DefaultText returns the zoo.cfg that is embedded, a good start for one's own.
func DefaultText() string { return string(defaultText) }

// Default returns the embedded default: a server on loopback that needs no file.
func Default() *Config {
	c, err := Load(Options{})
	if err != nil {
		panic("conf: embedded default: " + err.Error()) // the text is part of this package, and tested
	}
	return c
}

// Load reads, validates and returns a configuration. Its error is an [Errors] that names every fault found. Nothing but
// the configuration's own files and dataDir/myid is opened.
//
// As in ZooKeeper, a key of zoo.cfg overrides the same property given with -D or in the environment.
func Load(o Options) (*Config, error) {
	l := &loader{c: javaDefaults(), bad: map[string]bool{}}
	l.c.File = o.File
	l.readProperties(o)
	switch {
	case len(o.Args) > 0:
		l.readArgs(o.Args)
	case o.File == "":
		l.readText(DefaultName, defaultText)
	default:
		text, err := os.ReadFile(o.File)
		if err != nil {
			return nil, append(l.errs, &Error{Problem: "read configuration: " + err.Error()})
		}
		l.readText(o.File, text)
	}
	l.apply()
	l.applyFamilies()
	l.noteTheRest()
	l.derive()
	l.readEnsemble()
	l.check()
	if len(l.errs) > 0 {
		return nil, l.errs
	}
	return l.c, nil
}

// loader gathers inputs into c, and what is wrong with them into errs.
type loader struct {
	c    *Config
	errs Errors
	file []fileEntry     // zoo.cfg, the last of every key
	bad  map[string]bool // keys with a malformed value: checks that need them are left out
}

// fileEntry is a line of zoo.cfg.
type fileEntry struct {
	key string
	set Setting
}

func (l *loader) fail(src Source, key, val, problem string) {
	if isSecret(key) && val != "" {
		val = hidden
	}
	l.errs = append(l.errs, &Error{Source: src, Key: key, Value: val, Problem: problem})
	l.bad[key] = true
}

func (l *loader) warn(src Source, key, message string) {
	l.c.warnings = append(l.c.warnings, Warning{Source: src, Key: key, Message: message})
}

// readProperties takes the system properties in the order in which Java would see them, so that the last one wins.
func (l *loader) readProperties(o Options) {
	if o.Env != nil {
		for _, name := range []string{"SERVER_JVMFLAGS", "JVMFLAGS"} {
			for _, d := range definesIn(o.Env(name)) {
				l.c.props[d.name] = Setting{d.value, Source{Kind: FromEnv, Name: name}}
			}
		}
	}
	for _, s := range o.Define {
		d := parseDefine(s)
		if d.name == "" {
			l.fail(Source{Kind: FromFlag}, "-D", s, "expected -Dname=value")
			continue
		}
		l.c.props[d.name] = Setting{d.value, Source{Kind: FromFlag}}
	}
}

// readArgs takes ZooKeeperServerMain's arguments.
func (l *loader) readArgs(args []string) {
	if len(args) < 2 || len(args) > 4 {
		l.fail(Source{Kind: FromArgs}, "", strings.Join(args, " "), "expected port, data directory, and perhaps tickTime and maxClientCnxns")
	}
	keys := []string{"clientPort", "dataDir", "tickTime", "maxClientCnxns"}
	for i, arg := range args[:min(len(args), len(keys))] {
		l.c.settings[keys[i]] = Setting{arg, Source{Kind: FromArgs, Line: i + 1}}
	}
}

// readText takes the text of zoo.cfg.
func (l *loader) readText(name string, text []byte) {
	props, faults := parseProperties(text)
	l.c.Text = redact(string(text), props)
	for _, f := range faults {
		l.fail(Source{Kind: FromFile, File: name, Line: f.line}, "", "", f.err.Error())
	}
	at := map[string]int{}
	for _, p := range props {
		key := strings.TrimSpace(p.key)
		e := fileEntry{key, Setting{strings.TrimSpace(p.value), Source{Kind: FromFile, File: name, Line: p.line}}}
		if i, seen := at[key]; seen {
			l.warn(e.set.Source, key, "overrides the same key at "+l.file[i].set.Source.String()+": the last one counts")
			l.file[i] = e
			continue
		}
		at[key] = len(l.file)
		l.file = append(l.file, e)
	}
	for _, e := range l.file {
		l.take(e)
	}
}

// take files one entry of zoo.cfg under the key or the property that it sets.
func (l *loader) take(e fileEntry) {
	if isMember(e.key) {
		return // readEnsemble's
	}
	if full, ok := strings.CutPrefix(e.key, "zookeeper."); ok {
		if d := find(full); d != nil && d.inZooCfg() {
			l.warn(e.set.Source, e.key, "in zoo.cfg write "+full+": as it stands this sets the property zookeeper."+e.key+", which nothing reads")
			return
		}
	}
	d := find(e.key)
	if d != nil && d.scope == inFile || d != nil && d.scope == inBoth {
		l.c.settings[e.key] = e.set
		return
	}
	name := "zookeeper." + e.key
	if d != nil && d.scope == ours || strings.HasPrefix(e.key, "zebu.") || strings.HasPrefix(e.key, "etcd.") {
		name = e.key
	}
	if old, ok := l.c.props[name]; ok && old.Value != e.set.Value {
		l.warn(e.set.Source, e.key, "overrides -D"+name+" from "+old.Source.String()+", as it does in ZooKeeper")
	}
	l.c.props[name] = e.set
}

// apply sets every field whose key or property was given.
func (l *loader) apply() {
	for i := range honoured {
		d := &honoured[i]
		set, ok := l.setting(d)
		if !ok {
			continue
		}
		l.c.settings[d.name] = set
		if err := d.value(l.c).set(set.Value); err != nil {
			l.fail(set.Source, d.name, set.Value, err.Error())
		}
	}
}

// setting returns what was given for d.
func (l *loader) setting(d *keyDef) (Setting, bool) {
	if set, ok := l.c.settings[d.name]; ok {
		return set, true
	}
	if set, ok := l.c.props[d.property()]; ok && d.scope != inFile {
		return set, true
	}
	set, ok := l.c.props[d.alias]
	return set, ok && d.alias != ""
}

// stock are the authentication providers of ZooKeeper that may be named in authProvider.*, by class.
var stock = map[string]string{
	"org.apache.zookeeper.server.auth.SASLAuthenticationProvider":     "sasl",
	"org.apache.zookeeper.server.auth.X509AuthenticationProvider":     "x509",
	"org.apache.zookeeper.server.auth.DigestAuthenticationProvider":   "digest",
	"org.apache.zookeeper.server.auth.IPAuthenticationProvider":       "ip",
	"org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider": "ensemble",
	"org.apache.zookeeper.server.auth.KeyAuthenticationProvider":      "key",
}

// applyFamilies takes the properties whose names vary: authProvider.<n> and superUser[.<n>].
func (l *loader) applyFamilies() {
	a := &l.c.Auth
	for _, name := range sortedKeys(l.c.props) {
		set := l.c.props[name]
		key := strings.TrimPrefix(name, "zookeeper.")
		switch {
		case name == key:
		case strings.HasPrefix(key, "authProvider."):
			l.c.settings[key] = set
			scheme, ok := stock[set.Value]
			switch {
			case !ok:
				l.warn(set.Source, key, "not supported: "+set.Value+" is not one of ZooKeeper's own providers, and a Java class cannot be loaded")
			case scheme == "x509":
				l.warn(set.Source, key, tlsLater)
			case scheme == "key":
				l.warn(set.Source, key, "not supported: it is ZooKeeper's example of a provider")
			default:
				if !slices.Contains(a.Schemes, scheme) {
					a.Schemes = append(a.Schemes, scheme)
				}
			}
		case key == "superUser" || strings.HasPrefix(key, "superUser."):
			l.c.settings[key] = set
			a.SuperUsers = append(a.SuperUsers, set.Value)
		}
	}
}
