//go:build mutants

package mutant

// Active is the bug that is put back. It is set when nothing else runs.
var Active Bug

// On says whether one of the bugs is put back.
func On(bugs ...Bug) bool {
	for _, b := range bugs {
		if b == Active {
			return true
		}
	}
	return false
}

// String is the bug's name.
func (b Bug) String() string { return names[b] }

var names = [Count]string{
	None:                    "None",
	AckBeforeSync:           "AckBeforeSync",
	AckBeforeHistory:        "AckBeforeHistory",
	CommitWithMinority:      "CommitWithMinority",
	CommitUnlogged:          "CommitUnlogged",
	CommitMissesOwnSync:     "CommitMissesOwnSync",
	EarlyAckCounts:          "EarlyAckCounts",
	EstablishAlone:          "EstablishAlone",
	OneQuorumDecides:        "OneQuorumDecides",
	LeadsWithoutQuorum:      "LeadsWithoutQuorum",
	SyncAnsweredEarly:       "SyncAnsweredEarly",
	AnyoneConfirms:          "AnyoneConfirms",
	SyncWithoutQuorum:       "SyncWithoutQuorum",
	LostSyncAnswered:        "LostSyncAnswered",
	OracleWordKept:          "OracleWordKept",
	RolloverOverlooked:      "RolloverOverlooked",
	InformOutOfOrder:        "InformOutOfOrder",
	CommitBeforeUpToDate:    "CommitBeforeUpToDate",
	AcceptedEpochNotWritten: "AcceptedEpochNotWritten",
	CurrentEpochNotWritten:  "CurrentEpochNotWritten",
	EpochNotSynced:          "EpochNotSynced",
	EpochRenameNotSynced:    "EpochRenameNotSynced",
	EpochBeforeHistory:      "EpochBeforeHistory",
	ZxidReused:              "ZxidReused",
	OldEpochAccepted:        "OldEpochAccepted",
	PromiseCountsTwice:      "PromiseCountsTwice",
	PromisesNeedNoQuorum:    "PromisesNeedNoQuorum",
	AheadFollowerElects:     "AheadFollowerElects",
	LaterEpochOverlooked:    "LaterEpochOverlooked",
	VoteIgnoresZxid:         "VoteIgnoresZxid",
	VoteIgnoresEpoch:        "VoteIgnoresEpoch",
	ElectedByMinority:       "ElectedByMinority",
	RoundNotTakenOver:       "RoundNotTakenOver",
	LostDiskVotes:           "LostDiskVotes",
	VoteWithoutLogTail:      "VoteWithoutLogTail",
	ConfigGoesBack:          "ConfigGoesBack",
	TruncIgnored:            "TruncIgnored",
	TruncNotDone:            "TruncNotDone",
	TruncErrorIgnored:       "TruncErrorIgnored",
	SnapshotBeyondCut:       "SnapshotBeyondCut",
	CutStaysInMemory:        "CutStaysInMemory",
	MemoryAheadOfLog:        "MemoryAheadOfLog",
	CommittedLeftOut:        "CommittedLeftOut",
	OutstandingLeftOut:      "OutstandingLeftOut",
	NewLeaderFirst:          "NewLeaderFirst",
	OldHistoryKept:          "OldHistoryKept",
	SnapshotNotInstalled:    "SnapshotNotInstalled",
	WritesOutliveRole:       "WritesOutliveRole",
	LogNotSynced:            "LogNotSynced",
	LogDirNotSynced:         "LogDirNotSynced",
	SyncErrorIgnored:        "SyncErrorIgnored",
	SnapshotNotSynced:       "SnapshotNotSynced",
	SnapshotDirNotSynced:    "SnapshotDirNotSynced",
	SnapshotLacksSessions:   "SnapshotLacksSessions",
	PurgeTakesTooMuch:       "PurgeTakesTooMuch",
	CorruptLogCut:           "CorruptLogCut",
	CorruptSnapshotLoaded:   "CorruptSnapshotLoaded",
	ServesDuringRecovery:    "ServesDuringRecovery",
	StaleServerServes:       "StaleServerServes",
	ClientsOutliveRole:      "ClientsOutliveRole",
	ReadOvertakesWrite:      "ReadOvertakesWrite",
	MovedSessionWrites:      "MovedSessionWrites",
	MovedMultiAnswered:      "MovedMultiAnswered",
	ClosingSessionWrites:    "ClosingSessionWrites",
	UnknownSessionResumes:   "UnknownSessionResumes",
	DeposedLeaderExpires:    "DeposedLeaderExpires",
	SessionsStay:            "SessionsStay",
	TouchesIgnored:          "TouchesIgnored",
	EphemeralsForgotten:     "EphemeralsForgotten",
	EphemeralsLeft:          "EphemeralsLeft",
	LocalMakesEphemeral:     "LocalMakesEphemeral",
	MultiKeepsHalf:          "MultiKeepsHalf",
	AnswerOfAnother:         "AnswerOfAnother",
	ReadOnlyForAll:          "ReadOnlyForAll",
	ReadOnlyWrites:          "ReadOnlyWrites",
	MasterMixesAnswers:      "MasterMixesAnswers",
	MasterCutsObserver:      "MasterCutsObserver",
	ContainerReapedInUse:    "ContainerReapedInUse",
	TTLNodeReapedTooSoon:    "TTLNodeReapedTooSoon",
	UnsettledReadsForgotten: "UnsettledReadsForgotten",
	WatchLostOnMove:         "WatchLostOnMove",
	MoveMissesChange:        "MoveMissesChange",
	EventAfterReply:         "EventAfterReply",
	WatchFiresAgain:         "WatchFiresAgain",
	WatchesOutliveConn:      "WatchesOutliveConn",
	WatchModesExclude:       "WatchModesExclude",
	RecursiveSeesParent:     "RecursiveSeesParent",
	PersistentNotRearmed:    "PersistentNotRearmed",
}
