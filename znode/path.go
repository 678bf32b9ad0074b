package znode

import (
	"strings"
	"unicode/utf8"
)

// The reserved nodes (spec 6).
const (
	systemPath = "/zookeeper"
	quotaPath  = "/zookeeper/quota"
	configPath = "/zookeeper/config"
)

// ValidatePath says whether path may name a node (spec 1.7).
func ValidatePath(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	if path == "/" {
		return true
	}
	start := 1 // of the component
	for i := 1; i < len(path); {
		c := path[i]
		switch {
		case c == '/':
			if !validComponent(path[start:i]) {
				return false
			}
			start = i + 1
		case c < 0x20 || c == 0x7f:
			return false
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(path[i:])
			// Go's replacement for bad UTF-8 is in the last forbidden range.
			if r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0 {
				return false
			}
			i += n
			continue
		}
		i++
	}
	return validComponent(path[start:])
}

func validComponent(c string) bool { return c != "" && c != "." && c != ".." }

// split cuts path at its last slash, which must be there.
func split(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:i], path[i+1:]
}

// splittable says whether split makes of path what a node's path is made of. The root's second name is not for use in
// front of a child's.
func splittable(path string) bool {
	i := strings.LastIndexByte(path, '/')
	return i >= 0 && i < len(path)-1 && path[:i] != "/"
}

// watched is the name that watches know a node by: the root is "/".
func watched(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// special says whether path names a node that must not be deleted.
func special(path string) bool {
	return path == "/" || path == systemPath || path == quotaPath || path == configPath
}

// hiddenPath says whether the digest leaves the node at path out.
func hiddenPath(path string) bool {
	return len(path) > len(systemPath) && path[:len(systemPath)] == systemPath && path[len(systemPath)] == '/'
}

// pathLen is a path's length as ZooKeeper counts it for the data size: valid paths hold no character beyond 16 bits.
func pathLen(path string) int64 { return int64(utf8.RuneCountInString(path)) }
