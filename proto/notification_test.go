package proto

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// oldNotification encodes n as releases before 3.5 did: 28 bytes before 3.4, 40 before 3.5.
func oldNotification(n *Notification, size int) []byte {
	b := AppendInt32(nil, int32(n.State))
	b = AppendInt64(b, int64(n.Leader))
	b = AppendInt64(b, int64(n.Zxid))
	b = AppendInt64(b, int64(n.Round))
	b = AppendInt64(b, int64(n.PeerEpoch))
	b = AppendInt32(b, n.Version)
	return b[:size]
}

func TestNotificationForms(t *testing.T) {
	full := Notification{State: Leading, Leader: 3, Zxid: 0x500000007, Round: 9, PeerEpoch: 4, Version: 2, Config: "server.1=a:1:2:participant\nversion=0"}
	without := func(version int32, epoch Epoch) Notification {
		n := full
		n.Version, n.PeerEpoch, n.Config = version, epoch, ""
		return n
	}
	one := without(1, 4)
	for name, c := range map[string]struct {
		in   []byte
		want Notification
	}{
		"version 2":                      {full.Append(nil), full},
		"version 2, more behind it":      {append(full.Append(nil), "xyz"...), full},
		"version 3, as 2":                {append(oldNotification(&Notification{State: Leading, Leader: 3, Zxid: 0x500000007, Round: 9, PeerEpoch: 4, Version: 3}, 40), 0, 0, 0, 0), without(3, 4)},
		"28 bytes, before 3.4":           {oldNotification(&full, 28), without(0, 5)},
		"40 bytes, 3.4.0":                {oldNotification(&full, 40), without(0, 4)},
		"40 bytes with a version, 3.4.6": {oldNotification(&one, 40), without(0, 4)},
		"version 1, padded":              {append(oldNotification(&one, 40), 0), one},
	} {
		var got Notification
		if err := got.Decode(c.in); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	whole := full.Append(nil)
	for n := range len(whole) {
		var got Notification
		if err := got.Decode(whole[:n]); (err == nil) != (n == 28 || n == 40) {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
	for name, change := range map[string]func(b []byte){
		"state":                func(b []byte) { b[3] = 4 },
		"negative state":       func(b []byte) { b[0] = 0xff },
		"negative config size": func(b []byte) { PutInt32(b[40:], -1) },
		"config size":          func(b []byte) { PutInt32(b[40:], int32(len(full.Config)+1)) },
		"huge config size":     func(b []byte) { PutInt32(b[40:], 1<<31-1) },
	} {
		b := bytes.Clone(whole)
		change(b)
		var got Notification
		if err := got.Decode(b); err == nil {
			t.Errorf("%s: decoded as %+v", name, got)
		}
	}
}

// TestNotificationGolden spells the encoding out; interop/election_test.go holds it to what Apache's servers send.
func TestNotificationGolden(t *testing.T) {
	n := Notification{Leader: 1, Zxid: 0x100000002, Round: 1, PeerEpoch: 1, Version: 2, Config: "server.1=h:1:2:participant\nversion=0"}
	want := "00000000" + "0000000000000001" + "0000000100000002" + "0000000000000001" + "0000000000000001" + "00000002" + "00000024" +
		hex.EncodeToString([]byte(n.Config))
	if got := hex.EncodeToString(n.Append(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestNotificationUTF8 is ZOOKEEPER-4787: hosts with other letters than ASCII's come through.
func TestNotificationUTF8(t *testing.T) {
	n := Notification{Version: 2, Config: "server.1=zoo-größe:1:2:participant\nversion=0"}
	var got Notification
	if err := got.Decode(n.Append(nil)); err != nil || got.Config != n.Config {
		t.Errorf("%q, %v", got.Config, err)
	}
}

func TestElectionHello(t *testing.T) {
	for _, h := range []ElectionHello{
		{ID: 2, Addrs: []HostPort{{"127.0.0.1", 3888}}},
		{ID: AnonymousObserver, Addrs: []HostPort{{"::1", 3888}}},
		{ID: 7, Addrs: []HostPort{{"a", 1}, {"fe80::2", 2}}, MultiAddress: true},
	} {
		b := h.Append(nil)
		if got := sizeOf(t, b); got != len(b) {
			t.Errorf("%+v: size %d of %d", h, got, len(b))
		}
		var got ElectionHello
		if err := got.Decode(b); err != nil || got.ID != h.ID || got.MultiAddress != h.MultiAddress || len(got.Addrs) != len(h.Addrs) {
			t.Errorf("%+v became %+v: %v", h, got, err)
		}
		for i := range got.Addrs {
			if got.Addrs[i] != h.Addrs[i] {
				t.Errorf("%+v became %+v", h, got)
			}
		}
	}
	b := (&ElectionHello{ID: 7, Addrs: []HostPort{{"a", 1}, {"::2", 2}}, MultiAddress: true}).Append(nil)
	if want := "ffffffffffff0001" + "0000000000000007" + "0000000b" + hex.EncodeToString([]byte("a:1|[::2]:2")); hex.EncodeToString(b) != want {
		t.Errorf("got %x, want %s", b, want)
	}
	var bare ElectionHello
	if err := bare.Decode(AppendInt64(nil, 3)); err != nil || bare.ID != 3 || bare.Addrs != nil {
		t.Errorf("bare id: %+v, %v", bare, err)
	}
}

// sizeOf asks for the size as a reader of a connection does.
func sizeOf(t *testing.T, b []byte) int {
	t.Helper()
	have := 0
	for {
		n, err := ElectionHelloSize(b[:have])
		if err != nil {
			t.Fatal(err)
		}
		if n <= have {
			return n
		}
		have = min(n, len(b))
	}
}

func TestElectionHelloErrors(t *testing.T) {
	hello := func(version int64, size int32, addrs string) []byte {
		return append(AppendInt32(AppendInt64(AppendInt64(nil, version), 1), size), addrs...)
	}
	for name, b := range map[string][]byte{
		"version":       hello(-1, 3, "a:1"),
		"older version": hello(-65537, 3, "a:1"),
		"no address":    hello(helloV1, 0, ""),
		"negative size": hello(helloV1, -1, ""),
		"long address":  hello(helloV1, 2049, strings.Repeat("a", 2047)+":1"),
		"short":         hello(helloV1, 4, "a:1"),
		"no port":       hello(helloV1, 1, "a"),
		"port":          hello(helloV1, 7, "a:65536"),
		"second port":   hello(helloV2, 5, "a:1|b"),
		"brackets":      hello(helloV2, 5, "::1:2"),
	} {
		var h ElectionHello
		if err := h.Decode(b); err == nil {
			t.Errorf("%s: decoded as %+v", name, h)
		}
	}
}

func FuzzDecodeNotification(f *testing.F) {
	n := Notification{State: Following, Leader: 3, Zxid: 1 << 32, Round: 1, PeerEpoch: 1, Version: 2, Config: "server.1=a:1:2"}
	f.Add(n.Append(nil))
	f.Add(n.Append(nil)[:28])
	f.Add(n.Append(nil)[:40])
	f.Add(n.Append(nil)[:50])
	f.Fuzz(func(t *testing.T, b []byte) {
		var n Notification
		if n.Decode(b) != nil || n.Version != 2 {
			return
		}
		var again Notification
		if err := again.Decode(n.Append(nil)); err != nil || again != n {
			t.Fatalf("%+v became %+v: %v", n, again, err)
		}
	})
}

func FuzzDecodeElectionHello(f *testing.F) {
	f.Add((&ElectionHello{ID: 1, Addrs: []HostPort{{"a", 1}}}).Append(nil))
	f.Add((&ElectionHello{ID: 1, Addrs: []HostPort{{"::1", 1}, {"b", 2}}, MultiAddress: true}).Append(nil))
	f.Add(AppendInt64(nil, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h ElectionHello
		if h.Decode(b) != nil || len(h.Addrs) == 0 {
			return
		}
		var again ElectionHello
		if err := again.Decode(h.Append(nil)); err != nil || again.ID != h.ID || len(again.Addrs) != len(h.Addrs) {
			t.Fatalf("%+v became %+v: %v", h, again, err)
		}
	})
}
