package cli

var treeCommands = []command{}
