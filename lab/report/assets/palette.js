// Colours and patterns. Epochs take turns through colours that colour-blind people tell apart (Okabe and Ito, "Color Universal Design") and,
// with another period, through patterns; and every span says its number. So colour never is the only sign.

lab.epochColours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
lab.epochColoursDark = ["#3b9ee0", "#ff8c42", "#2bc496", "#e3a1c6", "#f2bc3d", "#9ad6f7"]; // the same hues, lighter
lab.epochPatterns = ["plain", "rising", "dots", "falling", "upright"];

// Theme is what the page's styles say: read again when the page turns dark or is printed.
lab.theme = (element) => {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue("--" + name).trim();
  return {
    paper: of("paper"), ink: of("ink"), soft: of("soft"), faint: of("faint"), panel: of("panel"), alarm: of("alarm"), accent: of("accent"),
    font: style.fontFamily, dark: of("dark") === "1",
  };
};

// epochColour is an epoch's colour; there is none before the first.
lab.epochColour = (theme, epoch) => {
  const colours = theme.dark ? lab.epochColoursDark : lab.epochColours;
  return epoch > 0 ? colours[(epoch - 1) % colours.length] : theme.soft;
};

// Patterns are made once for each context, theme and epoch.
lab.Patterns = class {
  constructor() { this.made = new Map(); }

  // fill is what a span of an epoch is filled with; style "hatched" is for servers that look for a leader.
  fill(ctx, theme, epoch, hatched) {
    const key = `${epoch}/${hatched}/${theme.dark}/${theme.paper}`;
    let fill = this.made.get(key);
    if (!fill) {
      fill = this.make(ctx, theme, epoch, hatched);
      this.made.set(key, fill);
    }
    return fill;
  }

  make(ctx, theme, epoch, hatched) {
    const colour = lab.epochColour(theme, epoch);
    const kind = hatched ? "hatched" : epoch > 0 ? lab.epochPatterns[(epoch - 1) % lab.epochPatterns.length] : "plain";
    if (kind === "plain") return colour;
    const tile = document.createElement("canvas"), size = 8;
    tile.width = tile.height = size;
    const c = tile.getContext("2d");
    c.fillStyle = hatched ? theme.paper : colour;
    c.fillRect(0, 0, size, size);
    c.strokeStyle = c.fillStyle = hatched ? colour : "rgba(255,255,255,0.55)";
    c.lineWidth = hatched ? 2 : 1.2;
    c.beginPath();
    const line = (x0, y0, x1, y1) => { c.moveTo(x0, y0); c.lineTo(x1, y1); };
    if (kind === "rising" || kind === "hatched") { line(-2, 10, 10, -2); line(-2, 2, 2, -2); line(6, 10, 10, 6); }
    if (kind === "falling") { line(-2, -2, 10, 10); line(-2, 6, 2, 10); line(6, -2, 10, 2); }
    if (kind === "upright") { line(4, 0, 4, 8); }
    if (kind === "dots") { c.arc(4, 4, 1.4, 0, 7); c.fill(); }
    else c.stroke();
    return ctx.createPattern(tile, "repeat");
  }
};
