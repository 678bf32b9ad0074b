package server

import (
	"net/netip"
	"testing"

	"zebu/proto"
)

// onlyFor is an ACL for a digest user's connections, and nobody else.
func onlyFor(perms int32) []proto.ACL {
	return []proto.ACL{{Perms: perms, ID: proto.ID{Scheme: "auth"}}}
}

// Watches tell nothing of nodes that their owner may not read, those that are deleted included (CVE-2024-23944).
func TestEventsTellNothingOfUnreadableNodes(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	owner, spy, friend := newClient(t, s), newClient(t, s), newClient(t, s)
	owner.auth("digest", "u:p")
	friend.auth("digest", "u:p")
	owner.must(1, proto.OpCreate, createReq("/open", 0))
	for _, r := range []*raw{spy, friend} {
		r.must(1, proto.OpAddWatch, &proto.AddWatchRequest{Path: "/open", Mode: proto.AddWatchRecursive})
		if code, _ := r.call(2, proto.OpExists, readReq("/open/secret", true)); code != proto.ErrNoNode {
			t.Fatal(code)
		}
	}
	owner.must(2, proto.OpCreate, &proto.CreateRequest{Path: "/open/secret", ACL: onlyFor(proto.PermAll)})
	owner.must(3, proto.OpSetData, setReq("/open/secret", nil))
	owner.must(4, proto.OpCreate, &proto.CreateRequest{Path: "/open/secret/kid", ACL: onlyFor(proto.PermAll)})
	owner.must(5, proto.OpDelete, &proto.PathVersion{Path: "/open/secret/kid", Version: -1})
	owner.must(6, proto.OpDelete, &proto.PathVersion{Path: "/open/secret", Version: -1})
	for r, want := range map[*raw]int{spy: 0, friend: 5} {
		r.must(proto.XidPing, proto.OpPing, nil)
		if len(r.events) != want {
			t.Errorf("%d events, want %d: %v", len(r.events), want, r.events)
		}
	}
}

// getACL needs READ or ADMIN, and shows digests to those with ADMIN only (CVE-2019-0201).
func TestGetACLMasksDigests(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	owner, other := newClient(t, s), newClient(t, s)
	owner.auth("digest", "u:p")
	world := proto.ID{Scheme: "world", ID: "anyone"}
	for path, perms := range map[string]int32{"/none": proto.PermWrite, "/read": proto.PermRead, "/admin": proto.PermAdmin} {
		acl := append(onlyFor(proto.PermAll), proto.ACL{Perms: perms, ID: world})
		owner.must(1, proto.OpCreate, &proto.CreateRequest{Path: path, ACL: acl})
	}
	const digest = "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="
	for path, want := range map[string]string{"/none": "", "/read": "u:x", "/admin": digest} {
		code, body := other.call(1, proto.OpGetACL, &proto.PathRequest{Path: path})
		if want == "" {
			if code != proto.ErrNoAuth || len(body) > 0 {
				t.Errorf("%s: %v % x", path, code, body)
			}
			continue
		}
		d := proto.NewDecoder(body)
		var resp proto.GetACLResponse
		if resp.Decode(&d); d.Err() != nil || len(resp.ACL) != 2 || resp.ACL[0].ID.ID != want {
			t.Errorf("%s: %+v, want %s", path, resp.ACL, want)
		}
	}
}

// Admin commands that need all permissions need every one of them (CVE-2025-58457).
func TestAllowedWantsEveryPermission(t *testing.T) {
	cfg := testConfig(t)
	cfg.Auth.SuperDigest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
	s, _ := startServer(t, cfg)
	owner := newClient(t, s)
	owner.auth("digest", "super:test")
	remote := netip.MustParseAddr("10.1.2.3")
	for _, perms := range []int32{proto.PermAll, proto.PermAll &^ proto.PermAdmin, proto.PermRead, 0} {
		owner.must(1, proto.OpSetACL, &proto.SetACLRequest{
			Path: "/", Version: -1, ACL: []proto.ACL{{Perms: perms, ID: proto.ID{Scheme: "ip", ID: "10.0.0.0/8"}}},
		})
		for _, tt := range []struct {
			scheme, auth             string
			from                     netip.Addr
			authenticated, permitted bool
		}{
			{"ip", "", remote, true, perms == proto.PermAll},
			{"ip", "", netip.MustParseAddr("11.1.2.3"), true, false},
			{"digest", "u:p", remote, true, false},
			{"digest", "super:test", remote, true, true},
			{"nonsense", "", remote, false, false},
		} {
			authenticated, permitted := s.Allowed(tt.scheme, []byte(tt.auth), tt.from, proto.PermAll)
			if authenticated != tt.authenticated || permitted != tt.permitted {
				t.Errorf("perms %d, %s %q from %v: %t %t", perms, tt.scheme, tt.auth, tt.from, authenticated, permitted)
			}
		}
	}
}
