package cli

var ensembleCommands = []command{}
