package storage

import (
	"cmp"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"zebu/internal/vfs"
	"zebu/proto"
)

const (
	versionDir     = "version-2"
	logPrefix      = "log."
	snapshotPrefix = "snapshot."
	tmpPrefix      = "tmp." // of files not yet whole; ZooKeeper takes "snapshot.1.tmp" for a snapshot, but not "tmp.snapshot.1"
	lockName       = "zebu.lock"
)

// dataFile is a log or a snapshot in a directory.
type dataFile struct {
	path        string
	zxid        proto.Zxid
	compression string // of a snapshot: "", "gz" or "snappy"
}

// logName returns the file name of the log whose first transaction is z.
func logName(z proto.Zxid) string { return logPrefix + strconv.FormatUint(uint64(z), 16) }

// snapshotName returns the file name of the snapshot at z.
func snapshotName(z proto.Zxid, compression string) string {
	name := snapshotPrefix + strconv.FormatUint(uint64(z), 16)
	if compression != "" {
		name += "." + compression
	}
	return name
}

// parseZxid reads the zxid in a file name. Like ZooKeeper's, zxids there are not negative.
func parseZxid(s string) (proto.Zxid, bool) {
	n, err := strconv.ParseUint(s, 16, 63)
	return proto.Zxid(n), err == nil
}

// parseName takes the name of a log or snapshot apart.
func parseName(path, prefix string) (dataFile, bool) {
	rest, ok := strings.CutPrefix(filepath.Base(path), prefix)
	if !ok {
		return dataFile{}, false
	}
	f := dataFile{path: path}
	if prefix == snapshotPrefix {
		var dotted bool
		rest, f.compression, dotted = strings.Cut(rest, ".")
		if dotted && f.compression != CompressGzip && f.compression != CompressSnappy {
			return dataFile{}, false
		}
	}
	f.zxid, ok = parseZxid(rest)
	return f, ok
}

// list returns the logs or snapshots in dir by ascending zxid.
func list(fsys vfs.FS, dir, prefix string) ([]dataFile, error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []dataFile
	for _, n := range names {
		if f, ok := parseName(filepath.Join(dir, n), prefix); ok {
			files = append(files, f)
		}
	}
	slices.SortFunc(files, func(a, b dataFile) int { return cmp.Compare(a.zxid, b.zxid) })
	return files, nil
}

// Follows says whether next may come right after prev in a history: the next number of the same epoch, or the beginning
// of a later one. (Numbers of an epoch begin at 1; a standalone server that runs over from 0xffffffff goes on at 0.)
func Follows(prev, next proto.Zxid) bool {
	if next.Epoch() == prev.Epoch() {
		return next == prev+1
	}
	return next > prev && next.Counter() <= 1
}

// SortByZxid returns names of logs or snapshots in the order of the zxids in them; other names come first.
func SortByZxid(names []string) []string {
	zxid := func(name string) proto.Zxid {
		for _, prefix := range []string{logPrefix, snapshotPrefix} {
			if df, ok := parseName(name, prefix); ok {
				return df.zxid
			}
		}
		return -1
	}
	sorted := slices.Clone(names)
	slices.SortStableFunc(sorted, func(a, b string) int { return cmp.Compare(zxid(a), zxid(b)) })
	return sorted
}
