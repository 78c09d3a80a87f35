"use strict";
const $ = (id) => document.getElementById(id);
const { catalog, sheet, price, file } = document.body.dataset;
const remembered = `darkroom-review-${sheet}`;
const cards = Array.from(document.querySelectorAll(".card"), (element) => {
  const text = element.querySelector("textarea");
  return { element, text, reason: element.querySelector(".reason input"), edit: element.querySelector(".edit"), words: `${element.dataset.sku} ${text.value}`.toLowerCase() };
});
let current = null;
let isSaved = true;
const done = [];

const decisionOf = (card) => card.element.dataset.decision;
const isEdited = (card) => card.text.value.trim() !== "" && card.text.value !== card.text.defaultValue;
const shown = () => cards.filter((card) => !card.element.hidden);
const canAccept = (card) => !("hindered" in card.element.dataset);
const rest = () => shown().filter((card) => !decisionOf(card) && canAccept(card));

const decisions = () => cards.filter(decisionOf).map((card) => ({
  sku: card.element.dataset.sku,
  render: card.element.dataset.render,
  decision: decisionOf(card),
  ...(decisionOf(card) === "reject" && isEdited(card) ? { prompt: card.text.value } : {}),
  ...(decisionOf(card) === "reject" && card.reason.value.trim() ? { reason: card.reason.value.trim() } : {}),
}));

const document_ = () => ({ darkroom: "decisions", version: 1, catalog, sheet, saved_at: new Date().toISOString(), decisions: decisions() });

const count = () => {
  const made = decisions();
  const rejected = made.filter((each) => each.decision === "reject").length;
  $("decided").textContent = made.length.toLocaleString("en");
  $("accepted").textContent = (made.length - rejected).toLocaleString("en");
  $("rejected").textContent = rejected.toLocaleString("en");
  $("price").textContent = rejected && Number(price) ? `${(rejected * price).toLocaleString("en")} credits to render again` : "";
  $("progress").value = made.length;
  $("save").disabled = made.length === 0;
  $("rest").disabled = rest().length === 0;
};

const remember = () => {
  isSaved = false;
  count();
  try { localStorage.setItem(remembered, JSON.stringify(decisions())); $("unkept").hidden = true; } catch { $("unkept").hidden = false; }
};

const mark = (card, decision) => {
  if (decision) card.element.dataset.decision = decision; else delete card.element.dataset.decision;
  card.edit.hidden = decision !== "reject";
  card.edit.classList.toggle("changed", isEdited(card));
  for (const name of ["accept", "reject"]) card.element.querySelector(`.${name}`).setAttribute("aria-pressed", String(decision === name));
};

const decideAll = (list, decision) => {
  done.push(list.map((card) => [card, decisionOf(card)]));
  for (const card of list) mark(card, decision);
  remember();
};

const decide = (card, decision) => {
  if (decision === "accept" && !canAccept(card)) return;
  if ((decisionOf(card) ?? null) !== decision) decideAll([card], decision);
};

const choose = (card) => {
  current?.element.classList.remove("current");
  current = card;
  card.element.classList.add("current");
};

const go = (card) => {
  if (!card) return;
  choose(card);
  card.element.focus({ preventScroll: true });
  card.element.scrollIntoView({ block: "nearest" });
};

const step = (by) => {
  const list = shown();
  const at = list.indexOf(current);
  go(list[Math.min(Math.max(at < 0 ? 0 : at + by, 0), list.length - 1)]);
};

const undo = () => {
  const last = done.pop();
  if (!last) return;
  for (const [card, before] of last) mark(card, before);
  remember();
  if (!last[0][0].element.hidden) go(last[0][0]);
};

const decideAndGoOn = (decision) => {
  if (!current) return step(0);
  if (decision === "accept" && !canAccept(current)) return;
  decide(current, decision);
  step(1);
};

const editPrompt = () => {
  if (!current) return;
  decide(current, "reject");
  current.text.focus();
  current.text.setSelectionRange(current.text.value.length, current.text.value.length);
};

const writeReason = () => {
  if (!current) return;
  decide(current, "reject");
  current.reason.focus();
};

const enlarge = () => {
  if ($("large").open) return $("large").close();
  if (!current) return;
  $("large").firstElementChild.replaceChildren(...Array.from(current.element.querySelectorAll("figure"), (each) => each.cloneNode(true)));
  $("large").showModal();
};

const save = () => {
  if ($("save").disabled) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(document_(), null, 2) + "\n"], { type: "application/json" }));
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  isSaved = true;
};

const filter = () => {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = $("show").value;
  for (const card of cards) {
    const isWanted = wanted === "all" || wanted === (decisionOf(card) ?? "open");
    card.element.hidden = !isWanted || !words.every((word) => card.words.includes(word));
  }
  $("none").hidden = shown().length > 0;
  if (current?.element.hidden) { current.element.classList.remove("current"); current = null; }
  count();
};

const acceptTheRest = () => {
  const open = rest();
  if (!confirm(`Accept ${open.length.toLocaleString("en")} images that are shown and have no decision yet?`)) return;
  decideAll(open, "accept");
};

const recall = () => {
  try {
    const kept = new Map(JSON.parse(localStorage.getItem(remembered) ?? "[]").map((each) => [each.render, each]));
    for (const card of cards) {
      const found = kept.get(card.element.dataset.render);
      if (!found) continue;
      if (found.prompt) card.text.value = found.prompt;
      if (found.reason) card.reason.value = found.reason;
      if (found.decision === "accept" && !canAccept(card)) continue;
      mark(card, found.decision);
      isSaved = false;
    }
  } catch { /* What cannot be read is as if nothing had been decided. */ }
};

const keys = {
  a: () => decideAndGoOn("accept"), r: () => decideAndGoOn("reject"), e: editPrompt, w: writeReason, u: undo,
  j: () => step(1), k: () => step(-1), z: enlarge, s: save, "/": () => $("search").focus(),
};

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.matches("input, textarea")) return current ? go(current) : event.target.blur();
  const isTyping = event.target.matches?.("input, textarea, select");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
  if ($("large").open && event.key !== "z") return;
  event.preventDefault();
  keys[event.key]();
});

for (const card of cards) {
  card.element.querySelector(".accept").addEventListener("click", () => decide(card, decisionOf(card) === "accept" ? null : "accept"));
  card.element.querySelector(".reject").addEventListener("click", () => decide(card, decisionOf(card) === "reject" ? null : "reject"));
  // Nothing may scroll here: the button would move away from under the pointer before it is released.
  card.element.addEventListener("pointerdown", () => choose(card));
  card.element.addEventListener("focusin", () => choose(card));
  card.text.addEventListener("input", () => { if (decisionOf(card) !== "reject") return decideAll([card], "reject"); mark(card, "reject"); remember(); });
  card.reason.addEventListener("input", remember);
  for (const image of card.element.querySelectorAll("img")) image.addEventListener("click", enlarge);
}
$("save").addEventListener("click", save);
$("rest").addEventListener("click", acceptTheRest);
$("search").addEventListener("input", filter);
$("show").addEventListener("change", filter);
addEventListener("beforeunload", (event) => { if (!isSaved) event.preventDefault(); });
recall();
count();
step(0);
