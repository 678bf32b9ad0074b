package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"zebu/gateway"
	"zebu/gateway/gatewaytest"
)

// dialSocket opens a WebSocket.
func (s *server) dialSocket(t testing.TB, path string, header http.Header) *websocket.Conn {
	t.Helper()
	conn, resp, err := websocket.DefaultDialer.DialContext(soon(t), "ws://"+s.addr+path, header)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	t.Cleanup(func() { conn.Close() })
	return conn
}

func say(t testing.TB, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t testing.TB, conn *websocket.Conn) string {
	t.Helper()
	_, b, err := conn.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSocketStream has two watches on one stream, which ends with the server.
func TestSocketStream(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	c, conn := s.client(t), s.dialSocket(t, "/v3/watch", nil)
	for i, key := range []string{"YQ==", "Yg=="} {
		say(t, conn, `{"create_request": {"key": "`+key+`"}}`)
		if got := hear(t, conn); !strings.Contains(got, `"created":true`) || strings.Contains(got, `"watch_id":"1"`) != (i == 1) {
			t.Errorf("created: %s", got)
		}
	}
	for _, key := range []string{"b", "a"} {
		must[*clientv3.PutResponse](t)(c.Put(soon(t), key, strings.Repeat("v", 1<<20)))
		if got := hear(t, conn); len(got) < 1<<20 || strings.Contains(got, `"watch_id":"1"`) != (key == "b") {
			t.Errorf("%d bytes: %.100s", len(got), got)
		}
	}
	ended := make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Stop(ctx)
		close(ended)
	}()
	var closed *websocket.CloseError
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			if !errors.As(err, &closed) {
				t.Error(err)
			}
			break
		}
	}
	<-ended
}

// TestSocketIdle has connections that say nothing when the server stops.
func TestSocketIdle(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{})
	for _, path := range []string{"/v3/watch", "/v3/kv/range", "/v3/nothing"} {
		s.dialSocket(t, path, nil)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.Stop(ctx)
	if ctx.Err() != nil {
		t.Error("the server waits for them")
	}
}

// bearing knows users by the tokens that come over HTTP.
type bearing struct{ denying }

func (bearing) Identify(ctx context.Context) (string, uint64, error) {
	if v := metadata.ValueFromIncomingContext(ctx, "authorization"); len(v) > 0 {
		return strings.TrimPrefix(v[0], "Bearer "), 7, nil
	}
	return "", 0, nil
}

// TestSocketToken shows a token where pages in browsers can: in the name of the protocol.
func TestSocketToken(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{Authenticator: bearing{}})
	for token, want := range map[string]string{"": `desc = etcdserver: user name is empty"`, "Bearer, u": `"created":true}}`, "Bearer,u": `"created":true}}`} {
		header := http.Header{}
		if token != "" {
			header.Set("Sec-WebSocket-Protocol", token)
		}
		conn := s.dialSocket(t, "/v3/watch", header)
		say(t, conn, `{"create_request": {"key": "dQ=="}}`)
		if got := strings.ReplaceAll(hear(t, conn), " ", ""); !strings.Contains(got, strings.ReplaceAll(want, " ", "")) {
			t.Errorf("%q: %s", token, got)
		}
	}
}

// TestSocketTooMuch sends more than a request can have.
func TestSocketTooMuch(t *testing.T) {
	s := start(t, gatewaytest.Options{}, gateway.Options{MaxRequestBytes: 1000})
	conn := s.dialSocket(t, "/v3/watch", nil)
	err := conn.WriteMessage(websocket.TextMessage, []byte(fmt.Sprintf(`{"create_request": {"key": "%s"}}`, strings.Repeat("A", 4<<20))))
	for err == nil {
		_, _, err = conn.ReadMessage()
	}
	if got := must[*clientv3.StatusResponse](t)(s.client(t).Status(soon(t), s.addr)); len(got.Errors) > 0 || s.node.Status().Watches != 0 {
		t.Errorf("a message of 4 MiB has made %d watches, %v", s.node.Status().Watches, got.Errors)
	}
}
