/** What hands do on the map: drag, pinch, wheel, press, and keys. */

const MOVED_PX = 8;
const KEY_STEP_PX = 80;

/** @type {Record<string, [number, number]>} */
const ARROWS = {
  ArrowLeft: [KEY_STEP_PX, 0],
  ArrowRight: [-KEY_STEP_PX, 0],
  ArrowUp: [0, KEY_STEP_PX],
  ArrowDown: [0, -KEY_STEP_PX],
};

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("./map_view.js").MapView} map
 * @param {AbortSignal} signal ends it
 */
export function listenForGestures(canvas, map, signal) {
  /** Fingers on the canvas, by pointer id, where they were last. @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  let moved = 0;

  const where = (/** @type {MouseEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  canvas.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0) return;
      if (fingers.size === 0) moved = 0;
      fingers.set(event.pointerId, where(event));
      canvas.setPointerCapture(event.pointerId);
    },
    { signal },
  );

  canvas.addEventListener(
    "pointermove",
    (event) => {
      const now = where(event);
      const before = fingers.get(event.pointerId);
      if (!before) {
        if (event.pointerType === "mouse") map.point(now.x, now.y);
        return;
      }
      const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      moved += Math.hypot(now.x - before.x, now.y - before.y);
      fingers.set(event.pointerId, now);
      if (moved < MOVED_PX) return;
      if (others.length === 0) map.camera.pan(now.x - before.x, now.y - before.y);
      else pinch(map, before, now, others[0]);
      map.redraw();
    },
    { signal },
  );

  const lift = (/** @type {PointerEvent} */ event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    fingers.delete(event.pointerId);
    const pressed = event.type === "pointerup" && fingers.size === 0 && moved < MOVED_PX;
    if (pressed) map.press(last.x, last.y, event.pointerType === "mouse" ? "mouse" : "touch");
  };
  canvas.addEventListener("pointerup", lift, { signal });
  canvas.addEventListener("pointercancel", lift, { signal });

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      const { x, y } = where(event);
      map.camera.zoom(Math.exp(-Math.max(-100, Math.min(100, event.deltaY * lines)) / 250), x, y);
      map.redraw();
    },
    { signal, passive: false },
  );

  canvas.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const arrow = ARROWS[event.key];
      if (arrow) map.camera.pan(...arrow);
      else if (event.key === "+" || event.key === "=") map.zoomBy(1.5);
      else if (event.key === "-") map.zoomBy(1 / 1.5);
      else if (event.key === "0") map.fit();
      else return;
      event.preventDefault();
      map.redraw();
    },
    { signal },
  );
}

/**
 * One of two fingers moved: zoom by how their distance changed, around the other one.
 *
 * @param {import("./map_view.js").MapView} map
 * @param {{x: number, y: number}} before
 * @param {{x: number, y: number}} now
 * @param {{x: number, y: number}} other
 */
function pinch(map, before, now, other) {
  const was = Math.hypot(before.x - other.x, before.y - other.y);
  const is = Math.hypot(now.x - other.x, now.y - other.y);
  if (was > 0 && is > 0) map.camera.zoom(is / was, other.x, other.y);
}
