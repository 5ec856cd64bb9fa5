/* What the other scripts share: window.qd. Classic scripts, loaded in order with defer, no build step. */
(() => {
  "use strict";
  const $ = (selector, root) => (root || document).querySelector(selector);
  const $$ = (selector, root) => Array.from((root || document).querySelectorAll(selector));

  /* Words for durations: the same rule as console/lib/words.py (tests/browser compares them). */
  const NBSP = "\u00a0";
  function duration(seconds) {
    if (seconds == null) return "unknown";
    const sign = seconds < 0 ? "-" : "", value = Math.abs(seconds);
    if (value < 9.95) return sign + String(Math.round(value * 10) / 10) + NBSP + "s";
    const whole = Math.round(value);
    if (whole < 60) return sign + whole + NBSP + "s";
    const minutes = Math.floor(whole / 60), rest = whole % 60;
    if (minutes < 60) return sign + minutes + NBSP + "min" + (rest && minutes < 10 ? NBSP + rest + NBSP + "s" : "");
    const hours = Math.floor(minutes / 60), left = minutes % 60;
    if (hours < 48) return sign + hours + NBSP + "h" + (left ? NBSP + left + NBSP + "min" : "");
    const days = Math.floor(hours / 24), over = hours % 24;
    return sign + days + NBSP + "d" + (over ? NBSP + over + NBSP + "h" : "");
  }

  /* An age is read at a glance: whole seconds, from a minute on whole minutes. */
  const ageWords = (seconds) => duration(Math.floor(seconds < 60 ? seconds : Math.floor(seconds / 60) * 60));

  /* The server's clock, as far as the last answer told: a wrong clock in the browser must not age figures. */
  let ahead = 0;
  function setClock() {
    const live = $("#live[data-now]");
    if (live) ahead = Number(live.dataset.now) - Date.now();
  }
  const now = () => Date.now() + ahead;
  const hhmm = (ms, withSeconds) => new Date(ms).toISOString().slice(11, withSeconds ? 19 : 16);

  function icon(name, classes) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "qd-i" + (classes ? " " + classes : ""));
    svg.setAttribute("aria-hidden", "true");
    if (name.endsWith("-f")) svg.setAttribute("data-fill", "");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", document.body.dataset.icons + "#i-" + name);
    svg.append(use);
    return svg;
  }

  const TOAST_ICONS = { ok: "circle-check-f", bad: "alert-octagon-f", work: "progress" };
  function toast({ title, text, tone = "work", url, url_text: urlText }) {
    const box = $(".qd-toasts"), item = document.createElement("div"), head = document.createElement("b");
    item.className = "qd-toast";
    head.textContent = title;
    item.append(icon(TOAST_ICONS[tone] || TOAST_ICONS.work, "qd-fg-" + tone), head);
    if (url) { const link = document.createElement("a"); link.href = url; link.textContent = urlText || "Open"; item.append(link); }
    if (text) { const more = document.createElement("p"); more.textContent = text; item.append(more); }
    box.append(item);
    setTimeout(() => item.remove(), tone === "bad" ? 15000 : 6000);
  }

  window.qd = { $, $$, duration, ageWords, now, setClock, hhmm, icon, toast };
  setClock();
  $$(".qd-toasts > .qd-toast").forEach((item) => setTimeout(() => item.remove(), 8000));
  /* a view may answer an htmx request with HX-Trigger: {"qd:toast": {"title": …, "text": …, "tone": …}} */
  document.addEventListener("qd:toast", (event) => toast(event.detail));
})();
