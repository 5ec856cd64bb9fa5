/* Sets the theme before the first paint, so it is the one script without defer. Follows the system until someone
   switches; remembers the switch in this browser only. */
(() => {
  "use strict";
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
  const remembered = () => { try { return localStorage.getItem("qd-theme"); } catch { return null; } };
  const apply = () => root.setAttribute("data-bs-theme", remembered() || (system.matches ? "dark" : "light"));
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const next = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
    try { localStorage.setItem("qd-theme", next); } catch { /* private mode: for this page only */ }
    root.setAttribute("data-bs-theme", next);
    document.dispatchEvent(new CustomEvent("qd:theme"));
  });
})();
