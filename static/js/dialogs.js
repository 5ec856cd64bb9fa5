/* Dialogs (native <dialog>), typed confirmation, the account menu. */
(() => {
  "use strict";
  const { $, $$, toast } = window.qd;

  function open(id) {
    const dialog = document.getElementById(id);
    if (!dialog || dialog.open) return;
    dialog.showModal();
    $$("[data-confirm-form]", dialog).forEach(confirmState);
    const first = $("[autofocus]", dialog) || $(".qd-dialog-b :is(input:not([type=hidden]), select, textarea)", dialog);
    if (first) first.focus();
    dialog.dispatchEvent(new CustomEvent("qd:opened", { bubbles: true }));
  }
  window.qd.open = open;

  /* the button stays off until the words match and a reason is given */
  function confirmState(form) {
    const words = $("[data-confirm]", form), why = $("[data-reason]", form), button = $("[data-confirm-button]", form);
    if (!button) return;
    button.disabled = button.hasAttribute("data-blocked")
      || (words !== null && words.value.trim() !== words.dataset.confirm)
      || (why !== null && why.value.trim().length < 3);
  }

  document.addEventListener("input", (event) => {
    const form = event.target.closest("[data-confirm-form]");
    if (form) confirmState(form);
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog-open]"), closer = event.target.closest("[data-dialog-close]"), say = event.target.closest("[data-toast]");
    if (opener) open(opener.dataset.dialogOpen);
    if (closer) closer.closest("dialog").close();
    if (say) toast({ title: say.dataset.toast, text: say.dataset.toastText });
    if (event.target.matches("dialog")) event.target.close(); // a click on the backdrop
    $$("[data-menu][open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    $$("[data-menu][open]").forEach((menu) => { menu.open = false; $("summary", menu).focus(); });
  });
  /* a form that was sent must not be sent twice */
  document.addEventListener("submit", (event) => {
    const button = $("[data-confirm-button]", event.target);
    if (button) setTimeout(() => { button.disabled = true; });
  });
  /* what a view rendered into #qd-sheet (hx-target="#qd-sheet") opens as a dialog */
  document.addEventListener("htmx:after:swap", (event) => {
    const target = event.detail && event.detail.ctx && event.detail.ctx.target;
    if (target && target.id === "qd-sheet" && target.childElementCount) open("qd-sheet");
  });

  $$("[data-confirm-form]").forEach(confirmState);
  document.addEventListener("qd:refreshed", () => $$("[data-confirm-form]").forEach(confirmState));
  if (location.hash.startsWith("#dialog=")) open(location.hash.slice(8));
})();
