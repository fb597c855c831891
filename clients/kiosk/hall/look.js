/**
 * What places look like. Colour never says anything alone: each price zone has a shape of its own, and each state a
 * pattern of its own (filled, hollow with a dot, crossed, a dash).
 */

/** Okabe and Ito's colours, which people tell apart whatever their eyes: for zones that have none of their own. */
const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f7f7f"];

/** @typedef {(path: CanvasPath, x: number, y: number, radius: number) => void} Shape */

/** @param {number[]} corners as turns of a circle, and optionally how far out each is */
function corners(...corners) {
  /** @type {Shape} */
  return (path, x, y, radius) => {
    corners.forEach((turn, number) => {
      const [dx, dy] = [Math.sin(turn * 2 * Math.PI) * radius, -Math.cos(turn * 2 * Math.PI) * radius];
      if (number === 0) path.moveTo(x + dx, y + dy);
      else path.lineTo(x + dx, y + dy);
    });
    path.closePath();
  };
}

/** @type {Shape} */
function circle(path, x, y, radius) {
  path.moveTo(x + radius, y);
  path.arc(x, y, radius, 0, 2 * Math.PI);
}

/** @type {Shape} */
function square(path, x, y, radius) {
  const half = radius * 0.88;
  path.rect(x - half, y - half, 2 * half, 2 * half);
}

/** @type {Shape} */
function cross(path, x, y, radius) {
  const [wide, thin] = [radius, radius * 0.4];
  path.rect(x - wide, y - thin, 2 * wide, 2 * thin);
  path.rect(x - thin, y - wide, 2 * thin, 2 * wide);
}

/** @type {Shape[]} */
const SHAPES = [
  circle,
  square,
  corners(0, 0.25, 0.5, 0.75),
  corners(0, 1 / 3, 2 / 3),
  corners(0, 1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6),
  corners(1 / 2, 1 / 6, 5 / 6),
  cross,
  corners(0, 1 / 5, 2 / 5, 3 / 5, 4 / 5),
];

/**
 * The shape of a price zone.
 *
 * @param {number} zone its number in the plan
 */
export function shapeOf(zone) {
  return SHAPES[zone % SHAPES.length];
}

/** The colours of one theme. */
export class Look {
  /**
   * @param {import("./plan.js").Plan} plan
   * @param {{dark: boolean, contrast: boolean}} theme
   */
  constructor(plan, { dark, contrast }) {
    this.contrast = contrast;
    this.ink = dark ? "#f4f4f6" : "#16181d";
    this.paper = dark ? "#14161b" : "#ffffff";
    this.faint = contrast ? this.ink : dark ? "#8d93a1" : "#777d8b";
    this.floor = dark ? "#20242d" : "#eceef3";
    this.mine = dark ? "#ffffff" : "#000000";
    this.mineInk = dark ? "#000000" : "#ffffff";
    this.lost = "#d02030";
    /** @type {string[]} */
    this.zones = plan.zones.map((zone, number) => {
      if (contrast) return this.ink;
      return zone.color || PALETTE[number % PALETTE.length];
    });
    this.onZones = this.zones.map((color) => (luminance(color) > 0.36 ? "#000000" : "#ffffff"));
  }
}

/** @param {string} color "#rrggbb" */
function luminance(color) {
  const part = (/** @type {number} */ at) => {
    const value = parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
}
