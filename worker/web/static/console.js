// Behaviour of the console's pages. Every page works without it; live figures, charts, copying and keys need it.
(() => {
  "use strict";
  const html = document.documentElement;
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // Live regions ask for themselves. They rest while paused, hidden, or while a dialog is open.
  let paused = false;
  const mayRefresh = () => !paused && !document.hidden && !one("dialog[open]");
  const refresh = () => {
    if (!mayRefresh()) return;
    for (const region of all("[data-live]")) {
      if (!region.contains(document.activeElement) || !document.activeElement.matches("input, select, textarea")) {
        region.dispatchEvent(new CustomEvent("refresh"));
      }
    }
  };
  const every = Number(one("[data-live]")?.dataset.live);
  if (every) setInterval(refresh, every * 1000);
  document.addEventListener("visibilitychange", refresh);
  const says = (text) => { const place = one("#said"); if (place) place.textContent = text; };
  const lost = one("#lost");
  const isAnswered = (event) => { if (lost) lost.hidden = event.detail.ctx.response.raw.status < 500; };
  document.addEventListener("htmx:after:request", isAnswered);
  document.addEventListener("htmx:error", () => { if (lost) lost.hidden = false; });
  document.addEventListener("htmx:after:swap", () => charts());

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-pause], [data-dialog], [data-close], [data-copy]");
    if (!target) return;
    if (target.matches("[data-pause]")) {
      paused = !paused;
      target.setAttribute("aria-pressed", String(paused));
      target.textContent = paused ? "Updates paused" : "Pause updates";
      refresh();
    } else if (target.matches("[data-dialog]")) {
      one(target.dataset.dialog)?.showModal();
    } else if (target.matches("[data-close]")) {
      target.closest("dialog").close();
    } else {
      copy(target.dataset.copy).then((done) => says(done ? "Copied" : "Not copied: select it and press Ctrl C"));
    }
  });

  // A form is sent once: a second click does nothing until the page is shown again.
  const sent = new WeakSet();
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post") return;
    if (sent.has(event.target)) event.preventDefault();
    sent.add(event.target);
  });
  addEventListener("pageshow", () => { for (const form of document.forms) sent.delete(form); });

  // A form may show what it would lead to: its page is asked for with what is filled in, and one part of it replaced.
  let asked = 0;
  document.addEventListener("change", async (event) => {
    const form = event.target.closest("form[data-preview]");
    if (!form) return;
    const turn = asked += 1;
    const answer = await fetch(`${form.action}?${new URLSearchParams(new FormData(form))}`).catch(() => null);
    if (!answer?.ok || turn !== asked) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(form.dataset.preview);
    if (fresh && turn === asked) one(form.dataset.preview).replaceChildren(...fresh.childNodes);
  });

  // The clipboard of the browser is there on HTTPS and localhost alone; elsewhere a selection is copied.
  async function copy(text) {
    try {
      if (navigator.clipboard) { await navigator.clipboard.writeText(text); return true; }
    } catch { /* not permitted: the other way */ }
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "hidden-text";
    (one("dialog[open]") || document.body).append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }

  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, select, textarea");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
    if (event.key === "/") { event.preventDefault(); one("#search")?.focus(); }
  });

  // Charts: numbers from the page's own table, so that what is drawn is what is written.
  function charts() {
    if (!window.uPlot) return;
    for (const place of all("[data-chart]:not([data-drawn])")) {
      place.dataset.drawn = "";
      const rows = all(`${place.dataset.chart} tbody tr`);
      const days = rows.map((row) => Date.parse(row.dataset.day + "T00:00:00Z") / 1000);
      const credits = rows.map((row) => Number(row.dataset.credits));
      const style = getComputedStyle(html);
      const probe = (name) => { place.style.color = `var(${name})`; const found = getComputedStyle(place).color; place.style.color = ""; return found; };
      const [ink, line, accent] = ["--soft", "--line", "--accent"].map(probe);
      const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: `12px ${style.fontFamily || "sans-serif"}` };
      const short = new Intl.NumberFormat("en", { notation: "compact" });
      const plot = new uPlot({
        width: place.clientWidth, height: place.clientHeight, legend: { show: false }, cursor: { y: false, drag: { x: false } },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
        scales: { x: { time: true, range: (_, low, high) => [low - 50000, high + 50000] }, y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
        axes: [{ ...axis, size: 32, grid: { show: false }, values: "{D} {MMM}", space: 70 }, { ...axis, size: 60, values: (_, marks) => marks.map((mark) => short.format(mark)) }],
        series: [{}, { label: "credits", stroke: accent, fill: accent, width: 0, paths: uPlot.paths.bars({ size: [0.7, 40], radius: 0.2 }), points: { show: false } }],
      }, [days, credits], place);
      new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: place.clientHeight })).observe(place);
    }
  }
  charts();
})();
