/* Ages count up in the browser. Past its limit an age turns the [data-live] block around it unknown: never stale
   green, not even when the console itself has stopped answering. The next refresh puts the truth back. */
(() => {
  "use strict";
  const { $, $$, duration, ageWords, now, hhmm, icon } = window.qd;

  function paintAge(element) {
    const at = element.dataset.at;
    if (at === undefined) { stale(element.closest("[data-live]"), null); return; }
    const age = Math.max(0, (now() - Number(at)) / 1000), limit = Number(element.dataset.limit) || 60;
    const part = Math.min(1, age / limit), ring = $("circle + circle", element);
    if (ring) ring.setAttribute("stroke-dasharray", `${Math.max(4, Math.round(part * 100))} 100`);
    element.classList.toggle("is-old", part > 0.75 && part < 1);
    element.classList.toggle("is-stale", part >= 1);
    const word = $("span", element), text = (part >= 1 ? "stale, " : "") + ageWords(age);
    if (word && word.textContent !== text) word.textContent = text;
    if (part >= 1) stale(element.closest("[data-live]"), age);
  }

  function unknownFigure() {
    const span = document.createElement("span");
    span.className = "qd-unknown";
    span.append(icon("help-circle", "qd-i-sm"), "unknown");
    return span;
  }

  function stale(block, age) {
    if (!block || block.classList.contains("is-stale-now")) return;
    block.classList.add("is-stale-now");
    const inside = (selector) => $$(selector, block).filter((node) => node.closest("[data-live]") === block);
    inside("[data-figure]").forEach((figure) => { if (!$(".qd-unknown", figure)) figure.replaceChildren(unknownFigure()); });
    inside(".qd-pill:not(.qd-pill-unk)").forEach((pill) => {
      pill.className = "qd-pill qd-pill-unk";
      pill.replaceChildren(icon("help-circle"), "unknown");
    });
    inside("[data-state]").forEach((state) => state.replaceChildren(icon("help-circle", "qd-i-sm qd-fg-unk"), "unknown"));
    inside('.qd-i[class*="qd-fg-"]:not(.qd-fg-unk)').forEach((mark) => {
      const grey = icon("help-circle", mark.getAttribute("class").replace(/qd-fg-\w+/, "qd-fg-unk"));
      if (mark.hasAttribute("aria-label")) { grey.removeAttribute("aria-hidden"); grey.setAttribute("role", "img"); grey.setAttribute("aria-label", "unknown"); }
      mark.replaceWith(grey);
    });
    inside(".btn-primary, .btn-caution, .btn-outline-danger").forEach((button) => {
      if (button.tagName === "A") return;
      button.disabled = true;
      button.title = "Off while the data is too old";
    });
    if (block.matches(".qd-verdict")) {
      const head = $("h2", block), text = $("p", block), was = head.textContent;
      block.className = "qd-verdict qd-verdict-unk is-stale-now";
      $(".qd-i", block).replaceWith(icon("help-circle"));
      head.textContent = "State unknown: no fresh data" + (age == null ? "" : " for " + ageWords(age));
      if (text) text.textContent = `Quarterdeck cannot see the platform right now. Last known: ${was}. Your own connection may be the cause.`;
      $$(".qd-verdict-also", block).forEach((list) => list.remove());
    }
  }

  const clock = (seconds) => {
    const s = Math.max(0, Math.floor(seconds)), h = Math.floor(s / 3600), m = Math.floor((s % 3600) / 60), rest = String(s % 60).padStart(2, "0");
    return h ? `${h}:${String(m).padStart(2, "0")}:${rest}` : `${m}:${rest}`;
  };

  /* data-until / data-since hold a moment in ms: a countdown, or time since; data-format="clock" gives 7:48 */
  function paintMoments() {
    $$("[data-until]").forEach((node) => { node.textContent = clock((Number(node.dataset.until) - now()) / 1000); });
    $$("[data-since]").forEach((node) => {
      const seconds = Math.max(0, (now() - Number(node.dataset.since)) / 1000);
      node.textContent = node.dataset.format === "clock" ? clock(seconds) : duration(Math.floor(seconds));
    });
  }

  function paintClock() {
    const utc = $("[data-clock]"), local = $("[data-clock-local]");
    if (utc) utc.textContent = hhmm(now()) + " UTC";
    if (!local) return;
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
    local.hidden = new Date().getTimezoneOffset() === 0;
    local.textContent = new Date(now()).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }) + " in " + zone.split("/").pop().replaceAll("_", " ");
  }

  function paint() { $$(".qd-age").forEach(paintAge); paintMoments(); paintClock(); }
  window.qd.paintAges = paint;
  paint();
  setInterval(paint, 1000);
})();
