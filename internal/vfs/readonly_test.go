package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	ro := ReadOnly(OS)
	f, err := ro.OpenWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for what, err := range map[string]error{
		"truncate": f.Truncate(1), "sync": f.Sync(), "remove": ro.Remove(name), "sync of the directory": ro.SyncDir(dir),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, written := f.Write([]byte("x"))
	_, writtenAt := f.WriteAt([]byte("x"), 0)
	_, created := ro.Create(name)
	for what, err := range map[string]error{
		"write": written, "write at": writtenAt, "preallocate": f.Preallocate(100), "create": created,
		"rename": ro.Rename(name, name+"2"), "mkdir": ro.MkdirAll(filepath.Join(dir, "new")),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
}
