//go:build mutants

package mutant

// Active is the bug that is put back. It is set when nothing else runs.
var Active Bug

// On says whether one of the bugs is put back.
func On(bugs ...Bug) bool {
	for _, b := range bugs {
		if b == Active {
			return true
		}
	}
	return false
}
