/** What shapes and signs on the plan mean, and what each price zone costs. */

import { shapeOf, Look } from "../hall/look.js";
import { drawMark } from "../hall/map_view.js";
import { el } from "./dom.js";
import { money, words } from "../text/language.js";

const SIZE = 22;

/**
 * @param {import("../hall/plan.js").Plan} plan
 * @param {import("../booking/prices.js").Prices} prices
 * @param {Look} look
 */
export function legend(plan, prices, look) {
  const list = el("ul", { class: "legend" });
  plan.zones.forEach((zone, number) => {
    const type = prices.of(zone.zone);
    const drawn = symbol((context) => {
      context.fillStyle = look.zones[number];
      shapeOf(number)(context, SIZE / 2, SIZE / 2, SIZE * 0.4);
      context.fill();
    });
    list.append(
      el("li", null, drawn, el("span", null, zone.zone), el("b", null, type ? money(type.price) : words.noPrice)),
    );
  });
  /** @type {[string, (context: CanvasRenderingContext2D) => void][]} */
  const signs = [
    [words.mine, (context) => drawMark(context, [SIZE / 2, SIZE / 2], SIZE * 0.4, look, "mine")],
    [
      words.state[2],
      (context) => {
        context.strokeStyle = look.faint;
        context.arc(SIZE / 2, SIZE / 2, SIZE * 0.36, 0, 7);
        context.moveTo(SIZE * 0.62, SIZE / 2);
        context.arc(SIZE / 2, SIZE / 2, SIZE * 0.12, 0, 7);
        context.stroke();
      },
    ],
    [
      words.state[3],
      (context) => {
        context.strokeStyle = look.faint;
        for (const [from, to] of [
          [0.28, 0.72],
          [0.72, 0.28],
        ]) {
          context.moveTo(SIZE * from, SIZE * 0.28);
          context.lineTo(SIZE * to, SIZE * 0.72);
        }
        context.stroke();
      },
    ],
    [
      words.state[4],
      (context) => {
        context.strokeStyle = look.faint;
        context.moveTo(SIZE * 0.28, SIZE / 2);
        context.lineTo(SIZE * 0.72, SIZE / 2);
        context.stroke();
      },
    ],
  ];
  for (const [text, draw] of signs) list.append(el("li", null, symbol(draw), el("span", null, text)));
  return list;
}

/** @param {(context: CanvasRenderingContext2D) => void} draw */
function symbol(draw) {
  const canvas = el("canvas", { width: SIZE * 2, height: SIZE * 2, class: "symbol", "aria-hidden": "true" });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(2, 2);
  context.lineWidth = 2;
  context.beginPath();
  draw(context);
  return canvas;
}
