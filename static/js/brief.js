// The brief page of an incident keeps itself young: every 10 s it takes what is live from its own address.
// Without this script the page is whole, and as old as it says.
"use strict";
(() => {
  const every = 10000;
  const refresh = async () => {
    if (document.hidden || document.querySelector(".b-bar details[open]")) return;
    const active = document.activeElement;
    if (active && /^(INPUT|TEXTAREA)$/.test(active.tagName)) return;
    try {
      const answer = await fetch(location.pathname, { headers: { Accept: "text/html" }, redirect: "error" });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of ["#b-live", ".b-bar", ".b-top span"]) {
        const mine = document.querySelector(part);
        const theirs = page.querySelector(part);
        if (mine && theirs && mine.innerHTML !== theirs.innerHTML) mine.replaceChildren(...theirs.childNodes);
        else if (mine && !theirs) mine.remove();
      }
    } catch { /* a bad network: the page stays as it is, and says how old it is */ }
  };
  setInterval(refresh, every);
  document.addEventListener("visibilitychange", refresh);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelectorAll(".b-bar details[open]").forEach((one) => one.removeAttribute("open"));
  });
})();
