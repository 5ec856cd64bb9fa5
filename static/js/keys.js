/* The keyboard: g and a letter goes to a page, / or Ctrl-K searches, ? helps, j k Enter x work in tables, y copies. */
(() => {
  "use strict";
  const { $, $$, open, toast } = window.qd;
  const AFTER_G_MS = 1200;
  let g = 0;

  const rows = () => $$("main tbody tr").filter((row) => row.offsetParent && !row.matches(".qd-group, .qd-detailrow, .qd-editrow"));
  function moveCursor(by) {
    const all = rows(), at = all.findIndex((row) => row.hasAttribute("data-kept-cursor"));
    all.forEach((row) => row.removeAttribute("data-kept-cursor"));
    const next = all[Math.max(0, Math.min(all.length - 1, at + by))];
    if (next) { next.setAttribute("data-kept-cursor", ""); next.scrollIntoView({ block: "nearest" }); }
  }
  /* a page by plain http has no clipboard at all */
  async function copyLink() {
    try {
      await navigator.clipboard.writeText(location.href);
      toast({ title: "Link copied", text: location.pathname + location.search, tone: "ok" });
    } catch (error) { toast({ title: "The browser did not let the link be copied", text: "It is in the address bar: " + location.href, tone: "bad" }); }
  }
  const cursor = () => $("main tbody tr[data-kept-cursor]");

  document.addEventListener("keydown", (event) => {
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") { event.preventDefault(); open("qd-palette"); return; }
    if (event.metaKey || event.ctrlKey || event.altKey || event.target.matches("input, textarea, select") || $("dialog[open]")) return;
    const row = cursor();
    if (g && Date.now() - g < AFTER_G_MS) {
      g = 0;
      const link = $(`[data-go="${CSS.escape(event.key)}"]`);
      if (link) { location.assign(link.href); return; }
    }
    if (event.key === "g") g = Date.now();
    else if (event.key === "j") moveCursor(1);
    else if (event.key === "k") moveCursor(-1);
    else if (event.key === "Enter" && row && document.activeElement === document.body) { const target = $("a, button", row); if (target) target.click(); }
    else if (event.key === "x" && row) { const box = $("[data-row-check]", row); if (box) box.click(); }
    else if (event.key === "y") copyLink();
    else if (event.key === "/") { event.preventDefault(); open("qd-palette"); }
    else if (event.key === "?") open("qd-shortcuts");
  });

  /* the palette lists the pages, and what is named on this one: the linked heads of table rows */
  const palette = $("#qd-palette");
  if (!palette) return;
  const input = $("input", palette), list = $("ul", palette), pages = list.childElementCount;
  palette.addEventListener("qd:opened", () => {
    while (list.childElementCount > pages) list.lastElementChild.remove();
    const seen = new Set($$("a", list).map((link) => link.getAttribute("href")));
    $$("main tbody th a[href]").forEach((source) => {
      if (seen.has(source.getAttribute("href"))) return;
      seen.add(source.getAttribute("href"));
      const item = document.createElement("li"), link = document.createElement("a"), note = document.createElement("small");
      link.href = source.href;
      note.textContent = "on this page";
      link.append(window.qd.icon("chevron-right"), source.textContent.trim(), note);
      item.append(link);
      list.append(item);
    });
    input.value = "";
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  const visible = () => $$("li:not([data-kept-out]) a", list);
  input.addEventListener("input", () => $$("a.is-on", list).forEach((link) => link.classList.remove("is-on")));
  input.addEventListener("keydown", (event) => {
    const links = visible(), at = links.findIndex((link) => link.classList.contains("is-on"));
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      links.forEach((link) => link.classList.remove("is-on"));
      const next = links[Math.max(0, Math.min(links.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))];
      if (next) { next.classList.add("is-on"); next.scrollIntoView({ block: "nearest" }); }
    } else if (event.key === "Enter") {
      const link = links[Math.max(0, at)];
      if (link) location.assign(link.href);
    }
  });
})();
