// What the servers know at a moment: the table below a diagram while it is stepped.

// state replays a trace's events before index limit.
lab.state = (trace, limit) => {
  const servers = [];
  for (let s = 0; s <= trace.servers; s++) {
    servers.push({server: s, role: "", epoch: 0, serving: false, leader: 0, durable: -1, durableEpoch: 0, committed: -1, committedEpoch: 0, applied: -1, syncing: []});
  }
  for (let i = 0; i < limit; i++) {
    const e = trace.events[i], s = servers[e.server];
    if (!s) continue;
    switch (e.kind) {
      case "role": s.role = e.name; s.epoch = e.epoch; s.leader = e.peer; s.serving = false; break;
      case "serve": s.serving = true; s.epoch = e.epoch; break;
      case "crash": s.role = "down"; s.serving = false; s.leader = 0; s.syncing = []; break;
      case "restart": s.role = "starting"; s.serving = false; break;
      case "fsync": if (e.index >= 0) s.syncing.push(e); break;
      case "commit": s.committed = e.index; s.committedEpoch = e.epoch; break;
      case "apply": s.applied = e.index; break;
      case "cut": s.durable = Math.min(s.durable, e.index - 1); break;
    }
  }
  const now = limit > 0 ? trace.events[limit - 1].at : 0;
  for (const s of servers) {
    for (const e of s.syncing) {
      if (e.at + e.dur <= now) { s.durable = e.index; s.durableEpoch = e.epoch; }
    }
    s.busy = s.syncing.some((e) => e.at + e.dur > now);
  }
  return servers.slice(1);
};

// stateTable shows it.
lab.stateTable = (trace, limit) => {
  const p = lab.protocol(trace.protocol), table = document.createElement("table");
  table.className = "state";
  table.createCaption().textContent = p.name;
  const row = (cells, tag) => {
    const tr = table.insertRow();
    for (const text of cells) {
      const cell = document.createElement(tag);
      cell.textContent = text;
      tr.append(cell);
    }
    return tr;
  };
  const zab = trace.protocol === "zab", number = (n) => (n < 0 ? "–" : String(n));
  row(["", "role", p.epoch, "leader", zab ? "on disk (zxid counter)" : "on disk (index)", "committed", "applied"], "th");
  for (const s of lab.state(trace, limit)) {
    const role = (s.role || "–") + (s.serving ? ", serving" : "") + (s.busy ? ", syncing" : "");
    row([lab.server(s.server), role, String(s.epoch), s.leader ? lab.server(s.leader) : "–", number(s.durable), number(s.committed), number(s.applied)], "td");
  }
  return table;
};
