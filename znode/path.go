package znode

// ValidatePath says whether path may name a node (spec 1.7).
func ValidatePath(path string) bool { return path != "" && path[0] == '/' }
