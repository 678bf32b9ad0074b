package peers

import (
	"context"
	"crypto/sha256"
	_ "embed" // the poms and the logging configuration below
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed apache/pom.xml
var pom []byte

//go:embed curator/pom.xml
var curatorPom []byte

//go:embed jetcd/pom.xml
var jetcdPom []byte

//go:embed apache/logback.xml
var logback []byte

// mavenGoal copies a pom's dependencies into a folder. The plugin's version is pinned so that a cached Maven
// repository stays sufficient.
const mavenGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

// CacheDir is where what peers need is kept between runs: $ZEBU_CACHE, else zebu in the user's cache directory.
func CacheDir() (string, error) {
	if d := os.Getenv("ZEBU_CACHE"); d != "" {
		return d, nil
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache directory: %w", err)
	}
	return filepath.Join(d, "zebu"), nil
}

// Jars returns the folder with Apache ZooKeeper 3.9's jars, fetched by Maven the first time and cached under a name
// that changes with the pom. It is safe to call from several processes at once.
func Jars(ctx context.Context) (string, error) {
	return fetchJars(ctx, "Apache ZooKeeper 3.9", "apache", pom)
}

// CuratorJars is [Jars] for Apache Curator and the ZooKeeper client that it uses.
func CuratorJars(ctx context.Context) (string, error) {
	return fetchJars(ctx, "Apache Curator", "curator", curatorPom)
}

// JetcdJars is [Jars] for jetcd, the client of etcd for Java.
func JetcdJars(ctx context.Context) (string, error) {
	return fetchJars(ctx, "jetcd", "jetcd", jetcdPom)
}

// fetchJars returns the folder with the jars that a pom asks for. The errors speak of what, the folder's name begins
// with prefix.
func fetchJars(ctx context.Context, what, prefix string, pom []byte) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(append([]byte(nil), pom...), logback...))
	dir := filepath.Join(cache, prefix+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	mvn, err := lookPath("mvn", what+"'s jars", "maven")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	tmp, err := os.MkdirTemp(cache, prefix+"-tmp-")
	if err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	defer os.RemoveAll(tmp)
	lib := filepath.Join(tmp, "lib")
	if err := os.MkdirAll(lib, 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	for name, text := range map[string][]byte{filepath.Join(tmp, "pom.xml"): pom, filepath.Join(lib, "logback.xml"): logback} {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return "", fmt.Errorf("prepare Maven: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, mvn, "-B", "-q", "-f", filepath.Join(tmp, "pom.xml"), mavenGoal, "-DoutputDirectory="+lib)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &Missing{What: what + "'s jars", Why: fmt.Sprintf("Maven failed: %v\n%s", err, out)}
	}
	if err := os.Rename(lib, dir); err != nil {
		if _, statErr := os.Stat(dir); statErr == nil {
			return dir, nil // another process was faster
		}
		return "", fmt.Errorf("keep %s's jars: %w", what, err)
	}
	return dir, nil
}

// ClassPath is the Java class path of what [Jars] returned.
func ClassPath(jars string) string {
	return jars + string(os.PathListSeparator) + filepath.Join(jars, "*")
}

// Missing says that a peer cannot be had on this machine.
type Missing struct {
	What string // the peer
	Why  string // what was looked for
}

func (m *Missing) Error() string { return m.What + " is missing: " + m.Why }

// lookPath finds a program that a peer needs.
func lookPath(program, peer, debianPackage string) (string, error) {
	p, err := exec.LookPath(program)
	if err != nil {
		return "", &Missing{What: peer, Why: fmt.Sprintf("no %s on PATH (Debian package %s)", program, debianPackage)}
	}
	return p, nil
}
