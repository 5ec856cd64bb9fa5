/* Tables and lists: rows that open, rows that are chosen, filters by words, steppers, scrolling regions. */
(() => {
  "use strict";
  const { $, $$ } = window.qd;

  function expand(button) {
    const row = document.getElementById(button.dataset.expand);
    if (!row) return;
    const opened = row.toggleAttribute("data-kept-open"); // kept-* attributes survive the live refresh
    button.setAttribute("aria-expanded", String(opened));
    if (opened) document.dispatchEvent(new CustomEvent("qd:shown"));
  }

  function bulk() {
    $$("[data-bulk]").forEach((bar) => {
      const scope = bar.closest("[data-bulk-scope]") || document;
      const all = $$("[data-row-check]", scope), chosen = all.filter((box) => box.checked), head = $("[data-check-all]", scope);
      bar.hidden = chosen.length === 0;
      const what = bar.dataset.bulk || "row", count = $("[data-bulk-count]", bar), effect = $("[data-bulk-effect]", bar);
      if (count) count.textContent = `${chosen.length} ${what}${chosen.length === 1 ? "" : "s"} selected`;
      if (effect) effect.textContent = effect.dataset.bulkEffect.replace("{n}", String(chosen.reduce((sum, box) => sum + Number(box.dataset.tasks || 0), 0)));
      if (head) { head.checked = all.length > 0 && chosen.length === all.length; head.indeterminate = chosen.length > 0 && chosen.length < all.length; }
    });
  }

  function filter(field) {
    const words = field.value.trim().toLowerCase();
    let shown = 0;
    $$(field.dataset.filter).forEach((item) => {
      const miss = words !== "" && !item.textContent.toLowerCase().includes(words);
      item.toggleAttribute("data-kept-out", miss);
      if (!miss) shown += 1;
    });
    const none = $("[data-filter-empty]", field.closest("dialog, section, main") || document);
    if (none) none.hidden = shown > 0;
  }

  /* a region that scrolls sideways and holds nothing focusable must itself take focus */
  function scrollers() {
    $$(".qd-tablewrap, .qd-lanes").forEach((region) => {
      if (region.scrollWidth <= region.clientWidth + 1 || $("a, button, input", region)) return;
      const section = region.closest("section"), title = section && $("h2, h3", section);
      region.tabIndex = 0;
      region.setAttribute("role", "group");
      region.setAttribute("aria-label", (title ? title.textContent.trim() : "Table") + ", scrolls sideways");
    });
  }

  document.addEventListener("click", (event) => {
    const expander = event.target.closest("[data-expand]"), clear = event.target.closest("[data-clear-selection]"), step = event.target.closest("[data-step]");
    if (expander) expand(expander);
    if (clear) { $$("[data-row-check]").forEach((box) => { box.checked = false; }); bulk(); }
    if (step) {
      const input = $("input", step.parentNode);
      input.value = Math.min(Number(input.max || Infinity), Math.max(Number(input.min || 0), Number(input.value) + Number(step.dataset.step)));
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("[data-check-all]")) {
      const scope = box.closest("[data-bulk-scope]") || document;
      $$("[data-row-check]", scope).forEach((other) => { other.checked = box.checked; });
    }
    if (box.matches("[data-check-all], [data-row-check]")) bulk();
  });
  document.addEventListener("input", (event) => { if (event.target.dataset.filter) filter(event.target); });

  function refreshed() { bulk(); scrollers(); $$("[data-filter]").forEach((field) => { if (field.value) filter(field); }); }
  document.addEventListener("qd:refreshed", refreshed);
  addEventListener("resize", scrollers);
  refreshed();
})();
