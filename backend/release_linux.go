package backend

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

// Release gives the memory back that holds tables which were read or written: Badger maps them, and they count as the
// process's until the system is short of memory. They stay in the system's page cache, so the next read costs a page fault
// and no access to the disk.
func (b *Backend) Release() error {
	// A table may be unmapped, and its addresses used for something else, unless an iterator holds it. This one holds
	// all that are in place throughout, and only these are touched.
	before := b.tables()
	txn := b.db.NewTransaction(false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	held := map[string]bool{}
	for name := range b.tables() {
		held[name] = before[name]
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("release memory of etcd storage: %w", err)
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), " ", 6)
		if len(fields) < 6 || !held[strings.TrimSpace(fields[5])] {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("release memory of etcd storage: %w", errno)
		}
	}
	return lines.Err()
}

// tables lists the files of the tables in place.
func (b *Backend) tables() map[string]bool {
	names := map[string]bool{}
	for _, t := range b.db.Tables() {
		names[tablePath(b.abs, t.ID)] = true
	}
	return names
}
