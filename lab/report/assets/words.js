// Events in words.

// entry names an entry of a log as its protocol does. Not every event knows the entry's epoch: then the index stands alone.
lab.entry = (trace, e) => {
  if (e.index === undefined || e.index < 0) return "";
  return trace.protocol === "zab" ? `zxid ${e.epoch}:${e.index}` : `entry ${e.index}`;
};

// bracket puts what is known in brackets.
const bracket = (...parts) => {
  const known = parts.filter(Boolean);
  return known.length ? ` (${known.join("; ")})` : "";
};

const words = {
  message(t, e) {
    const p = lab.protocol(t.protocol);
    const about = (lab.glossary[e.name] || [])[1];
    const what = [e.kind !== "send" || e.epoch ? `${p.epoch} ${e.epoch}` : "", e.index >= 0 ? lab.entry(t, e) : "", e.bytes ? `${e.bytes} bytes` : ""];
    return bracket(...what, e.note) + (about ? ` — ${about}` : "");
  },
  send(t, e) {
    const a = e.arrow;
    let fate = "";
    const held = t.cutAt(e.server, e.peer, e.at) ? "; the link is cut, and it" : "; it";
    if (a) fate = !a.end ? `${held} is still under way when the run ends` : a.lost ? `${held} is lost after ${lab.time(a.t1 - a.t0)}` : `${held} arrives after ${lab.time(a.t1 - a.t0)}`;
    return `${lab.server(e.server)} sends ${e.name} to ${lab.server(e.peer)}${fate}${words.message(t, e)}`;
  },
  recv: (t, e) => `${lab.server(e.server)} receives ${e.name} from ${lab.server(e.peer)}${words.message(t, e)}`,
  lost: (t, e) => `${e.name} from ${lab.server(e.peer)} to ${lab.server(e.server)} is lost${words.message(t, e)}`,
  fsync(t, e) {
    const what = {log: "its log", epoch: "its epoch", vote: "its term and vote", snapshot: "a snapshot", truncate: "its shortened log"}[e.name] || e.name;
    const upTo = e.index >= 0 ? `, up to ${lab.entry(t, e)}` : "";
    return `${lab.server(e.server)} syncs ${what} to disk in ${lab.time(e.dur)}${upTo}${bracket(e.bytes ? `${e.bytes} bytes` : "", e.note)}`;
  },
  role(t, e) {
    const s = lab.server(e.server), p = lab.protocol(t.protocol), leader = e.peer && e.peer !== e.server ? ` ${lab.server(e.peer)}` : "";
    const text = {
      looking: `${s} looks for a leader`,
      following: `${s} follows${leader}: the election has named it`,
      leading: `${s} is elected; it may propose when a quorum is synchronised`,
      follower: `${s} is a follower${leader ? " of" + leader : ""}`,
      "pre-candidate": `${s} asks whether it would win an election`,
      candidate: `${s} is a candidate`,
      leader: `${s} is elected leader`,
      down: `${s} is down`,
    }[e.name] || `${s}: ${e.name}`;
    return `${text} in ${p.epoch} ${e.epoch}${bracket(e.note)}`;
  },
  vote(t, e) {
    const round = t.protocol === "zab" ? `round ${e.epoch} of the election` : `term ${e.epoch}`;
    return `${lab.server(e.server)} votes for ${e.peer === e.server ? "itself" : lab.server(e.peer)} in ${round}${bracket(e.note)}`;
  },
  serve(t, e) {
    const span = t.spanAt(e.server, e.at), p = lab.protocol(t.protocol);
    const what = span && lab.leads(span.role)
      ? (t.protocol === "zab" ? "leads: a quorum has its history" : "can commit: an entry of its term is committed")
      : (t.protocol === "zab" ? "serves clients as a follower" : "serves as a follower");
    return `${lab.server(e.server)} ${what}, ${p.epoch} ${e.epoch}${bracket(e.note)}`;
  },
  propose: (t, e) => `${lab.server(e.server)} proposes ${lab.entry(t, e)} in ${lab.protocol(t.protocol).epoch} ${e.epoch}${bracket(e.command ? `write ${e.command}` : "", e.note)}`,
  commit: (t, e) => `${lab.server(e.server)} knows ${lab.entry(t, e)} to be committed${bracket(e.command ? `write ${e.command}` : "", e.note)}`,
  apply: (t, e) => `${lab.server(e.server)} applies ${lab.entry(t, e)}${bracket(e.command ? `write ${e.command}` : "", e.note)}`,
  cut: (t, e) => `${lab.server(e.server)} cuts ${lab.entry(t, e)} from its log: the leader's history does not have it${bracket(e.command ? `write ${e.command}` : "", e.note)}`,
  sync: (t, e) => `${lab.server(e.server)} brings ${lab.server(e.peer)} up to date by ${e.name}${bracket(e.note)}`,
  crash: (t, e) => `${lab.server(e.server)} crashes${bracket(e.note)}`,
  restart: (t, e) => `${lab.server(e.server)} starts again${bracket(e.note)}`,
  partition: (t, e) => `the link from ${lab.server(e.server)} to ${lab.server(e.peer)} is cut${bracket(e.note)}`,
  heal: (t, e) => `the link from ${lab.server(e.server)} to ${lab.server(e.peer)} works again${bracket(e.note)}`,
  slowLink: (t, e) => `the link from ${lab.server(e.server)} to ${lab.server(e.peer)} becomes slower${bracket(e.note)}`,
  slowDisk: (t, e) => `the disk of ${lab.server(e.server)} changes its speed${bracket(e.note)}`,
  clock: (t, e) => `the clock of ${lab.server(e.server)} changes${bracket(e.note)}`,
  member: (t, e) => `a change of members is in force on ${lab.server(e.server)}${bracket(e.note)}`,
  clientSend: (t, e) => `client ${e.client} sends ${lab.asked(t, e)} to ${lab.server(e.server)}${bracket(e.note)}`,
  clientAck: (t, e) => `client ${e.client} has its ${lab.asked(t, e)} answered by ${lab.server(e.server)} after ${lab.time(e.dur)}${bracket(e.note)}`,
  clientFail: (t, e) => `client ${e.client} gives up ${lab.asked(t, e)}${bracket(lab.fate(t, e.command), e.note)}`,
  clientRead: (t, e) => `client ${e.client} has its ${lab.asked(t, e)} answered by ${lab.server(e.server)} after ${lab.time(e.dur)}${bracket(e.note)}`,
  staleRead: (t, e) => `client ${e.client}'s ${lab.asked(t, e)}, answered by ${lab.server(e.server)}, is stale: it misses a write that had been acknowledged before it began${bracket(e.note)}`,
};

// asked is what a client asked for.
lab.asked = (t, e) => {
  const c = t.commands.get(e.command);
  if (!c || c.op === "write") return `write ${e.command}`;
  return `${c.op} read ${e.command}`;
};

// fate is what became of a write, as far as the run tells.
lab.fate = (t, id) => {
  const c = t.commands.get(id);
  if (!c || !c.fate) return "";
  const fate = {committed: "it is committed all the same", cut: "it is cut", never: "it was never logged", pending: "its fate is open when the run ends"}[c.fate] || c.fate;
  return c.why ? `${fate}: ${c.why}` : fate;
};

// say puts an event into a sentence, without its time.
lab.say = (t, e) => (words[e.kind] ? words[e.kind](t, e) : `${lab.server(e.server)}: ${e.kind} ${e.name || ""}`);
