package lint

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// cores are the packages without I/O, clock, goroutine, lock or randomness, and what each may import of this module.
var cores = map[string][]string{
	"quorum":   {"zebu/proto"},
	"election": {"zebu/proto", "zebu/quorum"},
	"zab":      {"zebu/proto", "zebu/quorum"},
	"znode":    {"zebu/proto", "zebu/quorum"},
	"session":  {"zebu/proto"},
	"watch":    {"zebu/proto"},
	"mvcc":     {"zebu/proto"},
	"replica":  {"zebu/proto", "zebu/quorum", "zebu/election", "zebu/zab", "zebu/znode", "zebu/session", "zebu/watch", "zebu/mvcc"},
}

// libraries are the modules of others that a core may import: pure data structures and messages.
var libraries = map[string][]string{
	"mvcc":    {"github.com/tidwall/btree", "go.etcd.io/etcd/api/v3/", "google.golang.org/grpc/codes", "google.golang.org/grpc/status"},
	"replica": {"go.etcd.io/etcd/api/v3/"},
}

// impure are packages of the standard library that a core must not import.
var impure = []string{"net", "os", "time", "sync", "sync/atomic", "math/rand", "math/rand/v2", "crypto/rand", "io/fs", "log", "log/slog", "context", "syscall"}

// TestCoresArePure checks the imports of the pure cores, their tests left out.
func TestCoresArePure(t *testing.T) {
	for name, allowed := range cores {
		files, err := filepath.Glob(filepath.Join(root, name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			for _, imported := range importsOf(t, path) {
				ours := strings.HasPrefix(imported, "zebu/")
				switch {
				case slices.Contains(impure, imported):
					t.Errorf("%s imports %s: a pure core must not", path, imported)
				case ours && !slices.Contains(allowed, imported) && imported != "zebu/internal/mutant":
					t.Errorf("%s imports %s: %s may import only %v of this module", path, imported, name, allowed)
				case slices.ContainsFunc(libraries[name], func(l string) bool { return strings.HasPrefix(imported, l) }):
				case !ours && strings.Contains(strings.Split(imported, "/")[0], "."):
					t.Errorf("%s imports %s: a pure core imports the standard library and its fellows only", path, imported)
				}
			}
		}
	}
}

// layers lists the packages from the bottom up: none imports one above it. So recipes imports nothing of this module: it is for
// programs of others.
var layers = []string{"recipes", "internal", "proto", "quorum", "election", "zab", "status", "znode", "session", "watch", "mvcc", "auth", "etcdfile", "replica", "backend", "storage", "sim", "transport", "conf", "server", "gateway", "admin", "mirror", "cli", "lab", "cmd"}

// TestImportsPointDown checks that no package imports one of a higher layer, tests left out.
func TestImportsPointDown(t *testing.T) {
	for _, path := range goFiles(t) {
		rel, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		own := slices.Index(layers, strings.Split(filepath.ToSlash(rel), "/")[0])
		if own < 0 || strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, imported := range importsOf(t, path) {
			local, ok := strings.CutPrefix(imported, "zebu/")
			if !ok || layers[own] == "internal" {
				continue
			}
			if other := slices.Index(layers, strings.Split(local, "/")[0]); other > own {
				t.Errorf("%s imports %s, which lies above it", rel, imported)
			}
		}
	}
}

func importsOf(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Errorf("%v", err)
		return nil
	}
	var paths []string
	for _, spec := range file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		paths = append(paths, p)
	}
	return paths
}
