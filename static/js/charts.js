/* Charts by uPlot. The data's shape is in docs/frontend.md; colours are the tokens', so a chart follows the theme. */
(() => {
  "use strict";
  const { $, $$, now, hhmm } = window.qd;
  const TONES = { accent: "--qd-mark", soft: "--qd-mark-soft", ink: "--qd-mark-2", muted: "--qd-mark-3", ok: "--qd-ok-fill", warn: "--qd-warn-fill", bad: "--qd-bad-fill", drain: "--qd-drain-fill", pause: "--qd-pause-fill", unk: "--qd-unk-fill" };
  const WORDS = { accent: "--qd-work", ink: "--qd-text", muted: "--qd-text-3" };
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const fill = (tone) => css(TONES[tone] || TONES.ink);
  const ink = (tone) => css(WORDS[tone] || "--qd-" + tone);
  const day = (t) => new Date(t * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const utc = (t) => hhmm(t * 1000);
  const font = (size) => `500 ${size * devicePixelRatio}px Inter, sans-serif`;
  const lastSeen = (values) => { for (let k = values.length - 1; k >= 0; k -= 1) if (values[k] != null) return values[k]; return null; };
  const round = (value) => Math.round(value * 10) / 10;

  function hatch(ctx, x, y, w, h, color) {
    ctx.save(); ctx.beginPath(); ctx.rect(x, y, w, h); ctx.clip();
    ctx.strokeStyle = color; ctx.lineWidth = 2 * devicePixelRatio; ctx.beginPath();
    for (let i = -h; i < w; i += 6 * devicePixelRatio) { ctx.moveTo(x + i, y + h); ctx.lineTo(x + i + h, y); }
    ctx.stroke(); ctx.restore();
  }

  /* stretches where no series has a value: drawn as "no data", so that a gap is seen to be one */
  function gaps(xs, series) {
    const out = [];
    let from = null;
    xs.forEach((x, i) => {
      const blind = series.every((s) => s.values[i] == null);
      if (blind && from === null) from = xs[Math.max(0, i - 1)];
      if (!blind && from !== null) { out.push({ from, to: x, tone: "unk" }); from = null; }
    });
    if (from !== null) out.push({ from, to: xs[xs.length - 1], tone: "unk" });
    return out;
  }

  function drawBack(u, shades) {
    const b = u.bbox, ctx = u.ctx;
    shades.forEach((s) => {
      const x0 = Math.max(b.left, u.valToPos(s.from, "x", true)), x1 = Math.min(b.left + b.width, u.valToPos(s.to, "x", true));
      if (x1 <= x0) return;
      if (s.tone === "unk") hatch(ctx, x0, b.top, x1 - x0, b.height, css("--qd-unk-hatch"));
      else { ctx.fillStyle = css(`--qd-${s.tone}-bg`); ctx.fillRect(x0, b.top, x1 - x0, b.height); }
    });
  }

  function nameShades(u, shades) {
    const b = u.bbox, ctx = u.ctx, h = 18 * devicePixelRatio;
    ctx.save(); ctx.font = font(12); ctx.textAlign = "center"; ctx.textBaseline = "middle";
    shades.forEach((s) => {
      const x0 = u.valToPos(s.from, "x", true), x1 = u.valToPos(s.to, "x", true), label = s.label || (s.tone === "unk" ? "no data" : "");
      const wide = label && ctx.measureText(label).width + 8 * devicePixelRatio;
      if (!label || wide > x1 - x0) return;
      ctx.fillStyle = css("--qd-surface"); ctx.fillRect((x0 + x1 - wide) / 2, b.top + b.height * 0.34 - h / 2, wide, h);
      ctx.fillStyle = css("--qd-text-3"); ctx.fillText(label, (x0 + x1) / 2, b.top + b.height * 0.34);
    });
    ctx.restore();
  }

  function drawMarks(u, cfg) {
    const b = u.bbox, ctx = u.ctx, dpr = devicePixelRatio;
    ctx.save(); ctx.font = font(12); ctx.lineWidth = 1.25 * dpr;
    (cfg.lines || []).forEach((line) => {
      const y = u.valToPos(line.y, "y", true);
      if (y < b.top || y > b.top + b.height) return;
      ctx.strokeStyle = fill(line.tone); ctx.setLineDash([6 * dpr, 4 * dpr]);
      ctx.beginPath(); ctx.moveTo(b.left, y); ctx.lineTo(b.left + b.width, y); ctx.stroke();
      if (line.label) { ctx.fillStyle = ink(line.tone); ctx.textAlign = "left"; ctx.textBaseline = "bottom"; ctx.fillText(line.label, b.left + 4 * dpr, y - 3 * dpr); }
    });
    let free = Infinity; // labels from the newest on, as far as each has room
    [...(cfg.vlines || [])].sort((a, c) => c.x - a.x).forEach((line) => {
      const x = u.valToPos(line.x, "x", true);
      ctx.strokeStyle = fill(line.tone || "muted"); ctx.setLineDash(line.solid ? [] : [3 * dpr, 3 * dpr]);
      ctx.beginPath(); ctx.moveTo(x, b.top - 4 * dpr); ctx.lineTo(x, b.top + b.height); ctx.stroke();
      if (!line.label) return;
      const wide = ctx.measureText(line.label).width, right = Math.min(x + wide / 2, u.ctx.canvas.width), left = Math.max(right - wide, 0);
      if (right > free) return;
      free = left - 8 * dpr;
      ctx.fillStyle = line.tone === "bad" ? css("--qd-bad") : css("--qd-text-2"); ctx.textAlign = "left"; ctx.textBaseline = "bottom";
      ctx.fillText(line.label, left, b.top - 6 * dpr);
    });
    ctx.setLineDash([]);
    const tags = cfg.series.flatMap((s) => {
      const value = lastSeen(s.values);
      return s.end && value !== null ? [{ y: u.valToPos(value, "y", true), text: s.end, color: ink(s.tone || "ink") }] : [];
    }).sort((a, c) => a.y - c.y);
    for (let turn = 0; turn < 3; turn += 1) for (let i = 1; i < tags.length; i += 1) {
      const close = 15 * dpr - (tags[i].y - tags[i - 1].y);
      if (close > 0) { tags[i - 1].y -= close / 2; tags[i].y += close / 2; }
    }
    ctx.textAlign = "left"; ctx.textBaseline = "middle";
    tags.forEach((tag) => { ctx.fillStyle = tag.color; ctx.fillText(tag.text, b.left + b.width + 8 * dpr, Math.min(Math.max(tag.y, b.top + 6 * dpr), b.top + b.height - 6 * dpr)); });
    ctx.restore();
  }

  function seriesOf(s) {
    const o = { label: s.label, stroke: fill(s.tone), width: s.width || 1.5, points: { show: false }, spanGaps: false };
    if (s.kind === "area") { o.fill = fill("soft"); o.width = 1; }
    if (s.kind === "step") o.paths = uPlot.paths.stepped({ align: 1 });
    if (s.kind === "dashed") o.dash = [6, 4];
    if (s.kind === "dotted") o.dash = [2, 3];
    return o;
  }

  function legendOf(u, cfg, legend) {
    if (!legend) return;
    const i = u.cursor.idx;
    $$("[data-s]", legend).forEach((node) => {
      const values = u.data[Number(node.dataset.s) + 1], value = values && (i == null ? lastSeen(values) : values[i]);
      node.textContent = value == null ? "–" : round(value) + (cfg.unit || "");
    });
    const when = $("[data-t]", legend);
    if (when) when.textContent = i == null ? when.dataset.t : utc(u.data[0][i]) + " UTC";
  }

  function draw(element) {
    const cfg = element._cfg;
    if (!cfg || !window.uPlot || !element.clientWidth) return;
    if (element._u) element._u.destroy();
    element.replaceChildren();
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", element.dataset.label || "Chart");
    const xs = cfg.xs || Array.from({ length: cfg.x.n }, (_, i) => cfg.x.start + i * cfg.x.step);
    if (xs.length < 2 || cfg.series.every((s) => lastSeen(s.values) === null)) {
      const none = document.createElement("p");
      none.className = "qd-empty";
      none.textContent = "No data yet.";
      element.append(none);
      return;
    }
    const narrow = element.clientWidth < 480, unit = cfg.unit || "", ends = cfg.series.some((s) => s.end);
    const shades = [...gaps(xs, cfg.series), ...(cfg.shades || [])], legend = document.getElementById(element.id + "-legend");
    const axis = { stroke: css("--qd-text-3"), font: "12px Inter, sans-serif", grid: { stroke: css("--qd-grid"), width: 1 }, ticks: { show: false } };
    const u = new uPlot({
      width: element.clientWidth, height: cfg.height || 240,
      padding: [(cfg.vlines || []).some((v) => v.label) ? 22 : 8, ends ? (narrow ? 76 : cfg.pad || 104) : 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 6, width: 1.5, fill: css("--qd-surface") }, drag: { x: false, y: false } },
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
      scales: { x: { range: [xs[0], xs[xs.length - 1]] }, y: { range: (_, low, high) => [cfg.min ?? Math.min(0, low), cfg.max ?? Math.max(high * 1.08, ...(cfg.lines || []).map((l) => l.y * 1.08), 1)] } },
      series: [{}, ...cfg.series.map(seriesOf)],
      axes: [
        { ...axis, grid: { show: false }, space: narrow ? 64 : 84, size: 26, gap: 6, values: (_, ticks) => ticks.map((t) => (t % 86400 === 0 ? day(t) : utc(t))) },
        { ...axis, size: cfg.ysize || 48, gap: 6, space: 36, values: (_, ticks) => ticks.map((t) => round(t) + unit) },
      ],
      hooks: { drawClear: [(plot) => drawBack(plot, shades)], draw: [(plot) => { nameShades(plot, shades); drawMarks(plot, cfg); }], setCursor: [(plot) => legendOf(plot, cfg, legend)] },
    }, [xs, ...cfg.series.map((s) => s.values)], element);
    $$("canvas", element).forEach((canvas) => canvas.setAttribute("aria-hidden", "true"));
    element._u = u;
    legendOf(u, cfg, legend);
    table(element, cfg, xs);
  }

  /* the same figures as a table, newest first, at most 60 rows */
  function table(element, cfg, xs) {
    const more = element.parentElement.querySelector(".qd-astable");
    if (!more) return;
    more.hidden = false;
    if (!more.open) { more.ontoggle = () => { if (more.open) table(element, cfg, xs); }; return; }
    const grid = document.createElement("table"), head = grid.createTHead().insertRow(), body = grid.createTBody();
    grid.className = "table qd-table qd-table-s";
    ["Time, UTC", ...cfg.series.map((s) => s.label)].forEach((word, i) => {
      const cell = document.createElement("th");
      cell.scope = "col"; cell.textContent = word; cell.className = i ? "qd-n" : "";
      head.append(cell);
    });
    const stride = Math.max(1, Math.ceil(xs.length / 60));
    for (let i = xs.length - 1; i >= 0; i -= stride) {
      const row = body.insertRow(), at = document.createElement("th");
      at.scope = "row"; at.textContent = utc(xs[i]); row.append(at);
      cfg.series.forEach((s) => { const cell = row.insertCell(); cell.className = "qd-n"; cell.textContent = s.values[i] == null ? "no data" : round(s.values[i]) + (cfg.unit || ""); });
    }
    more.lastElementChild.replaceChildren(grid);
  }

  /* one request for all the charts that one answer is for */
  const asked = new Map();
  function ask(src) {
    if (!asked.has(src)) {
      const answer = fetch(src, { headers: { Accept: "application/json" }, credentials: "same-origin" })
        .then((got) => (got.ok && !got.redirected ? got.json() : null))
        .finally(() => asked.delete(src));
      asked.set(src, answer);
    }
    return asked.get(src);
  }

  async function load(element) {
    element._at = now();
    try {
      const told = await ask(element.dataset.src);
      if (!told) return; // the chart keeps what it has; the page's ages say how old it is
      element._cfg = element.dataset.key ? told[element.dataset.key] : told;
      draw(element);
    } catch { /* offline: live.js says so */ }
  }

  function read() {
    $$("[data-chart]").forEach((element) => {
      if (element.dataset.src) { if (!element._at || now() - element._at > Number(element.dataset.every || 30) * 1000) load(element); else if (!element._u) draw(element); return; }
      const source = document.getElementById(element.id + "-data");
      if (!source || element._text === source.textContent) return;
      element._text = source.textContent;
      element._cfg = JSON.parse(source.textContent);
      draw(element);
    });
  }
  const redraw = () => $$("[data-chart]").forEach(draw);

  document.addEventListener("qd:refreshed", read);
  document.addEventListener("qd:theme", redraw);
  document.addEventListener("qd:shown", redraw);
  let resized;
  addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(redraw, 120); });
  (document.fonts ? document.fonts.ready : Promise.resolve()).then(read);
})();
