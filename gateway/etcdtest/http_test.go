package etcdtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// differing are the parts of answers that are different in every cluster.
var differing = regexp.MustCompile(`"(cluster_id|member_id|raft_term)": ?"[0-9]+"`)

// posted are requests in JSON, with the paths that they go to.
var posted = [][2]string{
	{"/v3/kv/put", `{"key": "Zm9v", "value": "YmFy"}`},
	{"/v3/kv/put", `{"key": "Zm9v", "value": "YmFy", "prevKv": true, "unknown": 1}`},
	{"/v3/kv/put", `{"key": "Zm9v", "value": "YmFy", "prev_kv": true}`},
	{"/v3/kv/range", `{"key": "Zm9v"}`},
	{"/v3/kv/range", `{"key": "AA==", "range_end": "AA==", "count_only": true}`},
	{"/v3/kv/range", `{"key": "Zm9v", "revision": "100"}`},
	{"/v3/kv/range", `{"key": "Zm9v", "sort_order": "DESCEND", "sort_target": "MOD"}`},
	{"/v3/kv/range", `{}`},
	{"/v3/kv/range", ``},
	{"/v3/kv/range", `nonsense`},
	{"/v3/kv/range", `{"key": "!"}`},
	{"/v3beta/kv/range", `{"key": "Zm9v"}`},
	{"/v3/kv/txn", `{"compare":[{"key":"Zm9v","target":"VALUE","value":"YmFy"}],"success":[{"request_put":{"key":"Zm9v","value":"MQ=="}}],"failure":[{"request_range":{"key":"Zm9v"}}]}`},
	{"/v3/kv/txn", `{"success":[{"requestDeleteRange":{"key":"Zm9v","prev_kv":true}}]}`},
	{"/v3/kv/deleterange", `{"key": "Zm9v"}`},
	{"/v3/kv/compaction", `{"revision": "3", "physical": true}`},
	{"/v3/kv/compaction", `{"revision": "3"}`},
	{"/v3/lease/grant", `{"TTL": "100", "ID": "77"}`},
	{"/v3/lease/grant", `{"TTL": 100, "ID": 77}`},
	{"/v3/lease/keepalive", `{"ID": "77"}`},
	{"/v3/lease/leases", `{}`},
	{"/v3/kv/lease/leases", `{}`},
	{"/v3/lease/revoke", `{"ID": "77"}`},
	{"/v3/lease/timetolive", `{"ID": "77"}`},
	{"/v3/lease/revoke", `{"ID": "77"}`},
	{"/v3/maintenance/alarm", `{}`},
	{"/v3/maintenance/hash", `nonsense`},
	{"/v3/maintenance/transfer-leadership", `{"targetID": "99"}`},
	{"/v3/maintenance/defragment", `{}`},
	{"/v3/auth/status", `{}`},
	{"/v3/auth/authenticate", `{"name": "a", "password": "b"}`},
	{"/v3/lock/lock", `{"name": "bG9jaw==", "lease": "5"}`},
	{"/v3/lock/unlock", `{"key": "bG9jaw=="}`},
	{"/v3/election/leader", `{"name": "bG9jaw=="}`},
	{"/v3/election/proclaim", `{}`},
	{"/v3/nothing", `{}`},
}

// fetched are asked for with GET.
var fetched = []string{
	"/version", "/health", "/health?serializable=true", "/livez", "/livez?verbose", "/livez/serializable_read", "/livez/nothing", "/readyz",
	"/readyz/linearizable_read", "/readyz/data_corruption?verbose", "/readyz?exclude=linearizable_read", "/v3/kv/range", "/readyz/non_learner",
}

func TestHTTP(t *testing.T) {
	both(t, func(t *testing.T, addr string) (told []string) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ask := func(method, path, body string) {
			status, header, answer := roundTrip(t, ctx, method, "http://"+addr+path, body)
			told = append(told, fmt.Sprintf("%s %s %s -> %d %s %s", method, path, body, status, header, answer))
		}
		for _, p := range posted {
			ask("POST", p[0], p[1])
		}
		for _, path := range fetched {
			ask("GET", path, "")
			ask("POST", path, "")
			ask("OPTIONS", path, "")
		}
		ask("POST", "/v3/maintenance/alarm", `{"action": "ACTIVATE", "alarm": "NOSPACE", "memberID": "4"}`)
		ask("GET", "/health", "")
		ask("GET", "/health?exclude=NOSPACE", "")
		ask("GET", "/readyz", "")
		ask("POST", "/v3/kv/put", `{"key": "Zm9v"}`)
		ask("POST", "/v3/maintenance/alarm", `{"action": "ACTIVATE", "alarm": "CORRUPT", "memberID": "4"}`)
		ask("GET", "/health?exclude=NOSPACE&exclude=CORRUPT", "")
		ask("GET", "/readyz/data_corruption", "")
		ask("GET", "/livez", "")
		_, _, report := roundTrip(t, ctx, "GET", "http://"+addr+"/readyz?verbose", "")
		lines := strings.Split(report, "\n") // in any order
		slices.Sort(lines)
		return append(told, strings.Join(lines, " "))
	})
}

func roundTrip(t *testing.T, ctx context.Context, method, url, body string) (status int, header, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	h := resp.Header
	header = fmt.Sprintf("%q %q %q", h.Get("Content-Type"), h.Get("Access-Control-Allow-Origin"), h.Get("Allow"))
	var compact bytes.Buffer
	if json.Compact(&compact, b) == nil { // protojson puts in a blank now and then
		b = compact.Bytes()
	}
	return resp.StatusCode, header, differing.ReplaceAllString(string(b), `"$1":1`)
}

// TestWebSocket has streams and an error over WebSocket. What is no stream etcd answers when all messages are there, which it never knows.
func TestWebSocket(t *testing.T) {
	both(t, func(t *testing.T, addr string) (told []string) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for _, c := range []struct {
			path     string
			messages []string
			answers  int
		}{
			{"/v3/watch", []string{`{"create_request": {"key": "Zm9v"}}`, `{"create_request": {"key": "YmFy"}}`, `{"cancel_request": {"watch_id": 1}}`, `{"progress_request": {}}`}, 4},
			{"/v3beta/watch", []string{`{"create_request": {"key": "Zm9v"}}`}, 1},
			{"/v3/lease/keepalive", []string{`{"ID": 5}`, `{"ID": 6}`}, 2},
			{"/v3/nothing", []string{`{}`}, 1},
		} {
			conn, resp, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+addr+c.path, http.Header{"Sec-Websocket-Protocol": {"Bearer, token"}})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			defer conn.Close()
			told = append(told, c.path+" "+conn.Subprotocol())
			for i := range max(len(c.messages), c.answers) {
				if i < len(c.messages) {
					if err := conn.WriteMessage(websocket.TextMessage, []byte(c.messages[i])); err != nil {
						t.Fatal(err)
					}
				}
				if i >= c.answers {
					continue
				}
				deadline, _ := ctx.Deadline()
				conn.SetReadDeadline(deadline)
				kind, b, err := conn.ReadMessage()
				var compact bytes.Buffer
				if json.Compact(&compact, b) == nil {
					b = compact.Bytes()
				}
				told = append(told, fmt.Sprint(kind, differing.ReplaceAllString(string(b), `"$1":1`), err))
			}
		}
		return told
	})
}

func TestWatchJSON(t *testing.T) {
	both(t, func(t *testing.T, addr string) (told []string) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		url := "http://" + addr + "/v3/watch"
		r, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(`{"create_request": {"key": "Zm9v", "range_end": "Zm9w"}}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		line := func() {
			if !lines.Scan() {
				t.Fatal(lines.Err())
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, lines.Bytes()); err != nil {
				t.Fatal(err)
			}
			told = append(told, differing.ReplaceAllString(compact.String(), `"$1":1`))
		}
		line()
		for _, value := range []string{"MQ==", "Mg=="} {
			roundTrip(t, ctx, "POST", "http://"+addr+"/v3/kv/put", `{"key": "Zm9v", "value": "`+value+`"}`)
			line()
		}
		roundTrip(t, ctx, "POST", "http://"+addr+"/v3/kv/deleterange", `{"key": "Zm9v"}`)
		line()
		return told
	})
}
