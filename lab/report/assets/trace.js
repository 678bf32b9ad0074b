// What the diagram draws, made of a run's events: arrows, spans of roles, spans without links, and what clients asked for.

// Trace is a run, indexed. Live pages add events as they come; reports have them all.
lab.Trace = class {
  constructor(run) {
    this.protocol = run.protocol;
    this.servers = (run.events || []).reduce((most, e) => Math.max(most, e.server || 0, e.peer || 0), run.servers); // some may join later
    this.seed = run.seed;
    this.duration = run.duration;
    this.marks = run.marks || [];
    this.phases = run.phases || [];
    this.gaps = run.gaps || []; // parts whose routine is not here
    this.commands = new Map(); // by id
    this.events = [];
    this.arrows = []; // in order of sending: {send, end (recv or lost), t0, t1, lost}
    this.spans = []; // by server: [{from, to, role, epoch, serving, leader}]
    this.cuts = []; // by server: [{from, to, peers}]
    this.longest = 0; // the longest time that a message took
    this.usual = 0; // about how long those take that arrive
    this.clients = 0;
    this.open = new Map(); // arrows under way, by message
    for (let s = 0; s <= this.servers; s++) {
      this.spans.push([]);
      this.cuts.push([]);
    }
    for (const c of run.commands || []) this.command(c);
    for (const e of run.events || []) this.add(e);
  }

  command(c) {
    this.commands.set(c.id, c);
    this.clients = Math.max(this.clients, c.client);
  }

  add(e) {
    e.i = this.events.length;
    this.events.push(e);
    this.duration = Math.max(this.duration, e.at);
    this.clients = Math.max(this.clients, e.client || 0);
    switch (e.kind) {
      case "send": {
        const arrow = {send: e, end: null, t0: e.at, t1: Infinity, lost: false};
        this.arrows.push(arrow);
        this.open.set(e.msg, arrow);
        e.arrow = arrow;
        break;
      }
      case "recv":
      case "lost": {
        const arrow = this.open.get(e.msg);
        if (!arrow) break;
        this.open.delete(e.msg);
        arrow.end = e;
        arrow.t1 = e.at;
        arrow.lost = e.kind === "lost";
        this.longest = Math.max(this.longest, arrow.t1 - arrow.t0);
        if (!arrow.lost) this.usual = this.usual ? this.usual * 0.95 + Math.min(arrow.t1 - arrow.t0, 4 * this.usual) * 0.05 : arrow.t1 - arrow.t0;
        e.arrow = arrow;
        break;
      }
      case "role":
        // Raft's followers serve whoever leads; ZAB's must be told so, or have been when the run begins.
        this.span(e, {role: e.name, epoch: e.epoch, leader: e.peer, serving: e.peer > 0 && ((e.name === "follower") || (e.at === 0 && e.name === "following"))});
        break;
      case "serve":
        this.span(e, {epoch: e.epoch, serving: true});
        break;
      case "crash":
        this.span(e, {role: "down", serving: false, leader: 0});
        break;
      case "restart":
        this.span(e, {role: "starting", epoch: e.epoch, serving: false, leader: 0});
        break;
      case "fsync":
        if (e.name !== "log" && e.name !== "snapshot" && e.name !== "truncate") this.span(e, {epoch: e.epoch});
        break;
      case "partition":
        this.cut(e, (peers) => peers.add(e.peer));
        break;
      case "heal":
        this.cut(e, (peers) => peers.delete(e.peer));
        break;
    }
  }

  // span begins a new span of a server if something about it has changed.
  span(e, change) {
    const spans = this.spans[e.server];
    if (!spans) return;
    const last = spans[spans.length - 1];
    const next = {role: "starting", epoch: 0, serving: false, leader: 0, ...last, ...change, from: e.at, to: Infinity};
    if (last) {
      if (["role", "epoch", "serving", "leader"].every((k) => last[k] === next[k])) return;
      last.to = e.at;
      if (last.from === e.at) spans.pop();
    }
    spans.push(next);
  }

  // cut notes which peers a server's messages do not reach from now on.
  cut(e, change) {
    const cuts = this.cuts[e.server];
    if (!cuts) return;
    const last = cuts[cuts.length - 1];
    const peers = new Set(last ? last.peers : []);
    change(peers);
    if (last) {
      last.to = e.at;
      if (last.from === e.at) cuts.pop();
    }
    cuts.push({from: e.at, to: Infinity, peers});
  }

  // cutAt tells whether a server's messages did not reach a peer at a time.
  cutAt(server, peer, at) {
    const cuts = this.cuts[server] || [], i = lab.bisect(cuts, at + 0.5, (c) => c.from) - 1;
    return i >= 0 && cuts[i].peers.has(peer);
  }

  // spanAt is a server's span at a time, if there is one.
  spanAt(server, at) {
    const spans = this.spans[server];
    const i = lab.bisect(spans, at + 0.5, (s) => s.from) - 1;
    return i >= 0 ? spans[i] : null;
  }

  // range are the indexes of the events of a time.
  range(from, to) {
    return [lab.bisect(this.events, from, (e) => e.at), lab.bisect(this.events, to + 0.5, (e) => e.at)];
  }
};

lab.leads = (role) => role === "leading" || role === "leader";
lab.looks = (role) => role === "looking" || role === "candidate" || role === "pre-candidate";
