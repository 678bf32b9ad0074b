package server

import "io"

// wordServer answers four-letter words.
type wordServer interface {
	IsWord(first [4]byte) bool
	Run(w io.Writer, word string) error
}

// serveWord answers the four-letter word at the start of the input; the connection ends with the answer.
func (s *Server) serveWord(c *conn) {
	_ = s.words.Run(c.nc, string(c.in[:4]))
}
