/** Selecting by a rectangle: with Shift held, or with the tool for it. */

const MOVED_PX = 5;

/**
 * @param {HTMLElement} stage with the map and `#rectangle` in it
 * @param {import("kiosk/hall/map_view.js").MapView} map
 * @param {(indexes: number[]) => void} choose
 */
export function listenForRectangles(stage, map, choose) {
  const drawn = /** @type {HTMLElement} */ (stage.querySelector("#rectangle"));
  /** @type {{x: number, y: number, id: number} | null} */
  let begin = null;

  const where = (/** @type {PointerEvent} */ event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const corners = (/** @type {{x: number, y: number}} */ now) => {
    const from = begin ?? now;
    return {
      left: Math.min(from.x, now.x),
      top: Math.min(from.y, now.y),
      right: Math.max(from.x, now.x),
      bottom: Math.max(from.y, now.y),
    };
  };

  // Before the map's own gestures see it.
  stage.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0 || !(event.shiftKey || stage.dataset.tool === "rectangle")) return;
      event.stopPropagation();
      event.preventDefault();
      begin = { ...where(event), id: event.pointerId };
      stage.setPointerCapture(event.pointerId);
    },
    { capture: true },
  );

  stage.addEventListener("pointermove", (event) => {
    if (begin?.id !== event.pointerId) return;
    const { left, top, right, bottom } = corners(where(event));
    drawn.hidden = right - left < MOVED_PX && bottom - top < MOVED_PX;
    Object.assign(drawn.style, {
      left: `${left}px`,
      top: `${top}px`,
      width: `${right - left}px`,
      height: `${bottom - top}px`,
    });
  });

  stage.addEventListener("pointerup", (event) => {
    if (begin?.id !== event.pointerId) return;
    const { left, top, right, bottom } = corners(where(event));
    begin = null;
    drawn.hidden = true;
    if (right - left < MOVED_PX && bottom - top < MOVED_PX) return map.press(left, top, "mouse");
    const [from, to] = [map.camera.toPlan(left, top), map.camera.toPlan(right, bottom)];
    /** @type {number[]} */
    const found = [];
    const box = { left: from.x, top: from.y, right: to.x, bottom: to.y };
    map.scene.near.within(box, (index) => found.push(index));
    if (found.length) choose(found);
  });

  stage.addEventListener("pointercancel", () => {
    begin = null;
    drawn.hidden = true;
  });
}
