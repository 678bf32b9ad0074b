package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestSocketUnread has a handler return in the middle of a message: nobody waits for who would read the rest.
func TestSocketUnread(t *testing.T) {
	s := &Server{web: &http.Server{}}
	s.Options.complete()
	web := httptest.NewServer(s.sockets(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1))
	})))
	conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		s.done.Wait() // as Stop does
		web.Close()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the handler waits for somebody to read the rest")
	}
}
