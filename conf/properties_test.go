package conf

import (
	"bufio"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestPropertiesAgainstJava holds the parser to what java.util.Properties made of the same texts
// (testdata/PropertiesGolden.java).
func TestPropertiesAgainstJava(t *testing.T) {
	f, err := os.Open("testdata/properties.golden")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases := 0
	for s := bufio.NewScanner(f); s.Scan(); cases++ {
		words, malformed := literals(t, s.Text())
		want := map[string]string{}
		for i := 1; i+1 < len(words); i += 2 {
			want[words[i]] = words[i+1]
		}
		props, faults := parseProperties(latin1(words[0]))
		if malformed != (len(faults) > 0) {
			t.Errorf("%q: faults %v, Java found it malformed: %v", words[0], faults, malformed)
			continue
		}
		got := map[string]string{}
		for _, p := range props {
			got[p.key] = p.value
		}
		if !malformed && !maps.Equal(got, want) {
			t.Errorf("%q:\n got %q\nwant %q", words[0], got, want)
		}
	}
	if cases < 1000 {
		t.Errorf("only %d cases", cases)
	}
}

// literals reads the Go string literals of a golden line, and whether it ends in the word malformed.
func literals(t *testing.T, line string) (words []string, malformed bool) {
	t.Helper()
	for line != "" {
		if line == "malformed" {
			return words, true
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			t.Fatalf("golden line %q: %v", line, err)
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("golden word %s: %v", quoted, err)
		}
		words = append(words, word)
		line = strings.TrimPrefix(line[len(quoted):], " ")
	}
	return words, false
}

func latin1(s string) []byte {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}

func TestPropertyLines(t *testing.T) {
	props, faults := parseProperties([]byte("# c\n\na=1\\\n  2\r\nb=\\u12\nc=3\n"))
	if len(props) != 2 || props[0].line != 3 || props[1].line != 6 {
		t.Errorf("properties %+v", props)
	}
	if len(faults) != 1 || faults[0].line != 5 {
		t.Errorf("faults %+v", faults)
	}
}

func FuzzDecodeProperties(f *testing.F) {
	f.Add([]byte("a=1\\\n 2\n#c\n\\u0041 : x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		props, _ := parseProperties(text)
		for _, p := range props {
			if p.line < 1 || p.from < 0 || p.from > p.to || p.to > len(text) {
				t.Fatalf("%+v of %d bytes", p, len(text))
			}
		}
	})
}
