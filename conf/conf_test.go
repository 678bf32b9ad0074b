package conf

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// loadText loads a zoo.cfg with a text, in a fresh directory.
func loadText(t *testing.T, text string, o Options) (*Config, error) {
	t.Helper()
	o.File = filepath.Join(t.TempDir(), "zoo.cfg")
	if err := os.WriteFile(o.File, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Load(o)
}

func mustLoad(t *testing.T, text string, o Options) *Config {
	t.Helper()
	c, err := loadText(t, text, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// base is what every server needs.
const base = "dataDir=/data\nclientPort=2181\n"

func TestDefault(t *testing.T) {
	c := Default()
	if got := c.Client.Addr.String(); got != "127.0.0.1:2181" {
		t.Errorf("client address %s", got)
	}
	if c.DataDir != "./zebu-data" || c.DataLogDir != "./zebu-data" || c.Admin.Addr.Host != "127.0.0.1" || c.Distributed() {
		t.Errorf("%+v", c)
	}
	if len(c.Warnings()) != 0 {
		t.Errorf("warnings %v", c.Warnings())
	}
}

// TestRealFiles reads configurations that ship with ZooKeeper: the sample, installed copies of it where there are any,
// and what the official container image writes.
func TestRealFiles(t *testing.T) {
	installed, err := filepath.Glob("/etc/zookeeper/conf*/zoo.cfg")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(installed, "testdata/sample.cfg") {
		c, err := Load(Options{File: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.TickTime != 2000 || c.Client.Addr.Port != 2181 || c.Distributed() || len(c.Warnings()) > 0 {
			t.Errorf("%s: tickTime %d, port %d, warnings %v", name, c.TickTime, c.Client.Addr.Port, c.Warnings())
		}
	}
	dir, _ := inDir(t, "1\n")
	c := mustLoad(t, "dataDir="+dir+`
dataLogDir=/datalog
tickTime=2000
initLimit=5
syncLimit=2
autopurge.snapRetainCount=3
autopurge.purgeInterval=0
maxClientCnxns=60
standaloneEnabled=true
admin.enableServer=true
server.1=localhost:2888:3888;2181
`, Options{})
	if c.Client.Addr.String() != "0.0.0.0:2181" || c.Distributed() || len(c.Warnings()) > 0 {
		t.Errorf("container image: port %v, warnings %v", c.Client.Addr, c.Warnings())
	}
}

func TestJavaDefaults(t *testing.T) {
	c := mustLoad(t, base, Options{})
	if got := c.Client.Addr.String(); got != ":2181" {
		t.Errorf("client address %q: a zoo.cfg without clientPortAddress means all addresses", got)
	}
	if c.TickTime != 3000 || c.Session.MinTimeout != 6000 || c.Session.MaxTimeout != 60000 || c.DataLogDir != "/data" {
		t.Errorf("tickTime %d, session timeouts %d to %d, dataLogDir %s", c.TickTime, c.Session.MinTimeout, c.Session.MaxTimeout, c.DataLogDir)
	}
	if c.Admin.Addr.String() != ":8080" {
		t.Errorf("%+v %+v %+v", c.Limits, c.Log, c.Admin)
	}
}

// TestValues sets one key of every kind of value and reads the field.
func TestValues(t *testing.T) {
	c := mustLoad(t, base+`
tickTime = 500
minSessionTimeout=-1
preAllocSize=128
autopurge.purgeInterval=2
fsync.warningthresholdms=30
forceSync=no
skipACL=yes
snapshot.compression.method=gz
4lw.commands.whitelist= ruok, srvr ,mntr
extendedTypesEnabled=TRUE
snapCount=0x10
connection_throttle_drop_increase=0.5
admin.serverPort=9000
admin.serverAddress=[::1]
superUser=alice
superUser.2=bob
authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider
metricsProvider.httpPort=7070
`, Options{Define: []string{"jute.maxbuffer=4096", "znode.container.checkIntervalMs=50"}})
	for name, ok := range map[string]bool{
		"sessions":   c.Session.MinTimeout == 1000 && c.Session.MaxTimeout == 10000,
		"preAlloc":   c.Log.PreAlloc == 128<<10,
		"purge":      c.Snapshot.PurgeInterval == 2*time.Hour,
		"millis":     c.Log.FsyncWarn == 30*time.Millisecond,
		"yes and no": !c.Log.ForceSync && c.Tree.SkipACL,
		"enum":       c.Snapshot.Compression == "gz",
		"list":       slices.Equal(c.FourLetterWords, []string{"ruok", "srvr", "mntr"}),
		"bool":       c.Tree.ExtendedTypes,
		"hex":        c.Snapshot.Count == 16,
		"float":      c.Throttle.ConnDropIncrease == 0.5,
		"address":    c.Admin.Addr.String() == "[::1]:9000",
		"superUser":  slices.Equal(c.Auth.SuperUsers, []string{"alice", "bob"}),
		"provider":   slices.Equal(c.Auth.Schemes, []string{"sasl"}) && c.Auth.HasScheme("sasl"),
		"metrics":    c.Metrics.Prometheus && c.Metrics.Addr.String() == ":7070",
		"bare":       c.Limits.MaxBuffer == 4096 && c.Tree.ContainerCheck == 50*time.Millisecond,
		"warnings":   len(c.Warnings()) == 0,
	} {
		if !ok {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// TestFaults wants every fault of a file at once, each with its line, its key and what was expected.
func TestFaults(t *testing.T) {
	_, err := loadText(t, `tickTime=fast
dataDir=
clientPort=70000
extendedTypesEnabled=yes
skipACL=true
minSessionTimeout=1.5
clientPortAddress=host:2181
electionAlg=2
b\u00zz=1
metricsProvider.className=com.example.Mine
admin.commandURL=commands
server.1=localhost:2888
server.x=localhost:1:2
DigestAuthenticationProvider.digestAlg=ROT13
peerType=leader
`, Options{Define: []string{"jute.maxbuffer=big", "=1"}})
	var faults Errors
	if !errors.As(err, &faults) {
		t.Fatalf("error %v", err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, f.Error())
	}
	for _, want := range []string{
		"zoo.cfg:1: tickTime=fast: expected a whole number, 1 or more",
		"zoo.cfg:2: dataDir=: expected a path",
		"zoo.cfg:3: clientPort=70000: expected a port number from 0 to 65535",
		"zoo.cfg:4: extendedTypesEnabled=yes: expected true or false",
		"zoo.cfg:5: skipACL=true: expected yes or no",
		"zoo.cfg:6: minSessionTimeout=1.5: expected a whole number, -1 or more",
		"zoo.cfg:7: clientPortAddress=host:2181: expected a host name or an IP address; the port has a key of its own",
		"zoo.cfg:8: electionAlg=2: expected 3, the only one supported",
		`zoo.cfg:9: \u00zz: expected four hexadecimal digits after \u`,
		"zoo.cfg:10: metricsProvider.className=com.example.Mine: expected one of",
		"zoo.cfg:11: admin.commandURL=commands: expected a path that starts with a slash",
		"zoo.cfg:12: server.1=localhost:2888: expected host:quorumPort:electionPort",
		"zoo.cfg:13: server.x=localhost:1:2: expected a number, 0 or more, behind the dot",
		"zoo.cfg:14: DigestAuthenticationProvider.digestAlg=ROT13: expected one of",
		"zoo.cfg:15: peerType=leader: expected participant or observer",
		"-D: jute.maxbuffer=big: expected a whole number, 1 or more",
		"-D: -D==1: expected -Dname=value",
	} {
		if !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, want) }) {
			t.Errorf("missing: %s", want)
		}
	}
	if len(got) != 17 {
		t.Errorf("%d faults:\n%s", len(got), strings.Join(got, "\n"))
	}
}

// TestRefused has files of well-formed values that make no sense together.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "dataDir: is not set"},
		{"no port", "dataDir=/data\n", "clientPort: is not set"},
		{"address without port", "dataDir=/d\nclientPortAddress=h\nsecureClientPort=1\n", "zoo.cfg:2: clientPortAddress=h: is set but clientPort is not"},
		{"secure port only", "dataDir=/d\nsecureClientPort=2281\n", "zoo.cfg:2: secureClientPort=2281: not supported yet: TLS"},
		{"timeouts", base + "minSessionTimeout=9\nmaxSessionTimeout=8\n", "zoo.cfg:3: minSessionTimeout=9: the least session timeout, 9 ms, is larger"},
		{"tick and timeout", base + "maxSessionTimeout=10\n", "zoo.cfg:3: maxSessionTimeout=10: the least session timeout, 6000 ms, is larger"},
		{"enforce nothing", base + "enforce.auth.enabled=true\n", "zoo.cfg:3: enforce.auth.enabled=true: is true, so enforce.auth.schemes"},
		{"enforce unknown", base + "enforce.auth.enabled=true\nenforce.auth.schemes=digest,sasl\n", `scheme "sasl" is not available`},
		{"require SASL", base + "sessionRequireClientSASLAuth=true\n", `sessionRequireClientSASLAuth=true: scheme "sasl" is not available`},
		{"quorum SASL", base + "quorum.auth.serverRequireSasl=true\n", "quorum.auth.enableSasl must be true"},
		{"plain text between servers", base + "sslQuorum=true\nstandaloneEnabled=false\n", "zoo.cfg:3: sslQuorum=true: not supported yet: TLS"},
		{"etcd request that no log takes", base + "etcd.clientPort=0\netcd.maxRequestBytes=67108865\n", "zoo.cfg:4: etcd.maxRequestBytes=67108865: expected a whole number from 1 to 67108864"},
		{"etcd certificate without API", base + "etcd.certFile=c\netcd.keyFile=k\n", "zoo.cfg:3: etcd.certFile=c: is set but etcd.clientPort is not"},
		{"etcd certificate without key", base + "etcd.clientPort=0\netcd.certFile=c\n", "zoo.cfg:4: etcd.certFile=c: is set but etcd.keyFile is not"},
		{"etcd key without certificate", base + "etcd.clientPort=0\netcd.keyFile=k\n", "zoo.cfg:4: etcd.keyFile=k: is set but etcd.certFile is not"},
		{"etcd authority in plain text", base + "etcd.clientPort=0\netcd.trustedCAFile=ca\n", "zoo.cfg:4: etcd.trustedCAFile=ca: is set but etcd.certFile is not"},
		{"etcd users in plain text", base + "etcd.clientPort=0\netcd.clientCertAuth=true\n", "zoo.cfg:4: etcd.clientCertAuth=true: is set but etcd.certFile is not"},
		{"no such file", base + "dynamicConfigFile=/nowhere\n", "dynamicConfigFile=/nowhere: read: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := loadText(t, c.text, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
	if _, err := Load(Options{File: "/nowhere/zoo.cfg"}); err == nil {
		t.Error("a file that is not there was loaded")
	}
}

func TestWarnings(t *testing.T) {
	c := mustLoad(t, `dataDir=data
clientPort=2181
secureClientPort=2281
snapcount=5
maxClientConns=3
zookeeper.snapCount=7
jute.maxbuffer=100
autopurge.snapRetainCount=1
maxClientCnxns=1
maxClientCnxns=2
requestThrottleLimit=5
nio.numWorkerThreads=4
authProvider.1=com.example.Mine
4lw.commands.whitelist=ruok,abcd
ssl.keyStore.password=hush
etcd.clientPorts=2379
zebu.nothing=1
admin.forceHttps=true
jvm.pause.monitor=true
serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory
syncEnabled=TRUE
sslQuorum=false
portUnification=true
`, Options{Define: []string{"zookeeper.observer.syncEnabled=false", "zookeeper.tickTime=5", "snapCount=9", "file.encoding=UTF-8", "zookeeper.log.dir=/x"}})
	var got []string
	for _, w := range c.Warnings() {
		got = append(got, w.String())
		if strings.Contains(w.String(), "hush") {
			t.Errorf("a secret is shown: %s", w)
		}
	}
	for _, want := range []string{
		"zoo.cfg:1: dataDir: data is relative",
		"zoo.cfg:3: secureClientPort: not supported yet: TLS",
		"zoo.cfg:4: snapcount: unknown; did you mean snapCount?",
		"zoo.cfg:5: maxClientConns: unknown; did you mean maxClientCnxns?",
		"zoo.cfg:6: zookeeper.snapCount: in zoo.cfg write snapCount",
		"zoo.cfg:7: jute.maxbuffer: has no effect: ZooKeeper reads the property jute.maxbuffer, which zoo.cfg cannot set",
		"zoo.cfg:8: autopurge.snapRetainCount: 1 is too small: 3 is used",
		"zoo.cfg:10: maxClientCnxns: overrides the same key at",
		"zoo.cfg:11: requestThrottleLimit: ZooKeeper's guide names this key",
		"zoo.cfg:12: nio.numWorkerThreads: has no effect",
		"zoo.cfg:13: authProvider.1: not supported: com.example.Mine",
		`zoo.cfg:14: 4lw.commands.whitelist: "abcd" is not`,
		"zoo.cfg:15: ssl.keyStore.password: not supported yet: TLS",
		"zoo.cfg:16: etcd.clientPorts: unknown; did you mean etcd.clientPort?",
		"zoo.cfg:17: zebu.nothing: unknown",
		"zoo.cfg:18: admin.forceHttps: not supported yet: TLS",
		"zoo.cfg:18: admin.forceHttps: the AdminServer stays off",
		"zoo.cfg:19: jvm.pause.monitor: has no effect",
		"zoo.cfg:23: portUnification: not supported yet: TLS",
		"-D: observer.syncEnabled: has no effect: an observer always keeps its log",
		"-D: zookeeper.tickTime: has no effect: ZooKeeper reads tickTime from zoo.cfg only",
		"-D: snapCount: has no effect: the property's name is zookeeper.snapCount",
	} {
		if !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, want) }) {
			t.Errorf("missing: %s", want)
		}
	}
	if len(got) != 22 {
		t.Errorf("%d warnings:\n%s", len(got), strings.Join(got, "\n"))
	}
	if c.Limits.MaxClientCnxns != 2 || c.Snapshot.Retain != 3 || c.Admin.Enabled || c.Snapshot.Count != 100000 || c.Limits.MaxBuffer != 0xfffff {
		t.Errorf("%+v %+v %+v", c.Limits, c.Snapshot, c.Admin)
	}
}

// TestPrecedence gives one property in every place where it can stand.
func TestPrecedence(t *testing.T) {
	env := func(server, all string) func(string) string {
		return func(name string) string {
			return map[string]string{"SERVER_JVMFLAGS": server, "JVMFLAGS": all}[name]
		}
	}
	const p = "-Dzookeeper.snapCount="
	for _, c := range []struct {
		name   string
		text   string
		o      Options
		want   int
		source string
	}{
		{"default", base, Options{Env: env("", "-Xmx1g")}, 100000, "default"},
		{"SERVER_JVMFLAGS", base, Options{Env: env("-Xmx1g "+p+"11 -Dx", "")}, 11, "SERVER_JVMFLAGS"},
		{"JVMFLAGS", base, Options{Env: env(p+"11", p+"12")}, 12, "JVMFLAGS"},
		{"flag", base, Options{Env: env(p+"11", p+"12"), Define: []string{"zookeeper.snapCount=1", "zookeeper.snapCount=13"}}, 13, "-D"},
		{"file", base + "snapCount=14\n", Options{Env: env(p+"11", p+"12"), Define: []string{"zookeeper.snapCount=13"}}, 14, "zoo.cfg:3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := mustLoad(t, c.text, c.o)
			if cfg.Snapshot.Count != c.want {
				t.Errorf("snapCount %d, want %d", cfg.Snapshot.Count, c.want)
			}
			for _, v := range cfg.Values() {
				if v.Key == "snapCount" && !strings.HasSuffix(v.Source.String(), c.source) {
					t.Errorf("source %s, want %s", v.Source, c.source)
				}
			}
		})
	}
	c := mustLoad(t, base+"multiAddress.enabled=true\n", Options{
		Define: []string{"zookeeper.multiAddress.enabled=false", "fsync.warningthresholdms=5"},
	})
	if !c.Quorum.MultiAddress || c.Log.FsyncWarn != 5*time.Millisecond {
		t.Errorf("multiAddress %v, fsync warning %v", c.Quorum.MultiAddress, c.Log.FsyncWarn)
	}
}

func TestArgs(t *testing.T) {
	c, err := Load(Options{Args: []string{"2182", "/d", "1000", "7"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Client.Addr.String() != ":2182" || c.DataDir != "/d" || c.TickTime != 1000 || c.Limits.MaxClientCnxns != 7 || c.Session.MaxTimeout != 20000 {
		t.Errorf("%+v", c)
	}
	if _, err = Load(Options{Args: []string{"port", "/d"}}); err == nil || !strings.Contains(err.Error(), "argument 1: clientPort=port: expected a port number") {
		t.Errorf("error %v", err)
	}
	if _, err = Load(Options{Args: []string{"1"}}); err == nil {
		t.Error("one argument was enough")
	}
}

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                         nil,
		" -a\t -b\n":               {"-a", "-b"},
		`-Da="b c" -Dd='e "f'`:     {"-Da=b c", `-Dd=e "f`},
		`-Dp=C:\x -De="" '' x"y"z`: {`-Dp=C:\x`, "-De=", "", "xyz"},
	} {
		if got := words(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestSecretsStayHidden(t *testing.T) {
	const secrets = "DigestAuthenticationProvider.superDigest=super:TOPSECRET\nssl.keyStore.password \\\n  = TOPSECRET\n"
	c := mustLoad(t, base+secrets+"tickTime=77\n", Options{
		Define: []string{"zookeeper.SASLAuthenticationProvider.superPassword=TOPSECRET", "javax.net.ssl.keyStorePassword=TOPSECRET"},
	})
	if c.Auth.SuperDigest != "super:TOPSECRET" || c.Auth.SASLSuperPassword != "TOPSECRET" {
		t.Errorf("%+v", c.Auth)
	}
	var out strings.Builder
	for _, v := range c.Values() {
		out.WriteString(v.Key + v.Value + "\n")
	}
	for name, value := range c.Properties() {
		out.WriteString(name + value)
	}
	out.WriteString(c.Text)
	if strings.Contains(out.String(), "TOPSECRET") {
		t.Errorf("a secret is shown:\n%s", out.String())
	}
	want := base + "DigestAuthenticationProvider.superDigest=(hidden)\nssl.keyStore.password=(hidden)\ntickTime=77\n"
	if got := c.Text; got != want {
		t.Errorf("redacted text:\n%s\nwant\n%s", got, want)
	}
	_, err := loadText(t, "DigestAuthenticationProvider.superDigest=\\u0TOPSECRET\nserver.password=TOPSECRET\n", Options{})
	if err == nil || strings.Contains(err.Error(), "TOPSECRET") {
		t.Errorf("error %v", err)
	}
}

// TestTable checks the key table itself.
func TestTable(t *testing.T) {
	if len(index) != len(honoured)+len(unhonoured) {
		t.Error("a key stands in the table twice")
	}
	for i := range honoured {
		d := &honoured[i]
		c := javaDefaults()
		if d.value == nil || d.note != "" {
			t.Errorf("%s: a key with an effect needs a value and no note", d.name)
			continue
		}
		text := d.value(c).String()
		if text == "" {
			continue // not set, or an empty list
		}
		if err := d.value(c).set(text); err != nil {
			derived := text == "-1" // stands for a default that follows from other values
			if !derived {
				t.Errorf("%s refuses its own default %q: %v", d.name, text, err)
			}
		}
	}
	for i := range unhonoured {
		if unhonoured[i].note == "" || unhonoured[i].value != nil {
			t.Errorf("%s: a key without an effect needs a note and no value", unhonoured[i].name)
		}
	}
}

func TestMyID(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "myid"), []byte("3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t, "dataDir="+dir+"\nserver.3=h:1:2;[::1]:2190\n", Options{})
	if c.Quorum.ServerID != 3 || c.Client.Addr.String() != "[::1]:2190" || c.Distributed() {
		t.Errorf("%+v %+v", c.Quorum, c.Client)
	}
	_, err := loadText(t, "dataDir="+dir+"\nclientPort=2181\nserver.3=h:1:2;2190\n", Options{})
	if err == nil || !strings.Contains(err.Error(), "clientPort=2181: the client address :2181 differs from 0.0.0.0:2190") {
		t.Errorf("error %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "myid"), []byte("three"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = loadText(t, "dataDir="+dir+"\nclientPort=2181\n", Options{})
	if err == nil || !strings.Contains(err.Error(), "myid:1: myid=three: expected this server's number") {
		t.Errorf("error %v", err)
	}
}
