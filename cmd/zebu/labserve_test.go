package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestLabServe asks for the page where the command says that it is, and ends the command.
func TestLabServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- serveLab(ctx, "127.0.0.1:0", w)
		w.Close()
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(line)
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(page), "ZAB and Raft by hand") {
		t.Errorf("%s has %.200q, %v", url, page, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := serveLab(t.Context(), "nowhere.invalid:x", io.Discard); err == nil {
		t.Error("an address that is none is accepted")
	}
}
