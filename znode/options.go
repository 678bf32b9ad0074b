package znode

// Options configures a [Tree]. All servers of an ensemble must agree on them.
type Options struct {
	// ExtendedTypes is zookeeper.extendedTypesEnabled: owners that encode a TTL are recognised (spec 2.3).
	ExtendedTypes bool
	// Emulate353TTL is zookeeper.emulate353TTLNodes: with ExtendedTypes, reads any negative owner as a TTL.
	Emulate353TTL bool
	// NoDigest turns the digest off: zookeeper.digest.enabled=false.
	NoDigest bool
	// SkipACL is zookeeper.skipACL=yes: every permission check passes.
	SkipACL bool
	// Reconfig is reconfigEnabled: without it a reconfig request is RECONFIGDISABLED, whatever else is wrong with it.
	Reconfig bool
	// EnforceQuota is zookeeper.enforceQuota: hard limits fail a request (spec 6).
	EnforceQuota bool
	// EmptyCloseSession writes closeSession transactions without paths: zookeeper.closeSessionTxn.enabled=false.
	EmptyCloseSession bool
	// SASL and X509 say whether ACLs of these schemes are accepted: their provider is configured.
	SASL, X509 bool
	// LetAnySASLUser is zookeeper.letAnySaslUserDoX: an ACL of scheme sasl with this id matches every sasl identity.
	LetAnySASLUser string
	// X509SuperUser is zookeeper.X509AuthenticationProvider.superUser: this x509 identity matches every x509 ACL.
	X509SuperUser string
}
