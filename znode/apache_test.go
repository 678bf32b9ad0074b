package znode

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"zebu/proto"
)

// captured is one transaction of a log that Apache ZooKeeper 3.9.5 wrote, and the request that it came from.
type captured struct {
	hdr  proto.TxnHeader
	txn  []byte // header, body, digest
	body []byte // body, digest
	req  Request
}

// The log was written with zookeeper.extendedTypesEnabled and zookeeper.enforceQuota, by four sessions of which one had
// sent two addauth packets.
var capturedOptions = Options{ExtendedTypes: true, EnforceQuota: true}

// readCapture reads testdata/apache-3.9.5.log, a transaction log cut off where its zeros begin, and
// testdata/apache-3.9.5.requests, which has a line "session cxid op identities body" for every request.
func readCapture(t testing.TB) []captured {
	t.Helper()
	type key struct {
		session proto.SessionID
		cxid    int32
	}
	requests := map[key]Request{}
	text, err := os.ReadFile("testdata/apache-3.9.5.requests")
	if err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		var r Request
		var session uint64
		var ids, body string
		if _, err := fmt.Sscanf(sc.Text(), "%x %d %d %s %s", &session, &r.Cxid, &r.Op, &ids, &body); err != nil {
			t.Fatal(err)
		}
		r.Session = proto.SessionID(session)
		for _, id := range strings.Split(ids, ",") {
			scheme, id, _ := strings.Cut(id, ":")
			r.IDs = append(r.IDs, proto.ID{Scheme: scheme, ID: id})
		}
		if body != "-" {
			if r.Body, err = hex.DecodeString(body); err != nil {
				t.Fatal(err)
			}
		}
		requests[key{r.Session, r.Cxid}] = r
	}
	log, err := os.ReadFile("testdata/apache-3.9.5.log")
	if err != nil {
		t.Fatal(err)
	}
	var all []captured
	for d := proto.NewDecoder(log[16:]); d.Remaining() > 0; {
		d.Int64()
		c := captured{txn: d.Buf()}
		if eor := d.Byte(); eor != proto.TxnEOR || d.Err() != nil {
			t.Fatalf("record %d is broken", len(all))
		}
		td := proto.NewDecoder(c.txn)
		c.hdr.Decode(&td)
		c.body = td.Rest()
		r, ok := requests[key{c.hdr.ClientID, c.hdr.Cxid}]
		if c.hdr.Type == proto.OpCreateSession {
			r, ok = Request{Session: c.hdr.ClientID, Op: proto.OpCreateSession, Body: c.body[:4]}, true
		}
		if !ok {
			t.Fatalf("no request for %+v", c.hdr)
		}
		c.req = r
		all = append(all, c)
	}
	return all
}

// Every request must become the transaction that Apache ZooKeeper made of it, byte for byte, and applying it must lead
// to the digest that it computed.
func TestApacheLog(t *testing.T) {
	tr := New(capturedOptions)
	p := NewPlanner(tr)
	var res Result
	for _, c := range readCapture(t) {
		got := p.Plan(nil, &c.req, c.hdr.Zxid, c.hdr.Time)
		if c.hdr.Type == proto.OpCloseSession {
			sortPaths(got)
			sortPaths(c.txn)
		}
		if !bytes.Equal(got, c.txn) {
			t.Errorf("%v %v: request %v %q:\n got %x %q\nwant %x %q", c.hdr.Zxid, c.hdr.Type, c.req.Op, c.req.Body, got[28:], got[28:], c.txn[28:], c.txn[28:])
		}
		if err := tr.Apply(&c.hdr, c.body, &res); err != nil {
			t.Fatal(err)
		}
		p.Applied(c.hdr.Zxid)
		if d, _ := tr.Digest(); res.HasDigest && d != res.Digest.TreeDigest {
			t.Errorf("%v %v: digest %d, want %d", c.hdr.Zxid, c.hdr.Type, d, res.Digest.TreeDigest)
		}
	}
}

// sortPaths sorts the paths of a closeSession transaction, which Apache ZooKeeper keeps in a hash set.
func sortPaths(txn []byte) {
	d := proto.NewDecoder(txn[28+4:])
	var body proto.CloseSessionTxn
	body.Decode(&d)
	sorted := append([]string(nil), body.Paths...)
	for i := range sorted {
		sorted[i] = strings.Clone(sorted[i])
	}
	slices.Sort(sorted)
	copy(txn[28+4:], (&proto.CloseSessionTxn{Paths: sorted}).Append(nil))
}
