// Brings a report to life: each diagram is unpacked and drawn when it comes near the window, or when the page is printed.
lab.diagrams = new Map(); // by scenario

lab.open = async (figure) => {
  const name = figure.dataset.scenario;
  if (lab.diagrams.has(name)) return;
  lab.diagrams.set(name, null);
  const runs = await lab.unpack(figure.querySelector(".data").textContent);
  figure.querySelector(".needs-script")?.remove();
  lab.diagrams.set(name, new lab.Diagram(figure.querySelector(".diagram"), runs));
};

lab.ready = (async () => {
  const figures = [...document.querySelectorAll("figure[data-scenario]")];
  const near = new IntersectionObserver((entries) => {
    for (const e of entries) if (e.isIntersecting) lab.open(e.target);
  }, {rootMargin: "600px"});
  for (const f of figures) near.observe(f);
  for (const b of document.querySelectorAll("button[data-from]")) {
    b.addEventListener("click", async () => {
      const figure = document.querySelector(`figure[data-scenario="${CSS.escape(b.dataset.scenario)}"]`);
      if (!figure) return;
      await lab.open(figure);
      lab.diagrams.get(b.dataset.scenario)?.show(Number(b.dataset.from), Number(b.dataset.to));
      figure.scrollIntoView({block: "start"});
    });
  }
  for (const c of document.querySelectorAll("canvas[data-sign]")) lab.sign(c);
  // Printing waits for no promise, so all diagrams are made ready while nothing else is to be done.
  const rest = async () => {
    for (const f of figures) await lab.open(f);
    document.documentElement.dataset.drawn = "all";
  };
  if (window.requestIdleCallback) requestIdleCallback(rest, {timeout: 4000}); else setTimeout(rest, 1000);
  addEventListener("beforeprint", () => { for (const d of lab.diagrams.values()) d?.paint(3, 860); });
  addEventListener("afterprint", () => { for (const d of lab.diagrams.values()) d?.draw(); });
})();
