package main

import "github.com/spf13/cobra"

func newTxnlogCommand() *cobra.Command {
	return &cobra.Command{Use: "txnlog", Short: "Look into transaction logs"}
}
