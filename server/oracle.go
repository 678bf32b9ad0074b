package server

import (
	"io"
	"os"

	"zebu/conf"
	"zebu/proto"
)

// oracleGrants asks the oracle: the first character of its file is '1' (oraclePath, spec 7.5). What cannot be read grants nothing.
func oracleGrants(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var first [1]byte
	_, err = io.ReadFull(f, first[:])
	return err == nil && first[0] == '1'
}

// epochWait is leader.maxTimeToWaitForEpoch as [replica.MemberOptions] have it: negative is never, 0 at once.
func epochWait(q *conf.Quorum) proto.Millis {
	if q.MaxTimeToWaitForEpoch < 0 {
		return 0
	}
	return max(1, millis(q.MaxTimeToWaitForEpoch))
}
