package browser

import (
	"errors"
	"os"
	"testing"

	"zebu/internal/peers"
)

// ForTest runs a Chromium until the end of a test, which is left out where there is none; with CI set that is a failure.
func ForTest(t *testing.T) *Browser {
	t.Helper()
	b, err := Start(t.Context())
	var missing *peers.Missing
	if errors.As(err, &missing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}
