/* The live refresh. #live (base.html) answers `qd:tick` and `qd:refresh` on <body> with hx-get of the page's own address
   and morphs what changed. No trigger filter in the markup: those need eval.

   The server says over one stream (/live/events, docs/history.md) what changed, as a topic's name; then the page is
   asked for at once, at most once a second, and less often where the server is slow. While the stream lives, the page
   is otherwise asked for every 15 s only; without it (blocked, Redis away, no such server) every 5 s. A tab that is not
   looked at closes its stream and asks for nothing. */
(() => {
  "use strict";
  const { $, $$, hhmm, ageWords, icon } = window.qd;
  const POLL_MS = 5000, CALM_MS = 15000, LEAST_MS = 1000, RETRY_MS = 15000, OFFLINE_MS = 20000, BLIND_MS = 60000;
  const PAGES = { "": "", scheduler: "scheduler", fleets: "fleets", deploys: "deploys,fleets", freshness: "freshness", pools: "pools", connections: "pools", datastores: "datastores", storage: "storage", incidents: "incidents", i: "incidents", operations: "operations", audit: "operations" };
  let answered = Date.now(), askedAt = Date.now(), asking = false, again = 0, tookMs = 0;
  let stream = null, told = false, retry = 0;

  const looked = () => document.visibilityState === "visible";

  /* ask for the page; a change that comes while an answer is under way is asked for after it, never dropped */
  function ask(name) {
    if (!looked()) return;
    if (asking && Date.now() - askedAt < CALM_MS) { later(); return; }
    document.body.dispatchEvent(new CustomEvent(name || "qd:tick"));
  }
  function later() {
    const least = Math.min(POLL_MS, Math.max(LEAST_MS, 4 * tookMs));
    if (!again) again = setTimeout(() => { again = 0; ask("qd:refresh"); }, Math.max(0, askedAt + least - Date.now()));
  }
  setInterval(() => { if (Date.now() - askedAt >= (told ? CALM_MS : POLL_MS)) ask(); }, 500);

  /* the stream of changes */
  function topics() {
    const live = $("#live[hx-get]");
    return live ? live.dataset.topics || PAGES[location.pathname.split("/")[1]] : undefined;
  }
  function listen() {
    clearTimeout(retry);
    const about = topics();
    if (stream || about === undefined || !looked() || !window.EventSource) return;
    stream = new EventSource("/live/events" + (about ? "?topics=" + about : ""));
    stream.addEventListener("live", () => { told = true; root(); if (Date.now() - askedAt > LEAST_MS) later(); });
    stream.addEventListener("fallback", () => { told = false; root(); });
    for (const topic of new Set((about || Object.values(PAGES).join()).split(","))) {
      if (topic) stream.addEventListener(topic, () => { fragments(topic); later(); });
    }
    stream.addEventListener("error", () => {
      told = false; root();
      if (stream && stream.readyState === EventSource.CLOSED) { rest(); retry = setTimeout(listen, RETRY_MS); }
    });
  }
  function rest() {
    clearTimeout(retry);
    if (stream) stream.close();
    stream = null; told = false; root();
  }
  /* for tests, and for who wonders why a page is slow to follow: <html data-live="stream|poll|rest"> */
  const root = () => { document.documentElement.dataset.live = told ? "stream" : looked() ? "poll" : "rest"; };
  /* parts of a page with an address of their own: hx-trigger="qd:refresh", data-topic="fleets" */
  const fragments = (topic) => $$("[data-topic]").forEach((part) => { if (part.dataset.topic.split(" ").includes(topic)) part.dispatchEvent(new CustomEvent("qd:refresh")); });

  document.addEventListener("visibilitychange", () => { if (looked()) { ask(); listen(); } else rest(); });
  addEventListener("pagehide", rest);
  addEventListener("pageshow", (event) => { if (event.persisted) { ask(); listen(); } });

  const fromLive = (event) => event.detail && event.detail.ctx && event.detail.ctx.sourceElement && event.detail.ctx.sourceElement.id === "live";

  document.addEventListener("htmx:before:request", (event) => {
    if (fromLive(event)) { asking = true; askedAt = Date.now(); }
  });
  document.addEventListener("htmx:finally:request", (event) => {
    if (fromLive(event)) { asking = false; tookMs = Date.now() - askedAt; }
  });
  document.addEventListener("htmx:after:request", (event) => {
    if (!fromLive(event)) return;
    const { response, text } = event.detail.ctx;
    /* signed out meanwhile: the answer is the sign-in page, which must not be morphed into this one */
    if (response.raw.redirected) { event.preventDefault(); location.assign(response.raw.url); return; }
    if (response.status >= 400) return;
    if (!text.includes('id="live"')) { event.preventDefault(); return; }
    answered = Date.now();
  });
  document.addEventListener("htmx:after:swap", (event) => {
    if (fromLive(event)) repaint();
  });

  function repaint() {
    window.qd.setClock();
    window.qd.paintAges();
    document.dispatchEvent(new CustomEvent("qd:refreshed"));
    offline();
  }

  /* The console itself stopped answering: say so, and let the navigation's flags go stale too. */
  function offline() {
    const banner = $("#qd-offline"), live = $("#live[hx-get]");
    if (!banner || !live || document.visibilityState !== "visible") return;
    const silent = Date.now() - answered;
    banner.hidden = silent < OFFLINE_MS;
    if (banner.hidden) return;
    const text = `Its last answer came ${ageWords(silent / 1000)} ago, at ${hhmm(window.qd.now() - silent, true)} UTC. What you see turns unknown as it gets too old; your own connection may be the cause.`;
    $("[data-offline-text]", banner).textContent = text;
    if (silent > BLIND_MS) $$("[data-flag]:not(.qd-flag-unk)").forEach((flag) => {
      flag.className = "qd-flag qd-flag-unk";
      flag.replaceChildren(icon("help-circle"), "unknown");
    });
  }
  setInterval(offline, 1000);
  root();
  listen();
})();
