/**
 * A hall's drawing, as the server gives it, in a form that is quick to draw and to search.
 *
 * Places are known by their index everywhere; what is asked often about 20,000 of them is in typed arrays.
 */

/** @typedef {{left: number, top: number, right: number, bottom: number}} Box */
/** @typedef {{label: string, seats: number[]}} Row */
/** @typedef {{name: string, rows: Row[], areas: any[], box: Box, seats: number[]}} Section */

const SHOW_ALL = 20_000;

/**
 * Read the whole drawing of a performance, page by page.
 *
 * @param {(path: string, options: object) => Promise<any>} call
 * @param {string} performance its name
 * @returns {Promise<Plan>}
 */
export async function loadPlan(call, performance) {
  const path = `/v1/${performance}/seatMap`;
  const first = await call(path, { query: { pageSize: SHOW_ALL } });
  const seats = first.seats;
  for (let next = first.nextPageToken; next; ) {
    const page = await call(path, { query: { pageSize: SHOW_ALL, pageToken: next } });
    for (const seat of page.seats) seats.push(seat);
    next = page.nextPageToken;
  }
  return new Plan(first, seats);
}

/** The drawing. */
export class Plan {
  /**
   * @param {any} head the first page
   * @param {any[]} places all places, by index
   */
  constructor(head, places) {
    this.count = places.length;
    /** @type {{zone: string, color: string}[]} */
    this.zones = head.zones;
    /** @type {any[]} */
    this.areas = head.areas ?? [];
    this.x = new Float32Array(this.count);
    this.y = new Float32Array(this.count);
    this.zoneOf = new Uint16Array(this.count);
    this.drawn = new Uint8Array(this.count);
    this.accessible = new Uint8Array(this.count);
    /** @type {string[]} */
    this.ids = [];
    /** @type {any[]} */
    this.places = places;
    /** @type {Map<string, number>} */
    this.indexOf = new Map();
    const zoneNumbers = new Map(this.zones.map((zone, number) => [zone.zone, number]));
    places.forEach((place, index) => {
      this.x[index] = place.x;
      this.y[index] = place.y;
      this.zoneOf[index] = zoneNumbers.get(place.zone) ?? 0;
      this.drawn[index] = place.kind === "SEAT" ? 1 : 0;
      this.accessible[index] = place.accessible ? 1 : 0;
      this.ids.push(place.id);
      this.indexOf.set(place.id, index);
    });
    /** @type {Map<string, number[]>} */
    this.placesOfArea = new Map();
    places.forEach((place, index) => {
      if (this.drawn[index]) return;
      const list = this.placesOfArea.get(place.area);
      if (list) list.push(index);
      else this.placesOfArea.set(place.area, [index]);
    });
    this.sections = sectionsOf(this);
    this.pitch = pitchOf(this);
    this.box = boxOf(this, head);
  }

  /** Half of a seat's width in the drawing. @returns {number} */
  get radius() {
    return this.pitch * 0.4;
  }

  /** The areas in which places are bought by number. */
  get standing() {
    return this.areas.filter((area) => area.capacity > 0);
  }
}

/**
 * The corners of an area's shape around its own place, before it is turned; null for a text.
 *
 * @param {any} area
 * @returns {Box | null}
 */
export function shapeBox(area) {
  if (area.rectangle) return { left: 0, top: 0, right: area.rectangle.width, bottom: area.rectangle.height };
  if (area.circle) return around(area.circle.radius, area.circle.radius);
  if (area.ellipse) return around(area.ellipse.radiusX, area.ellipse.radiusY);
  if (!area.polygon) return null;
  const box = emptyBox();
  for (const point of area.polygon.points) stretch(box, point.x, point.y);
  return box;
}

/**
 * The places that a refusal names.
 *
 * @param {Plan} plan
 * @param {string} [ids] by commas, which an id may have itself
 */
export function indexesOf(plan, ids = "") {
  const found = [];
  let begin = "";
  for (const part of ids.split(",")) {
    const id = begin + part;
    const index = plan.indexOf.get(id);
    if (index === undefined) begin = `${id},`;
    else {
      found.push(index);
      begin = "";
    }
  }
  return found;
}

/** @param {Plan} plan */
function sectionsOf(plan) {
  /** @type {Map<string, Section & {byLabel: Map<string, Row>}>} */
  const found = new Map();
  const section = (/** @type {string} */ name) => {
    let one = found.get(name);
    if (!one) found.set(name, (one = { name, rows: [], areas: [], box: emptyBox(), seats: [], byLabel: new Map() }));
    return one;
  };
  plan.places.forEach((place, index) => {
    if (!plan.drawn[index]) return;
    const one = section(place.section);
    let row = one.byLabel.get(place.row);
    if (!row) {
      row = { label: place.row, seats: [] };
      one.byLabel.set(place.row, row);
      one.rows.push(row);
    }
    row.seats.push(index);
    one.seats.push(index);
    stretch(one.box, place.x, place.y);
  });
  for (const area of plan.areas) if (area.capacity > 0) section(area.section || area.label).areas.push(area);
  return [...found.values()];
}

/**
 * The distance of neighbours: the median over the first seats of many rows.
 *
 * @param {Plan} plan
 */
function pitchOf(plan) {
  /** @type {number[]} */
  const distances = [];
  for (const section of plan.sections) {
    for (const { seats } of section.rows) {
      for (let at = 1; at < Math.min(seats.length, 6); at += 1) {
        const [a, b] = [seats[at - 1], seats[at]];
        const distance = Math.hypot(plan.x[a] - plan.x[b], plan.y[a] - plan.y[b]);
        if (distance > 0) distances.push(distance);
      }
    }
  }
  distances.sort((a, b) => a - b);
  return distances[distances.length >> 1] ?? 50;
}

/**
 * @param {Plan} plan
 * @param {any} head
 */
function boxOf(plan, head) {
  const box = emptyBox();
  for (let index = 0; index < plan.count; index += 1) if (plan.drawn[index]) stretch(box, plan.x[index], plan.y[index]);
  for (const area of plan.areas) {
    const shape = shapeBox(area);
    stretch(box, area.x, area.y);
    if (!shape || area.rotation) continue;
    stretch(box, area.x + shape.left, area.y + shape.top);
    stretch(box, area.x + shape.right, area.y + shape.bottom);
  }
  if (box.left > box.right) return { left: 0, top: 0, right: head.width || 100, bottom: head.height || 100 };
  const edge = plan.pitch;
  return { left: box.left - edge, top: box.top - edge, right: box.right + edge, bottom: box.bottom + edge };
}

/** @returns {Box} */
function emptyBox() {
  return { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
}

/**
 * @param {Box} box
 * @param {number} x
 * @param {number} y
 */
function stretch(box, x, y) {
  box.left = Math.min(box.left, x);
  box.right = Math.max(box.right, x);
  box.top = Math.min(box.top, y);
  box.bottom = Math.max(box.bottom, y);
}

/**
 * @param {number} x
 * @param {number} y
 * @returns {Box}
 */
function around(x, y) {
  return { left: -x, top: -y, right: x, bottom: y };
}
