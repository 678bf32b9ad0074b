package gateway

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMessages(t *testing.T) {
	short := `{"a":"}\"]{","b":[{},"\\"]}` + "\n"
	for name, c := range map[string]struct {
		stream string
		want   error
	}{
		"many":           {strings.Repeat(short, 1000), nil},
		"a long text":    {short + `{"key":"` + strings.Repeat("A", 100), errTooLong},
		"deep":           {short + strings.Repeat("[", 100), errTooLong},
		"not an object":  {short + strings.Repeat(" ", 100), errTooLong},
		"brackets alone": {strings.Repeat("]", 1000), nil}, // the decoder will say
	} {
		body := io.NopCloser(iotest.OneByteReader(strings.NewReader(c.stream)))
		if _, err := io.Copy(io.Discard, &messages{ReadCloser: body, limit: 60}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
