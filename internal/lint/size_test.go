package lint

import (
	"bufio"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The limits, in lines. What exceeds them is recorded in ceilings.txt and may shrink, never grow.
const (
	maxFile     = 800
	maxFunction = 70
)

const root = "../.."

var update = flag.Bool("update", false, "lower the recorded ceilings to what the code has become")

// TestSize holds every file and function to its limit or to its recorded ceiling.
func TestSize(t *testing.T) {
	ceilings := readCeilings(t)
	sizes := map[string]int{}
	for _, path := range goFiles(t) {
		measure(t, path, sizes)
	}
	left := map[string]int{}
	for _, what := range slices.Sorted(maps.Keys(sizes)) {
		lines, limit := sizes[what], maxFile
		if strings.Contains(what, " ") {
			limit = maxFunction
		}
		ceiling, recorded := ceilings[what]
		switch {
		case lines <= limit:
			continue
		case !recorded:
			t.Errorf("%s has %d lines, the limit is %d: split it", what, lines, limit)
		case lines > ceiling:
			t.Errorf("%s has grown to %d lines; its recorded ceiling is %d and may only fall", what, lines, ceiling)
		case lines < ceiling && !*update:
			t.Errorf("%s has shrunk from %d to %d lines: record it with go test ./internal/lint -update", what, ceiling, lines)
		}
		left[what] = min(lines, max(ceiling, limit))
	}
	for what := range ceilings {
		if _, still := left[what]; !still && !*update {
			t.Errorf("%s is within its limit or gone: drop it from ceilings.txt with go test ./internal/lint -update", what)
		}
	}
	if *update {
		writeCeilings(t, left, ceilings)
	}
}

// goFiles lists the files written by hand, relative to the root.
func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(name, ".go") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// measure notes the lines of a file under its path, and of each function under "path name". Generated files are exempt,
// and so are tests' functions: a table of cases is no burden.
func measure(t *testing.T, path string, sizes map[string]int) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Errorf("%v", err)
		return
	}
	if ast.IsGenerated(file) {
		return
	}
	rel, err := filepath.Rel(root, path)
	if err != nil {
		t.Fatal(err)
	}
	rel = filepath.ToSlash(rel)
	sizes[rel] = set.File(file.Pos()).LineCount()
	if strings.HasSuffix(rel, "_test.go") {
		return
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			sizes[rel+" "+functionName(f)] = set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1
		}
	}
}

func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if index, ok := receiver.(*ast.IndexExpr); ok {
		receiver = index.X
	}
	if id, ok := receiver.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

// readCeilings reads ceilings.txt: lines of a number, a space and a file or function.
func readCeilings(t *testing.T) map[string]int {
	t.Helper()
	f, err := os.Open("ceilings.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ceilings := map[string]int{}
	for s := bufio.NewScanner(f); s.Scan(); {
		number, what, _ := strings.Cut(s.Text(), " ")
		if strings.HasPrefix(number, "#") || number == "" {
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("ceilings.txt: %q: %v", s.Text(), err)
		}
		ceilings[what] = n
	}
	return ceilings
}

// writeCeilings lowers what is recorded; it never adds or raises.
func writeCeilings(t *testing.T, left, before map[string]int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Files and functions over the limit: lines, then the file, then perhaps the function. They may only fall.\n")
	for _, what := range slices.Sorted(maps.Keys(left)) {
		if _, recorded := before[what]; recorded {
			fmt.Fprintf(&b, "%d %s\n", left[what], what)
		}
	}
	if err := os.WriteFile("ceilings.txt", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
