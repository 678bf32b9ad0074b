package znode

import (
	"errors"
	"fmt"
	"strings"

	"zebu/proto"
)

// Loader builds a tree from a snapshot. It takes copies of what it is given.
type Loader struct {
	t    *Tree
	acls map[int64]uint32

	// The parent of the node before: in a snapshot, siblings without children follow one another.
	parentPath string
	parent     uint32
}

// NewLoader returns a loader of an empty tree.
func NewLoader(opts Options) *Loader { return &Loader{t: newEmpty(opts), acls: map[int64]uint32{}} }

var (
	errNoParent  = errors.New("its parent is missing")
	errDuplicate = errors.New("it is there twice")
	errNullACL   = errors.New("null access control list")
	errNoRoot    = errors.New("no root node")
)

// AddACL gives an access control list its id within the snapshot.
func (l *Loader) AddACL(id int64, acl []proto.ACL) error {
	if acl == nil {
		return fmt.Errorf("load ACL %d: %w", id, errNullACL)
	}
	if old, ok := l.acls[id]; ok {
		l.t.acls.release(old)
	}
	l.acls[id] = l.t.acls.acquire(acl)
	return nil
}

// AddNode adds a node, whose parent must be there. path is "" for the root; data is nil for null. An aclID that AddACL
// has not named denies everything: replaying the rest of a fuzzy snapshot's range repairs it (scenario 30).
func (l *Loader) AddNode(path string, data []byte, aclID int64, st *proto.StatPersisted) error {
	parent, name := uint32(0), ""
	if path != "" {
		if !splittable(path) {
			return fmt.Errorf("load node %q: %w", path, errTxnPath)
		}
		var parentPath string
		parentPath, name = split(path)
		if l.parent == 0 || l.parentPath != parentPath {
			if l.parent = l.t.resolve(parentPath); l.parent == 0 {
				return fmt.Errorf("load node %q: %w", path, errNoParent)
			}
			l.parentPath = strings.Clone(parentPath)
		}
		parent = l.parent
	}
	if path == "" && l.t.count > 0 || l.t.find(parent, name) != 0 {
		return fmt.Errorf("load node %q: %w", path, errDuplicate)
	}
	acl, ok := l.acls[aclID]
	switch {
	case aclID == -1:
		acl = aclOpen
	case !ok:
		acl = aclNobody
	}
	l.t.acls.entries[acl].refs++
	m := meta{
		czxid: st.Czxid, mzxid: st.Mzxid, pzxid: st.Pzxid, ctime: st.Ctime, mtime: st.Mtime, owner: st.EphemeralOwner,
		version: st.Version, cversion: st.Cversion, aversion: st.Aversion,
	}
	l.t.insert(parent, name, path, data, acl, &m)
	return nil
}

// Finish returns the tree, whose last transaction is z: reserved nodes that the snapshot lacks are added, lists that no
// node has are forgotten, and quotas counted. The loader is used up.
func (l *Loader) Finish(z proto.Zxid) (*Tree, error) {
	if l.t.count == 0 {
		return nil, fmt.Errorf("load snapshot: %w", errNoRoot)
	}
	for _, acl := range l.acls {
		l.t.acls.release(acl)
	}
	l.t.addReserved()
	l.t.quotaSetup()
	l.t.last = z
	return l.t, nil
}
