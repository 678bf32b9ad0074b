// Functions without bodies, which check_test.go links to, need an assembly file in the package.
