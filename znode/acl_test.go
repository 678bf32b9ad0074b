package znode

import (
	"slices"
	"testing"

	"zebu/proto"
)

func id(scheme, id string) proto.ID { return proto.ID{Scheme: scheme, ID: id} }

func TestPermits(t *testing.T) {
	all := Options{SASL: true, X509: true, LetAnySASLUser: "everyone", X509SuperUser: "CN=root"}
	local := id("ip", "10.1.2.3")
	tests := []struct {
		opts Options
		acl  []proto.ACL
		perm int32
		ids  []proto.ID
		want bool
	}{
		{all, nil, 1, nil, true},
		{all, []proto.ACL{}, 1, nil, true},
		{all, openACL, 16, nil, true},
		{all, readOnlyACL, 2, []proto.ID{local}, false},
		{all, readOnlyACL, 2, []proto.ID{local, id("super", "")}, true},
		{Options{SkipACL: true}, nobodyACL, 2, nil, true},
		{all, nobodyACL, 31, []proto.ID{local}, false},
		{all, nobodyACL, 31, []proto.ID{id("super", "x")}, true},
		{all, []proto.ACL{{Perms: 1, ID: id("world", "someone")}}, 1, []proto.ID{local}, false},
		{all, []proto.ACL{{Perms: 16, ID: local}}, 17, []proto.ID{local}, true}, // either bit
		{all, []proto.ACL{{Perms: 1, ID: id("ip", "10.1.0.0/16")}}, 1, []proto.ID{local}, true},
		{all, []proto.ACL{{Perms: 1, ID: id("digest", "u:x")}}, 1, []proto.ID{local, id("digest", "u:x")}, true},
		{all, []proto.ACL{{Perms: 1, ID: id("digest", "u:x")}}, 1, []proto.ID{id("sasl", "u:x")}, false},
		{all, []proto.ACL{{Perms: 1, ID: id("digest", "u:x")}}, 1, []proto.ID{id("digest", "u:y")}, false},
		{all, []proto.ACL{{Perms: 1, ID: id("sasl", "bob")}}, 1, []proto.ID{id("sasl", "bob")}, true},
		{all, []proto.ACL{{Perms: 1, ID: id("sasl", "bob")}}, 1, []proto.ID{id("sasl", "super")}, true},
		{all, []proto.ACL{{Perms: 1, ID: id("sasl", "bob")}}, 1, []proto.ID{id("sasl", "eve")}, false},
		{all, []proto.ACL{{Perms: 1, ID: id("sasl", "everyone")}}, 1, []proto.ID{id("sasl", "eve")}, true},
		{all, []proto.ACL{{Perms: 1, ID: id("sasl", "everyone")}}, 1, []proto.ID{local}, false},
		{Options{}, []proto.ACL{{Perms: 1, ID: id("sasl", "bob")}}, 1, []proto.ID{id("sasl", "bob")}, false},
		{Options{SASL: true}, []proto.ACL{{Perms: 1, ID: id("sasl", "")}}, 1, []proto.ID{id("sasl", "eve")}, false},
		{all, []proto.ACL{{Perms: 1, ID: id("x509", "CN=a")}}, 1, []proto.ID{id("x509", "CN=a")}, true},
		{all, []proto.ACL{{Perms: 1, ID: id("x509", "CN=a")}}, 1, []proto.ID{id("x509", "CN=root")}, true},
		{all, []proto.ACL{{Perms: 1, ID: id("x509", "CN=a")}}, 1, []proto.ID{id("x509", "CN=b")}, false},
		{Options{X509: true}, []proto.ACL{{Perms: 1, ID: id("x509", "CN=a")}}, 1, []proto.ID{id("x509", "")}, false},
		{all, []proto.ACL{{Perms: 1, ID: id("auth", "")}}, 1, []proto.ID{id("auth", "")}, false},
	}
	for i, tt := range tests {
		if got := New(tt.opts).Permits(tt.acl, tt.perm, tt.ids); got != tt.want {
			t.Errorf("%d: %v for %v: %v", i, tt.acl, tt.ids, got)
		}
	}
}

func TestFixupACL(t *testing.T) {
	who := []proto.ID{id("ip", "10.1.2.3"), id("digest", "u:x"), id("super", ""), id("sasl", "bob"), id("x509", "CN=a")}
	full := Options{SASL: true, X509: true}
	got, err := New(full).FixupACL(nil, []proto.ACL{{Perms: 3, ID: id("auth", "ignored")}, {Perms: 1, ID: anyone}, {Perms: 1, ID: anyone}}, who)
	want := []proto.ACL{{Perms: 3, ID: id("digest", "u:x")}, {Perms: 3, ID: id("sasl", "bob")}, {Perms: 3, ID: id("x509", "CN=a")}, {Perms: 1, ID: anyone}}
	if err != proto.OK || !slices.Equal(got, want) {
		t.Errorf("got %v %v, want %v", got, err, want)
	}
	got, _ = New(Options{}).FixupACL(nil, []proto.ACL{{Perms: 3, ID: id("auth", "")}}, who)
	if want := want[:1]; !slices.Equal(got, want) {
		t.Errorf("without SASL and x509: got %v, want %v", got, want)
	}
	long := make([]proto.ACL, 100)
	for i := range long {
		long[i] = proto.ACL{Perms: int32(i % 40), ID: anyone}
	}
	if got, err := New(full).FixupACL(nil, long, who); err != proto.OK || !slices.Equal(got, long[:40]) {
		t.Errorf("of 100 entries, 40 of them distinct, %d are left", len(got))
	}

	valid := map[proto.ID]bool{
		id("world", "anyone"): true, id("world", ""): false, id("super", ""): false, id("nope", "x"): false,
		id("ensemble", "x"): false, id("", ""): false,
		id("digest", "u:x"): true, id("digest", "u:x::"): true, id("digest", ":x"): true, id("digest", "u:"): false,
		id("digest", "u"): false, id("digest", "u:x:y"): false, id("digest", ""): false,
		id("sasl", "bob"): true, id("sasl", "bob/host"): true, id("sasl", "bob/host@REALM"): true, id("sasl", "a/b/c"): true,
		id("sasl", "a/b/c@R"): false, id("sasl", "a@b@c"): false, id("sasl", "a@b/c"): false, id("sasl", "@"): true,
		id("ip", "1.2.3.4"): true, id("ip", "01.2.3.4"): true, id("ip", "1.2.3.4/0"): true, id("ip", "1.2.3.4/33"): false,
		id("ip", "1.2.3"): false, id("ip", "1.2.3.4.5"): false, id("ip", "1.2.3.256"): false, id("ip", "1.2.3."): false,
		id("ip", "1.2.3.4/"): false, id("ip", "1.2.3.4/8/8"): false, id("ip", "x"): false, id("ip", ""): false,
		id("ip", "::"): true, id("ip", "::1/128"): true, id("ip", "::1/129"): false, id("ip", "1:2:3:4:5:6:7:8"): true,
		id("ip", "1:2:3:4:5:6:7"): false, id("ip", "1:2:3:4:5:6:7:8:9"): false, id("ip", "1::2::3"): false,
		id("ip", "1:2:3:4::5:6:7:8"): false, id("ip", "fe80::1%eth0"): false, id("ip", "::ffff:1.2.3.4"): false,
		id("ip", "12345::"): false, id("ip", ":1"): false, id("ip", ":::"): false, id("ip", "1:2:3:4:5:6:7::"): true,
	}
	for who, want := range valid {
		if _, err := New(full).FixupACL(nil, []proto.ACL{{Perms: 1, ID: who}}, nil); (err == proto.OK) != want {
			t.Errorf("%v: %v", who, err)
		}
	}
}

func TestMatchIP(t *testing.T) {
	tests := []struct {
		who, acl string
		want     bool
	}{
		{"10.1.2.3", "10.1.2.3", true}, {"10.1.2.3", "10.1.2.4", false}, {"10.1.2.3", "10.1.2.0/30", true},
		{"10.1.2.4", "10.1.2.0/30", false}, {"10.1.2.3", "0.0.0.0/0", true}, {"10.1.2.3", "10.1.2.2/31", true},
		{"2001:db8::5", "2001:db8::/32", true}, {"2001:db9::5", "2001:db8::/32", false}, {"::1", "0:0:0:0:0:0:0:1", true},
		{"::1", "0.0.0.0/0", false}, {"1.2.3.4", "::/0", false}, {"fe80::1%eth0", "fe80::/16", false},
		{"10.1.2.3", "x", false}, {"", "", false},
	}
	for _, tt := range tests {
		if got := matchIP(tt.who, tt.acl); got != tt.want {
			t.Errorf("%q in %q: %v", tt.who, tt.acl, got)
		}
	}
}

func TestMaskACL(t *testing.T) {
	got := MaskACL(nil, []proto.ACL{{Perms: 1, ID: id("digest", "u:secret:more")}, {Perms: 2, ID: id("sasl", "a:b")}, {Perms: 4, ID: id("digest", "u")}})
	want := []proto.ACL{{Perms: 1, ID: id("digest", "u:x")}, {Perms: 2, ID: id("sasl", "a:b")}, {Perms: 4, ID: id("digest", "u")}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What X500Principal of Java 17 says.
func TestValidDN(t *testing.T) {
	for name, want := range map[string]bool{
		"CN=a, OU=b\\,c,O=\"d,e\"": true, "": true, " ": false, "CN": false, "XX=a": false, "1.2.3=a+OID.1.2=b": true, "CN=a,": false,
		"CN=\"a": false, "cn=": true, "CN=a\\": false, "CN=a;O=b": true, "CN=a,,O=b": false, "=a": false, "CN=a=b": true, "CN=a+": false,
		"CN=a\"b\"": false, "oid.1.2=x": true, "1=a": false, "1.=a": false, "CN=a<b": false, "EMAILADDRESS=x@y": true,
		"UID=u,DC=x": true, "E=x": false, "CN = a": true, "CN=\"a\"b": false, "ou=x\\2cy": true, "CN=\\zz": false,
	} {
		if got := validDN(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
