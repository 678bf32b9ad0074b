package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// closeTimeout is how long the last word on a WebSocket may take.
const closeTimeout = time.Second

// sockets lets clients use WebSocket, as in etcd: pages in browsers cannot send and receive over HTTP/1 at once. Each message
// that comes is a request in JSON, each that goes an answer. It takes no more connections, and closes those there are, when the web server is shut down.
func (s *Server) sockets(next http.Handler) http.Handler {
	ended := make(chan struct{})
	s.web.RegisterOnShutdown(func() { close(ended) })
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }} // as without WebSocket: see open
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !websocket.IsWebSocketUpgrade(r) {
			next.ServeHTTP(w, r)
			return
		}
		if !s.hold() {
			http.Error(w, errStopped.Error(), http.StatusServiceUnavailable)
			return
		}
		defer s.done.Done()
		const bearer = "Bearer"
		token, known := strings.CutPrefix(r.Header.Get("Sec-WebSocket-Protocol"), bearer+",")
		answer := http.Header{}
		if known {
			answer.Set("Sec-WebSocket-Protocol", bearer)
		}
		conn, err := upgrader.Upgrade(w, r, answer)
		if err != nil {
			return // the client has been told why
		}
		conn.SetReadLimit(s.maxBody())
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		body, messages := io.Pipe()
		request := r.Clone(ctx)
		request.Method, request.Body, request.Header = http.MethodPost, body, http.Header{}
		if known {
			request.Header.Set("Authorization", bearer+" "+strings.TrimSpace(token))
		}
		receiving := make(chan struct{})
		go func() {
			defer close(receiving)
			defer cancel()
			receive(conn, messages)
		}()
		stop := context.AfterFunc(ctx, func() { _ = body.Close() })
		defer stop()
		go func() {
			select {
			case <-ended:
				_ = conn.Close()
			case <-receiving:
			}
		}()
		out := &socketWriter{conn: conn}
		next.ServeHTTP(out, request)
		out.end()
		_ = conn.Close()
		_ = body.Close() // a message that nobody reads any more may be on its way
		<-receiving
	})
}

// hold keeps the server from being stopped until done is told; false if it is stopped already.
func (s *Server) hold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.done.Add(1)
	}
	return !s.ended
}

// receive passes messages on until there are no more, or nobody takes them.
func receive(conn *websocket.Conn, to *io.PipeWriter) {
	defer to.Close()
	for {
		_, b, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if _, err := to.Write(append(b, '\n')); err != nil {
			return
		}
	}
}

// socketWriter sends each line of an answer as a message.
type socketWriter struct {
	conn   *websocket.Conn
	header http.Header
	rest   []byte // of a line that has no end yet
}

// Header implements http.ResponseWriter; there is nothing that would send it.
func (w *socketWriter) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter. What went wrong stands in the message, too.
func (w *socketWriter) WriteHeader(int) {}

// Flush implements http.Flusher.
func (w *socketWriter) Flush() {}

// Write implements http.ResponseWriter. It does not fail: that the client is gone is noticed where its messages are received.
func (w *socketWriter) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	for {
		line, rest, whole := bytes.Cut(w.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		w.send(line)
		w.rest = append(w.rest[:0], rest...)
	}
}

func (w *socketWriter) send(line []byte) {
	if len(line) > 0 {
		_ = w.conn.WriteMessage(websocket.TextMessage, line)
	}
}

// end sends what has no end of a line, and says that nothing more comes.
func (w *socketWriter) end() {
	w.send(w.rest)
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = w.conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(closeTimeout))
}
