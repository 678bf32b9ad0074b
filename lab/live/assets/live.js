// The page on which the protocols are steered by hand. The server simulates; this draws what it tells, with the diagrams of the reports.
"use strict";
{
  const find = (id) => document.getElementById(id);
  let game = null; // {id, since, diagram, runs}
  let busy = Promise.resolve(), playing = 0;

  // ask posts to the server and returns its answer; what goes wrong is said on the page.
  const ask = async (path, body) => {
    const response = await fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    return answer;
  };

  const say = (text) => { find("said").textContent = text; };

  // One request after the other, in the order of the clicks.
  const queue = (what) => {
    busy = busy.then(what).catch((e) => { stop(); say(e.message); });
    return busy;
  };

  const begin = () => queue(async () => {
    const protocols = find("prevote").checked ? ["zab", "raft", "raft-prevote"] : ["zab", "raft"];
    const news = await ask("/api/begin", {servers: Number(find("servers").value), seed: Number(find("seed").value), cold: find("cold").checked, scenario: find("scenario").value, protocols});
    say("");
    find("diagram").replaceChildren();
    find("ensembles").replaceChildren();
    game = {id: news.id, since: protocols.map(() => 0), now: 0, diagram: null, tables: []};
    const runs = news.runs.map((r) => ({protocol: r.protocol, servers: r.servers, seed: 0, duration: 0, events: [], marks: [], phases: [], commands: []}));
    game.diagram = new lab.Diagram(find("diagram"), runs, {live: true, lane: 38});
    lab.game = game;
    take(news);
  });

  // act has something done and takes the news.
  const act = (order) => queue(async () => {
    if (game) take(await ask("/api/do", {id: game.id, since: game.since, ...order}));
  });

  // take adds news to the diagram and shows the servers' states.
  const take = (news) => {
    const d = game.diagram;
    news.runs.forEach((r, i) => {
      const t = d.traces[i];
      for (const e of r.events) t.add(e);
      for (const c of r.commands || []) t.command(c);
      t.marks = r.marks;
      t.duration = news.now;
      game.since[i] = r.next;
      show(i, r);
    });
    // The window keeps its length, unless what has just gone by would fill it or be lost in it.
    const v = d.view, passed = news.now - game.now, length = passed ? Math.max(2000, passed * 1.15, Math.min(v.to - v.from, passed * 15)) : v.to - v.from;
    game.now = news.now;
    v.duration = Math.max(1000, news.now);
    if (find("follow").checked && passed) v.show(news.now - length, news.now + 1);
    d.order = null;
    d.draw();
    find("clock").textContent = lab.time(news.now, 4);
    const problems = news.runs.flatMap((r) => r.problems || []);
    if (problems.length) say(`A promise was broken: ${problems[0]}`);
    else if (news.over) { stop(); say("This game has grown too long to go on: begin another one."); }
  };

  const button = (text, title, click, pressed) => {
    const b = document.createElement("button");
    b.type = "button";
    b.textContent = text;
    b.title = title;
    if (pressed !== undefined) b.setAttribute("aria-pressed", pressed);
    b.addEventListener("click", click);
    return b;
  };

  // show fills a protocol's table: a row for each server, with its state, its log's end and what can be done to it.
  const show = (i, r) => {
    let box = game.tables[i];
    const p = lab.protocol(r.protocol);
    if (!box) {
      box = document.createElement("section");
      box.className = "ensemble";
      const title = document.createElement("h2");
      title.textContent = p.name;
      box.append(title, document.createElement("table"));
      find("ensembles").append(box);
      game.tables[i] = box;
    }
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const text of ["", "role", p.epoch, "log's end", "do", "cut the link to"]) {
      const th = document.createElement("th");
      th.textContent = text;
      head.append(th);
    }
    const body = table.createTBody(), only = [i];
    for (const s of r.states) {
      const row = body.insertRow(), cell = (...parts) => row.insertCell().append(...parts);
      row.dataset.server = s.id;
      row.className = s.up ? "" : "down";
      const name = document.createElement("strong");
      name.textContent = lab.server(s.id);
      cell(name);
      const known = s.leader && s.leader !== s.id ? ` ${lab.server(s.leader)}` : "";
      cell(`${s.role}${known}${s.phase && s.phase !== s.role ? `, ${s.phase}` : ""}`);
      cell(String(s.epoch));
      cell(log(s, r.protocol));
      const acts = [];
      if (s.up) {
        acts.push(button("crash", "kill the process", () => act({do: "crash", server: s.id, protocols: only})), button("off", "switch the machine off: nobody is told", () => act({do: "power", server: s.id, protocols: only})));
        acts.push(button("write", "a client writes, asking this server", () => act({do: "write", server: s.id, protocols: only})), button("read", "a client reads what this server has", () => act({do: "read", server: s.id, how: "local", protocols: only})));
      } else {
        acts.push(button("start", "start the process", () => act({do: "start", server: s.id, protocols: only})));
      }
      cell(...acts);
      const links = row.insertCell();
      links.className = "links";
      for (let to = 1; to <= r.servers; to++) {
        if (to === s.id) continue;
        const cut = (r.cuts || []).some(([from, other]) => from === s.id && other === to);
        links.append(button(String(to), `what ${lab.server(s.id)} sends to ${lab.server(to)} ${cut ? "gets through again" : "is held back"}`,
          () => act({do: cut ? "heal" : "cut", server: s.id, to, protocols: only}), cut));
      }
    }
    // A click that is under way must not lose its button.
    const focused = document.activeElement && box.contains(document.activeElement) ? [...box.querySelectorAll("button")].indexOf(document.activeElement) : -1;
    box.querySelector("table").replaceWith(table);
    if (focused >= 0) box.querySelectorAll("button")[focused]?.focus({preventScroll: true});
  };

  // log draws the end of a server's log: a box for each entry in the colour of its epoch, pale until it is on the disk, with a dot when it is
  // known to be committed.
  const log = (s, protocol) => {
    const canvas = document.createElement("canvas"), scale = 2, width = 22, height = 18, entries = (s.log || []).slice(-6);
    const theme = lab.theme(find("diagram")), patterns = new lab.Patterns(), c = canvas.getContext("2d");
    canvas.width = Math.max(1, entries.length * width) * scale;
    canvas.height = height * scale;
    canvas.style.width = `${canvas.width / scale}px`;
    canvas.style.height = `${height}px`;
    c.scale(scale, scale);
    const zab = protocol === "zab", told = [];
    entries.forEach((e, k) => {
      const x = k * width;
      c.globalAlpha = e.durable ? 1 : 0.35;
      c.fillStyle = patterns.fill(c, theme, e.epoch, false);
      c.fillRect(x + 0.5, 0.5, width - 2, height - 1);
      c.globalAlpha = 1;
      c.fillStyle = theme.panel;
      c.fillRect(x + 2.5, 3.5, width - 6, height - 7);
      c.fillStyle = theme.ink;
      c.font = `9px ${theme.font}`;
      c.textAlign = "center";
      c.textBaseline = "middle";
      c.fillText(String(e.index), x + width / 2 - 0.5, height / 2 + 0.5, width - 7);
      if (e.committed) { c.beginPath(); c.arc(x + width - 4, 3.5, 2.6, 0, 7); c.fill(); }
      told.push(`${zab ? `zxid ${e.epoch}:${e.index}` : `entry ${e.index} of term ${e.epoch}`}${e.durable ? "" : ", not on disk yet"}${e.committed ? ", committed" : ""}`);
    });
    canvas.title = told.join("\n") || "empty";
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", told.join("; ") || "empty");
    return canvas;
  };

  const stop = () => {
    clearTimeout(playing);
    playing = 0;
    document.querySelector('[data-do="play"]').setAttribute("aria-pressed", "false");
  };

  // play lets time go by twenty times a second, at the chosen pace.
  const play = () => {
    if (playing) { stop(); return; }
    document.querySelector('[data-do="play"]').setAttribute("aria-pressed", "true");
    const on = async () => {
      await act({do: "run", for: Number(find("pace").value)});
      if (playing) playing = setTimeout(on, 50);
    };
    playing = setTimeout(on, 0);
  };

  const does = {begin, play, event: () => act({do: "event"})};
  for (const b of document.querySelectorAll("[data-do]")) b.addEventListener("click", () => does[b.dataset.do]());
  for (const b of document.querySelectorAll("[data-for]")) b.addEventListener("click", () => act({do: "run", for: Number(b.dataset.for)}));
  for (const b of document.querySelectorAll("[data-act]")) {
    b.addEventListener("click", () => act({do: b.dataset.act, server: 0, how: b.dataset.how || "", factor: Number(b.dataset.factor || 0)}));
  }
  document.addEventListener("keydown", (e) => {
    if (["INPUT", "SELECT", "BUTTON"].includes(e.target.tagName) || e.ctrlKey || e.metaKey || e.altKey) return;
    const keys = {n: does.event, m: () => act({do: "run", for: 10000}), w: () => act({do: "write", server: 0}), " ": play};
    if (!keys[e.key]) return;
    keys[e.key]();
    e.preventDefault();
  });
  // A scenario has its own servers.
  find("scenario").addEventListener("change", () => {
    for (const id of ["servers", "cold"]) find(id).disabled = find("scenario").value !== "";
    begin();
  });
  fetch("/api/scenarios").then((r) => r.json()).then((all) => {
    for (const s of all) {
      const o = document.createElement("option");
      o.value = s.name;
      o.textContent = s.title;
      find("scenario").append(o);
    }
  }, (e) => say(e.message));
  lab.live = {begin, act, get busy() { return busy; }};
  begin();
}
