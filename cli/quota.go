package cli

var quotaCommands = []command{}
