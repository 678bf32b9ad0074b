package election

import "zebu/proto"

// answerInterval is how long, in milliseconds, an answer that still holds is not given again. It is less than any
// server waits before it asks again.
const answerInterval proto.Millis = 100

// answers remembers who was told this server's present vote, in answer to what. Two servers that take each other for
// outsiders, or whose rounds cannot meet, would go on answering each other's answers otherwise.
type answers []given

type given struct {
	to    proto.ServerID
	asked ballot
	at    proto.Millis
}

// maxAnswers bounds the memory that strangers can make this server use.
const maxAnswers = 256

func (as *answers) clear() { *as = (*as)[:0] }

// due says whether to answer, and takes note that it is done.
func (as *answers) due(now proto.Millis, to proto.ServerID, asked ballot) bool {
	for i := range *as {
		if a := &(*as)[i]; a.to == to {
			if a.asked == asked && now-a.at < answerInterval {
				return false
			}
			a.asked, a.at = asked, now
			return true
		}
	}
	if len(*as) == maxAnswers {
		as.clear()
	}
	*as = append(*as, given{to, asked, now})
	return true
}

// answer tells one server this server's vote.
func (e *Election) answer(now proto.Millis, to proto.ServerID, n *proto.Notification, v Vote) {
	asked := ballot{Vote: Vote{n.Leader, n.Zxid, n.Round, n.PeerEpoch}, from: to, state: n.State}
	if e.answers.due(now, to, asked) {
		e.send(to, v)
	}
}
