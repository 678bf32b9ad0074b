package main

import (
	"os"
	"testing"
)

// programVariable, when set, makes this test program the program under test: for tests that need zebu as a process. The
// processes that it starts are it too.
const programVariable = "ZEBU_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}
