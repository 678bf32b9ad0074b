// The legend's signs, drawn by the code that draws the diagrams.
lab.sign = (canvas) => {
  const scale = 2, width = 46, height = 24, ctx = canvas.getContext("2d"), what = canvas.dataset.sign;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const draw = () => {
    const theme = lab.theme(canvas), patterns = new lab.Patterns();
    ctx.setTransform(scale, 0, 0, scale, 0, 0);
    ctx.clearRect(0, 0, width, height);
    ctx.strokeStyle = ctx.fillStyle = ["crash", "cut", "stale", "fail"].includes(what) ? theme.alarm : theme.ink;
    ctx.lineWidth = 1.3;
    const [kind, arg] = what.split(" ");
    if (kind === "class") {
      const style = lab.classes[arg];
      ctx.setLineDash(style.dash);
      ctx.lineWidth = style.width * 1.3;
      ctx.beginPath(); ctx.moveTo(3, 12); ctx.lineTo(43, 12); ctx.stroke();
      ctx.setLineDash([]);
    } else if (kind === "lost") {
      ctx.beginPath(); ctx.moveTo(3, 12); ctx.lineTo(34, 12); ctx.moveTo(30, 8); ctx.lineTo(38, 16); ctx.moveTo(38, 8); ctx.lineTo(30, 16); ctx.stroke();
    } else if (kind === "span") {
      const leads = arg === "leads" || arg === "elected", high = leads ? 14 : 7;
      ctx.fillStyle = patterns.fill(ctx, theme, arg === "looks" ? 0 : 2, arg === "looks");
      ctx.globalAlpha = arg === "elected" || arg === "joins" ? 0.45 : 1;
      ctx.fillRect(3, 12 - high / 2, 40, high);
      ctx.globalAlpha = 1;
      if (leads) ctx.strokeRect(3, 12 - high / 2, 40, high);
    } else if (kind === "epoch") {
      ctx.fillStyle = patterns.fill(ctx, theme, Number(arg), false);
      ctx.fillRect(3, 5, 40, 14);
    } else if (kind === "fsync") {
      ctx.fillStyle = theme.soft;
      ctx.fillRect(10, 9.5, 26, 5);
      ctx.strokeRect(10, 9.5, 26, 5);
    } else if (kind === "cutoff") {
      ctx.strokeStyle = theme.alarm;
      ctx.lineWidth = 2;
      ctx.setLineDash([2, 3]);
      ctx.beginPath(); ctx.moveTo(3, 12); ctx.lineTo(43, 12); ctx.stroke();
      ctx.setLineDash([]);
    } else {
      lab.glyphs[kind](ctx, 23, 12);
    }
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", draw);
};
