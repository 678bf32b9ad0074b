package main

import (
	"strings"
	"testing"
)

const stream = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    x_test.go:7: wrong\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"p","Test":"TestGone","Output":"    x_test.go:9: no Java\n"}
{"Action":"output","Package":"p","Test":"TestGone","Output":"--- SKIP: TestGone (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestGone"}
{"Action":"output","Package":"other","Test":"TestStuck","Output":"=== RUN   TestStuck\n"}
{"Action":"output","Package":"p","Test":"TestStuck","Output":"=== RUN   TestStuck\n"}
{"Action":"output","Package":"p","Test":"TestStuck","Output":"panic: test timed out\n"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
not JSON
{"Action":"build-output","ImportPath":"q","Output":"q.go:1: syntax error\n"}
`

func TestReporter(t *testing.T) {
	var out strings.Builder
	r := reporter{out: &out, output: map[test][]string{}, skipped: map[string][]test{}}
	if err := r.read(strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	r.summary()
	want := `    x_test.go:7: wrong
--- FAIL: TestBad (0.00s)
=== RUN   TestStuck
panic: test timed out
FAIL	p	0.1s
not JSON
q.go:1: syntax error

*** LEFT OUT:
***   no Java
***       p TestGone
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
