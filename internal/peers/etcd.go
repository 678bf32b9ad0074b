package peers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// etcdPackages are the programs of etcd's that the module in the folder etcd has as tools.
var etcdPackages = map[string]string{
	"etcd":    "go.etcd.io/etcd/server/v3",
	"etcdctl": "go.etcd.io/etcd/etcdctl/v3",
	"etcdutl": "go.etcd.io/etcd/etcdutl/v3",
}

// etcdBuilt are the programs that this process has asked for.
var etcdBuilt = struct {
	sync.Mutex
	paths map[string]string
}{paths: map[string]string{}}

// Etcd returns the path of one of etcd 3.6's programs, "etcd", "etcdctl" or "etcdutl": built the first time, about a minute, and
// cached under a name that changes with the versions of its modules. It is safe to call from several processes at once.
func Etcd(ctx context.Context, program string) (string, error) {
	pkg, ok := etcdPackages[program]
	if !ok {
		return "", fmt.Errorf("etcd has no program %q", program)
	}
	b := &etcdBuilt
	b.Lock()
	defer b.Unlock()
	if path, ok := b.paths[program]; ok {
		return path, nil
	}
	path, err := buildEtcd(ctx, program, pkg)
	if err == nil {
		b.paths[program] = path
	}
	return path, err
}

func buildEtcd(ctx context.Context, program, pkg string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "zebu").Output()
	if err != nil {
		return "", fmt.Errorf("find zebu's module: %w", err)
	}
	module := filepath.Join(strings.TrimSpace(string(root)), "internal", "peers", "etcd")
	versions, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("find the versions of etcd's modules: %w", err)
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(versions, runtime.Version()...))
	dir := filepath.Join(cache, "etcd-"+hex.EncodeToString(sum[:6]))
	out := filepath.Join(dir, program)
	if runtime.GOOS == "windows" {
		out += ".exe"
	}
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	tmp, err := os.MkdirTemp(cache, "etcd-tmp-")
	if err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	defer os.RemoveAll(tmp)
	built := filepath.Join(tmp, filepath.Base(out))
	cmd := exec.CommandContext(ctx, "go", "build", "-C", module, "-trimpath", "-ldflags=-s -w", "-o", built, pkg)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", &Missing{What: "etcd's " + program, Why: fmt.Sprintf("%v\n%s", err, text)}
	}
	if err := os.Rename(built, out); err != nil { // another process may have been faster, with the same
		return "", fmt.Errorf("keep etcd's %s: %w", program, err)
	}
	return out, nil
}
