// Package mutant names bugs that can be put back into the code, to see that the simulation finds them (see sim/README.md). Where
// one would be, the code asks [On]; in a build without the tag "mutants" the answer is a constant, and the compiler leaves
// nothing of the question.
package mutant

// Bug is one bug.
type Bug uint8

// The bugs. None is the code as it is.
const (
	None Bug = iota

	// Acknowledgements and commits.
	AckBeforeSync        // a follower acknowledges a proposal before it is on its disk
	AckBeforeHistory     // it acknowledges NEWLEADER before the leader's history is on its disk (ZOOKEEPER-3911, 4646)
	CommitWithMinority   // a leader commits what only one server has logged
	CommitUnlogged       // it counts itself before it has logged
	CommitMissesOwnSync  // a leader whose own disk is the last of a quorum does not commit (ZOOKEEPER-4537)
	EarlyAckCounts       // a follower acknowledges proposals before NEWLEADER, and a leader counts that (ZOOKEEPER-4685)
	EstablishAlone       // its history is committed before a quorum has it
	OneQuorumDecides     // during a reconfiguration the old configuration alone decides
	LeadsWithoutQuorum   // a leader that hears from no quorum stays one
	SyncAnsweredEarly    // a sync is answered before what was proposed before it is committed
	AnyoneConfirms       // one follower confirms that the leader of many leads
	SyncWithoutQuorum    // a sync does not find out whether this leader still is one
	LostSyncAnswered     // a sync of a link that is gone is answered over the next one (ZOOKEEPER-2355)
	OracleWordKept       // the oracle's word outlives a follower's visit
	RolloverOverlooked   // zxids go on beyond the end of their epoch (ZOOKEEPER-1277)
	InformOutOfOrder     // an observer applies two transactions the other way round
	CommitBeforeUpToDate // a commit between NEWLEADER and UPTODATE finds no proposal (ZOOKEEPER-4394)

	// Epochs and elections.
	AcceptedEpochNotWritten // acceptedEpoch is not written
	CurrentEpochNotWritten  // currentEpoch is not
	EpochNotSynced          // the epochs' files are renamed before they are synced
	EpochRenameNotSynced    // and the rename is not (ZOOKEEPER-2307)
	EpochBeforeHistory      // currentEpoch is written before the history that belongs to it (ZOOKEEPER-4643)
	ZxidReused              // a leader goes on in the epoch that there was, with zxids that there were
	OldEpochAccepted        // a follower follows the leader of an older epoch than it has accepted, which does not make way
	PromiseCountsTwice      // a promise counts again when a leader asks again
	PromisesNeedNoQuorum    // a leader begins with less than a quorum's promises
	AheadFollowerElects     // a follower with a later history promises its help to a leader
	LaterEpochOverlooked    // a member that has accepted a later epoch is kept out
	VoteIgnoresZxid         // candidates are not compared by what they have logged
	VoteIgnoresEpoch        // nor by epochs
	ElectedByMinority       // an election needs no quorum
	RoundNotTakenOver       // a server does not go over to a later round
	LostDiskVotes           // a server that has lost its disk votes (ZOOKEEPER-2325, 3056)
	VoteWithoutLogTail      // and one that does not know the end of its own log (ZOOKEEPER-2845)
	ConfigGoesBack          // an older configuration comes into force again

	// Synchronisation.
	TruncIgnored         // a follower does not carry out TRUNC
	TruncNotDone         // its disk does not
	TruncErrorIgnored    // or cannot, and says nothing (ZOOKEEPER-3701)
	SnapshotBeyondCut    // a snapshot of what is cut off stays (ZOOKEEPER-4837)
	CutStaysInMemory     // the committed log keeps what was cut off
	MemoryAheadOfLog     // what comes with a synchronisation is applied before it is on disk (ZOOKEEPER-5094)
	CommittedLeftOut     // a synchronisation leaves out one transaction (ZOOKEEPER-4925)
	OutstandingLeftOut   // or what is proposed and not committed
	NewLeaderFirst       // NEWLEADER overtakes the history (ZOOKEEPER-3104)
	OldHistoryKept       // what a snapshot has replaced is not set aside (ZOOKEEPER-3642)
	SnapshotNotInstalled // a snapshot of the leader is not written to disk (ZOOKEEPER-2872)
	WritesOutliveRole    // a role ends before its writes (ZOOKEEPER-4712)

	// The disk.
	LogNotSynced          // the log is not synced
	LogDirNotSynced       // the directory is not, after a new log
	SyncErrorIgnored      // the log goes on after a failed sync (ZOOKEEPER-2247)
	SnapshotNotSynced     // a snapshot is renamed before it is synced
	SnapshotDirNotSynced  // and the rename is not
	SnapshotLacksSessions // a snapshot has no sessions (ZOOKEEPER-3144)
	PurgeTakesTooMuch     // a log is removed that a snapshot needs (ZOOKEEPER-3231)
	CorruptLogCut         // a damaged log is taken for a torn one
	CorruptSnapshotLoaded // a damaged snapshot is loaded

	// Sessions and requests.
	ServesDuringRecovery    // clients are served before UPTODATE
	StaleServerServes       // and those who have seen more than the server
	ClientsOutliveRole      // clients stay when the server's role ends
	ReadOvertakesWrite      // a read does not wait for the session's writes
	MovedSessionWrites      // a session writes over a connection that it has left
	MovedMultiAnswered      // and is told so in a multi's results, and goes on
	ClosingSessionWrites    // a session writes behind its end (ZOOKEEPER-1208)
	UnknownSessionResumes   // a session that nobody knows is continued
	DeposedLeaderExpires    // a leader calls a session expired without knowing that it still leads
	SessionsStay            // sessions never expire
	TouchesIgnored          // sessions at followers expire although they are alive
	EphemeralsForgotten     // a closeSession that is read back from the log leaves ephemerals
	EphemeralsLeft          // any closeSession does
	LocalMakesEphemeral     // a local session of another server makes ephemerals (ZOOKEEPER-3471)
	MultiKeepsHalf          // a multi that fails leaves what it had planned
	AnswerOfAnother         // a request's answer goes to the session with the same cxid
	ReadOnlyForAll          // without a leader even those are served who do not want that
	ReadOnlyWrites          // without a leader writes are not refused
	MasterMixesAnswers      // an observer master does not know whose sync is answered
	MasterCutsObserver      // an observer master has an observer's later history cut off
	ContainerReapedInUse    // a container is removed when it has children
	TTLNodeReapedTooSoon    // a TTL node is removed before its time
	UnsettledReadsForgotten // reads that wait for nothing are left waiting (ZOOKEEPER-4537)

	// Watches.
	WatchLostOnMove      // a watch is not set again on another server
	MoveMissesChange     // what changed meanwhile fires nothing (ZOOKEEPER-1412)
	EventAfterReply      // an event comes behind the data that it tells of
	WatchFiresAgain      // a watch fires more than once
	WatchesOutliveConn   // a connection's watches outlive it (ZOOKEEPER-1382)
	WatchModesExclude    // a persistent watch takes the place of another one (ZOOKEEPER-4466)
	RecursiveSeesParent  // a recursive watch hears of changed children (ZOOKEEPER-4475)
	PersistentNotRearmed // a persistent watch is not set again on another server

	// Count is the number of bugs, None included.
	Count
)
