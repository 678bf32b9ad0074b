//go:build !unix

package backend

func free(string) int64 { return -1 }
