"use strict";
const search = document.getElementById("search");
const none = document.getElementById("none");
const cards = Array.from(document.querySelectorAll(".card"), (card) => [card, card.textContent.toLowerCase()]);
const filter = () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const [card, text] of cards) card.hidden = !words.every((word) => text.includes(word));
  const state = document.querySelector("input[name=show]:checked").id.slice("show-".length);
  none.hidden = cards.some(([card]) => !card.hidden && (state === "all" || card.classList.contains(state)));
};
search.hidden = false;
search.addEventListener("input", filter);
for (const radio of document.querySelectorAll("input[name=show]")) radio.addEventListener("change", filter);
addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});
