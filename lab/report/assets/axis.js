// Time on the page: which span is seen, and where.

// View is the span of time that a diagram shows; all of its panels share it.
lab.View = class {
  constructor(duration) {
    this.duration = Math.max(1, duration);
    this.from = 0;
    this.to = this.duration;
    this.left = 0; // pixels
    this.width = 1;
  }

  x(t) { return this.left + (t - this.from) * this.width / (this.to - this.from); }
  t(x) { return this.from + (x - this.left) * (this.to - this.from) / this.width; }
  get perPixel() { return (this.to - this.from) / this.width; }

  // show moves to a span, kept within the run and not shorter than 20 microseconds.
  show(from, to) {
    const length = Math.min(this.duration, Math.max(20, to - from));
    const start = Math.max(0, Math.min(this.duration - length, (from + to - length) / 2));
    this.from = start;
    this.to = start + length;
  }

  zoom(factor, t) {
    const length = (this.to - this.from) / factor;
    const share = (t - this.from) / (this.to - this.from);
    this.show(t - length * share, t + length * (1 - share));
  }

  pan(by) { this.show(this.from + by, this.to + by); }

  // reveal pans just so far that a time is seen with a margin.
  reveal(t) {
    const length = this.to - this.from, margin = length / 8;
    if (t < this.from + margin) this.pan(t - margin - this.from);
    else if (t > this.to - margin) this.pan(t + margin - this.to);
  }

  // ticks are round times about 110 pixels apart.
  ticks() {
    const wanted = this.perPixel * 110;
    const power = 10 ** Math.floor(Math.log10(wanted));
    const step = Math.max(1, power * [1, 2, 5, 10].find((m) => m * power >= wanted));
    const ticks = [];
    for (let t = Math.ceil(this.from / step) * step; t <= this.to; t += step) ticks.push(t);
    return {step, ticks};
  }
};
