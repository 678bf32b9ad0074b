"use strict";
// The scripts of the laboratory's pages share this one name. Each file adds a part and says in its first lines what for; they are put into a page in
// the order of report.go's list of scripts, so a part may use those before it.
const lab = {};

// Names of the protocols, and their words for the two numbers that order everything: zab's epoch is Raft's term.
lab.protocols = {
  "zab": {name: "ZAB", epoch: "epoch", initial: "e"},
  "raft": {name: "Raft", epoch: "term", initial: "t"},
  "raft-prevote": {name: "Raft with pre-vote", epoch: "term", initial: "t"},
};

lab.protocol = (id) => lab.protocols[id] || {name: id, epoch: "epoch", initial: "e"};

lab.server = (n) => (n ? "S" + n : "nobody");

// time writes microseconds; digits is how many more than three significant ones are wanted, for neighbours that must differ.
lab.time = (us, digits = 0) => {
  const a = Math.abs(us);
  if (a < 1000) return `${Math.round(us)} µs`;
  const [v, unit] = a < 1e6 ? [us / 1e3, "ms"] : [us / 1e6, "s"];
  const whole = Math.max(1, Math.floor(Math.log10(Math.abs(v))) + 1);
  const places = Math.max(0, Math.min(unit === "ms" ? 3 : 6, 3 + digits - whole));
  return `${v.toFixed(places).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "")} ${unit}`;
};

// bisect is the first index of a sorted array whose element is not before x.
lab.bisect = (array, x, of = (e) => e) => {
  let low = 0, high = array.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (of(array[mid]) < x) low = mid + 1; else high = mid;
  }
  return low;
};
