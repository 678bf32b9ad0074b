package etcdfile

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/auth"
	"zebu/mvcc"
	"zebu/proto"
)

// sample is a state with something of everything, and the storage that it is in.
func sample(t testing.TB, changes int) (*mvcc.Store, *mvcc.Memory) {
	t.Helper()
	keeper, err := auth.New(auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	memory := &mvcc.Memory{}
	s, err := mvcc.Open(memory, mvcc.Options{Authority: keeper.Authority})
	if err != nil {
		t.Fatal(err)
	}
	z := proto.Zxid(3 << 32)
	do := func(requests ...mvcc.Message) {
		for _, m := range requests {
			b, err := mvcc.NewRecord(m).Encode()
			if err != nil {
				t.Fatal(err)
			}
			z++
			if r, err := s.Apply(z, b); err != nil || r.Err != nil {
				t.Fatal(m, r.Err, err)
			}
		}
	}
	do(&pb.LeaseGrantRequest{ID: 7, TTL: 1000}, &pb.LeaseGrantRequest{ID: -1, TTL: 2000},
		&pb.LeaseCheckpointRequest{Checkpoints: []*pb.LeaseCheckpoint{{ID: 7, Remaining_TTL: 500}}},
		&pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE, MemberID: 9},
		&pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, Alarm: pb.AlarmType_NOSPACE, MemberID: 9},
		&pb.AuthUserAddRequest{Name: "root", HashedPassword: "aGFzaA=="}, &pb.AuthUserAddRequest{Name: "u", Options: &authpb.UserAddOptions{NoPassword: true}},
		&pb.AuthUserGrantRoleRequest{User: "root", Role: "root"}, &pb.AuthRoleAddRequest{Name: "r"},
		&pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: &authpb.Permission{Key: []byte("a"), RangeEnd: []byte{0}}})
	random := rand.New(rand.NewPCG(1, 1))
	for i := range changes {
		key := fmt.Appendf(nil, "key%d", random.IntN(changes/2+1))
		switch random.IntN(5) {
		case 0:
			do(&pb.DeleteRangeRequest{Key: key, RangeEnd: append(key, 0xff)})
		case 1:
			do(&pb.PutRequest{Key: key, Value: []byte("leased"), Lease: 7})
		default:
			do(&pb.PutRequest{Key: key, Value: make([]byte, random.IntN(400))})
		}
		if i == changes/3 {
			do(&pb.CompactionRequest{Revision: s.Revision()})
			for s.CompactStep(10); s.Compacting() && changes < 100; { // a large one is not finished
				s.CompactStep(10)
			}
		}
	}
	do(&pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_CORRUPT, MemberID: 1 << 63}, &pb.AuthEnableRequest{})
	memory.Commit(s.TakeMark())
	return s, memory
}

var someMembers = []*pb.Member{
	{ID: 1, Name: "one", PeerURLs: []string{"http://127.0.0.1:2380"}, ClientURLs: []string{"http://127.0.0.1:2379"}},
	{ID: 0xabc, PeerURLs: []string{"http://127.0.0.2:2380"}, IsLearner: true},
}

func image(t testing.TB, v mvcc.View) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := mvcc.WriteImage(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func imported(t testing.TB, path string, applied proto.Zxid) (*mvcc.Memory, error) {
	t.Helper()
	m := &mvcc.Memory{}
	_, err := Import(path, applied, func(b *mvcc.Batch) error { m.Commit(b); return nil })
	return m, err
}

func TestRoundTrip(t *testing.T) {
	for _, changes := range []int{0, 1, 30, 3000} {
		s, memory := sample(t, changes)
		path := filepath.Join(t.TempDir(), "db")
		if err := Create(path, memory.View(), someMembers); err != nil {
			t.Fatal(err)
		}
		got, err := imported(t, path, s.Applied())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(image(t, memory.View()), image(t, got.View())) {
			t.Errorf("%d changes: it is another state", changes)
		}
		// The same comes over the network, and can be told from a file that was damaged on the way.
		var sent bytes.Buffer
		dir := t.TempDir()
		err = Send(memory.View(), dir, someMembers, func(file io.Reader, size int64) error {
			if n, err := sent.ReadFrom(file); err != nil || n != size {
				t.Errorf("%d bytes (%v), said to be %d", n, err, size)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Error(left, err)
		}
		if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, sent.Bytes()) {
			t.Errorf("%d changes: %d bytes, not %d; %v", changes, sent.Len(), len(b), err)
		}
		sum := sha256.Sum256(sent.Bytes())
		whole := append(sent.Bytes(), sum[:]...)
		summed := filepath.Join(dir, "summed")
		if err := os.WriteFile(summed, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err = imported(t, summed, s.Applied()); err != nil || !bytes.Equal(image(t, memory.View()), image(t, got.View())) {
			t.Error(err)
		}
		if got, err := CheckSum(summed); err != nil || got != sum {
			t.Errorf("check sum %x (%v), and it is %x", got, err, sum)
		}
		if _, err := CheckSum(path); !errors.Is(err, ErrFile) {
			t.Errorf("without a check sum: %v", err)
		}
		whole[len(whole)/2] ^= 1
		if err := os.WriteFile(summed, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := CheckSum(summed); !errors.Is(err, ErrFile) {
			t.Error(err)
		}
		if _, err := imported(t, summed, 1); !errors.Is(err, ErrFile) {
			t.Error(err)
		}
	}
}

func TestEmptyStorage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := Create(path, (&mvcc.Memory{}).View(), nil); err != nil {
		t.Fatal(err)
	}
	got, err := imported(t, path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := mvcc.Open(got, mvcc.Options{}); err != nil || s.Revision() != 1 || s.Compacted() != -1 || s.Size() != 0 {
		t.Error(s, err)
	}
	if err := Create(path, (&mvcc.Memory{}).View(), nil); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
}

// TestBucketsOfEtcd checks what is in the file beside keys, as etcd has it.
func TestBucketsOfEtcd(t *testing.T) {
	_, memory := sample(t, 10)
	path := filepath.Join(t.TempDir(), "db")
	if err := Create(path, memory.View(), someMembers); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	var got []string
	err = db.View(func(tx *bbolt.Tx) error {
		for _, bucket := range [][]byte{bucketMeta, bucketMembers, bucketMembersRemoved, bucketCluster, bucketAuth, bucketAlarm, bucketLease} {
			err := each(tx, bucket, func(key, value []byte) error {
				got = append(got, fmt.Sprintf("%s %q=%q", bucket, key, value))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	want := []string{
		`meta "confState"="{\"voters\":[1],\"learners\":[2748],\"auto_leave\":false}"`,
		`meta "consistent_index"="\x00\x00\x00\x03\x00\x00\x00\x17"`,
		`meta "finishedCompactRev"="\x00\x00\x00\x00\x00\x00\x00\x04_\x00\x00\x00\x00\x00\x00\x00\x00"`,
		`meta "scheduledCompactRev"="\x00\x00\x00\x00\x00\x00\x00\x04_\x00\x00\x00\x00\x00\x00\x00\x00"`,
		`meta "storageVersion"="3.6.0"`,
		`meta "term"="\x00\x00\x00\x00\x00\x00\x00\x03"`,
		`members "1"="{\"id\":1,\"peerURLs\":[\"http://127.0.0.1:2380\"],\"name\":\"one\",\"clientURLs\":[\"http://127.0.0.1:2379\"]}"`,
		`members "abc"="{\"id\":2748,\"peerURLs\":[\"http://127.0.0.2:2380\"],\"isLearner\":true}"`,
		`cluster "clusterVersion"="3.6.0"`,
		`auth "authEnabled"="\x01"`,
		`auth "authRevision"="\x00\x00\x00\x00\x00\x00\x00\x06"`,
		`alarm "\b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x10\x02"=""`,
		`lease "\x00\x00\x00\x00\x00\x00\x00\a"="\b\a\x10\xe8\a\x18\xf4\x03"`,
		`lease "\xff\xff\xff\xff\xff\xff\xff\xff"="\b\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\xd0\x0f"`,
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v", err)
		for _, line := range got {
			t.Log(line)
		}
	}
}

// TestOtherFiles reads what is no database of etcd's.
func TestOtherFiles(t *testing.T) {
	dir := t.TempDir()
	database := func(fill func(put func(bucket, key, value string))) string {
		path := filepath.Join(dir, "other")
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			fill(func(bucket, key, value string) {
				b, err := tx.CreateBucketIfNotExists([]byte(bucket))
				if err == nil && key != "" {
					err = b.Put([]byte(key), []byte(value))
				}
				if err != nil {
					t.Fatal(err)
				}
			})
			return nil
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, record := range [][3]string{
		{}, {"key", "short", ""}, {"meta", "scheduledCompactRev", "x"}, {"meta", "finishedCompactRev", "\xff\xff\xff\xff\xff\xff\xff\x00"},
		{"lease", "12345678", ""}, {"lease", "12345678", "\xff"}, {"alarm", "\xff", ""}, {"auth", "authRevision", "1"},
		{"authUsers", "u", "\xff"}, {"authUsers", "u", ""}, {"authRoles", "r", ""},
	} {
		path := database(func(put func(bucket, key, value string)) {
			if record[0] == "" {
				return
			}
			put("key", "", "")
			put("meta", "", "")
			put(record[0], record[1], record[2])
		})
		if _, err := imported(t, path, 1); !errors.Is(err, ErrFile) {
			t.Errorf("%q: %v", record, err)
		}
	}
	if _, err := imported(t, filepath.Join(dir, "none"), 1); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := imported(t, filepath.Join(dir, "text"), 1); !errors.Is(err, ErrFile) {
		t.Error(err)
	}
}

// TestDamagedPages changes and cuts off a database without a check sum in many ways: whatever comes out, it is no crash.
func TestDamagedPages(t *testing.T) {
	s, memory := sample(t, 200)
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	if err := Create(path, memory.View(), nil); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(2, 2))
	refused := 0
	for i := range 400 {
		b := bytes.Clone(whole)
		switch {
		case i%10 == 0:
			b = b[:random.IntN(len(b))]
		case i%10 < 5: // the head of a page
			b[random.IntN(len(b)/4096)*4096+random.IntN(64)] ^= byte(1 << random.IntN(8))
		default:
			for range 20 {
				b[random.IntN(len(b))] = byte(random.IntN(256))
			}
		}
		damaged := filepath.Join(dir, "damaged")
		if err := os.WriteFile(damaged, b, 0o600); err != nil {
			t.Fatal(err)
		}
		switch _, err := imported(t, damaged, s.Applied()); {
		case errors.Is(err, ErrFile):
			refused++
		case err != nil:
			t.Errorf("%d: %v", i, err)
		}
	}
	if refused < 50 {
		t.Errorf("%d files were refused", refused)
	}
}

// TestCommitFails hands back the error of whoever takes the batches.
func TestCommitFails(t *testing.T) {
	_, memory := sample(t, 10)
	path := filepath.Join(t.TempDir(), "db")
	if err := Create(path, memory.View(), nil); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("no space")
	_, err := Import(path, 1, func(*mvcc.Batch) error { return failed })
	if !errors.Is(err, failed) || errors.Is(err, ErrFile) {
		t.Error(err)
	}
}

// watchedView knows whether it is closed.
type watchedView struct {
	mvcc.View
	closed bool
}

func (v *watchedView) Close() { v.closed = true; v.View.Close() }

func TestSlowClientsHoldNoView(t *testing.T) {
	_, memory := sample(t, 10)
	v := &watchedView{View: memory.View()}
	sent := false
	err := Send(v, t.TempDir(), nil, func(io.Reader, int64) error {
		if sent = true; !v.closed {
			t.Error("the view is open while a client is waited for")
		}
		return nil
	})
	if err != nil || !sent {
		t.Error(sent, err)
	}
}
