package recipes

// Servers are those that the examples connect to.
func Servers() []string { return addresses() }
