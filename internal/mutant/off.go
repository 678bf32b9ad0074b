//go:build !mutants

package mutant

// On says whether one of the bugs is put back: never.
func On(...Bug) bool { return false }
