// The signs for what happens at a server: each a shape of its own, so that it is known without its colour. legend draws the same ones.

// Above (-) or below (+) a server's line, in pixels; the line's thickness is 14 for leaders and 7 for others.
lab.markAt = {propose: -13, commit: -13, apply: -13, vote: -13, serve: -16, sync: -15, fsync: 11, cut: 14, crash: 0, restart: 0, member: 17, slowDisk: 17, clock: 17};

// Each draws at x, y in the current colours.
lab.glyphs = {
  propose(c, x, y) {
    c.beginPath(); c.moveTo(x, y - 5); c.lineTo(x + 4, y); c.lineTo(x, y + 5); c.lineTo(x - 4, y); c.closePath(); c.stroke();
  },
  commit(c, x, y) { c.beginPath(); c.arc(x, y, 3.6, 0, 7); c.fill(); },
  apply(c, x, y) { c.beginPath(); c.arc(x, y, 3.2, 0, 7); c.stroke(); },
  vote(c, x, y) { c.strokeRect(x - 3.5, y - 3.5, 7, 7); c.beginPath(); c.moveTo(x - 2, y); c.lineTo(x - 0.5, y + 2); c.lineTo(x + 2.5, y - 2); c.stroke(); },
  serve(c, x, y) {
    c.beginPath(); c.moveTo(x, y + 9); c.lineTo(x, y - 5); c.stroke();
    c.beginPath(); c.moveTo(x, y - 6); c.lineTo(x + 9, y - 2.5); c.lineTo(x, y + 1); c.closePath(); c.fill();
  },
  cut(c, x, y) { c.lineWidth *= 1.6; c.beginPath(); c.moveTo(x - 4, y - 4); c.lineTo(x + 4, y + 4); c.moveTo(x + 4, y - 4); c.lineTo(x - 4, y + 4); c.stroke(); c.strokeRect(x - 6, y - 6, 12, 12); },
  crash(c, x, y, width = 3.5) { c.lineWidth = width; c.beginPath(); c.moveTo(x - 8, y - 8); c.lineTo(x + 8, y + 8); c.moveTo(x + 8, y - 8); c.lineTo(x - 8, y + 8); c.stroke(); },
  restart(c, x, y) { c.beginPath(); c.moveTo(x - 3, y - 8); c.lineTo(x + 9, y); c.lineTo(x - 3, y + 8); c.closePath(); c.fill(); },
  stale(c, x, y) {
    c.beginPath(); c.moveTo(x, y - 5.5); c.lineTo(x + 5.5, y + 4); c.lineTo(x - 5.5, y + 4); c.closePath(); c.stroke();
    c.fillRect(x - 0.8, y - 2.5, 1.6, 3.5); c.fillRect(x - 0.8, y + 1.8, 1.6, 1.4);
  },
  ack(c, x, y) { c.lineWidth = 1.6; c.beginPath(); c.moveTo(x - 4, y); c.lineTo(x - 1, y + 3); c.lineTo(x + 4, y - 3.5); c.stroke(); },
  fail(c, x, y) { c.lineWidth = 1.8; c.beginPath(); c.moveTo(x - 3.5, y - 3.5); c.lineTo(x + 3.5, y + 3.5); c.moveTo(x + 3.5, y - 3.5); c.lineTo(x - 3.5, y + 3.5); c.stroke(); },
};

// pill writes a word in a box, for what happens seldom.
lab.pill = (c, theme, text, x, y) => {
  c.font = `10px ${theme.font}`;
  const width = c.measureText(text).width + 8;
  c.fillStyle = theme.paper;
  c.strokeStyle = theme.ink;
  c.lineWidth = 1;
  c.beginPath();
  c.roundRect(x - width / 2, y - 7, width, 14, 3);
  c.fill();
  c.stroke();
  c.fillStyle = theme.ink;
  c.textAlign = "center";
  c.textBaseline = "middle";
  c.fillText(text, x, y + 0.5);
  return width;
};
