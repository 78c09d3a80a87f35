// Review by keys: decisions are posted as they are made, and what comes next takes the place of what was decided.
(() => {
  "use strict";
  const one = (selector, from = document) => from.querySelector(selector);
  const root = one("[data-review]");
  if (!root) return;
  const stage = one("#stage");
  const image = () => one(".stage", stage);
  const says = (text) => { const place = one("#said"); if (place) place.textContent = text; };
  let isBusy = false, isComparing = false, cut = "50";

  // What is asked answers with the figures and the image; both are put into their places, and the focus stays.
  function put(html) {
    const page = new DOMParser().parseFromString(html, "text/html");
    const fresh = { stage: one("#stage", page), tally: one("#tally", page) };
    if (!fresh.stage) return false;
    const focused = document.activeElement?.id;
    stage.replaceChildren(...fresh.stage.childNodes);
    const tally = one("#tally");
    if (fresh.tally && tally) {
      tally.replaceChildren(...fresh.tally.childNodes);
      Object.assign(tally.dataset, { accepted: fresh.tally.dataset.accepted, rejected: fresh.tally.dataset.rejected });
    }
    shown();
    const again = focused && document.getElementById(focused);
    (again && !again.disabled ? again : stage).focus({ preventScroll: true });
    return true;
  }

  async function ask(address, fields) {
    if (isBusy) return;
    isBusy = true;
    try {
      const answer = await fetch(address, { method: fields ? "POST" : "GET", body: fields && new URLSearchParams(fields), headers: { "HX-Request": "true" } });
      if (answer.status === 401) { location.href = answer.headers.get("HX-Redirect") || "/"; return; }
      one("#lost").hidden = answer.status < 500;
      const isPut = put(await answer.text());
      if (!isPut) says("That did not work: load the page again");
    } catch { one("#lost").hidden = false; } finally { isBusy = false; }
  }

  function shown() {
    const now = image();
    const show = new URLSearchParams(location.search).get("show");
    const query = new URLSearchParams({ ...(show ? { show } : {}), ...(now.dataset.image ? { image: now.dataset.image } : {}) });
    history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
    if (now.dataset.said) says(`${now.dataset.said}. ${one("h2, strong", now)?.textContent ?? ""}`);
    for (const address of (now.dataset.prefetch ?? "").split(" ").filter(Boolean)) new Image().src = address;
    compare(isComparing);
    blink(false);
  }

  const blink = (isOn) => stage.classList.toggle("blink", isOn && Boolean(one(".under", stage)));
  function compare(isOn) {
    isComparing = isOn;
    const slider = one(".slider", stage);
    stage.classList.toggle("comparing", isOn && Boolean(slider));
    if (!slider) return;
    slider.hidden = !isOn;
    one("input", slider).value = cut;
    one(".new", stage).style.setProperty("--cut", `${cut}%`);
    one("#compare", stage).setAttribute("aria-pressed", String(isOn));
  }

  const press = (selector) => { const target = one(selector, stage); if (target && !target.disabled && target.ariaDisabled !== "true") target.click(); };
  const tab = (name) => one(`#tab-${name}`)?.click();
  const edit = () => { const place = one("#edit", stage); if (place) { place.open = true; one("#reason", place).focus(); } };
  const keys = {
    p: () => press("#accept"), a: () => press("#accept"), x: () => press("#reject"), r: () => press("#reject"), u: () => press("#undo"), e: edit, w: edit,
    ArrowLeft: () => press("#previous"), k: () => press("#previous"), ArrowRight: () => press("#next"), j: () => press("#next"), c: () => press("#compare"),
    1: () => tab("undecided"), 2: () => tab("accepted"), 3: () => tab("rejected"), 4: () => tab("all"),
  };
  const isOff = () => { try { return localStorage.getItem("darkroom-keys") === "off"; } catch { return false; } };

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.key === "Escape" && stage.contains(target) && target.matches("input, textarea")) { one("#edit", stage).open = false; stage.focus(); return; }
    const isText = target.matches("textarea, select, input:not([type=range], [type=checkbox])");
    const isArrow = event.key.startsWith("Arrow");
    if (isText || event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]") || (isArrow && target.matches("input"))) return;
    if (event.key === " " && !target.matches("button, a, summary, input")) { event.preventDefault(); blink(true); return; }
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || (isOff() && event.key.length === 1)) return;
    event.preventDefault();
    // A key that is held down must not decide images that nobody has seen.
    if (!event.repeat || isArrow) act();
  });
  document.addEventListener("keyup", (event) => { if (event.key === " ") blink(false); });
  window.addEventListener("blur", () => blink(false));

  stage.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = new FormData(event.target, event.submitter);
    ask(event.target.action, fields);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#stage a[rel], #tally a");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      if (!link.href) return;
      const show = new URL(link.href).searchParams.get("show");
      history.replaceState(null, "", `?show=${show}`);
      // The figures ask for the list that is shown.
      one("#tally").setAttribute("hx-get", one("#tally").getAttribute("hx-get").replace(/show=\w+/, `show=${show}`));
      ask(link.href);
    } else if (event.target.closest("#compare")) compare(!isComparing);
    // After a click the keys are for the image again, and the space bar blinks.
    if (event.detail > 0 && event.target.closest("#stage button")) stage.focus({ preventScroll: true });
  });
  const holding = (event) => { if (event.target.closest(".new .pane")) blink(event.type === "pointerdown"); };
  stage.addEventListener("pointerdown", holding);
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => blink(false));
  stage.addEventListener("input", (event) => { if (event.target.id === "cut") { cut = event.target.value; one(".new", stage).style.setProperty("--cut", `${cut}%`); } });

  // The counts of the dialog are those of the figures, at the moment when it is opened.
  document.addEventListener("click", (event) => {
    if (!event.target.closest('[data-dialog="#apply"]')) return;
    for (const place of document.querySelectorAll("[data-count]")) place.textContent = one("#tally").dataset[place.dataset.count];
  }, true);
  const box = one("#keys-on");
  box.checked = !isOff();
  box.addEventListener("change", () => { try { localStorage.setItem("darkroom-keys", box.checked ? "on" : "off"); } catch { /* It holds for this page alone. */ } });

  // The image stays this reviewer's while it is seen; when another one has it or decided it, that is shown.
  async function renew() {
    const { image: id, seen, held } = image().dataset;
    if (!root.dataset.claim || document.hidden || isBusy || !id) return;
    let answer;
    try {
      answer = await fetch(root.dataset.claim, { method: "POST", body: new URLSearchParams({ image: id, seen }) });
    } catch { return; }
    const isSame = image().dataset.image === id && image().dataset.seen === seen;
    const isWriting = one("#edit", stage)?.open || one("dialog[open]");
    if (isSame && !isWriting && (answer.status === 409) === (held === "yes")) ask(`${root.dataset.review}?${new URLSearchParams({ show: one("input[name=show]", stage).value, image: id })}`);
  }
  setInterval(renew, 10_000);
  document.addEventListener("visibilitychange", renew);
  shown();
})();
