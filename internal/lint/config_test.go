package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pending are fields of conf's structs that no other package reads yet. The list may only get shorter.
var pending = []string{
	"Quorum.DynamicFile",       // for conf.DynamicFiles
	"Throttle.ConnLocalWeight", // of local sessions
}

// TestConfigIsHonoured checks that what package conf accepts has an effect: some package reads every field.
func TestConfigIsHonoured(t *testing.T) {
	read := map[string]bool{}
	for _, path := range goFiles(t) {
		rel, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		rel = filepath.ToSlash(rel)
		if strings.HasSuffix(rel, "_test.go") || strings.HasPrefix(rel, "conf/") {
			continue
		}
		ast.Inspect(parse(t, path), func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				read[s.Sel.Name] = true
			}
			return true
		})
	}
	for _, field := range configFields(t) {
		_, name, _ := strings.Cut(field, ".")
		if !read[name] && !slices.Contains(pending, field) {
			t.Errorf("nothing reads conf.%s: honour the key, or say in conf's table why it has no effect", field)
		}
		if read[name] && slices.Contains(pending, field) {
			t.Logf("conf.%s is read now: take it off the list", field)
		}
	}
}

// configFields lists the exported fields of the structs in package conf that describe the configuration.
func configFields(t *testing.T) []string {
	t.Helper()
	var fields []string
	list := func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name == "HostPort" {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					if name.IsExported() {
						fields = append(fields, spec.Name.Name+"."+name.Name)
					}
				}
			}
		}
		return true
	}
	for _, name := range []string{"config.go", "quorum.go"} {
		ast.Inspect(parse(t, filepath.Join(root, "conf", name)), list)
	}
	if len(fields) < 90 {
		t.Fatalf("only %d fields found", len(fields))
	}
	return fields
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
