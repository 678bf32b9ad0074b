package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"zebu/lab"
	labreport "zebu/lab/report"
)

func newLabCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "The laboratory: ZAB and Raft side by side",
		Long: `Runs ZAB (zebu's own election and broadcast) and Raft (go.etcd.io/raft/v3) under the same simulated
network, disk and clock, with the same clients and the same faults, and compares them.`,
	}
	cmd.AddCommand(newLabRunCommand(), newLabListCommand(), newLabServeCommand())
	return cmd
}

func newLabListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the scenarios",
		Args:  atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, sc := range lab.Scenarios() {
				fmt.Fprintf(w, "%s\t%s\n", sc.Name, sc.Title) // Flush tells
			}
			return w.Flush()
		},
	}
}

// labFlags are those of lab run.
type labFlags struct {
	protocols    []string
	servers      int
	seed         uint64
	seeds        int
	report, json string
}

func newLabRunCommand() *cobra.Command {
	var f labFlags
	cmd := &cobra.Command{
		Use:   "run [SCENARIO...]",
		Short: "Run scenarios and compare the protocols",
		Long: `Runs the scenarios that are named, or all of them ('zebu lab list'), under each protocol, once for
every seed, and prints what was measured: the median of all seeds and, in brackets, the 99th percentile. A
scenario may also be a file, given with its path. The same seed gives the same output, byte for byte.`,
		Example: `  zebu lab run leader-crash
  zebu lab run reads-local reads-quorum --seeds 100
  zebu lab run --report lab.html          # all of them, as a page with diagrams
  zebu lab run ./mine.txt --protocols zab,raft`,
		RunE: func(cmd *cobra.Command, args []string) error {
			scenarios, err := f.scenarios(args)
			if err != nil {
				return &exitError{exitInvalid, usageError{cmd, err}}
			}
			return f.run(cmd.OutOrStdout(), cmd.ErrOrStderr(), scenarios)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.protocols, "protocols", lab.Protocols(), "which protocols to run")
	flags.IntVar(&f.servers, "servers", 0, "how many servers vote (default: as the scenario says)")
	flags.Uint64Var(&f.seed, "seed", 1, "the first seed")
	flags.IntVar(&f.seeds, "seeds", 20, "how many seeds")
	flags.StringVar(&f.report, "report", "", "write a page with tables and diagrams to this file")
	flags.StringVar(&f.json, "json", "", "write everything to this file, as JSON ('-': to the standard output, instead of tables)")
	return cmd
}

// scenarios finds what the arguments name.
func (f *labFlags) scenarios(args []string) (all []*lab.Scenario, err error) {
	known := lab.Protocols()
	for _, p := range f.protocols {
		if !slices.Contains(known, p) {
			return nil, fmt.Errorf("--protocols %s: expected some of %s", p, strings.Join(known, ", "))
		}
	}
	if f.seeds < 1 || f.seeds > 100000 || len(f.protocols) == 0 {
		return nil, errors.New("expected a protocol, and 1 to 100000 --seeds")
	}
	if len(args) == 0 {
		all = lab.Scenarios()
	}
	for _, arg := range args {
		sc := lab.Lookup(arg)
		if sc == nil {
			if sc, err = scenarioFile(arg); err != nil {
				return nil, err
			}
		}
		all = append(all, sc)
	}
	for i := range all {
		if f.servers == 0 {
			break
		}
		if all[i], err = all[i].WithServers(f.servers); err != nil {
			return nil, fmt.Errorf("%s with --servers %d: %w", all[i].Name, f.servers, err)
		}
	}
	return all, nil
}

// scenarioFile reads a scenario of the user's own.
func scenarioFile(path string) (*lab.Scenario, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(path, "/.") {
		return nil, fmt.Errorf("there is no scenario %q: see 'zebu lab list'", path)
	}
	if err != nil {
		return nil, err
	}
	return lab.ParseScenario(strings.TrimSuffix(filepath.Base(path), ".txt"), string(text))
}

// labResult is what --json writes.
type labResult struct {
	Cost   string       `json:"cost"`
	Runs   []lab.Run    `json:"runs"`
	Series []lab.Series `json:"series"`
}

// run runs the scenarios and writes what is asked for.
func (f *labFlags) run(out, errs io.Writer, scenarios []*lab.Scenario) error {
	result := labResult{Cost: lab.CostModel()}
	violations := 0
	for _, sc := range scenarios {
		var series []lab.Series
		for _, p := range f.protocols {
			run, s, err := lab.Sweep(sc, p, f.seed, f.seeds)
			if err != nil {
				return err
			}
			result.Runs, series = append(result.Runs, *run), append(series, s)
			violations += s.Violations
			if s.Violated != "" {
				fmt.Fprintf(errs, "zebu: %s, %s, %s\n", sc.Name, p, s.Violated)
			}
		}
		result.Series = append(result.Series, series...)
		if f.json != "-" {
			if err := labTable(out, sc, series); err != nil {
				return err
			}
		}
	}
	if err := f.write(out, &result); err != nil {
		return err
	}
	if violations > 0 {
		return fmt.Errorf("%d violations of what the protocols promise", violations)
	}
	return nil
}

// write writes the files that were asked for.
func (f *labFlags) write(out io.Writer, result *labResult) error {
	if f.json == "-" {
		return json.NewEncoder(out).Encode(result)
	}
	if f.json != "" {
		if err := writeFile(f.json, func(w io.Writer) error { return json.NewEncoder(w).Encode(result) }); err != nil {
			return err
		}
	}
	if f.report == "" {
		return nil
	}
	return writeFile(f.report, func(w io.Writer) error {
		return labreport.Write(w, result.Runs, result.Series, result.Cost)
	})
}

// writeFile makes a file of what is written.
func writeFile(path string, write func(w io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// labTable prints a scenario's measures, one column a protocol.
func labTable(out io.Writer, sc *lab.Scenario, series []lab.Series) error {
	seeds := "1 seed"
	if n := series[0].Seeds; n > 1 {
		seeds = fmt.Sprintf("%d seeds: median (99th percentile)", n)
	}
	fmt.Fprintf(out, "%s: %s\n%d servers, %s\n", sc.Name, sc.Title, sc.Servers, seeds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, " ")
	for i := range series {
		fmt.Fprint(w, "\t", series[i].Protocol)
	}
	fmt.Fprintln(w)
	for _, row := range labRows(series) {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	fmt.Fprintln(w)
	return w.Flush()
}

// labRows are the measures of several protocols side by side, without those that are 0 everywhere.
func labRows(series []lab.Series) (rows [][]string) {
	var names []string
	cells := map[string][]string{}
	matters := map[string]bool{}
	for i := range series {
		for _, st := range series[i].Stats {
			if cells[st.Name] == nil {
				names = append(names, st.Name)
				cells[st.Name] = append([]string{"  " + st.Title}, slices.Repeat([]string{"-"}, len(series))...)
			}
			matters[st.Name] = matters[st.Name] || st.Max > 0
			text := labValue(st.Unit, st.Median)
			if series[i].Seeds > 1 {
				text += " (" + labValue(st.Unit, st.P99) + ")"
			}
			cells[st.Name][i+1] = text
		}
	}
	order := lab.MeasureNames()
	slices.SortStableFunc(names, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	for _, name := range names {
		if matters[name] {
			rows = append(rows, cells[name])
		}
	}
	return rows
}

// labValue prints a measure.
func labValue(unit string, v float64) string {
	switch {
	case unit == "us" && v >= 1e6:
		return fmt.Sprintf("%.2f s", v/1e6)
	case unit == "us" && v >= 100e3:
		return fmt.Sprintf("%.0f ms", v/1e3)
	case unit == "us":
		return fmt.Sprintf("%.1f ms", v/1e3)
	case unit == "1/s":
		return fmt.Sprintf("%.0f/s", v)
	case v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
