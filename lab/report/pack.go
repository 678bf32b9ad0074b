package report

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"zebu/lab"
)

// packedRun is a run as the page carries it: the events as columns of small numbers, which compress to a few bytes an event. Each event is
// the difference to one that is likely to be like it: the arrival of a message to its sending, all others to the last of their kind.
// assets/unpack.js undoes it.
type packedRun struct {
	Protocol string        `json:"protocol"`
	Seed     uint64        `json:"seed"`
	Servers  int           `json:"servers"`
	Duration lab.Micros    `json:"duration"`
	Marks    []lab.Mark    `json:"marks"`
	Phases   []Phase       `json:"phases"`
	Gaps     []Window      `json:"gaps"`   // parts of the run whose routine has been left out
	Hidden   bool          `json:"hidden"` // the panel is not shown at first
	Commands []lab.Command `json:"commands"`
	Strings  []string      `json:"strings"` // what Kind, Name and Note are numbers of
	// Columns: kind; time since the event before; for arrivals how many newer sendings are still under way, plus one, else 0; and the
	// differences of the other fields.
	Columns [][]int64 `json:"columns"`
}

// Columns of a packed run.
const (
	colKind = iota
	colAt
	colOf
	colDur
	colServer
	colPeer
	colEpoch
	colIndex
	colName
	colMsg
	colBytes
	colClient
	colCommand
	colNote
	columns
)

// packer turns events into columns.
type packer struct {
	strings  []string
	numbers  map[string]int64
	columns  [][]int64
	at       lab.Micros
	last     map[lab.Kind]lab.Event
	underWay []lab.Event // sent, neither received nor lost
}

func pack(r lab.Run) packedRun {
	phases := Phases(r)
	r, gaps := thin(r, phases, drawnEvents)
	p := packer{numbers: map[string]int64{}, columns: make([][]int64, columns), last: map[lab.Kind]lab.Event{}}
	p.number("")
	for i := range p.columns {
		p.columns[i] = make([]int64, 0, len(r.Events))
	}
	for _, e := range r.Events {
		p.add(e)
	}
	return packedRun{
		Protocol: r.Protocol, Seed: r.Seed, Servers: r.Servers, Duration: r.Duration, Marks: Steps(r.Marks),
		Phases: phases, Gaps: gaps, Commands: r.Commands, Strings: p.strings, Columns: p.columns,
	}
}

// number is that of a string.
func (p *packer) number(s string) int64 {
	n, ok := p.numbers[s]
	if !ok {
		n = int64(len(p.strings))
		p.strings = append(p.strings, s)
		p.numbers[s] = n
	}
	return n
}

func (p *packer) add(e lab.Event) {
	like, of := p.last[e.Kind], int64(0)
	if e.Kind == lab.Send {
		like.Msg++ // they are numbered as they are sent
	}
	if e.Kind == lab.Recv || e.Kind == lab.Lost {
		for back := 1; back <= len(p.underWay); back++ {
			i := len(p.underWay) - back
			if s := p.underWay[i]; s.Msg == e.Msg {
				like, of = s, int64(back)
				like.Server, like.Peer = s.Peer, s.Server
				p.underWay = append(p.underWay[:i], p.underWay[i+1:]...)
				break
			}
		}
	}
	row := [columns]int64{
		colKind: p.number(string(e.Kind)), colAt: int64(e.At - p.at), colOf: of, colDur: int64(e.Dur - like.Dur),
		colServer: int64(e.Server - like.Server), colPeer: int64(e.Peer - like.Peer), colEpoch: e.Epoch - like.Epoch,
		colIndex: e.Index - like.Index, colName: p.number(e.Name) - p.number(like.Name), colMsg: e.Msg - like.Msg,
		colBytes: int64(e.Bytes - like.Bytes), colClient: int64(e.Client - like.Client),
		colCommand: int64(e.Command - like.Command), colNote: p.number(e.Note) - p.number(like.Note),
	}
	for i, v := range row {
		p.columns[i] = append(p.columns[i], v)
	}
	p.at = e.At
	p.last[e.Kind] = e
	if e.Kind == lab.Send {
		p.underWay = append(p.underWay, e)
	}
}

// compress is the JSON of v, compressed, as text.
func compress(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode the events: %w", err)
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(raw)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return "", fmt.Errorf("compress the events: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}
