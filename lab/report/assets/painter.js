// Draws one run: its clients and servers as lines from left to right, messages as arrows between them. Only what is seen is drawn.

// Sizes in pixels.
const gutter = 74, head = 44, clientsMost = 72, foot = 12;

lab.Painter = class {
  constructor(trace) {
    this.trace = trace;
    this.top = 0;
    this.lane = 46;
    this.patterns = new lab.Patterns();
    this.hits = []; // what the mouse can be on: {x, y, r, event} or {x0, y0, x1, y1, event} or {box, text}
  }

  // Of many clients each gets a thin line.
  get clientRow() { return Math.min(9, clientsMost / Math.max(1, this.trace.clients)); }
  get clientsHeight() { return this.trace.clients ? this.trace.clients * this.clientRow + 14 : 0; }
  get height() { return head + this.clientsHeight + this.trace.servers * this.lane + foot; }
  y(server) { return this.top + head + this.clientsHeight + (server - 0.5) * this.lane + 4; }
  clientY(client) { return this.top + head + (client - 0.5) * this.clientRow + 4; }

  // paint draws the panel. options: theme, view, filter, cursor (an event of any panel, or null), limit (index of this trace's first event
  // behind the cursor), right (where the panel ends).
  paint(ctx, options) {
    Object.assign(this, options, {ctx});
    this.hits = [];
    ctx.save();
    ctx.fillStyle = this.theme.panel;
    ctx.fillRect(0, this.top, this.right, this.height);
    this.lines();
    ctx.beginPath();
    ctx.rect(gutter, this.top, this.right - gutter, this.height);
    ctx.clip();
    this.phaseBands();
    this.gaps();
    this.links();
    this.arrows();
    for (let s = 1; s <= this.trace.servers; s++) this.spans(s);
    this.future();
    this.marks();
    this.requests();
    this.current();
    ctx.restore();
    this.names();
  }

  shown(server) { return this.filter.servers.has(server); }

  // seen tells whether an arrow or event involves a server that is shown.
  seen(e) { return this.shown(e.server) || (e.peer && this.shown(e.peer)); }

  lines() {
    const c = this.ctx;
    c.strokeStyle = this.theme.faint;
    c.lineWidth = 1;
    c.setLineDash([1, 3]);
    for (let s = 1; s <= this.trace.servers; s++) {
      c.beginPath();
      c.moveTo(gutter, this.y(s));
      c.lineTo(this.right, this.y(s));
      c.stroke();
    }
    c.setLineDash([]);
  }

  // phaseBands bracket, below the panel's title, what the servers were busy with while there was no leader.
  phaseBands() {
    const c = this.ctx, y = this.top + 26;
    let aside = "", asideAt = 0; // names of phases too short for them, written behind the last
    for (const p of this.trace.phases) {
      const x0 = this.view.x(p.from), x1 = this.view.x(p.to);
      if (x1 < gutter || x0 > this.right) continue;
      c.fillStyle = this.theme.faint;
      c.globalAlpha = p.kind === "elect" || p.kind === "establish" ? 0.5 : 0.28;
      c.fillRect(x0, this.top + head - 4, Math.max(1, x1 - x0), this.height - head);
      c.globalAlpha = 1;
      c.strokeStyle = c.fillStyle = this.theme.ink;
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(x0 + 0.5, y + 12); c.lineTo(x0 + 0.5, y + 8); c.lineTo(Math.max(x1 - 0.5, x0 + 1), y + 8); c.lineTo(Math.max(x1 - 0.5, x0 + 1), y + 12);
      c.stroke();
      const from = Math.max(x0, gutter), to = Math.min(x1, this.right), text = `${p.name} ${lab.time(p.to - p.from)}`;
      c.font = `11px ${this.theme.font}`;
      c.textBaseline = "alphabetic";
      c.textAlign = "center";
      if (x0 > asideAt + 40) aside = "";
      if (c.measureText(text).width + 4 < to - from) c.fillText(text, (from + to) / 2, y + 4);
      else if (x1 > gutter) aside += (aside ? ", " : "← ") + text;
      asideAt = x1;
      const last = p === this.trace.phases.at(-1) || this.view.x(this.trace.phases[this.trace.phases.indexOf(p) + 1].from) > x1 + c.measureText(aside).width + 10;
      if (aside && last && x1 < this.right) {
        c.textAlign = "left";
        if (x1 + 6 + c.measureText(aside).width < this.right) c.fillText(aside, x1 + 6, y + 4);
        aside = "";
      }
      this.hits.push({box: [x0 - 2, y - 8, Math.max(4, x1 - x0) + 4, 22], text: `${p.text}`, at: p.from});
    }
  }

  // gaps hatch the parts whose messages and commits the page does not carry.
  gaps() {
    const c = this.ctx, top = this.top + head, height = this.height - head - foot;
    for (const g of this.trace.gaps) {
      const x0 = Math.max(this.view.x(g.from), gutter), x1 = Math.min(this.view.x(g.to), this.right);
      if (x1 <= x0) continue;
      c.globalAlpha = 0.3;
      c.fillStyle = this.patterns.fill(c, this.theme, 0, true);
      c.fillRect(x0, top, x1 - x0, height);
      c.globalAlpha = 1;
      this.hits.push({box: [x0, top, x1 - x0, height], text: "the routine of this part is not in the page", at: g.from});
    }
  }

  // links mark under a server's line which peers its messages do not reach.
  links() {
    const c = this.ctx;
    for (let s = 1; s <= this.trace.servers; s++) {
      if (!this.shown(s)) continue;
      for (const cut of this.trace.cuts[s]) {
        const x0 = Math.max(this.view.x(cut.from), gutter - 4), x1 = Math.min(this.view.x(Math.min(cut.to, this.view.duration)), this.right);
        if (!cut.peers.size || x1 < gutter || x0 > this.right) continue;
        const y = this.y(s) + this.lane / 2 - 1, text = `cannot reach ${[...cut.peers].sort().map(lab.server).join(" ")}`;
        c.strokeStyle = this.theme.alarm;
        c.lineWidth = 2;
        c.setLineDash([2, 3]);
        c.beginPath(); c.moveTo(x0, y); c.lineTo(x1, y); c.stroke();
        c.setLineDash([]);
        c.font = `10px ${this.theme.font}`;
        c.textAlign = "left";
        c.textBaseline = "middle";
        const width = c.measureText(text).width;
        if (width + 12 < x1 - x0) {
          c.fillStyle = this.theme.panel;
          c.fillRect(Math.max(x0, gutter) + 4, y - 6, width + 4, 12);
          c.fillStyle = this.theme.alarm;
          c.fillText(text, Math.max(x0, gutter) + 6, y);
        }
        this.hits.push({box: [x0, y - 4, x1 - x0, 8], text: `${lab.server(s)} ${text}`, at: cut.from});
      }
    }
  }

  // future makes pale what lies behind the cursor.
  future() {
    if (!this.cursor) return;
    const c = this.ctx, x = Math.max(gutter, this.view.x(this.cursor.at));
    c.fillStyle = this.theme.panel;
    c.globalAlpha = 0.72;
    c.fillRect(x, this.top + head - 4, this.right - x, this.height - head);
    c.globalAlpha = 1;
  }

  // spans draw a server's line: thick for a leader, hatched for one that looks for a leader, pale until it serves, absent while it is down.
  spans(s) {
    const c = this.ctx, list = this.trace.spans[s], y = this.y(s), p = lab.protocol(this.trace.protocol);
    c.globalAlpha = this.shown(s) ? 1 : 0.25;
    const first = Math.max(0, lab.bisect(list, this.view.from, (e) => e.from) - 1);
    for (let i = first; i < list.length && list[i].from <= this.view.to; i++) {
      const span = list[i];
      const x0 = Math.max(this.view.x(span.from), gutter - 2), x1 = Math.min(this.view.x(Math.min(span.to, this.trace.duration)), this.right);
      if (x1 < gutter || span.role === "down") continue;
      const leads = lab.leads(span.role), looks = lab.looks(span.role) || span.role === "starting";
      const height = leads ? 14 : 7;
      c.fillStyle = this.patterns.fill(c, this.theme, looks && this.trace.protocol === "zab" ? 0 : span.epoch, looks);
      const alpha = c.globalAlpha;
      if (!span.serving && !looks) c.globalAlpha = alpha * 0.45;
      c.fillRect(x0, y - height / 2, Math.max(1, x1 - x0), height);
      c.globalAlpha = alpha;
      if (leads) {
        c.strokeStyle = this.theme.ink;
        c.lineWidth = 1;
        c.strokeRect(x0, y - height / 2, Math.max(1, x1 - x0), height);
      }
      this.spanLabel(span, list[i - 1], p, x0, x1, y);
      const doing = {starting: "starts"}[span.role] || span.role;
      this.hits.push({box: [x0, y - 7, Math.max(2, x1 - x0), 14], text: `${lab.server(s)}: ${doing}${span.serving ? ", serving" : ""}, ${p.epoch} ${span.epoch}${span.leader ? ", leader " + lab.server(span.leader) : ""}`, at: span.from});
    }
    c.globalAlpha = 1;
  }

  spanLabel(span, before, p, x0, x1, y) {
    const c = this.ctx, leads = lab.leads(span.role), room = x1 - x0;
    let text = `${p.epoch} ${span.epoch}`;
    if (leads) text = `${span.serving ? "leads" : "elected"} · ${text}`;
    else if (lab.looks(span.role)) text = this.trace.protocol === "zab" ? "looking" : `${span.role} · ${text}`;
    else if (before && before.epoch === span.epoch && before.role === span.role && x0 > gutter) return;
    c.font = `${leads ? "bold " : ""}10px ${this.theme.font}`;
    const width = c.measureText(text).width;
    if (width + 10 > room) return;
    c.textAlign = "left";
    c.textBaseline = "middle";
    const x = Math.max(x0, gutter) + 5;
    c.fillStyle = this.theme.panel;
    c.globalAlpha *= 0.92;
    c.fillRect(x - 2, y - 6, width + 4, 12);
    c.globalAlpha = 1;
    c.fillStyle = this.theme.ink;
    c.fillText(text, x, y + 0.5);
  }

  // arrows draws messages. Lines of one look go into one path, and those that would fall on the same pixels are drawn once.
  arrows() {
    const all = this.trace.arrows, paths = new Map(), drawn = new Set(), labels = [];
    let i = lab.bisect(all, this.view.from - this.trace.longest, (a) => a.t0);
    const last = lab.bisect(all, this.view.to, (a) => a.t0);
    const many = last - i > 1500;
    for (; i < last; i++) {
      const a = all[i], e = a.send;
      if (!this.filter.on(lab.classOf(e.name)) || !this.seen(e)) continue;
      const t1 = a.t1 === Infinity ? this.trace.duration : a.t1;
      if (t1 < this.view.from) continue;
      this.arrow(a, t1, paths, drawn, labels, many);
    }
    const c = this.ctx;
    for (const p of paths.values()) {
      c.globalAlpha = p.alpha;
      c.strokeStyle = c.fillStyle = p.colour;
      c.lineWidth = p.style.width;
      c.setLineDash(p.style.dash);
      c.stroke(p.line);
      c.setLineDash([]);
      c.fill(p.heads);
      c.lineWidth = 1.6;
      c.stroke(p.ends);
    }
    c.globalAlpha = 1;
    if (labels.length < 260) for (const l of labels) this.arrowLabel(l);
  }

  arrow(a, t1, paths, drawn, labels, many) {
    const e = a.send, v = this.view, name = lab.classOf(e.name);
    // Beyond the cursor is the future: messages under way are drawn as far as they have come.
    const now = this.cursor ? this.cursor.at : Infinity, future = this.cursor && e.i >= this.limit;
    const down = e.peer > e.server ? 1 : -1; // arrows begin and end at the edges of the servers' lines
    const x0 = v.x(a.t0), y0 = this.y(e.server) + 4 * down, y1 = this.y(e.peer) - 5 * down;
    let x1 = v.x(t1), y = y1;
    const arrived = a.end && !a.lost && (!this.cursor || a.end.i < this.limit), underWay = this.cursor && !future && t1 > now;
    // What a cut link holds goes half way, and the rest when it is let through; what is lost goes half way too.
    const held = a.t1 === Infinity ? v.duration - a.t0 > 20 * this.trace.usual : a.t1 - a.t0 > 20 * this.trace.usual && this.trace.cutAt(e.server, e.peer, a.t0);
    const half = a.lost || held;
    let rest = null;
    if (half) {
      const middle = (y0 + y1) / 2, quick = v.x(a.t0 + this.trace.usual) - x0;
      if (held && arrived) rest = [v.x(t1) - quick / 2, middle, v.x(t1), y1];
      x1 = x0 + Math.min(x1 - x0, quick) / 2;
      y = middle;
    } else if (underWay) {
      const share = t1 > a.t0 ? (now - a.t0) / (t1 - a.t0) : 1;
      x1 = x0 + (x1 - x0) * share;
      y = y0 + (y1 - y0) * share;
    }
    const neutral = name === "election" && this.trace.protocol === "zab";
    const key = `${e.server}/${e.peer}/${Math.round(x0)}/${Math.round(x1)}/${name}/${future}`;
    if (drawn.has(key)) return;
    drawn.add(key);
    const colour = neutral ? this.theme.soft : lab.epochColour(this.theme, e.epoch);
    const look = `${name}/${colour}/${future}`;
    let p = paths.get(look);
    if (!p) {
      const alpha = (future ? 0.5 : 1) * (name === "heartbeat" ? 0.7 : 0.95) * (many ? 0.45 : 1);
      p = {line: new Path2D(), heads: new Path2D(), ends: new Path2D(), colour, alpha, style: lab.classes[name]};
      paths.set(look, p);
    }
    this.strokeArrow(p, x0, y0, x1, y, half || underWay ? "none" : many ? "none" : "head");
    if (half && a.lost && !(underWay && held)) {
      p.ends.moveTo(x1 - 4, y - 4); p.ends.lineTo(x1 + 4, y + 4);
      p.ends.moveTo(x1 + 4, y - 4); p.ends.lineTo(x1 - 4, y + 4);
    } else if (half) {
      p.ends.moveTo(x1 - 5, y); p.ends.lineTo(x1 + 5, y);
    } else if (underWay) {
      p.heads.moveTo(x1 + 3, y);
      p.heads.arc(x1, y, 3, 0, 7);
    }
    if (rest) {
      p.ends.moveTo(rest[0] - 5, rest[1]); p.ends.lineTo(rest[0] + 5, rest[1]);
      this.strokeArrow(p, ...rest, "head");
      this.hits.push({x0: rest[0], y0: rest[1], x1: rest[2], y1: rest[3], event: a.end});
    }
    if (!many) this.hits.push({x0, y0, x1, y1: y, event: e});
    const length = Math.hypot(x1 - x0, y - y0) || 1;
    if (name !== "heartbeat" && !future && length > 70 && Math.abs(x1 - x0) > 0.35 * length) labels.push({text: e.name, x0, y0, x1, y1: y, length, colour});
  }

  // strokeArrow adds a line, and perhaps a head, to a look's paths.
  strokeArrow(p, x0, y0, x1, y1, end) {
    p.line.moveTo(x0, y0);
    p.line.lineTo(x1, y1);
    if (end !== "head") return;
    const length = Math.hypot(x1 - x0, y1 - y0) || 1, ux = (x1 - x0) / length, uy = (y1 - y0) / length;
    const bx = x1 - ux * 8, by = y1 - uy * 8;
    p.heads.moveTo(x1, y1);
    p.heads.lineTo(bx - uy * 3, by + ux * 3);
    p.heads.lineTo(bx + uy * 3, by - ux * 3);
    p.heads.closePath();
  }

  // arrowLabel writes a message's name along its arrow, near the arriving end, where arrows of one sender have parted.
  arrowLabel(l) {
    const c = this.ctx;
    c.font = `9.5px ${this.theme.font}`;
    const width = c.measureText(l.text).width;
    if (width + 44 > l.length) return;
    const share = Math.max(0.5, 1 - (width / 2 + 24) / l.length);
    c.save();
    c.translate(l.x0 + (l.x1 - l.x0) * share, l.y0 + (l.y1 - l.y0) * share);
    c.rotate(Math.atan2(l.y1 - l.y0, l.x1 - l.x0));
    c.fillStyle = this.theme.panel;
    c.globalAlpha = 0.85;
    c.fillRect(-width / 2 - 2, -6, width + 4, 11);
    c.globalAlpha = 1;
    c.fillStyle = this.theme.ink;
    c.textAlign = "center";
    c.textBaseline = "middle";
    c.fillText(l.text, 0, 0);
    c.restore();
  }

  marks() {
    const [first, last] = this.trace.range(this.view.from - 2e6, this.view.to), drawn = new Set(), pills = new Map(), c = this.ctx;
    for (let i = first; i < last; i++) {
      const e = this.trace.events[i];
      if (!(e.kind in lab.markAt) || e.at + (e.dur || 0) < this.view.from || !this.filter.on(lab.groupOf(e)) || !this.shown(e.server)) continue;
      const x = this.view.x(e.at), y = this.y(e.server) + lab.markAt[e.kind];
      const key = `${e.kind}/${e.server}/${Math.round(x / 2)}`;
      if (drawn.has(key) && e.kind !== "cut") continue;
      drawn.add(key);
      c.globalAlpha = this.cursor && i >= this.limit ? 0.18 : 1;
      if (["sync", "member", "slowDisk", "clock"].includes(e.kind)) {
        const before = pills.get(y) ?? -Infinity;
        if (x - before < 52) continue;
        pills.set(y, x);
      }
      this.mark(e, x, y);
      this.hits.push({x: e.kind === "fsync" ? Math.min(Math.max(x, gutter) + 3, this.view.x(e.at + e.dur)) : x, y, r: e.kind === "crash" || e.kind === "restart" ? 10 : 6, event: e});
    }
    c.globalAlpha = 1;
  }

  mark(e, x, y) {
    const c = this.ctx, theme = this.theme;
    c.lineWidth = 1.3;
    c.strokeStyle = c.fillStyle = theme.ink;
    switch (e.kind) {
      case "fsync": {
        const width = Math.max(2.5, this.view.x(e.at + e.dur) - x);
        c.fillStyle = theme.soft;
        c.fillRect(x, y - 2.5, width, 5);
        c.strokeRect(x, y - 2.5, width, 5);
        break;
      }
      case "sync":
        lab.pill(c, theme, `${e.name} ${lab.server(e.peer)}`, x, y - 4);
        break;
      case "member":
      case "slowDisk":
      case "clock":
        lab.pill(c, theme, {member: "members", slowDisk: "disk", clock: "clock"}[e.kind], x, y);
        break;
      case "crash":
        c.strokeStyle = theme.panel;
        lab.glyphs.crash(c, x, y, 8);
      // falls through: the cross on its halo
      case "cut":
        c.strokeStyle = theme.alarm;
        lab.glyphs[e.kind](c, x, y);
        break;
      case "commit":
        c.fillStyle = lab.epochColour(theme, e.epoch);
        lab.glyphs.commit(c, x, y);
        break;
      default:
        if (lab.glyphs[e.kind]) lab.glyphs[e.kind](c, x, y);
    }
  }

  // requests draws what clients wait for: a bar from asking to the answer, writes solid and reads hollow, ending in a tick, a cross or a warning.
  requests() {
    if (!this.filter.on("clients")) return;
    const c = this.ctx, theme = this.theme;
    for (const r of this.trace.commands.values()) {
      const done = r.done || this.trace.duration;
      if (done < this.view.from || r.sent > this.view.to) continue;
      if (this.cursor && r.sent > this.cursor.at) continue;
      const answered = r.done && (!this.cursor || r.done <= this.cursor.at);
      const end = answered ? r.done : Math.min(done, this.cursor ? this.cursor.at : done);
      const x0 = this.view.x(r.sent), x1 = this.view.x(end), y = this.clientY(r.client), failed = answered && !r.ok;
      c.fillStyle = c.strokeStyle = failed || r.stale ? theme.alarm : theme.soft;
      c.lineWidth = 1;
      const thick = Math.min(4, this.clientRow - 1);
      if (r.op === "write") c.fillRect(x0, y - thick / 2, Math.max(1, x1 - x0), thick);
      else c.strokeRect(x0, y - thick / 2 + 0.5, Math.max(1, x1 - x0), thick - 1);
      if (x1 - x0 > 14 || failed || r.stale) {
        c.strokeStyle = c.fillStyle = failed || r.stale ? theme.alarm : theme.ink;
        if (r.stale && answered) lab.glyphs.stale(c, x1, y);
        else if (failed) lab.glyphs.fail(c, x1, y);
        else if (answered) lab.glyphs.ack(c, x1, y);
      }
      const what = r.op === "write" ? `write ${r.id}` : `${r.op} read ${r.id}`;
      const outcome = !r.done ? "no answer" : r.ok ? `answered after ${lab.time(r.done - r.sent)}` : `given up after ${lab.time(r.done - r.sent)}`;
      this.hits.push({box: [x0, y - 4, Math.max(3, x1 - x0), 8], at: r.sent,
        text: `client ${r.client}: ${what}, ${outcome}${r.tries > 1 ? `, ${r.tries} tries` : ""}${r.stale ? `, stale: ${r.stale} acknowledged writes missing` : ""}${r.fate ? `; ${lab.fate(this.trace, r.id)}` : ""}`});
    }
  }

  // current puts a halo around the event at the cursor.
  current() {
    const e = this.cursor && this.cursor.event;
    if (!e || this.cursor.trace !== this.trace) return;
    const c = this.ctx;
    c.strokeStyle = this.theme.accent;
    c.lineWidth = 3;
    const a = e.arrow;
    if (a) {
      const t1 = a.t1 === Infinity ? this.trace.duration : a.t1;
      c.globalAlpha = 0.6;
      c.beginPath();
      c.moveTo(this.view.x(a.t0), this.y(a.send.server));
      c.lineTo(this.view.x(t1), this.y(a.send.peer));
      c.stroke();
      c.globalAlpha = 1;
    }
    const y = e.client ? this.clientY(e.client) : this.y(e.server || 1) + (lab.markAt[e.kind] || 0);
    c.beginPath();
    c.arc(this.view.x(e.at), y, 10, 0, 7);
    c.stroke();
  }

  // names are the panel's title and, left of their lines, the servers; at the cursor also their roles.
  names() {
    const c = this.ctx, theme = this.theme, t = this.trace, p = lab.protocol(t.protocol);
    c.textBaseline = "middle";
    c.textAlign = "left";
    c.fillStyle = theme.ink;
    c.font = `bold 14px ${theme.font}`;
    c.fillText(p.name, 8, this.top + 15);
    const after = Math.max(gutter, 8 + c.measureText(p.name).width + 14);
    c.font = `11px ${theme.font}`;
    if (t.clients) {
      c.fillStyle = theme.soft;
      c.fillText("clients", 8, this.top + head + this.clientsHeight / 2 - 4);
    }
    for (let s = 1; s <= t.servers; s++) {
      c.globalAlpha = this.shown(s) ? 1 : 0.35;
      c.fillStyle = theme.ink;
      c.font = `bold 13px ${theme.font}`;
      c.fillText(lab.server(s), 8, this.y(s));
      const span = t.spanAt(s, this.cursor ? this.cursor.at : this.view.from);
      if (span) {
        c.font = `10px ${theme.font}`;
        c.fillStyle = theme.soft;
        c.fillText(span.role === "down" ? "down" : `${p.initial}${span.epoch}`, 32, this.y(s) - 5);
        c.fillText({following: "follows", leading: "leads", leader: "leads", follower: "follows", "pre-candidate": "asks", candidate: "stands", looking: "looks", starting: "starts", down: ""}[span.role] ?? span.role, 32, this.y(s) + 6);
      }
    }
    c.globalAlpha = 1;
    this.steps(after);
  }

  // steps writes the scenario's steps on top of the panel, where they happen.
  steps(after) {
    const c = this.ctx, theme = this.theme;
    let free = after;
    c.font = `11px ${theme.font}`;
    const shown = this.trace.marks.map((m) => ({x: this.view.x(m.at), text: m.text, at: m.at})).filter((m) => m.x >= gutter && m.x <= this.right);
    shown.forEach((m, i) => {
      c.strokeStyle = theme.alarm;
      c.lineWidth = 1.2;
      c.setLineDash([5, 3]);
      c.beginPath();
      c.moveTo(m.x, this.top + 8);
      c.lineTo(m.x, this.top + this.height - foot);
      c.stroke();
      c.setLineDash([]);
      c.fillStyle = theme.alarm;
      c.beginPath(); c.moveTo(m.x - 4, this.top + 4); c.lineTo(m.x + 4, this.top + 4); c.lineTo(m.x, this.top + 11); c.closePath(); c.fill();
      this.hits.push({box: [m.x - 6, this.top, 12, 20], text: m.text, at: m.at});
      if (i && m.x - shown[i - 1].x < 40) return; // named with the one before
      const near = [m.text];
      for (let k = i + 1; k < shown.length && shown[k].x - shown[k - 1].x < 40; k++) near.push(shown[k].text);
      const text = near.join(" · "), width = c.measureText(text).width, at = Math.min(shown[i + near.length - 1].x + 6, this.right - width - 6);
      if (at < free) return;
      c.fillText(text, at, this.top + 12);
      free = at + width + 10;
    });
  }

  // hit is what is drawn at a point: {event} or {text, at}.
  hit(x, y) {
    let best = null, near = 7;
    for (const h of this.hits) {
      let d;
      if (h.box) {
        const [bx, by, w, height] = h.box;
        d = x >= bx && x <= bx + w && y >= by && y <= by + height ? 6 : Infinity;
      } else if (h.r) {
        d = Math.hypot(x - h.x, y - h.y) - h.r + 2;
      } else {
        const dx = h.x1 - h.x0, dy = h.y1 - h.y0, length = dx * dx + dy * dy || 1;
        const u = Math.max(0, Math.min(1, ((x - h.x0) * dx + (y - h.y0) * dy) / length));
        d = Math.hypot(x - h.x0 - u * dx, y - h.y0 - u * dy);
      }
      if (d < near) { near = d; best = h; }
    }
    return best;
  }
};
