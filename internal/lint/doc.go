// Package lint holds the rules of this repository that no linter knows, as tests: how long files and functions may be,
// and which packages may import which.
package lint
