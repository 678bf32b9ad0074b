// A diagram: the panels of all protocols above each other on one canvas and one time, with its buttons, its overview, and the table of what the
// servers know. It can be dragged, zoomed, filtered, pointed at, and stepped event by event.

const axisHeight = 26, between = 10, overviewRow = 18;

lab.Diagram = class {
  // runs are unpacked; element is what the diagram fills. options: live (the page adds events; nothing is stepped through), lane (pixels between
  // servers).
  constructor(element, runs, options = {}) {
    this.element = element;
    this.options = options;
    this.traces = runs.map((r) => new lab.Trace(r));
    this.panels = this.traces.map((t) => new lab.Painter(t));
    this.panels.forEach((p, i) => { p.folded = Boolean(runs[i].hidden); p.lane = options.lane || p.lane; });
    this.view = new lab.View(Math.max(1, ...this.traces.map((t) => t.duration)));
    this.filter = new lab.Filter(Math.max(...this.traces.map((t) => t.servers)));
    this.cursor = null; // {trace, event, at, limits}
    this.order = null; // of all traces' events by time, when stepping has begun
    this.build();
    this.listen();
    this.home();
  }

  build() {
    const make = (tag, className, parent = this.element) => {
      const e = document.createElement(tag);
      if (className) e.className = className;
      parent.append(e);
      return e;
    };
    this.element.tabIndex = 0;
    this.bar = make("div", "bar");
    this.bars();
    this.now = make("p", "now");
    this.now.setAttribute("aria-live", "polite");
    this.leave();
    this.overview = make("canvas", "overview");
    this.canvas = make("canvas", "space-time");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `Space-time diagram of ${this.traces.map((t) => lab.protocol(t.protocol).name).join(" and ")}; step through it with the arrow keys to have each event read out`);
    this.tip = make("div", "tip");
    this.tip.hidden = true;
    this.list = make("ol", "around");
    this.states = make("div", "states");
    const filters = make("div", "bar filters");
    this.folds(filters);
    this.filter.buttons(filters, () => { this.order = null; this.draw(); });
  }

  bars() {
    const button = (text, title, act, name) => {
      const b = document.createElement("button");
      b.type = "button";
      b.textContent = text;
      b.title = title;
      b.dataset.act = name;
      b.addEventListener("click", act);
      this.bar.append(b);
    };
    const middle = () => (this.view.from + this.view.to) / 2;
    button("whole run", "key 0", () => this.show(0, this.view.duration), "whole");
    button("−", "zoom out: key −", () => this.zoom(0.5, middle()), "out");
    button("+", "zoom in: key +", () => this.zoom(2, middle()), "in");
    button("◀", "earlier: key PageUp", () => this.pan(-0.5), "left");
    button("▶", "later: key PageDown", () => this.pan(0.5), "right");
    this.goto = document.createElement("select");
    this.goto.title = "go to a part of the run";
    this.goto.dataset.act = "goto";
    this.places();
    this.goto.addEventListener("change", () => {
      const p = this.parts[this.goto.value];
      if (p) this.show(p.from, p.to);
      this.goto.value = "";
    });
    this.bar.append(this.goto);
    if (this.options.live) return;
    button("◁ step", "the event before: left arrow; with shift: the step, role or commit before", () => this.step(-1), "back");
    button("step ▷", "the next event: right arrow; with shift: the next step, role or commit", () => this.step(1), "step");
    button("end stepping", "key Escape", () => this.leave(), "leave");
  }

  // folds are the switches of the panels.
  folds(element) {
    const box = document.createElement("span");
    box.className = "switches";
    element.append(box);
    this.panels.forEach((p) => {
      const b = document.createElement("button");
      b.type = "button";
      b.textContent = lab.protocol(p.trace.protocol).name;
      b.dataset.fold = p.trace.protocol;
      b.title = "show or hide this protocol";
      b.setAttribute("aria-pressed", !p.folded);
      b.addEventListener("click", () => {
        p.folded = !p.folded;
        if (this.panels.every((o) => o.folded)) p.folded = false;
        b.setAttribute("aria-pressed", !p.folded);
        this.order = null;
        this.draw();
      });
      box.append(b);
    });
  }

  // places fills the list of parts to go to: phases without a leader, and steps.
  places() {
    this.parts = [];
    const add = (text, from, to) => {
      const margin = Math.max((to - from) * 0.08, 100);
      this.parts.push({text, from: from - margin, to: to + margin});
    };
    for (const t of this.traces) {
      const name = lab.protocol(t.protocol).name;
      for (const p of t.phases) add(`${name}: ${p.name}, ${lab.time(p.to - p.from)}`, p.from, p.to);
      for (const m of t.marks) add(`${name}: ${m.text}, at ${lab.time(m.at)}`, m.at - 3000, m.at + 12000);
      const cut = t.events.find((e) => e.kind === "cut"), stale = t.events.find((e) => e.kind === "staleRead");
      if (cut) add(`${name}: first cut, at ${lab.time(cut.at)}`, cut.at - 4000, cut.at + 4000);
      if (stale) add(`${name}: first stale read, at ${lab.time(stale.at)}`, stale.at - 6000, stale.at + 3000);
    }
    this.goto.replaceChildren();
    const option = (text, value) => {
      const o = document.createElement("option");
      o.textContent = text;
      o.value = value;
      this.goto.append(o);
    };
    option("go to …", "");
    this.parts.forEach((p, i) => option(p.text, String(i)));
  }

  // home shows where it gets interesting: how new leaders came about, else the first step, else a part in which arrows can be told apart.
  home() {
    const phases = this.traces.flatMap((t) => t.phases.filter((p) => p.from > 0)), marks = this.traces.flatMap((t) => t.marks);
    if (this.options.live) { this.show(0, this.view.duration); return; }
    if (phases.length) {
      // The last of the first disturbance, in each protocol.
      const from = Math.min(...phases.map((p) => p.from));
      let to = from;
      for (const t of this.traces) {
        let end = from;
        for (const p of t.phases) if (p.from > 0 && (p.from <= end + 1000 || end === from)) end = Math.max(end, p.to);
        to = Math.max(to, end);
      }
      this.show(from - (to - from) * 0.05, to + (to - from) * 0.2);
    } else if (marks.length) {
      // All changes of roles that follow, or a moment if there are none.
      const from = Math.min(...marks.map((m) => m.at));
      const to = Math.max(0, ...this.traces.flatMap((t) => t.events.filter((e) => e.kind === "role" && e.at > from && e.epoch > 0).map((e) => e.at)));
      if (to > from) this.show(from - (to - from) * 0.05, to + (to - from) * 0.15);
      else this.show(from - 4000, from + 30000);
    } else {
      // One write, from its proposal until everybody knows that it is committed.
      const proposals = this.traces[0].events.filter((e) => e.kind === "propose" && e.command), p = proposals[proposals.length >> 1];
      const known = p && this.traces[0].events.findLast((e) => e.kind === "commit" && e.epoch === p.epoch && e.index === p.index);
      if (known) this.show(p.at - 1500, Math.min(known.at + 1500, p.at + 60000));
      else this.show(0, this.view.duration);
    }
  }

  show(from, to) { this.view.show(from, to); this.draw(); }
  zoom(factor, at) { this.view.zoom(factor, at); this.draw(); }
  pan(share) { this.view.pan((this.view.to - this.view.from) * share); this.draw(); }

  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.paint(); });
  }

  // paint draws everything now. scale is the canvas's pixels to one of CSS; width is that of the drawing, which the page may shrink.
  paint(scale = window.devicePixelRatio || 1, width = Math.max(320, this.element.clientWidth - 2)) {
    const theme = lab.theme(this.element);
    let y = axisHeight;
    for (const p of this.panels) {
      if (p.folded) continue;
      p.top = y;
      y += p.height + between;
    }
    const height = y + axisHeight - between;
    const ctx = this.fit(this.canvas, width, height, scale);
    ctx.fillStyle = theme.paper;
    ctx.fillRect(0, 0, width, height);
    this.view.left = gutter;
    this.view.width = width - gutter - 6;
    const right = width - 6;
    this.panels.forEach((p, i) => {
      if (p.folded) return;
      const limit = this.cursor ? this.cursor.limits[i] : 0;
      p.paint(ctx, {theme, view: this.view, filter: this.filter, cursor: this.cursor, limit, right});
    });
    this.axis(ctx, theme, right, height);
    if (this.cursor) this.cursorLine(ctx, theme, height);
    this.paintOverview(theme, width, scale);
  }

  fit(canvas, width, height, scale) {
    const w = Math.round(width * scale), h = Math.round(height * scale);
    if (canvas.width !== w || canvas.height !== h) {
      canvas.width = w;
      canvas.height = h;
      canvas.style.aspectRatio = `${w} / ${h}`;
    }
    const ctx = canvas.getContext("2d");
    ctx.setTransform(scale, 0, 0, scale, 0, 0);
    return ctx;
  }

  axis(ctx, theme, right, height) {
    const {step, ticks} = this.view.ticks();
    const digits = Math.max(0, Math.ceil(Math.log10(Math.max(1, this.view.to) / step)) - 2);
    ctx.font = `11px ${theme.font}`;
    ctx.textAlign = "center";
    ctx.lineWidth = 1;
    for (const t of ticks) {
      const x = this.view.x(t);
      ctx.strokeStyle = theme.faint;
      ctx.beginPath();
      ctx.moveTo(x, axisHeight - 6);
      ctx.lineTo(x, height - axisHeight + 6);
      ctx.stroke();
      ctx.fillStyle = theme.soft;
      ctx.textBaseline = "middle";
      ctx.textAlign = x > right - 30 ? "right" : "center";
      ctx.fillText(lab.time(t, digits), Math.min(x, right), axisHeight / 2 - 2);
      ctx.fillText(lab.time(t, digits), Math.min(x, right), height - axisHeight / 2 + 3);
    }
    ctx.textAlign = "left";
    ctx.fillText("time", 8, axisHeight / 2 - 2);
  }

  cursorLine(ctx, theme, height) {
    const x = this.view.x(this.cursor.at);
    if (x < gutter - 1) return;
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.moveTo(x, axisHeight - 8);
    ctx.lineTo(x, height - axisHeight + 8);
    ctx.stroke();
  }

  // paintOverview shows who led when in the whole run, and which part of it is seen.
  paintOverview(theme, width, scale) {
    const height = this.traces.length * overviewRow + 6, ctx = this.fit(this.overview, width, height, scale);
    const x = (t) => gutter + t / this.view.duration * (width - gutter - 6);
    ctx.fillStyle = theme.panel;
    ctx.fillRect(0, 0, width, height);
    this.traces.forEach((t, i) => {
      const y = 3 + i * overviewRow;
      ctx.fillStyle = theme.soft;
      ctx.font = `10px ${theme.font}`;
      ctx.textAlign = "left";
      ctx.textBaseline = "middle";
      ctx.fillText(lab.protocol(t.protocol).name.replace("with ", "+ "), 8, y + overviewRow / 2, gutter - 10);
      // Two may lead at a time, one of them in vain: then the later one is drawn below.
      const tenures = t.spans.flatMap((spans, s) => spans.filter((span) => lab.leads(span.role) && span.serving).map((span) => ({...span, server: s})));
      tenures.sort((a, b) => a.from - b.from);
      let end = 0;
      for (const span of tenures) {
        const x0 = x(span.from), x1 = x(Math.min(span.to, t.duration)), second = span.from < end, top = second ? y + overviewRow / 2 : y + 3;
        const high = overviewRow / 2 - (second ? 1 : 3) + (second ? 0 : tenures.some((o) => o !== span && o.from < span.to && span.from < o.to) ? 0 : overviewRow / 2 - 3);
        end = Math.max(end, span.to);
        ctx.fillStyle = this.panels[i].patterns.fill(ctx, theme, span.epoch, false);
        ctx.fillRect(x0, top, Math.max(1, x1 - x0), high);
        const text = `${lab.server(span.server)} leads`;
        ctx.font = `${high > 8 ? 10 : 8}px ${theme.font}`;
        const w = ctx.measureText(text).width;
        if (w + 6 < x1 - x0) {
          ctx.fillStyle = theme.panel;
          ctx.fillRect(x0 + 3, top, w + 4, high);
          ctx.fillStyle = theme.ink;
          ctx.fillText(text, x0 + 5, top + high / 2 + 0.5);
        }
      }
      ctx.fillStyle = theme.alarm;
      for (const m of t.marks) ctx.fillRect(x(m.at) - 1, y, 2, overviewRow);
    });
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = 2;
    const from = x(this.view.from), to = x(this.view.to);
    ctx.strokeRect(from, 1, Math.max(3, to - from), height - 2);
    this.overviewTime = (px) => (px - gutter) / (width - gutter - 6) * this.view.duration;
  }

  listen() {
    const at = (canvas, e) => {
      const r = canvas.getBoundingClientRect();
      return [(e.clientX - r.left) * canvas.width / r.width / (this.canvas.width / this.canvas.clientWidth), (e.clientY - r.top)];
    };
    const move = (e) => {
      const [x] = at(this.overview, e), half = (this.view.to - this.view.from) / 2, t = this.overviewTime(x);
      this.show(t - half, t + half);
    };
    this.overview.addEventListener("pointerdown", (e) => { this.overview.setPointerCapture(e.pointerId); move(e); });
    this.overview.addEventListener("pointermove", (e) => { if (e.buttons & 1) move(e); });
    let grabbed = null;
    this.canvas.addEventListener("pointerdown", (e) => {
      grabbed = {x: e.clientX, from: this.view.from, moved: false};
      this.canvas.setPointerCapture(e.pointerId);
    });
    this.canvas.addEventListener("pointermove", (e) => {
      if (grabbed && e.buttons & 1) {
        const by = e.clientX - grabbed.x;
        if (Math.abs(by) > 3) grabbed.moved = true;
        this.view.pan(grabbed.from - by * this.view.perPixel - this.view.from);
        this.draw();
        return;
      }
      this.point(...at(this.canvas, e));
    });
    this.canvas.addEventListener("pointerup", (e) => {
      const moved = grabbed && grabbed.moved;
      grabbed = null;
      if (!moved) this.pick(...at(this.canvas, e));
    });
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("dblclick", (e) => this.zoom(3, this.view.t(at(this.canvas, e)[0])));
    // Turning the wheel scrolls the page, as everywhere; with Ctrl it zooms, sideways or with Shift it moves in time.
    this.canvas.addEventListener("wheel", (e) => {
      if (e.ctrlKey || e.metaKey) this.zoom(Math.exp(-e.deltaY / 240), this.view.t(at(this.canvas, e)[0]));
      else if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) { this.view.pan((e.deltaX || e.deltaY) * this.view.perPixel); this.draw(); }
      else return;
      e.preventDefault();
    }, {passive: false});
    this.element.addEventListener("keydown", (e) => this.key(e));
    new ResizeObserver(() => this.draw()).observe(this.element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  key(e) {
    if (e.target.tagName === "SELECT" || e.target.tagName === "INPUT" || e.ctrlKey || e.metaKey || e.altKey) return;
    const middle = this.cursor ? this.cursor.at : (this.view.from + this.view.to) / 2;
    const acts = {
      "+": () => this.zoom(2, middle), "=": () => this.zoom(2, middle), "-": () => this.zoom(0.5, middle), "0": () => this.show(0, this.view.duration),
      PageUp: () => this.pan(-0.5), PageDown: () => this.pan(0.5),
    };
    if (!this.options.live) {
      acts.ArrowRight = () => this.step(1, e.shiftKey);
      acts.ArrowLeft = () => this.step(-1, e.shiftKey);
      acts.Escape = () => this.leave();
    }
    if (!acts[e.key]) return;
    acts[e.key]();
    e.preventDefault();
  }

  hit(x, y) {
    for (const p of this.panels) {
      if (p.folded || y < p.top || y >= p.top + p.height) continue;
      const hit = p.hit(x, y);
      if (hit) return {panel: p, hit};
    }
    return null;
  }

  // point tells what is under the mouse.
  point(x, y) {
    const found = this.hit(x, y);
    this.tip.hidden = !found;
    this.canvas.style.cursor = found ? "pointer" : "grab";
    if (!found) return;
    const {panel, hit} = found, e = hit.event;
    const text = e ? lab.say(panel.trace, e) : hit.text;
    this.tip.textContent = `${lab.time(e ? e.at : hit.at, 3)}  ${text}`;
    const width = this.canvas.clientWidth;
    this.tip.style.left = `${Math.min(x + 14, Math.max(0, width - 340))}px`;
    this.tip.style.top = `${this.canvas.offsetTop + y + 16}px`;
  }

  // pick puts the cursor on what was clicked.
  pick(x, y) {
    this.element.focus({preventScroll: true});
    if (this.options.live) return;
    const found = this.hit(x, y);
    if (found && found.hit.event) this.go(this.position(found.panel.trace, found.hit.event));
    else if (x > gutter) this.go(lab.bisect(this.sequence(), this.view.t(x), (s) => s.event.at));
  }

  // sequence is all events that pass the filter, of all panels, by time.
  sequence() {
    if (this.order) return this.order;
    this.order = [];
    this.traces.forEach((trace, panel) => {
      if (this.panels[panel].folded) return;
      for (const event of trace.events) if (this.filter.passes(event)) this.order.push({trace, panel, event});
    });
    this.order.sort((a, b) => a.event.at - b.event.at || a.panel - b.panel || a.event.i - b.event.i);
    return this.order;
  }

  position(trace, event) {
    const all = this.sequence();
    let i = lab.bisect(all, event.at, (s) => s.event.at);
    while (i < all.length && all[i].event.at === event.at && !(all[i].trace === trace && all[i].event === event)) i++;
    return i;
  }

  // step moves the cursor to the next event (by 1) or the one before (by -1); far: to one that matters more.
  step(by, far) {
    const all = this.sequence();
    let i;
    if (this.cursor) {
      i = this.position(this.cursor.trace, this.cursor.event);
      if (!all[i] || all[i].event !== this.cursor.event) i = lab.bisect(all, this.cursor.at, (s) => s.event.at) - (by > 0 ? 1 : 0);
      i += by;
    } else {
      i = lab.bisect(all, by > 0 ? this.view.from : this.view.to, (s) => s.event.at) - (by > 0 ? 0 : 1);
    }
    const matters = ["crash", "restart", "partition", "heal", "role", "serve", "commit", "cut", "staleRead", "clientFail", "sync", "member"];
    while (far && all[i] && !matters.includes(all[i].event.kind)) i += by;
    this.go(i);
  }

  // go puts the cursor on the i-th event of the sequence.
  go(i) {
    const all = this.sequence();
    if (!all.length) return;
    i = Math.max(0, Math.min(all.length - 1, i));
    const {trace, panel, event} = all[i];
    // How far each panel has come: up to the cursor's event, and in the others all before its time.
    const limits = this.traces.map((t, p) => (p === panel ? event.i + 1 : t.range(0, event.at - (p > panel ? 1 : 0))[1]));
    this.cursor = {trace, event, at: event.at, limits};
    this.view.reveal(event.at);
    this.tell(all, i);
    this.draw();
  }

  // tell says where the cursor is: in words, with what comes before and after, and what the servers know.
  tell(all, i) {
    const {trace, event} = all[i];
    this.now.classList.remove("hint");
    this.now.textContent = `${lab.time(event.at, 3)} · ${lab.protocol(trace.protocol).name}: ${lab.say(trace, event)}.`;
    this.list.replaceChildren();
    for (let k = Math.max(0, i - 2); k < Math.min(all.length, i + 6); k++) {
      const item = document.createElement("li"), a = all[k];
      item.textContent = `${lab.time(a.event.at, 3)}  ${lab.protocol(a.trace.protocol).name}: ${lab.say(a.trace, a.event)}`;
      if (k === i) item.setAttribute("aria-current", "step");
      item.addEventListener("click", () => this.go(k));
      this.list.append(item);
    }
    this.states.replaceChildren(...this.traces.map((t, p) => (this.panels[p].folded ? "" : lab.stateTable(t, this.cursor.limits[p]))));
  }

  leave() {
    this.cursor = null;
    this.now.classList.add("hint");
    this.now.hidden = Boolean(this.options.live);
    this.now.textContent = "Click on the diagram, or press →, to go through the run event by event.";
    this.list?.replaceChildren();
    this.states?.replaceChildren();
    if (this.canvas) this.draw();
  }
};
