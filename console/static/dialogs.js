// The library sends the form of a dialog whatever is in it, and closes the dialog. Ours are sent when they are filled in,
// and still have what was entered if they are opened again after a refusal.
const entered = new Map(); // By the form's own id: pairs of name and value.

function formOf(modal) {
  return modal?.querySelector('[data-sa-hook="modal-form"] form');
}

function idOf(form) {
  return form.elements.namedItem("request_id")?.value;
}

// The window hears of a click before the document does, where the library listens.
window.addEventListener(
  "click",
  (event) => {
    const button = event.target.closest('[data-sa-action="action-submit"]');
    const form = formOf(button?.closest(".modal-content"));
    if (!form) return;
    if (form.reportValidity()) {
      entered.set(idOf(form), [...new FormData(form)]);
    } else {
      event.stopPropagation();
      event.preventDefault();
    }
  },
  true,
);

document.addEventListener("shown.bs.modal", (event) => {
  const form = formOf(event.target);
  if (!form) return;
  const before = entered.get(idOf(form)) ?? [];
  for (const field of form.elements) {
    const values = before.filter(([name]) => name === field.name).map(([, value]) => value);
    if (field.type === "checkbox") field.checked ||= values.includes(field.value);
    else if (field.type !== "hidden" && values.length) field.value = values[0];
  }
});

// Enter in a field would leave the page by the browser's own way of sending a form.
document.addEventListener("submit", (event) => {
  const modal = event.target.closest('[data-sa-hook="modal-form"]')?.closest(".modal-content");
  if (modal) {
    event.preventDefault();
    modal.querySelector('[data-sa-action="action-submit"]').click();
  }
});
