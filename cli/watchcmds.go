package cli

var watchCommands = []command{}
