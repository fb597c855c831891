/** Parts of a page that change while somebody looks: read at once, and then anew every few seconds. */

const EVERY_MS = 4000;

/** @param {HTMLElement} part */
async function refresh(part) {
  if (document.hidden || part.contains(document.activeElement)) return;
  // Nobody pressed anything: this keeps no session alive.
  const headers = { "x-unattended": "1" };
  const answer = await fetch(part.dataset.refresh ?? "", { headers }).catch(() => null);
  if (answer?.status === 401) location.reload();
  if (!answer?.ok) return;
  const read = new DOMParser().parseFromString(await answer.text(), "text/html");
  part.replaceChildren(...read.body.childNodes);
}

for (const part of document.querySelectorAll("[data-refresh]")) {
  const element = /** @type {HTMLElement} */ (part);
  void refresh(element);
  setInterval(() => void refresh(element), EVERY_MS);
}
