package conf

import (
	"net"
	"slices"
	"strconv"
	"time"

	"zebu/proto"
)

// Config is the effective configuration of one server. Every field has been validated; a field that no input mentions
// holds ZooKeeper's default. The comments name the key of zoo.cfg, or the Java system property, that sets a field
// (spec 12.1). A property "zookeeper.X" can be written as key X in zoo.cfg too.
type Config struct {
	// File is the path of zoo.cfg, "" for the embedded default or the four classic arguments.
	File string
	// Text is what File held when it was read, secrets hidden: AdminServer's initial_configuration, which anyone may ask.
	Text string

	DataDir    string // dataDir: snapshots, myid and the epoch files
	DataLogDir string // dataLogDir: transaction logs; equal to DataDir unless set

	Client   Client
	Session  Session
	Limits   Limits
	Throttle Throttle
	Log      TxnLog
	Snapshot Snapshot
	Tree     Tree
	Auth     Auth
	Admin    Admin
	Metrics  Metrics
	Quorum   Quorum
	Etcd     Etcd

	// TickTime (tickTime) is the unit of session expiry and of the limits that count ticks.
	TickTime proto.Millis
	// FourLetterWords (4lw.commands.whitelist) are the words served besides srvr; "*" stands for all.
	FourLetterWords []string
	// ReadOnlyMode (readonlymode.enabled) lets a server without a quorum serve reads.
	ReadOnlyMode bool
	// Audit (audit.enable) writes one line for the outcome of every write (spec 13.7).
	Audit bool

	props    map[string]Setting // every Java system property in force, by its full name
	settings map[string]Setting // every key of the table that an input set
	warnings []Warning
}

// Client is the client port.
type Client struct {
	Addr       HostPort // clientPort and clientPortAddress; not set: no plain client port
	SecureAddr HostPort // secureClientPort and secureClientPortAddress
	// Backlog (clientPortListenBacklog) is the length of the accept queue, -1 for the system's default.
	Backlog int
	// KeepAlive (clientTcpKeepAlive) turns TCP keep-alive on.
	KeepAlive bool
	// HandshakeTimeout (nio.sessionlessCnxnTimeout) is how long a connection may stay without a session.
	HandshakeTimeout time.Duration
}

// Etcd is the etcd API. Its limits mean what etcd's flags of like names do.
type Etcd struct {
	Addr HostPort // etcd.clientPort and etcd.clientPortAddress; not set: the API is off
	// Quota (etcd.quotaBytes) bounds the bytes of keys, values and their history; 0: etcd's default of 2 GiB, -1: no bound.
	Quota int64
	// Period and Keep say how long, or how many revisions of, history is kept; if both are 0, all until somebody compacts it.
	Period time.Duration
	Keep   int64

	CertFile string // etcd.certFile: the server's certificate, a PEM file; not set: the port speaks plain text
	KeyFile  string // etcd.keyFile: its private key
	// TrustedCAFile (etcd.trustedCAFile) has the authorities of clients' certificates, which each of them must show then.
	TrustedCAFile string
	// ClientCertAuth (etcd.clientCertAuth) demands clients' certificates, too, and takes their common names for users' names.
	ClientCertAuth bool

	// AuthToken (etcd.authToken) is the kind of tokens that users get: "simple", or "jwt," with its options.
	AuthToken string

	MaxRequest int // etcd.maxRequestBytes: the largest request
	MaxTxnOps  int // etcd.maxTxnOps: operations in a transaction

	// mode (etcd.autoCompactionMode) says what retention (etcd.autoCompactionRetention) counts: a time ("periodic"; a number
	// alone is hours), or revisions.
	mode, retention string
}

// Session bounds what clients may negotiate.
type Session struct {
	MinTimeout proto.Millis // minSessionTimeout, default 2 ticks
	MaxTimeout proto.Millis // maxSessionTimeout, default 20 ticks
	// CloseTxn (closeSessionTxn.enabled) writes the paths deleted by a closing session into its transaction.
	CloseTxn bool
}

// Limits bound what clients may use.
type Limits struct {
	MaxClientCnxns int // maxClientCnxns: connections from one IP address, 0 for no limit
	MaxCnxns       int // maxCnxns: connections in all, 0 for no limit
	// MaxBuffer (jute.maxbuffer) is the largest request in bytes.
	MaxBuffer int
	// Outstanding (globalOutstandingLimit) is how many requests may be in flight before connections that have one in
	// flight are no longer read.
	Outstanding int
	// LargeRequestThreshold (largeRequestThreshold) is the size in bytes from which a request counts as large; -1 for never.
	LargeRequestThreshold int
	// LargeRequestMaxBytes (largeRequestMaxBytes) caps the bytes of large requests in flight.
	LargeRequestMaxBytes int
}

// Throttle slows connections and requests down (spec 13.3 and 13.6).
type Throttle struct {
	MaxRequests int // request_throttle_max_requests, 0 for no limit
	// OpWaitTime (throttled_op_wait_time) is how long a request may queue before it is refused unexecuted; 0 for ever.
	OpWaitTime time.Duration

	ConnTokens        int           // connection_throttle_tokens: size of the bucket, 0 for no throttle
	ConnFillTime      time.Duration // connection_throttle_fill_time
	ConnFillCount     int           // connection_throttle_fill_count
	ConnFreezeTime    time.Duration // connection_throttle_freeze_time; negative: no probabilistic dropping
	ConnDropIncrease  float64       // connection_throttle_drop_increase
	ConnDropDecrease  float64       // connection_throttle_drop_decrease
	ConnDecreaseRatio float64       // connection_throttle_decrease_ratio
	ConnWeighted      bool          // connection_throttle_weight_enabled
	ConnGlobalWeight  int           // connection_throttle_global_session_weight
	ConnRenewWeight   int           // connection_throttle_renew_session_weight
	ConnLocalWeight   int           // connection_throttle_local_session_weight
}

// TxnLog is the transaction log (spec 10.1).
type TxnLog struct {
	PreAlloc       int64         // preAllocSize, in bytes (KiB in the file)
	SizeLimit      int64         // txnLogSizeLimitInKb, in bytes; negative: no limit
	ForceSync      bool          // forceSync: fsync before a write is acknowledged
	FsyncWarn      time.Duration // fsync.warningthresholdms
	AutoCreateDirs bool          // datadir.autocreate: make missing directories
	AutoCreateDB   bool          // db.autocreate: an empty data directory counts as an empty database
}

// Snapshot is when snapshots are taken, how, and how many are kept (spec 10.3 and 10.4).
type Snapshot struct {
	Count    int   // snapCount: transactions between snapshots
	LogLimit int64 // snapSizeLimitInKb, in bytes: log bytes between snapshots; 0 or less for no limit
	// Compression (snapshot.compression.method) is "", "gz" or "snappy".
	Compression string
	// LastZxid (serializeLastProcessedZxid.enabled) appends the last processed zxid.
	LastZxid bool
	// TrustEmpty (snapshot.trust.empty) starts from logs without a snapshot.
	TrustEmpty bool
	// Retain (autopurge.snapRetainCount) is how many snapshots the purge keeps, 3 or more.
	Retain int
	// PurgeInterval (autopurge.purgeInterval, in hours there) is the time between purges, 0 for none.
	PurgeInterval time.Duration
}

// Tree is what the tree and its transactions allow.
type Tree struct {
	ExtendedTypes bool // extendedTypesEnabled: TTL nodes
	Emulate353TTL bool // emulate353TTLNodes
	Digest        bool // digest.enabled: tree digests in transactions and snapshots
	EnforceQuota  bool // enforceQuota
	SkipACL       bool // skipACL
	// ContainerCheck (znode.container.checkIntervalMs) is the time between two rounds of the container and TTL reaper.
	ContainerCheck time.Duration
	// ContainerPerMinute (znode.container.maxPerMinute) caps container and TTL deletions.
	ContainerPerMinute int
	// ContainerMaxNeverUsed (znode.container.maxNeverUsedIntervalMs) is the age at which a container that never had a
	// child goes; 0 for never.
	ContainerMaxNeverUsed time.Duration
}

// Auth is authentication (spec 5).
type Auth struct {
	// SuperDigest (DigestAuthenticationProvider.superDigest) is "super:" and the hash of super's password.
	SuperDigest string
	// DigestAlg (DigestAuthenticationProvider.digestAlg) is the hash of the digest scheme, SHA1 by default.
	DigestAlg string
	// Digest (DigestAuthenticationProvider.enabled) offers the digest scheme.
	Digest bool
	// Schemes are the schemes of authProvider.* that are supported, in no order and without repetition: "sasl",
	// "ensemble", "digest", "ip". The digest and ip schemes are there without being named.
	Schemes []string
	// SuperUsers (superUser, superUser.*) are SASL identities that may do everything.
	SuperUsers []string
	// SASLSuperPassword (SASLAuthenticationProvider.superPassword) is the SASL password of user super.
	SASLSuperPassword string
	// LetAnySASLUser (letAnySaslUserDoX) is an ACL id that every SASL user matches.
	LetAnySASLUser string
	// X509SuperUser (X509AuthenticationProvider.superUser) is the distinguished name that may do everything.
	X509SuperUser string
	// EnsembleNames (ensembleAuthName) are this ensemble's names, for the ensemble scheme.
	EnsembleNames []string
	// JAASFile (java.security.auth.login.config) holds SASL users and passwords.
	JAASFile string
	// JAASSection (sasl.serverconfig) is the section of JAASFile for the client port.
	JAASSection string
	// AllowFailedSASL (allowSaslFailedClients) keeps a connection whose SASL exchange failed.
	AllowFailedSASL bool
	// RemoveHost and RemoveRealm (kerberos.removeHostFromPrincipal, kerberos.removeRealmFromPrincipal) shorten SASL names.
	RemoveHost, RemoveRealm bool
	// Enforce (enforce.auth.enabled) refuses requests of connections that proved no identity in one of EnforceSchemes
	// (enforce.auth.schemes). The key sessionRequireClientSASLAuth sets them to true and "sasl".
	Enforce        bool
	EnforceSchemes []string
	requireSASL    bool
}

// Admin is the AdminServer (spec 12.3).
type Admin struct {
	Enabled      bool          // admin.enableServer
	Addr         HostPort      // admin.serverAddress and admin.serverPort
	CommandURL   string        // admin.commandURL
	IdleTimeout  time.Duration // admin.idleTimeout
	Snapshot     bool          // admin.snapshot.enabled
	Restore      bool          // admin.restore.enabled
	RateInterval time.Duration // admin.rateLimiterIntervalInMS: least time between two snapshot or restore commands
	Profiling    bool          // zebu.pprof: Go's profiles under /debug/pprof/
}

// Metrics is the Prometheus endpoint (spec 12.5).
type Metrics struct {
	Prometheus bool     // metricsProvider.className names Prometheus' provider
	Addr       HostPort // metricsProvider.httpHost and metricsProvider.httpPort
	ExportJVM  bool     // metricsProvider.exportJvmInfo: the jvm_* names, fed from the Go runtime
}

// HasScheme says whether authProvider.* names the provider of a scheme.
func (a *Auth) HasScheme(scheme string) bool { return slices.Contains(a.Schemes, scheme) }

// HostPort is an address to listen at or to dial. The zero value is "none".
type HostPort struct {
	Host string // a name or an address without brackets; "" for all addresses
	Port int
	set  bool
}

// Address returns the address of a port on a host, "" for all addresses.
func Address(host string, port int) HostPort { return HostPort{Host: host, Port: port, set: true} }

// IsSet says whether a port was given; port 0 is given, and leaves the choice to the system.
func (h HostPort) IsSet() bool { return h.set }

// String prints the address as net.Listen takes it, "" if none.
func (h HostPort) String() string {
	if !h.set {
		return ""
	}
	return net.JoinHostPort(h.Host, strconv.Itoa(h.Port))
}

// all says whether h stands for all addresses of its port.
func (h HostPort) all() bool { return h.Host == "" || h.Host == "0.0.0.0" || h.Host == "::" }
