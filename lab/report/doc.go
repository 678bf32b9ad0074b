// Package report makes a page of what package lab has run: tables of the measures, a sentence for each difference that they show, and
// for each scenario a space-time diagram (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", 1978) of all
// protocols above each other, aligned in time.
//
// The page is one file that needs no network. What can be read is made here and is there without JavaScript: tables, sentences, fates of
// writes, the cost model. The diagrams are drawn on a canvas by the scripts in assets, which are plain files in the order of [scripts], and
// take the events from compressed blocks inside the page (pack.go). The same input gives the same bytes.
//
// zebu lab serve uses the same scripts and styles for its live page: see [Assets].
package report
