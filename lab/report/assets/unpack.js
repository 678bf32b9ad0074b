// Undoes pack.go: base64, gzip, JSON, and columns of differences.

// unpack resolves to the runs in a block of the page.
lab.unpack = async (base64) => {
  const raw = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  const runs = await new Response(stream).json();
  for (const run of runs) {
    run.events = lab.fromColumns(run.strings, run.columns);
    delete run.columns;
    delete run.strings;
  }
  return runs;
};

// fromColumns makes events of the columns, in pack.go's order.
lab.fromColumns = (strings, columns) => {
  const [kinds, ats, ofs, durs, servers, peers, epochs, indexes, names, msgs, sizes, clients, commands, notes] = columns;
  const none = {dur: 0, server: 0, peer: 0, epoch: 0, index: 0, name: 0, msg: 0, bytes: 0, client: 0, command: 0, note: 0};
  const last = {}, underWay = [], events = [];
  let at = 0;
  for (let i = 0; i < kinds.length; i++) {
    const kind = strings[kinds[i]];
    let like = last[kind] || none, msg = like.msg;
    if (kind === "send") msg++;
    let [server, peer] = [like.server, like.peer];
    if (ofs[i]) {
      like = underWay.splice(underWay.length - ofs[i], 1)[0];
      [server, peer, msg] = [like.peer, like.server, like.msg];
    }
    at += ats[i];
    // Strings stay numbers until the events that are predicted from this one are done.
    const raw = {
      dur: like.dur + durs[i], server: server + servers[i], peer: peer + peers[i], epoch: like.epoch + epochs[i],
      index: like.index + indexes[i], name: like.name + names[i], msg: msg + msgs[i], bytes: like.bytes + sizes[i],
      client: like.client + clients[i], command: like.command + commands[i], note: like.note + notes[i],
    };
    last[kind] = raw;
    if (kind === "send") underWay.push(raw);
    events.push({...raw, at, kind, name: strings[raw.name], note: strings[raw.note]});
  }
  return events;
};
