package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"zebu/conf"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and explain configurations",
	}
	cmd.AddCommand(newConfigCheckCommand(), newConfigDefaultCommand())
	return cmd
}

func newConfigDefaultCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "default",
		Short:   "Print the configuration that a server without a file runs with",
		Example: "  zebu config default > zoo.cfg",
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), conf.DefaultText())
			return err
		},
	}
}

func newConfigCheckCommand() *cobra.Command {
	var config configFlags
	var output string
	var given bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Validate a zoo.cfg and print what it means",
		Long: `Validate ZooKeeper's configuration file FILE together with -D flags and the environment variables
SERVER_JVMFLAGS and JVMFLAGS, just as 'zebu server' would, and print the effective configuration: every
value with its source, then the warnings. Nothing is started or written. Without FILE the embedded
default is checked. Passwords are not printed.

Exit codes: 0 valid, 2 invalid; all faults are printed at once.`,
		Example: `  zebu config check /etc/zookeeper/zoo.cfg
  zebu config check zoo.cfg --given
  zebu config check zoo.cfg -Dzookeeper.snapCount=10000 -o json | jq .warnings`,
		Args: atMost(4),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return &exitError{exitInvalid, fmt.Errorf("--output %s: expected table or json", output)}
			}
			cfg, err := config.load(cmd, args)
			if output == "json" {
				if printed := printJSON(cmd.OutOrStdout(), cfg, err, given); printed != nil {
					return printed
				}
				return err
			}
			if err != nil {
				return err
			}
			return printTable(cmd.OutOrStdout(), cfg, given)
		},
	}
	config.add(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "how to print: table or json")
	cmd.Flags().BoolVar(&given, "given", false, "leave out values that are ZooKeeper's defaults")
	return cmd
}

// rows are the values to print.
func rows(c *conf.Config, given bool) []conf.Value {
	all := c.Values()
	if !given {
		return all
	}
	var some []conf.Value
	for _, v := range all {
		if v.Source.Kind != conf.FromDefault {
			some = append(some, v)
		}
	}
	return some
}

func printTable(w io.Writer, c *conf.Config, given bool) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "KEY\tVALUE\tSOURCE")
	for _, v := range rows(c, given) {
		value := v.Value
		if value == "" {
			value = "-"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", v.Key, value, v.Source)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	mode := "a standalone server"
	if c.Distributed() {
		mode = fmt.Sprintf("a member of an ensemble of %d", len(c.Quorum.Config.Members))
	}
	fmt.Fprintf(w, "\nValid: %s.\n", mode)
	if len(c.Warnings()) > 0 {
		fmt.Fprintf(w, "\nWarnings:\n")
	}
	for _, warning := range c.Warnings() {
		if _, err := fmt.Fprintf(w, "  %s\n", warning); err != nil {
			return err
		}
	}
	return nil
}

// report is the JSON form of a check.
type report struct {
	File     string        `json:"file"`
	Valid    bool          `json:"valid"`
	Ensemble bool          `json:"ensemble"`
	Values   []reportValue `json:"values"`
	Warnings []reportNote  `json:"warnings"`
	Errors   []reportNote  `json:"errors"`
}

type reportValue struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

type reportNote struct {
	Source  string `json:"source"`
	Key     string `json:"key"`
	Message string `json:"message"`
}

func printJSON(w io.Writer, c *conf.Config, fault error, given bool) error {
	r := report{Valid: fault == nil, Values: []reportValue{}, Warnings: []reportNote{}, Errors: faultNotes(fault)}
	if c != nil {
		r.File, r.Ensemble = c.File, c.Distributed()
		for _, v := range rows(c, given) {
			r.Values = append(r.Values, reportValue{v.Key, v.Value, v.Source.String()})
		}
		for _, n := range c.Warnings() {
			r.Warnings = append(r.Warnings, reportNote{n.Source.String(), n.Key, n.Message})
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// faultNotes lists the faults behind an error.
func faultNotes(err error) []reportNote {
	notes := []reportNote{}
	var faults conf.Errors
	if !errors.As(err, &faults) {
		return notes
	}
	for _, fault := range faults {
		var f *conf.Error
		if errors.As(fault, &f) {
			notes = append(notes, reportNote{f.Source.String(), f.Key, f.Problem})
		}
	}
	return notes
}
