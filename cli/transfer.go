package cli

var transferCommands = []command{}
