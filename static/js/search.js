/* The palette's search: what the server knows by that name (GET /search?q=), below the pages and what is on this one. */
(() => {
  "use strict";
  const { $, $$, icon } = window.qd;
  const WAIT_MS = 150;
  const palette = $("#qd-palette");
  if (!palette) return;
  const input = $("input", palette), list = $("ul", palette), none = $("[data-filter-empty]", palette);
  const NOTHING = none ? none.textContent : "", LOOKING = "Looking…", UNKNOWN = "The search did not answer: whether there is something by that name is unknown.";
  let timer = 0, asked = null;

  const hits = () => $$("li[data-hit]", list);
  const say = (text) => { if (none) none.textContent = text; };
  const clear = () => hits().forEach((item) => item.remove());

  /* hits of the words before stay as long as they still fit: no flicker while somebody types */
  function narrow(words) {
    hits().forEach((item) => item.toggleAttribute("data-kept-out", !words.every((word) => item.textContent.toLowerCase().includes(word))));
  }
  function show(found) {
    clear();
    const seen = new Set($$("li:not([data-kept-out]) a", list).map((link) => link.getAttribute("href")));
    found.hits.filter((hit) => hit.kind !== "page" && !seen.has(hit.url)).forEach((hit) => {
      const item = document.createElement("li"), link = document.createElement("a"), note = document.createElement("small");
      item.dataset.hit = hit.kind;
      link.href = hit.url;
      note.textContent = hit.about ? `${hit.kind} · ${hit.about}` : hit.kind;
      link.append(icon(hit.icon), hit.name, note);
      item.append(link);
      list.append(item);
    });
    if (none) none.hidden = $$("li:not([data-kept-out])", list).length > 0;
  }
  async function ask(text) {
    if (asked) asked.abort();
    asked = new AbortController();
    try {
      const answer = await fetch("/search?q=" + encodeURIComponent(text), { headers: { Accept: "application/json" }, signal: asked.signal });
      const found = answer.ok && !answer.redirected ? await answer.json() : null;
      if (input.value.trim() !== text) return;
      if (found) show(found);
      say(found ? NOTHING : UNKNOWN);
    } catch (error) { if (error.name !== "AbortError") say(UNKNOWN); } // the pages are still listed
  }
  input.addEventListener("input", () => {
    clearTimeout(timer);
    const text = input.value.trim();
    if (!text) { if (asked) asked.abort(); clear(); say(NOTHING); return; }
    say(LOOKING);
    narrow(text.toLowerCase().split(/\s+/));
    timer = setTimeout(ask, WAIT_MS, text);
  });
  input.addEventListener("keydown", (event) => {
    const text = input.value.trim();
    if (event.key === "Enter" && text && !$$("li:not([data-kept-out]) a", list).length) location.assign("/search?q=" + encodeURIComponent(text));
  });
})();
