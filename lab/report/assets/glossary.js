// What messages are for. A message's class decides how its arrow is drawn and which filter hides it.
lab.classes = {
  election: {title: "election", dash: [2, 3], width: 1.2},
  recovery: {title: "discovery, synchronisation, snapshots", dash: [8, 4], width: 1.4},
  broadcast: {title: "proposals, acknowledgements, commits", dash: [], width: 1.2},
  forward: {title: "forwarded requests", dash: [8, 3, 2, 3], width: 1.1},
  read: {title: "confirmation of reads", dash: [4, 2, 1, 2], width: 1.1},
  heartbeat: {title: "heartbeats", dash: [1, 4], width: 0.9},
};

// In the paper (DSN 2011, figure 5) ZAB's messages have other names: CEPOCH, NEWEPOCH, ACK-E, NEWLEADER, ACK-LD, COMMIT-LD.
lab.glossary = {
  // ZAB as ZooKeeper speaks it
  notification: ["election", "whom the sender would elect, with the history its vote is based on"],
  FOLLOWERINFO: ["recovery", "a server joins the one it has elected and tells the newest epoch it has accepted (CEPOCH in the paper)"],
  OBSERVERINFO: ["recovery", "an observer joins the leader"],
  LEADERINFO: ["recovery", "the leader names the new epoch, newer than all that a quorum has accepted (NEWEPOCH in the paper)"],
  ACKEPOCH: ["recovery", "the epoch is accepted: no older leader will be listened to; with the last zxid of the sender's history (ACK-E in the paper)"],
  DIFF: ["recovery", "keep your history: what it lacks follows"],
  TRUNC: ["recovery", "cut your history behind this zxid: the leader does not have the rest"],
  SNAP: ["recovery", "a snapshot of the whole state follows"],
  NEWLEADER: ["recovery", "the history of the new epoch is complete: make it durable"],
  UPTODATE: ["recovery", "a quorum has the history: serve clients (COMMIT-LD in the paper)"],
  PROPOSAL: ["broadcast", "log this transaction"],
  ACK: ["broadcast", "it is on my disk, and all before it"],
  COMMIT: ["broadcast", "a quorum has logged it: apply it"],
  COMMITANDACTIVATE: ["broadcast", "a quorum of the old and of the new configuration has logged the change: apply it"],
  INFORM: ["broadcast", "a committed transaction, for an observer"],
  INFORMANDACTIVATE: ["broadcast", "a committed change of configuration, for an observer"],
  REQUEST: ["forward", "a client's write or sync, passed on to the leader"],
  REVALIDATE: ["forward", "a client has moved here: is its session alive?"],
  SYNC: ["read", "a sync is done: reads after it see all that was committed before"],
  PING: ["heartbeat", "is alive"],
  // Raft as go.etcd.io/raft names it; the paper's remote procedure calls in brackets
  MsgHup: ["election", "the election timeout has run out"],
  MsgPreVote: ["election", "would you vote for me in the next term? Nobody's term changes by asking (thesis 9.6)"],
  MsgPreVoteResp: ["election", "whether it would"],
  MsgVote: ["election", "vote for me in this term; with the end of my log (RequestVote)"],
  MsgVoteResp: ["election", "the vote, or its refusal"],
  MsgTransferLeader: ["election", "hand leadership over"],
  MsgTimeoutNow: ["election", "start an election at once (thesis 3.10)"],
  MsgApp: ["broadcast", "append these entries behind that one, and commit up to this index (AppendEntries)"],
  MsgAppResp: ["broadcast", "appended up to here; or rejected, and where to look next"],
  MsgSnap: ["recovery", "a snapshot, because the entries are gone from the leader's log (InstallSnapshot)"],
  MsgProp: ["forward", "a client's command, passed on to the leader"],
  MsgHeartbeat: ["heartbeat", "the leader is alive, and commit up to this index (an empty AppendEntries)"],
  MsgHeartbeatResp: ["heartbeat", "has heard the leader"],
  MsgReadIndex: ["read", "which index must a read wait for? (thesis 6.4)"],
  MsgReadIndexResp: ["read", "the index that the read waits for"],
};

lab.classOf = (name) => (lab.glossary[name] || ["broadcast"])[0];

// The groups of what is not a message, for filters.
lab.groups = {
  faults: {title: "faults", kinds: ["crash", "restart", "partition", "heal", "slowLink", "slowDisk", "clock"]},
  roles: {title: "roles and votes", kinds: ["role", "vote", "serve", "member", "sync"]},
  log: {title: "proposals, commits, cuts", kinds: ["propose", "commit", "apply", "cut"]},
  disk: {title: "disk", kinds: ["fsync"]},
  clients: {title: "clients", kinds: ["clientSend", "clientAck", "clientFail", "clientRead", "staleRead"]},
};

// groupOf is the filter that an event obeys: a class of messages or a group.
lab.groupOf = (e) => {
  if (e.kind === "send" || e.kind === "recv" || e.kind === "lost") return lab.classOf(e.name);
  for (const [id, g] of Object.entries(lab.groups)) if (g.kinds.includes(e.kind)) return id;
  return "faults";
};
