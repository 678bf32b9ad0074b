package conf

import (
	"math"
	"strings"
)

// scope says where ZooKeeper reads a key.
type scope int

const (
	// inFile keys stand in zoo.cfg only.
	inFile scope = iota
	// asProperty keys are Java system properties "zookeeper.<name>"; zoo.cfg sets them under <name>.
	asProperty
	// inBoth keys are properties "zookeeper.<name>" that zoo.cfg overrides.
	inBoth
	// bare keys are Java system properties by exactly their name, out of zoo.cfg's reach.
	bare
	// ours are zebu's own keys: zoo.cfg and -D take them by exactly their name.
	ours
)

// keyDef is one key of the table. A key with a value is honoured. One without is answered with a warning made of its
// note, unless it is silent: then it comes from stock scripts, concerns only the Java machine, and means nothing here. Nor is
// there a warning if its value is the one that asks for nothing else than what zebu does.
type keyDef struct {
	name   string // ends in "." for a family of keys
	scope  scope
	alias  string // a second property of the same meaning
	value  func(*Config) value
	note   string
	silent bool
	same   string
}

// property is the full name of the system property of d, "" if it has none.
func (d *keyDef) property() string {
	switch d.scope {
	case asProperty, inBoth:
		return "zookeeper." + d.name
	case bare, ours:
		return d.name
	}
	return ""
}

// inZooCfg says whether zoo.cfg can set d.
func (d *keyDef) inZooCfg() bool { return d.scope != bare }

// isSecret says whether the value of a key or property must not be printed.
func isSecret(name string) bool {
	n := strings.ToLower(name)
	if strings.HasSuffix(n, "passwordpath") {
		return false
	}
	return strings.Contains(n, "password") || strings.Contains(n, "passwd") || strings.Contains(n, "superdigest") ||
		strings.Contains(n, "secret")
}

// honoured are the keys that do something, in the order in which the effective configuration prints them.
var honoured = join(clientKeys, storageKeys, treeKeys, authKeys, reportKeys, throttleKeys, quorumKeys, quorumTuning, etcdKeys)

var clientKeys = []keyDef{
	{name: "dataDir", value: func(c *Config) value { return pathValue{&c.DataDir} }},
	{name: "dataLogDir", value: func(c *Config) value { return pathValue{&c.DataLogDir} }},
	{name: "clientPort", value: func(c *Config) value { return portValue{&c.Client.Addr} }},
	{name: "clientPortAddress", value: func(c *Config) value { return hostValue{&c.Client.Addr} }},
	{name: "secureClientPort", value: func(c *Config) value { return portValue{&c.Client.SecureAddr} }},
	{name: "secureClientPortAddress", value: func(c *Config) value { return hostValue{&c.Client.SecureAddr} }},
	{name: "clientPortListenBacklog", value: func(c *Config) value { return whole(&c.Client.Backlog, -1) }},
	{name: "clientTcpKeepAlive", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Client.KeepAlive} }},
	{name: "nio.sessionlessCnxnTimeout", scope: asProperty, value: func(c *Config) value { return millis(&c.Client.HandshakeTimeout, 1) }},
	{name: "tickTime", value: func(c *Config) value { return whole(&c.TickTime, 1) }},
	{name: "minSessionTimeout", value: func(c *Config) value { return whole(&c.Session.MinTimeout, -1) }},
	{name: "maxSessionTimeout", value: func(c *Config) value { return whole(&c.Session.MaxTimeout, -1) }},
	{name: "closeSessionTxn.enabled", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Session.CloseTxn} }},
	{name: "maxClientCnxns", value: func(c *Config) value { return whole(&c.Limits.MaxClientCnxns, 0) }},
	{name: "maxCnxns", scope: asProperty, value: func(c *Config) value { return whole(&c.Limits.MaxCnxns, 0) }},
	{name: "jute.maxbuffer", scope: bare, value: func(c *Config) value { return whole(&c.Limits.MaxBuffer, 1) }},
	{name: "readonlymode.enabled", scope: bare, value: func(c *Config) value { return boolValue{&c.ReadOnlyMode} }},
}

var storageKeys = []keyDef{
	{name: "preAllocSize", scope: asProperty, value: func(c *Config) value { return scaled(&c.Log.PreAlloc, 0, 1024) }},
	{name: "txnLogSizeLimitInKb", scope: asProperty, value: func(c *Config) value { return scaled(&c.Log.SizeLimit, -1, 1024) }},
	{name: "forceSync", scope: asProperty, value: func(c *Config) value { return yesNoValue{&c.Log.ForceSync} }},
	{name: "fsync.warningthresholdms", scope: asProperty, alias: "fsync.warningthresholdms", value: func(c *Config) value { return millis(&c.Log.FsyncWarn, 0) }},
	{name: "datadir.autocreate", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Log.AutoCreateDirs} }},
	{name: "db.autocreate", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Log.AutoCreateDB} }},
	{name: "snapCount", scope: asProperty, value: func(c *Config) value { return whole(&c.Snapshot.Count, 0) }},
	{name: "snapSizeLimitInKb", scope: asProperty, value: func(c *Config) value { return scaled(&c.Snapshot.LogLimit, -1, 1024) }},
	{name: "snapshot.compression.method", scope: asProperty, value: func(c *Config) value { return enumValue{&c.Snapshot.Compression, []string{"", "gz", "snappy"}} }},
	{name: "serializeLastProcessedZxid.enabled", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Snapshot.LastZxid} }},
	{name: "snapshot.trust.empty", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Snapshot.TrustEmpty} }},
	{name: "autopurge.snapRetainCount", value: func(c *Config) value { return whole(&c.Snapshot.Retain, math.MinInt32) }},
	{name: "autopurge.purgeInterval", value: func(c *Config) value { return scaled(&c.Snapshot.PurgeInterval, 0, int64(hour)) }},
}

var treeKeys = []keyDef{
	{name: "extendedTypesEnabled", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Tree.ExtendedTypes} }},
	{name: "emulate353TTLNodes", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Tree.Emulate353TTL} }},
	{name: "digest.enabled", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Tree.Digest} }},
	{name: "enforceQuota", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Tree.EnforceQuota} }},
	{name: "skipACL", scope: asProperty, value: func(c *Config) value { return yesNoValue{&c.Tree.SkipACL} }},
	{name: "znode.container.checkIntervalMs", scope: bare, value: func(c *Config) value { return millis(&c.Tree.ContainerCheck, 1) }},
	{name: "znode.container.maxPerMinute", scope: bare, value: func(c *Config) value { return whole(&c.Tree.ContainerPerMinute, 1) }},
	{name: "znode.container.maxNeverUsedIntervalMs", scope: bare, value: func(c *Config) value { return millis(&c.Tree.ContainerMaxNeverUsed, 0) }},
}

var authKeys = []keyDef{
	{name: "DigestAuthenticationProvider.superDigest", scope: asProperty, value: func(c *Config) value { return textValue{&c.Auth.SuperDigest} }},
	{name: "DigestAuthenticationProvider.digestAlg", scope: asProperty, value: func(c *Config) value { return enumValue{&c.Auth.DigestAlg, digestAlgorithms} }},
	{name: "DigestAuthenticationProvider.enabled", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Auth.Digest} }},
	{name: "SASLAuthenticationProvider.superPassword", scope: asProperty, value: func(c *Config) value { return textValue{&c.Auth.SASLSuperPassword} }},
	{name: "X509AuthenticationProvider.superUser", scope: asProperty, value: func(c *Config) value { return textValue{&c.Auth.X509SuperUser} }},
	{name: "letAnySaslUserDoX", scope: asProperty, value: func(c *Config) value { return textValue{&c.Auth.LetAnySASLUser} }},
	{name: "ensembleAuthName", scope: asProperty, value: func(c *Config) value { return listValue{&c.Auth.EnsembleNames} }},
	{name: "java.security.auth.login.config", scope: bare, value: func(c *Config) value { return textValue{&c.Auth.JAASFile} }},
	{name: "sasl.serverconfig", scope: asProperty, value: func(c *Config) value { return textValue{&c.Auth.JAASSection} }},
	{name: "allowSaslFailedClients", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Auth.AllowFailedSASL} }},
	{name: "kerberos.removeHostFromPrincipal", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Auth.RemoveHost} }},
	{name: "kerberos.removeRealmFromPrincipal", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Auth.RemoveRealm} }},
	{name: "enforce.auth.enabled", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Auth.Enforce} }},
	{name: "enforce.auth.schemes", scope: asProperty, value: func(c *Config) value { return listValue{&c.Auth.EnforceSchemes} }},
	{name: "sessionRequireClientSASLAuth", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Auth.requireSASL} }},
}

// digestAlgorithms are the hashes that Java's MessageDigest names and the digest scheme may use.
var digestAlgorithms = []string{"SHA1", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512", "MD5"}

var reportKeys = []keyDef{
	{name: "4lw.commands.whitelist", scope: asProperty, value: func(c *Config) value { return listValue{&c.FourLetterWords} }},
	{name: "audit.enable", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Audit} }},
	{name: "admin.enableServer", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Admin.Enabled} }},
	{name: "admin.serverPort", scope: asProperty, value: func(c *Config) value { return portValue{&c.Admin.Addr} }},
	{name: "admin.serverAddress", scope: asProperty, value: func(c *Config) value { return hostValue{&c.Admin.Addr} }},
	{name: "admin.commandURL", scope: asProperty, value: func(c *Config) value { return urlPathValue{&c.Admin.CommandURL} }},
	{name: "admin.idleTimeout", scope: asProperty, value: func(c *Config) value { return millis(&c.Admin.IdleTimeout, 0) }},
	{name: "admin.snapshot.enabled", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Admin.Snapshot} }},
	{name: "admin.restore.enabled", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Admin.Restore} }},
	{name: "admin.rateLimiterIntervalInMS", scope: asProperty, value: func(c *Config) value { return millis(&c.Admin.RateInterval, 0) }},
	{name: "metricsProvider.className", value: func(c *Config) value { return metricsClass{&c.Metrics.Prometheus} }},
	{name: "metricsProvider.httpHost", value: func(c *Config) value { return hostValue{&c.Metrics.Addr} }},
	{name: "metricsProvider.httpPort", value: func(c *Config) value { return portValue{&c.Metrics.Addr} }},
	{name: "metricsProvider.exportJvmInfo", value: func(c *Config) value { return boolValue{&c.Metrics.ExportJVM} }},
	{name: "zebu.pprof", scope: ours, value: func(c *Config) value { return boolValue{&c.Admin.Profiling} }},
}

var throttleKeys = []keyDef{
	{name: "globalOutstandingLimit", scope: asProperty, value: func(c *Config) value { return whole(&c.Limits.Outstanding, 0) }},
	{name: "largeRequestThreshold", scope: asProperty, value: func(c *Config) value { return whole(&c.Limits.LargeRequestThreshold, -1) }},
	{name: "largeRequestMaxBytes", scope: asProperty, value: func(c *Config) value { return whole(&c.Limits.LargeRequestMaxBytes, 1) }},
	{name: "request_throttle_max_requests", scope: asProperty, value: func(c *Config) value { return whole(&c.Throttle.MaxRequests, 0) }},
	{name: "throttled_op_wait_time", scope: asProperty, value: func(c *Config) value { return millis(&c.Throttle.OpWaitTime, 0) }},
	{name: "connection_throttle_tokens", scope: asProperty, value: func(c *Config) value { return whole(&c.Throttle.ConnTokens, 0) }},
	{name: "connection_throttle_fill_time", scope: asProperty, value: func(c *Config) value { return millis(&c.Throttle.ConnFillTime, 1) }},
	{name: "connection_throttle_fill_count", scope: asProperty, value: func(c *Config) value { return whole(&c.Throttle.ConnFillCount, 1) }},
	{name: "connection_throttle_freeze_time", scope: asProperty, value: func(c *Config) value { return millis(&c.Throttle.ConnFreezeTime, -1) }},
	{name: "connection_throttle_drop_increase", scope: asProperty, value: func(c *Config) value { return floatValue{&c.Throttle.ConnDropIncrease} }},
	{name: "connection_throttle_drop_decrease", scope: asProperty, value: func(c *Config) value { return floatValue{&c.Throttle.ConnDropDecrease} }},
	{name: "connection_throttle_decrease_ratio", scope: asProperty, value: func(c *Config) value { return floatValue{&c.Throttle.ConnDecreaseRatio} }},
	{name: "connection_throttle_weight_enabled", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Throttle.ConnWeighted} }},
	{name: "connection_throttle_global_session_weight", scope: asProperty, value: func(c *Config) value { return whole(&c.Throttle.ConnGlobalWeight, 1) }},
	{name: "connection_throttle_renew_session_weight", scope: asProperty, value: func(c *Config) value { return whole(&c.Throttle.ConnRenewWeight, 1) }},
	{name: "connection_throttle_local_session_weight", scope: asProperty, value: func(c *Config) value { return whole(&c.Throttle.ConnLocalWeight, 1) }},
}

var quorumKeys = []keyDef{
	{name: "initLimit", value: func(c *Config) value { return whole(&c.Quorum.InitLimit, 0) }},
	{name: "syncLimit", value: func(c *Config) value { return whole(&c.Quorum.SyncLimit, 0) }},
	{name: "connectToLearnerMasterLimit", value: func(c *Config) value { return whole(&c.Quorum.ConnectToLearnerMaster, 0) }},
	{name: "electionAlg", value: func(*Config) value { return onlyValue("3") }},
	{name: "peerType", value: func(c *Config) value { return choiceValue{&c.Quorum.Observer, "participant", "observer"} }},
	{name: "observerMasterPort", value: func(c *Config) value {
		return intValue[int]{&c.Quorum.ObserverMasterPort, math.MinInt32, math.MaxUint16, 1}
	}},
	{name: "quorumListenOnAllIPs", value: func(c *Config) value { return boolValue{&c.Quorum.ListenOnAllIPs} }},
	{name: "standaloneEnabled", value: func(c *Config) value { return boolValue{&c.Quorum.Standalone} }},
	{name: "reconfigEnabled", value: func(c *Config) value { return boolValue{&c.Quorum.Reconfig} }},
	{name: "dynamicConfigFile", value: func(c *Config) value { return pathValue{&c.Quorum.DynamicFile} }},
	{name: "oraclePath", value: func(c *Config) value { return pathValue{&c.Quorum.OraclePath} }},
	{name: "multiAddress.enabled", scope: inBoth, value: func(c *Config) value { return boolValue{&c.Quorum.MultiAddress} }},
	{name: "quorum.auth.enableSasl", value: func(c *Config) value { return boolValue{&c.Quorum.SASL} }},
	{name: "quorum.auth.serverRequireSasl", value: func(c *Config) value { return boolValue{&c.Quorum.SASLServerRequired} }},
	{name: "quorum.auth.learnerRequireSasl", value: func(c *Config) value { return boolValue{&c.Quorum.SASLLearnerRequired} }},
	{name: "quorum.auth.server.saslLoginContext", value: func(c *Config) value { return textValue{&c.Quorum.SASLServerSection} }},
	{name: "quorum.auth.learner.saslLoginContext", value: func(c *Config) value { return textValue{&c.Quorum.SASLLearnerSection} }},
}

var quorumTuning = []keyDef{
	{name: "commitLogCount", scope: asProperty, value: func(c *Config) value { return whole(&c.Quorum.CommitLogCount, 0) }},
	{name: "snapshotSizeFactor", scope: asProperty, value: func(c *Config) value { return anyFloat{&c.Quorum.SnapshotSizeFactor} }},
	{name: "localSessionsEnabled", value: func(c *Config) value { return boolValue{&c.Quorum.LocalSessions} }},
	{name: "localSessionsUpgradingEnabled", value: func(c *Config) value { return boolValue{&c.Quorum.LocalSessionsUpgrading} }},
	{name: "leaderServes", scope: asProperty, value: func(c *Config) value { return yesNoValue{&c.Quorum.LeaderServes} }},
	{name: "cnxTimeout", scope: asProperty, value: func(c *Config) value { return millis(&c.Quorum.ConnTimeout, 1) }},
	{name: "quorumCnxnTimeoutMs", scope: asProperty, value: func(c *Config) value { return millis(&c.Quorum.HandshakeTimeout, -1) }},
	{name: "electionPortBindRetry", scope: asProperty, value: func(c *Config) value { return whole(&c.Quorum.BindRetries, 0) }},
	{name: "fastleader.minNotificationInterval", scope: asProperty, value: func(c *Config) value { return millis(&c.Quorum.MinNotification, 1) }},
	{name: "fastleader.maxNotificationInterval", scope: asProperty, value: func(c *Config) value { return millis(&c.Quorum.MaxNotification, 1) }},
	{name: "leader.maxTimeToWaitForEpoch", scope: asProperty, value: func(c *Config) value { return millis(&c.Quorum.MaxTimeToWaitForEpoch, -1) }},
	{name: "leader.maxConcurrentSnapSyncs", scope: asProperty, value: func(c *Config) value { return whole(&c.Quorum.MaxConcurrentSnapSyncs, 1) }},
	{name: "leader.maxConcurrentDiffSyncs", scope: asProperty, value: func(c *Config) value { return whole(&c.Quorum.MaxConcurrentDiffSyncs, 1) }},
	{name: "leaderConnectDelayDuringRetryMs", scope: asProperty, value: func(c *Config) value { return millis(&c.Quorum.LeaderConnectDelay, 0) }},
	{name: "observer.reconnectDelayMs", scope: asProperty, value: func(c *Config) value { return millis(&c.Quorum.ObserverReconnectDelay, 0) }},
	{name: "observer.election.DelayMs", scope: asProperty, value: func(c *Config) value { return millis(&c.Quorum.ObserverElectionDelay, 0) }},
	{name: "observerMaster.sizeLimit", scope: asProperty, value: func(c *Config) value { return whole(&c.Quorum.ObserverMasterCache, 1) }},
	{name: "tcpKeepAlive", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Quorum.KeepAlive} }},
	{name: "leader.nodelay", scope: bare, value: func(c *Config) value { return boolValue{&c.Quorum.LeaderNoDelay} }},
	{name: "follower.nodelay", scope: bare, value: func(c *Config) value { return boolValue{&c.Quorum.FollowerNoDelay} }},
	{name: "forceSnapshotSync", scope: asProperty, value: func(c *Config) value { return boolValue{&c.Quorum.ForceSnapshotSync} }},
	{name: "zebu.sync.quorum", scope: ours, value: func(c *Config) value { return boolValue{&c.Quorum.SyncQuorum} }},
}

// maxEtcdRequest is the largest request, in bytes, of the etcd API that may be allowed: the queues of the quorum links hold twice as much.
const maxEtcdRequest = 64 << 20

var etcdKeys = []keyDef{
	{name: "etcd.clientPort", scope: ours, value: func(c *Config) value { return portValue{&c.Etcd.Addr} }},
	{name: "etcd.clientPortAddress", scope: ours, value: func(c *Config) value { return hostValue{&c.Etcd.Addr} }},
	{name: "etcd.quotaBytes", scope: ours, value: func(c *Config) value { return scaled(&c.Etcd.Quota, -1, 1) }},
	{name: "etcd.autoCompactionMode", scope: ours, value: func(c *Config) value { return enumValue{&c.Etcd.mode, []string{"periodic", "revision"}} }},
	{name: "etcd.autoCompactionRetention", scope: ours, value: func(c *Config) value { return textValue{&c.Etcd.retention} }},
	{name: "etcd.maxRequestBytes", scope: ours, value: func(c *Config) value { return intValue[int]{&c.Etcd.MaxRequest, 1, maxEtcdRequest, 1} }},
	{name: "etcd.certFile", scope: ours, value: func(c *Config) value { return pathValue{&c.Etcd.CertFile} }},
	{name: "etcd.keyFile", scope: ours, value: func(c *Config) value { return pathValue{&c.Etcd.KeyFile} }},
	{name: "etcd.trustedCAFile", scope: ours, value: func(c *Config) value { return pathValue{&c.Etcd.TrustedCAFile} }},
	{name: "etcd.clientCertAuth", scope: ours, value: func(c *Config) value { return boolValue{&c.Etcd.ClientCertAuth} }},
	{name: "etcd.authToken", scope: ours, value: func(c *Config) value { return textValue{&c.Etcd.AuthToken} }},
	{name: "etcd.maxTxnOps", scope: ours, value: func(c *Config) value { return whole(&c.Etcd.MaxTxnOps, 1) }},
}

func join(lists ...[]keyDef) []keyDef {
	var all []keyDef
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
