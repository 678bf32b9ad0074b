package interop

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zebu/gateway/gatewaytest"
)

// tlsScript is what clients do that show certificates: "@u" stands for the files of one with u as its common name.
const tlsScript = `
put a 1
@u get a
user add root:secret
user grant-role root root
role add r
role grant-permission r readwrite foo
user add u --no-password
user add v:pw
user grant-role u r
auth enable
@u put foo 1
@u get foo
@u del foo --prev-kv
@u get a
@u user list
@u user get u
@u auth status
@u member add x --peer-urls=http://127.0.0.1:1
@u --user v:pw get foo
@u --user v:wrong get foo
@u --user root:secret user list
@v put foo 1
@v get foo
@root put foo 2
@root user list
@stranger get foo
@stranger put foo 3
--user v:pw get foo
--user root:secret get foo
@root lease revoke 1
@u role get r
@root role revoke-permission r foo
@u get foo
@root user delete u
@u get foo
@root auth disable
@stranger get foo
`

// TestEtcdctlTLS does the same to an etcd and to a zebu that want certificates of their clients, and gets the same answers.
func TestEtcdctlTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority, err := gatewaytest.NewAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][2]string{}
	for _, name := range []string{"server", "nobody", "u", "v", "root", "stranger"} {
		commonName := name
		if name == "nobody" {
			commonName = ""
		}
		cert, key, err := authority.Issue(name, commonName)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = [2]string{cert, key}
	}
	cert, key := files["server"][0], files["server"][1]
	endpoints := map[string]string{
		"zebu": launchZebuEtcd(t, "etcd.certFile="+cert, "etcd.keyFile="+key, "etcd.trustedCAFile="+authority.File, "etcd.clientCertAuth=true"),
		"etcd": launchEtcd(t, filepath.Join(dir, "etcd"), "https", "--cert-file="+cert, "--key-file="+key, "--trusted-ca-file="+authority.File, "--client-cert-auth"),
	}
	// as is an etcdctl that trusts the authority.
	as := func(maker, name string) etcdShell {
		s := etcdctl(t, "https://"+endpoints[maker])
		s.env = append(s.env, "ETCDCTL_CACERT="+authority.File)
		if f, ok := files[name]; ok {
			s.env = append(s.env, "ETCDCTL_CERT="+f[0], "ETCDCTL_KEY="+f[1])
		}
		return s
	}
	for maker := range endpoints {
		awaitEtcd(t, as(maker, "nobody"))
	}
	done := 0
	for _, line := range strings.Split(strings.TrimSpace(tlsScript), "\n") {
		args, name := strings.Fields(line), "nobody"
		if given, ok := strings.CutPrefix(args[0], "@"); ok {
			args, name = args[1:], given
		}
		want := make(chan string, 1)
		go func() { want <- said(t.Context(), as("etcd", name), args) }()
		got := said(t.Context(), as("zebu", name), args)
		if want := <-want; got != want {
			t.Errorf("etcdctl %s\n-- etcd:\n%s-- zebu:\n%s", line, want, got)
		}
		if strings.HasSuffix(got, "true\n") {
			done++
		}
		if slices.Contains([]string{"auth enable", "@root auth disable"}, line) {
			compareJSON(t, endpoints, authority.File, files)
		}
	}
	if done < 18 {
		t.Errorf("%d commands have done something: the script is not what it was", done)
	}
	out, _, ok := as("zebu", "none").run(t.Context(), "--command-timeout=1s", "--dial-timeout=1s", "get", "a")
	if ok {
		t.Errorf("without a certificate: %s", out)
	}
}

// compareJSON asks both for JSON with all certificates, over HTTP/1 and HTTP/2.
func compareJSON(t *testing.T, endpoints map[string]string, authority string, files map[string][2]string) {
	t.Helper()
	text, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range files {
		if name == "nobody" {
			continue // what is said to the user without a name is not the same: see docs/etcd.md
		}
		pair, err := tls.LoadX509KeyPair(f[0], f[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, http2 := range []bool{false, true} {
			config := &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{pair}}
			config.RootCAs.AppendCertsFromPEM(text)
			transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: http2}
			for _, path := range []string{"/v3/auth/status", "/v3beta/kv/range", "/health"} {
				told := map[string]string{}
				for maker, endpoint := range endpoints {
					told[maker] = posted(&http.Client{Transport: transport}, "https://"+endpoint+path)
				}
				if told["zebu"] != told["etcd"] {
					t.Errorf("%s %s, HTTP/2 %v\n-- etcd:\n%s\n-- zebu:\n%s", name, path, http2, told["etcd"], told["zebu"])
				}
			}
			transport.CloseIdleConnections()
		}
	}
}

// posted tells what a server answers, without what is different in every cluster.
func posted(c *http.Client, url string) string {
	resp, err := c.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var compact bytes.Buffer
	if json.Compact(&compact, text) == nil { // one build of protojson puts in blanks, and another one does not
		text = compact.Bytes()
	}
	body := string(text)
	if strings.HasPrefix(body, `{"header"`) {
		body = body[strings.Index(body, "}"):]
	}
	return fmt.Sprintln(resp.Proto, resp.StatusCode, body, err)
}
