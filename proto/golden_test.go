package proto

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
)

// testdata/golden.txt holds what ZooKeeper's own library makes of each record. To regenerate it, with the jars of
// Apache ZooKeeper 3.9 (zookeeper, zookeeper-jute and what they depend on) in $JARS and Java 11 or later:
//
//	java -cp "$JARS/*" proto/testdata/golden/Golden.java >proto/testdata/golden.txt

type record interface {
	Append([]byte) []byte
	Decode(*Decoder)
}

// records holds one of each record type of this package, with the classes under org.apache.zookeeper that it stands for.
var records = []struct {
	record  record
	classes string
}{
	{&ID{}, "data.Id"},
	{&ACL{}, "data.ACL"},
	{&Stat{}, "data.Stat"},
	{&StatPersisted{}, "data.StatPersisted"},
	{&ClientInfo{}, "data.ClientInfo"},
	{&ConnectRequest{}, "proto.ConnectRequest"},
	{&ConnectResponse{}, "proto.ConnectResponse"},
	{&RequestHeader{}, "proto.RequestHeader"},
	{&ReplyHeader{}, "proto.ReplyHeader"},
	{&MultiHeader{}, "proto.MultiHeader"},
	{&AuthPacket{}, "proto.AuthPacket"},
	{&SetWatches{}, "proto.SetWatches"},
	{&SetWatches2{}, "proto.SetWatches2"},
	{&PathWatchRequest{}, "proto.ExistsRequest proto.GetDataRequest proto.GetChildrenRequest proto.GetChildren2Request"},
	{&PathRequest{}, "proto.SyncRequest proto.SyncResponse proto.GetACLRequest proto.GetAllChildrenNumberRequest " +
		"proto.GetEphemeralsRequest proto.CreateResponse"},
	{&SetDataRequest{}, "proto.SetDataRequest"},
	{&ReconfigRequest{}, "proto.ReconfigRequest"},
	{&TokenRecord{}, "proto.GetSASLRequest proto.SetSASLRequest proto.SetSASLResponse"},
	{&CreateRequest{}, "proto.CreateRequest"},
	{&CreateTTLRequest{}, "proto.CreateTTLRequest"},
	{&PathVersion{}, "proto.DeleteRequest proto.CheckVersionRequest txn.CheckVersionTxn"},
	{&SetACLRequest{}, "proto.SetACLRequest"},
	{&AddWatchRequest{}, "proto.AddWatchRequest"},
	{&PathWatcherType{}, "proto.CheckWatchesRequest proto.RemoveWatchesRequest"},
	{&WatcherEvent{}, "proto.WatcherEvent"},
	{&ErrorResponse{}, "proto.ErrorResponse txn.ErrorTxn"},
	{&StatResponse{}, "proto.ExistsResponse proto.SetDataResponse proto.SetACLResponse"},
	{&Create2Response{}, "proto.Create2Response"},
	{&GetDataResponse{}, "proto.GetDataResponse"},
	{&StringsResponse{}, "proto.GetChildrenResponse proto.GetEphemeralsResponse"},
	{&GetChildren2Response{}, "proto.GetChildren2Response"},
	{&GetACLResponse{}, "proto.GetACLResponse"},
	{&IntResponse{}, "proto.GetAllChildrenNumberResponse"},
	{&WhoAmIResponse{}, "proto.WhoAmIResponse"},
	{&FileHeader{}, "server.persistence.FileHeader"},
	{&TxnHeader{}, "txn.TxnHeader"},
	{&TxnDigest{}, "txn.TxnDigest"},
	{&CreateTxn{}, "txn.CreateTxn"},
	{&CreateContainerTxn{}, "txn.CreateContainerTxn"},
	{&CreateTTLTxn{}, "txn.CreateTTLTxn"},
	{&DeleteTxn{}, "txn.DeleteTxn"},
	{&SetDataTxn{}, "txn.SetDataTxn"},
	{&SetACLTxn{}, "txn.SetACLTxn"},
	{&CreateSessionTxn{}, "txn.CreateSessionTxn"},
	{&CloseSessionTxn{}, "txn.CloseSessionTxn"},
	{&SubTxn{}, "txn.Txn"},
	{&MultiTxn{}, "txn.MultiTxn"},
	{&LearnerInfo{}, "server.quorum.LearnerInfo"},
	{&QuorumPacket{}, "server.quorum.QuorumPacket"},
	{&QuorumAuthPacket{}, "server.quorum.QuorumAuthPacket"},
}

// newRecord returns a fresh record of the same type.
func newRecord(r record) record { return reflect.New(reflect.TypeOf(r).Elem()).Interface().(record) }

// TestRecordsAreComplete makes sure that a record added to the schema is tested.
func TestRecordsAreComplete(t *testing.T) {
	tested := map[string]bool{}
	for _, r := range records {
		tested[reflect.TypeOf(r.record).Elem().Name()] = true
	}
	for _, name := range []string{"records.go", "connect.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok && !tested[s.Name.Name] {
				t.Errorf("%s in %s is not tested", s.Name.Name, name)
			}
			return true
		})
	}
}

// golden returns the lines of testdata/golden.txt: class, variant, bytes.
func golden(t testing.TB) [][3]string {
	text, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	var lines [][3]string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		raw, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, [3]string{f[0], f[1], string(raw)})
	}
	return lines
}

func recordOf(t testing.TB, class string) record {
	for _, r := range records {
		for name := range strings.FieldsSeq(r.classes) {
			if name == class {
				return newRecord(r.record)
			}
		}
	}
	t.Fatalf("no record for class %s", class)
	return nil
}

func TestGolden(t *testing.T) {
	seen := map[string]bool{}
	for _, line := range golden(t) {
		class, variant, raw := line[0], line[1], []byte(line[2])
		seen[class] = true
		got, want := recordOf(t, class), recordOf(t, class)
		(&filler{variant: variant}).record(reflect.ValueOf(want).Elem())
		d := NewDecoder(raw)
		if got.Decode(&d); d.Err() != nil || d.Remaining() != 0 {
			t.Errorf("%s %s: %v, %d bytes left", class, variant, d.Err(), d.Remaining())
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s %s:\n got %+v\nwant %+v", class, variant, got, want)
		}
		_, isReconfig := got.(*ReconfigRequest)
		if variant == "nullStrings" && !isReconfig {
			continue // null strings read as empty ones, and go out so
		}
		if b := got.Append(nil); !bytes.Equal(b, raw) {
			t.Errorf("%s %s:\nencoded %x\n   want %x", class, variant, b, raw)
		}
	}
	for _, r := range records {
		for class := range strings.FieldsSeq(r.classes) {
			if !seen[class] {
				t.Errorf("no golden bytes for %s", class)
			}
		}
	}
}

// filler sets fields to the values that Golden.java gives them.
type filler struct {
	variant string
	counter int64
}

func (f *filler) record(v reflect.Value) {
	_, nullable := v.Interface().(ReconfigRequest) // whose strings are byte slices
	for i := range v.NumField() {
		if v.Type().Field(i).Name == "HasReadOnly" {
			v.Field(i).SetBool(true)
			continue
		}
		f.value(v.Field(i), nullable)
	}
}

func (f *filler) value(v reflect.Value, nullable bool) {
	f.counter++
	full := f.variant == "full" || f.variant == "nullStrings"
	sign := int64(1)
	if f.variant == "nulls" {
		sign = -1
	}
	text := map[string]string{"full": fmt.Sprintf("/sé€%d", f.counter)}[f.variant]
	switch {
	case v.Kind() == reflect.Int32:
		v.SetInt(sign * f.counter)
	case v.Kind() == reflect.Int64:
		v.SetInt(sign * (f.counter<<32 + f.counter))
	case v.Kind() == reflect.Uint64:
		v.SetUint(uint64(sign * (f.counter<<32 + f.counter)))
	case v.Kind() == reflect.Bool:
		v.SetBool(full)
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Struct:
		f.record(v)
	case nullable:
		if f.variant != "nullStrings" {
			v.SetBytes([]byte(text))
		}
	case f.variant == "nulls":
		// nil
	case !full:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	case v.Type().Elem().Kind() == reflect.Uint8:
		v.SetBytes(fmt.Appendf(nil, "b%d", f.counter))
	default:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.value(v.Index(0), false)
		f.value(v.Index(1), false)
	}
}

// TestTruncated cuts each golden record short at every byte.
func TestTruncated(t *testing.T) {
	for _, line := range golden(t) {
		for n := range len(line[2]) {
			r := recordOf(t, line[0])
			d := NewDecoder([]byte(line[2][:n]))
			r.Decode(&d)
			optional := n == len(line[2])-1 && strings.HasPrefix(line[0], "proto.Connect") // readOnly
			if (d.Err() == nil) != optional {
				t.Errorf("%s %s cut to %d of %d bytes: %v", line[0], line[1], n, len(line[2]), d.Err())
			}
			if d.Err() != nil && d.Remaining() != 0 {
				t.Errorf("%s %s: %d bytes remain after a failure", line[0], line[1], d.Remaining())
			}
		}
	}
}

// TestConnectWithoutReadOnly is the handshake of clients up to 3.3, which has no trailing readOnly.
func TestConnectWithoutReadOnly(t *testing.T) {
	for _, r := range []record{
		&ConnectRequest{LastZxidSeen: 1, Timeout: 2, SessionID: 3, Passwd: make([]byte, 16)},
		&ConnectResponse{Timeout: 2, SessionID: 3, Passwd: make([]byte, 16)},
	} {
		b := r.Append(nil)
		got := newRecord(r)
		d := NewDecoder(b)
		if got.Decode(&d); d.Err() != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v, %v, want %+v", got, d.Err(), r)
		}
		if _, ok := r.(*ConnectResponse); ok && len(b) != 36 {
			t.Errorf("a response of %d bytes, want 36", len(b))
		}
	}
}
