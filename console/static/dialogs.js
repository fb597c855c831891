// The library sends the form of a dialog whatever is in it, and closes the dialog. Ours are sent when they are filled in.
// The window hears of a click before the document does, where the library listens.
window.addEventListener(
  "click",
  (event) => {
    const button = event.target.closest('[data-sa-action="action-submit"]');
    const form = button?.closest(".modal-content").querySelector('[data-sa-hook="modal-form"] form');
    if (form && !form.reportValidity()) {
      event.stopPropagation();
      event.preventDefault();
    }
  },
  true,
);

// Enter in a field would leave the page by the browser's own way of sending a form.
document.addEventListener("submit", (event) => {
  const modal = event.target.closest('[data-sa-hook="modal-form"]')?.closest(".modal-content");
  if (modal) {
    event.preventDefault();
    modal.querySelector('[data-sa-action="action-submit"]').click();
  }
});
