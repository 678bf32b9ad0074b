// Which events are drawn, stepped through and found by the mouse.
lab.Filter = class {
  constructor(servers) {
    this.off = new Set(["heartbeat"]); // groups that are hidden
    this.servers = new Set();
    for (let s = 1; s <= servers; s++) this.servers.add(s);
  }

  on(group) { return !this.off.has(group); }

  toggle(group) { if (!this.off.delete(group)) this.off.add(group); }

  toggleServer(s) { if (!this.servers.delete(s)) this.servers.add(s); }

  passes(e) {
    if (!this.on(lab.groupOf(e))) return false;
    return !e.server || this.servers.has(e.server) || (e.peer > 0 && this.servers.has(e.peer));
  }

  // buttons fills an element with a switch for each group and server; changed is called after each switch.
  buttons(element, changed) {
    const group = (title) => {
      const box = document.createElement("span");
      box.className = "switches";
      const label = document.createElement("span");
      label.textContent = title;
      box.append(label);
      element.append(box);
      return box;
    };
    const button = (box, text, title, on, flip) => {
      const b = document.createElement("button");
      b.type = "button";
      b.textContent = text;
      b.title = title;
      b.setAttribute("aria-pressed", on());
      b.addEventListener("click", () => {
        flip();
        b.setAttribute("aria-pressed", on());
        changed();
      });
      box.append(b);
      return b;
    };
    const messages = group("messages");
    for (const [id, c] of Object.entries(lab.classes)) {
      button(messages, id, `messages: ${c.title}`, () => this.on(id), () => this.toggle(id)).dataset.group = id;
    }
    const marks = group("signs");
    for (const [id, g] of Object.entries(lab.groups)) {
      button(marks, id, g.title, () => this.on(id), () => this.toggle(id)).dataset.group = id;
    }
    const servers = group("servers");
    for (const s of [...this.servers]) {
      button(servers, lab.server(s), `server ${s}`, () => this.servers.has(s), () => this.toggleServer(s)).dataset.server = s;
    }
  }
};
