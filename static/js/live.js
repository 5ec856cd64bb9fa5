/* The live refresh. Every 5 s, while the page is looked at, `qd:tick` goes to <body>; #live (base.html) answers it
   with hx-get of the page's own address and morphs what changed. No trigger filter in the markup: those need eval. */
(() => {
  "use strict";
  const { $, $$, hhmm, ageWords, icon } = window.qd;
  const EVERY_MS = 5000, OFFLINE_MS = 20000, BLIND_MS = 60000;
  let answered = Date.now();

  const tick = () => { if (document.visibilityState === "visible") document.body.dispatchEvent(new CustomEvent("qd:tick")); };
  setInterval(tick, EVERY_MS);
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") tick(); });
  addEventListener("pageshow", (event) => { if (event.persisted) tick(); });

  const fromLive = (event) => event.detail && event.detail.ctx && event.detail.ctx.sourceElement && event.detail.ctx.sourceElement.id === "live";

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
})();
