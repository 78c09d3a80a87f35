"use strict";
const search = document.getElementById("search");
const none = document.getElementById("none");
const radios = Array.from(document.querySelectorAll("input[name=show]"));
const links = Array.from(document.querySelectorAll(".pages a"), (link) => [link, link.getAttribute("href")]);
const cards = Array.from(document.querySelectorAll(".card"), (card) => [card, card.textContent.toLowerCase()]);
const filter = () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const [card, text] of cards) card.hidden = !words.every((word) => text.includes(word));
  const state = document.querySelector("input[name=show]:checked").id.slice("show-".length);
  none.hidden = cards.some(([card]) => !card.hidden && (state === "all" || card.classList.contains(state)));
  // The other pages are asked for with the same filter, which a page reads from its own address.
  const kept = new URLSearchParams({...(state !== "all" && {show: state}), ...(search.value && {search: search.value})});
  for (const [link, href] of links) link.href = kept.size ? `${href}#${kept}` : href;
};
const asked = new URLSearchParams(location.hash.slice(1));
const radio = radios.find((each) => each.id === `show-${asked.get("show")}`);
if (radio) radio.checked = true;
search.value = asked.get("search") ?? "";
search.hidden = false;
search.addEventListener("input", filter);
for (const each of radios) each.addEventListener("change", filter);
filter();
addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});
