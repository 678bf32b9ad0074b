package metrics

import (
	"reflect"
	"strings"
)

// Server is every metric of a server process, under the names, kinds and in the order of ZooKeeper 3.9's own
// (spec 12.4, 12.5). Those that have no meaning in zebu, or none in a standalone server, stay 0, so that a dashboard
// finds every name it asks for. Times are in milliseconds, sizes in bytes. Make one with [New].
type Server struct {
	// Registry holds the metrics below in order; gauges are added to it by those who own what they tell of.
	Registry Registry

	FsyncTime                                    *Summary    `metric:"fsynctime"`
	SnapshotTime                                 *Summary    `metric:"snapshottime"`
	SnapshotErrorCount                           *Counter    `metric:"snapshot_error_count"`
	SnapshotRateLimitedCount                     *Counter    `metric:"snapshot_rate_limited_count"`
	RestoreTime                                  *Summary    `metric:"restore_time"`
	RestoreErrorCount                            *Counter    `metric:"restore_error_count"`
	RestoreRateLimitedCount                      *Counter    `metric:"restore_rate_limited_count"`
	DBInitTime                                   *Summary    `metric:"dbinittime"`
	ReadLatency                                  *Summary    `metric:"readlatency,advanced"`
	UpdateLatency                                *Summary    `metric:"updatelatency,advanced"`
	PropagationLatency                           *Summary    `metric:"propagation_latency,advanced"`
	FollowerSyncTime                             *Summary    `metric:"follower_sync_time"`
	ObserverSyncTime                             *Summary    `metric:"observer_sync_time"`
	ElectionTime                                 *Summary    `metric:"election_time"`
	LookingCount                                 *Counter    `metric:"looking_count"`
	DiffCount                                    *Counter    `metric:"diff_count"`
	SnapCount                                    *Counter    `metric:"snap_count"`
	CommitCount                                  *Counter    `metric:"commit_count"`
	ConnectionRequestCount                       *Counter    `metric:"connection_request_count"`
	ConnectionTokenDeficit                       *Summary    `metric:"connection_token_deficit"`
	ConnectionRejected                           *Counter    `metric:"connection_rejected"`
	InflightSnapCount                            *Summary    `metric:"inflight_snap_count"`
	InflightDiffCount                            *Summary    `metric:"inflight_diff_count"`
	WritePerNamespace                            *SummarySet `metric:"write_per_namespace"`
	ReadPerNamespace                             *SummarySet `metric:"read_per_namespace"`
	BytesReceivedCount                           *Counter    `metric:"bytes_received_count"`
	UnrecoverableErrorCount                      *Counter    `metric:"unrecoverable_error_count"`
	NodeCreatedWatcher                           *Summary    `metric:"node_created_watch_count"`
	NodeDeletedWatcher                           *Summary    `metric:"node_deleted_watch_count"`
	NodeChangedWatcher                           *Summary    `metric:"node_changed_watch_count"`
	NodeChildrenWatcher                          *Summary    `metric:"node_children_watch_count"`
	AddDeadWatcherStallTime                      *Counter    `metric:"add_dead_watcher_stall_time"`
	DeadWatchersQueued                           *Counter    `metric:"dead_watchers_queued"`
	DeadWatchersCleared                          *Counter    `metric:"dead_watchers_cleared"`
	DeadWatchersCleanerLatency                   *Summary    `metric:"dead_watchers_cleaner_latency,advanced"`
	ResponsePacketCacheHits                      *Counter    `metric:"response_packet_cache_hits"`
	ResponsePacketCacheMissing                   *Counter    `metric:"response_packet_cache_misses"`
	ResponsePacketGetChildrenCacheHits           *Counter    `metric:"response_packet_get_children_cache_hits"`
	ResponsePacketGetChildrenCacheMissing        *Counter    `metric:"response_packet_get_children_cache_misses"`
	EnsembleAuthSuccess                          *Counter    `metric:"ensemble_auth_success"`
	EnsembleAuthFail                             *Counter    `metric:"ensemble_auth_fail"`
	EnsembleAuthSkip                             *Counter    `metric:"ensemble_auth_skip"`
	PrepProcessorQueueTime                       *Summary    `metric:"prep_processor_queue_time_ms,advanced"`
	PrepProcessorQueueSize                       *Summary    `metric:"prep_processor_queue_size"`
	PrepProcessorQueued                          *Counter    `metric:"prep_processor_request_queued"`
	OutstandingChangesQueued                     *Counter    `metric:"outstanding_changes_queued"`
	OutstandingChangesRemoved                    *Counter    `metric:"outstanding_changes_removed"`
	PrepProcessTime                              *Summary    `metric:"prep_process_time"`
	ProposalProcessTime                          *Summary    `metric:"proposal_process_time"`
	CloseSessionPrepTime                         *Summary    `metric:"close_session_prep_time,advanced"`
	RevalidateCount                              *Counter    `metric:"revalidate_count"`
	ConnectionDropCount                          *Counter    `metric:"connection_drop_count"`
	ConnectionRevalidateCount                    *Counter    `metric:"connection_revalidate_count"`
	SessionlessConnectionsExpired                *Counter    `metric:"sessionless_connections_expired"`
	StaleSessionsExpired                         *Counter    `metric:"stale_sessions_expired"`
	UnavailableTime                              *Summary    `metric:"unavailable_time"`
	LeaderUnavailableTime                        *Summary    `metric:"leader_unavailable_time"`
	RequestsInSessionQueue                       *Summary    `metric:"requests_in_session_queue"`
	PendingSessionQueueSize                      *Summary    `metric:"pending_session_queue_size"`
	ReadsAfterWriteInSessionQueue                *Summary    `metric:"reads_after_write_in_session_queue"`
	ReadIssuedFromSessionQueue                   *Summary    `metric:"reads_issued_from_session_queue"`
	SessionQueuesDrained                         *Summary    `metric:"session_queues_drained"`
	TimeWaitingEmptyPoolInCommitProcessorRead    *Summary    `metric:"time_waiting_empty_pool_in_commit_processor_read_ms"`
	WriteBatchTimeInCommitProcessor              *Summary    `metric:"write_batch_time_in_commit_processor"`
	ConcurrentRequestProcessingInCommitProcessor *Summary    `metric:"concurrent_request_processing_in_commit_processor"`
	ReadsQueuedInCommitProcessor                 *Summary    `metric:"read_commit_proc_req_queued"`
	WritesQueuedInCommitProcessor                *Summary    `metric:"write_commit_proc_req_queued"`
	CommitsQueuedInCommitProcessor               *Summary    `metric:"commit_commit_proc_req_queued"`
	CommitsQueued                                *Counter    `metric:"request_commit_queued"`
	ReadsIssuedInCommitProc                      *Summary    `metric:"read_commit_proc_issued"`
	WritesIssuedInCommitProc                     *Summary    `metric:"write_commit_proc_issued"`
	ThrottledOps                                 *Counter    `metric:"throttled_ops"`
	ReadCommitprocTime                           *Summary    `metric:"read_commitproc_time_ms,advanced"`
	WriteCommitprocTime                          *Summary    `metric:"write_commitproc_time_ms,advanced"`
	LocalWriteCommittedTime                      *Summary    `metric:"local_write_committed_time_ms,advanced"`
	ServerWriteCommittedTime                     *Summary    `metric:"server_write_committed_time_ms,advanced"`
	CommitProcessTime                            *Summary    `metric:"commit_process_time"`
	OMProposalProcessTime                        *Summary    `metric:"om_proposal_process_time_ms,advanced"`
	OMCommitProcessTime                          *Summary    `metric:"om_commit_process_time_ms,advanced"`
	ReadFinalProcTime                            *Summary    `metric:"read_final_proc_time_ms,advanced"`
	WriteFinalProcTime                           *Summary    `metric:"write_final_proc_time_ms,advanced"`
	ProposalLatency                              *Summary    `metric:"proposal_latency,advanced"`
	ProposalAckCreationLatency                   *Summary    `metric:"proposal_ack_creation_latency,advanced"`
	CommitPropagationLatency                     *Summary    `metric:"commit_propagation_latency,advanced"`
	LearnerProposalReceivedCount                 *Counter    `metric:"learner_proposal_received_count"`
	LearnerCommitReceivedCount                   *Counter    `metric:"learner_commit_received_count"`
	LearnerHandlerQpSize                         *SummarySet `metric:"learner_handler_qp_size"`
	LearnerHandlerQpTime                         *SummarySet `metric:"learner_handler_qp_time_ms,advanced"`
	StartupTxnsLoaded                            *Summary    `metric:"startup_txns_loaded"`
	StartupTxnsLoadTime                          *Summary    `metric:"startup_txns_load_time"`
	StartupSnapLoadTime                          *Summary    `metric:"startup_snap_load_time"`
	SyncProcessorQueueAndFlushTime               *Summary    `metric:"sync_processor_queue_and_flush_time_ms,advanced"`
	SyncProcessorQueueSize                       *Summary    `metric:"sync_processor_queue_size"`
	SyncProcessorQueued                          *Counter    `metric:"sync_processor_request_queued"`
	SyncProcessorQueueTime                       *Summary    `metric:"sync_processor_queue_time_ms,advanced"`
	SyncProcessorFlushTime                       *Summary    `metric:"sync_processor_queue_flush_time_ms,advanced"`
	SyncProcessTime                              *Summary    `metric:"sync_process_time"`
	BatchSize                                    *Summary    `metric:"sync_processor_batch_size"`
	QuorumAckLatency                             *Summary    `metric:"quorum_ack_latency,advanced"`
	AckLatency                                   *SummarySet `metric:"ack_latency,advanced"`
	ProposalCount                                *Counter    `metric:"proposal_count"`
	QuitLeadingDueToDisloyalVoter                *Counter    `metric:"quit_leading_due_to_disloyal_voter"`
	StaleRequests                                *Counter    `metric:"stale_requests"`
	StaleRequestsDropped                         *Counter    `metric:"stale_requests_dropped"`
	StaleReplies                                 *Counter    `metric:"stale_replies"`
	RequestThrottleQueueTime                     *Summary    `metric:"request_throttle_queue_time_ms,advanced"`
	RequestThrottleWaitCount                     *Counter    `metric:"request_throttle_wait_count"`
	LargeRequestsRejected                        *Counter    `metric:"large_requests_rejected"`
	NettyQueuedBuffer                            *Summary    `metric:"netty_queued_buffer_capacity"`
	DigestMismatchesCount                        *Counter    `metric:"digest_mismatches_count"`
	LearnerRequestProcessorQueueSize             *Summary    `metric:"learner_request_processor_queue_size"`
	UnsuccessfulHandshake                        *Counter    `metric:"unsuccessful_handshake"`
	InsecureAdmin                                *Counter    `metric:"insecure_admin_count"`
	TLSHandshakeExceeded                         *Counter    `metric:"tls_handshake_exceeded"`
	CnxnClosedWithoutZkServerRunning             *Counter    `metric:"cnxn_closed_without_zk_server_running"`
	SkipLearnerRequestToNextProcessorCount       *Counter    `metric:"skip_learner_request_to_next_processor_count"`
	SocketClosingTime                            *Summary    `metric:"socket_closing_time"`
	RequestsNotForwardedToCommitProcessor        *Counter    `metric:"requests_not_forwarded_to_commit_processor"`
	ResponseBytes                                *Counter    `metric:"response_bytes"`
	WatchBytes                                   *Counter    `metric:"watch_bytes"`
	JVMPauseTime                                 *Summary    `metric:"jvm_pause_time_ms,advanced"`
	QuotaExceededErrorPerNamespace               *CounterSet `metric:"quota_exceeded_error_per_namespace"`

	// Where the time of writes goes: microseconds that a batch of them spends in each stage. These are zebu's own.
	StagePlan   *Summary `metric:"zebu_write_stage_plan_us,advanced"`   // requests become transactions
	StageLog    *Summary `metric:"zebu_write_stage_log_us,advanced"`    // one write and one fsync
	StageQuorum *Summary `metric:"zebu_write_stage_quorum_us,advanced"` // on a leader, from proposing to being committed
	StageApply  *Summary `metric:"zebu_write_stage_apply_us,advanced"`  // the tree changes, replies and events are made
	StageReply  *Summary `metric:"zebu_write_stage_reply_us,advanced"`  // these are sent
}

// New returns a server's metrics, all 0.
func New() *Server {
	s := new(Server)
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		tag, ok := v.Type().Field(i).Tag.Lookup("metric")
		if !ok {
			continue
		}
		name, level, _ := strings.Cut(tag, ",")
		advanced := level == "advanced"
		var m Metric
		switch v.Field(i).Interface().(type) {
		case *Counter:
			m = &Counter{name: name}
		case *CounterSet:
			m = &CounterSet{name: name}
		case *Summary:
			m = newSummary(name, advanced)
		case *SummarySet:
			m = &SummarySet{name: name, advanced: advanced}
		}
		v.Field(i).Set(reflect.ValueOf(m))
		s.Registry.Add(m)
	}
	return s
}
