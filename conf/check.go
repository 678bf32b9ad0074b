package conf

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// derive fills in the values that follow from others, and corrects those that ZooKeeper corrects, with a warning.
func (l *loader) derive() {
	c := l.c
	if c.DataLogDir == "" {
		c.DataLogDir = c.DataDir
	}
	if c.Session.MinTimeout == -1 {
		c.Session.MinTimeout = 2 * c.TickTime
	}
	if c.Session.MaxTimeout == -1 {
		c.Session.MaxTimeout = 20 * c.TickTime
	}
	if c.Auth.requireSASL {
		c.Auth.Enforce, c.Auth.EnforceSchemes = true, []string{"sasl"}
	}
	if c.Quorum.ObserverMasterPort < 0 {
		c.Quorum.ObserverMasterPort = 0
	}
	atLeast(l, "autopurge.snapRetainCount", &c.Snapshot.Retain, 3)
	atLeast(l, "snapCount", &c.Snapshot.Count, 2)
	atLeast(l, "commitLogCount", &c.Quorum.CommitLogCount, 500)
	t := &c.Throttle
	atLeast(l, "connection_throttle_global_session_weight", &t.ConnGlobalWeight, t.ConnLocalWeight)
	atLeast(l, "connection_throttle_renew_session_weight", &t.ConnRenewWeight, t.ConnLocalWeight)
	if c.Quorum.SnapshotSizeFactor > 1 {
		c.Quorum.SnapshotSizeFactor = 0.33
		l.warn(c.settings["snapshotSizeFactor"].Source, "snapshotSizeFactor", "is larger than 1: 0.33 is used, as in ZooKeeper")
	}
}

// atLeast raises a value to the least that ZooKeeper would use in its place.
func atLeast(l *loader, key string, p *int, least int) {
	if *p >= least || l.bad[key] {
		return
	}
	l.warn(l.c.settings[key].Source, key, fmt.Sprintf("%d is too small: %d is used, as in ZooKeeper", *p, least))
	*p = least
}

// check refuses what cannot work, and warns of what will surprise.
func (l *loader) check() {
	l.checkPaths()
	l.checkPorts()
	l.checkEtcd()
	l.checkEtcdTLS()
	l.checkSessions()
	l.checkAuth()
	l.checkWords()
	l.checkTLS()
	l.checkQuorumAuth()
}

// refuse reports a fault of a key as it was given, or of its absence.
func (l *loader) refuse(key, problem string) {
	set := l.c.settings[key]
	l.fail(set.Source, key, set.Value, problem)
}

func (l *loader) checkPaths() {
	if l.c.DataDir == "" && !l.bad["dataDir"] {
		l.fail(Source{}, "dataDir", "", "is not set: expected the path of the directory for snapshots and logs")
	}
	for _, key := range []string{"dataDir", "dataLogDir"} {
		set, given := l.c.settings[key]
		if given && set.Value != "" && !strings.HasPrefix(set.Value, "/") && !strings.HasPrefix(set.Value, ".") {
			l.warn(set.Source, key, set.Value+" is relative to the directory that the server is started in; write ./"+set.Value+" if that is meant")
		}
	}
}

func (l *loader) checkPorts() {
	client := l.c.Client
	for _, p := range []struct {
		addr      HostPort
		port, key string
	}{
		{client.Addr, "clientPort", "clientPortAddress"},
		{client.SecureAddr, "secureClientPort", "secureClientPortAddress"},
		{l.c.Etcd.Addr, "etcd.clientPort", "etcd.clientPortAddress"},
	} {
		if _, given := l.c.settings[p.key]; given && !p.addr.IsSet() && !l.bad[p.port] {
			l.refuse(p.key, "is set but "+p.port+" is not")
		}
	}
	if !client.Addr.IsSet() && !client.SecureAddr.IsSet() && !l.bad["clientPort"] && !l.bad["secureClientPort"] && len(l.errs) == 0 {
		l.fail(Source{}, "clientPort", "", "is not set: expected a port number, usually 2181, else no client could connect")
	}
}

// checkEtcd reads what automatic compaction keeps, as etcd's flags are read.
func (l *loader) checkEtcd() {
	e := &l.c.Etcd
	if e.Addr.IsSet() && e.Addr.Host == "" {
		e.Addr.Host = "127.0.0.1"
	}
	const key = "etcd.autoCompactionRetention"
	text := e.retention
	if text == "" || l.bad["etcd.autoCompactionMode"] {
		return
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if e.mode == "revision" {
		if err != nil || n < 0 {
			l.refuse(key, "expected a number of revisions")
		}
		e.Keep = max(0, n)
		return
	}
	if err == nil && n >= 0 && n <= math.MaxInt64/int64(time.Hour) {
		e.Period = time.Duration(n) * time.Hour
		return
	}
	if e.Period, err = time.ParseDuration(text); err != nil || e.Period < 0 {
		l.refuse(key, "expected hours, or a time such as 90m")
	}
}

// checkEtcdTLS refuses a configuration that asks for TLS and would not get it.
func (l *loader) checkEtcdTLS() {
	const port, cert, key, ca, auth = "etcd.clientPort", "etcd.certFile", "etcd.keyFile", "etcd.trustedCAFile", "etcd.clientCertAuth"
	e := &l.c.Etcd
	needs := func(given bool, key string, there bool, other string) {
		if given && !there && !l.bad[key] && !l.bad[other] {
			l.refuse(key, "is set but "+other+" is not")
		}
	}
	needs(e.CertFile != "", cert, e.Addr.IsSet(), port)
	needs(e.CertFile != "", cert, e.KeyFile != "", key)
	needs(e.KeyFile != "", key, e.CertFile != "", cert)
	needs(e.TrustedCAFile != "", ca, e.CertFile != "", cert)
	needs(e.ClientCertAuth, auth, e.CertFile != "", cert)
}

func (l *loader) checkSessions() {
	s := l.c.Session
	if l.bad["minSessionTimeout"] || l.bad["maxSessionTimeout"] || l.bad["tickTime"] {
		return
	}
	if s.MinTimeout > s.MaxTimeout {
		key := "maxSessionTimeout"
		if _, given := l.c.settings["minSessionTimeout"]; given {
			key = "minSessionTimeout"
		}
		l.refuse(key, fmt.Sprintf("the least session timeout, %d ms, is larger than the largest, %d ms", s.MinTimeout, s.MaxTimeout))
	}
}

func (l *loader) checkAuth() {
	a := &l.c.Auth
	if a.Enforce && len(a.EnforceSchemes) == 0 && !l.bad["enforce.auth.enabled"] {
		l.refuse("enforce.auth.enabled", "is true, so enforce.auth.schemes must name at least one scheme")
	}
	for _, scheme := range a.EnforceSchemes {
		builtin := scheme == "digest" && a.Digest || scheme == "ip"
		if a.Enforce && !builtin && !a.HasScheme(scheme) {
			key := "enforce.auth.schemes"
			if a.requireSASL {
				key = "sessionRequireClientSASLAuth"
			}
			l.refuse(key, fmt.Sprintf("scheme %q is not available: no authProvider.<n> names its provider", scheme))
		}
	}
	if a.SuperDigest != "" && !strings.HasPrefix(a.SuperDigest, "super:") {
		set := l.c.settings["DigestAuthenticationProvider.superDigest"]
		l.warn(set.Source, "DigestAuthenticationProvider.superDigest", `does not start with "super:", so nobody can match it`)
	}
}

// fourLetterWords are all the words there are.
var fourLetterWords = []string{
	"conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok", "srst", "srvr", "stat",
	"stmk", "wchc", "wchp", "wchs", "*",
}

func (l *loader) checkWords() {
	const key = "4lw.commands.whitelist"
	for _, w := range l.c.FourLetterWords {
		if !slices.Contains(fourLetterWords, w) {
			l.warn(l.c.settings[key].Source, key, fmt.Sprintf("%q is not a four-letter word that there is", w))
		}
	}
}

// checkTLS makes sure that nothing is served in plain text where TLS was asked for.
func (l *loader) checkTLS() {
	if l.c.Client.SecureAddr.IsSet() {
		if !l.c.Client.Addr.IsSet() {
			l.refuse("secureClientPort", tlsLater+", and there is no clientPort to serve instead")
		} else {
			l.warn(l.c.settings["secureClientPort"].Source, "secureClientPort", tlsLater+"; the port stays closed, clientPort is served")
		}
	}
	if set, given := l.c.settings["sslQuorum"]; given && strings.EqualFold(set.Value, "true") && l.c.Distributed() {
		l.refuse("sslQuorum", tlsLater+", and servers would talk to each other in plain text")
	}
	const force = "admin.forceHttps"
	if set, given := l.c.props["zookeeper."+force]; given && strings.EqualFold(set.Value, "true") && l.c.Admin.Enabled {
		l.c.Admin.Enabled = false
		l.warn(set.Source, force, "the AdminServer stays off, rather than answer in plain text")
	}
}

func (l *loader) checkQuorumAuth() {
	q := &l.c.Quorum
	if !q.SASL && q.SASLServerRequired {
		l.refuse("quorum.auth.serverRequireSasl", "is true, so quorum.auth.enableSasl must be true")
	}
	if !q.SASL && q.SASLLearnerRequired {
		l.refuse("quorum.auth.learnerRequireSasl", "is true, so quorum.auth.enableSasl must be true")
	}
	if q.SASL && q.SASLServerRequired && !q.SASLLearnerRequired {
		l.refuse("quorum.auth.serverRequireSasl", "is true, so quorum.auth.learnerRequireSasl must be true: this server would not be let in by its peers")
	}
}

// Distributed says whether the configuration describes a member of an ensemble (spec 12.1).
func (c *Config) Distributed() bool { return c.Quorum.Voters() > 1 || !c.Quorum.Standalone }

// Voters counts the members that vote.
func (q *Quorum) Voters() int { return q.Config.Voters().Len() }
