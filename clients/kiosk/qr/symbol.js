/** Draws a QR symbol (ISO/IEC 18004, level M) as rows of modules: true is dark. */

import { codeWords } from "./code_words.js";

/** @type {((x: number, y: number) => boolean)[]} */
const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (x, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];
const LEVEL_M = 0b00;

/**
 * The symbol of a text.
 *
 * @param {string} text
 * @param {number} [mask] one of 0 to 7; by default the one that scanners read best
 * @returns {boolean[][]} rows
 */
export function qrCode(text, mask) {
  const { version, words } = codeWords(text);
  const symbol = new Modules(version);
  symbol.write(words);
  if (mask !== undefined) return symbol.masked(mask);
  let best = symbol.masked(0);
  for (let number = 1; number < MASKS.length; number += 1) {
    const other = symbol.masked(number);
    if (penalty(other) < penalty(best)) best = other;
  }
  return best;
}

/** A symbol before it is masked. */
class Modules {
  /** @param {number} version */
  constructor(version) {
    this.version = version;
    /** @type {number} */
    this.side = 4 * version + 17;
    this.dark = Array.from({ length: this.side }, () => new Array(this.side).fill(false));
    /** Modules that are no data. */
    this.fixed = Array.from({ length: this.side }, () => new Array(this.side).fill(false));
    for (let at = 0; at < this.side; at += 1) {
      this.#set(at, 6, at % 2 === 0);
      this.#set(6, at, at % 2 === 0);
    }
    for (const [x, y] of [
      [3, 3],
      [this.side - 4, 3],
      [3, this.side - 4],
    ]) {
      this.#rings(x, y, 4, [0, 1, 3]);
    }
    const places = alignments(version);
    for (const y of places) {
      for (const x of places) if (!this.#inFinder(x, y)) this.#rings(x, y, 2, [0, 2]);
    }
    if (version >= 7) this.#writeVersion();
    // Room for the format, which depends on the mask.
    this.#format(0, (x, y) => this.#set(x, y, false));
  }

  /**
   * Write the code words in columns of two, upwards and downwards in turn, from the right.
   *
   * @param {number[]} words
   */
  write(words) {
    let bit = 0;
    let up = true;
    for (let right = this.side - 1; right > 0; right -= 2) {
      if (right === 6) right = 5;
      for (let step = 0; step < this.side; step += 1) {
        const y = up ? this.side - 1 - step : step;
        for (const x of [right, right - 1]) {
          if (this.fixed[y][x]) continue;
          this.dark[y][x] = Boolean((words[bit >> 3] >> (7 - (bit & 7))) & 1);
          bit += 1;
        }
      }
      up = !up;
    }
  }

  /**
   * @param {number} number
   * @returns {boolean[][]}
   */
  masked(number) {
    const rows = this.dark.map((row, y) => row.map((dark, x) => dark !== (!this.fixed[y][x] && MASKS[number](x, y))));
    const value = protectedFormat(number);
    this.#format(value, (x, y, dark) => (rows[y][x] = dark));
    return rows;
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {boolean} dark
   */
  #set(x, y, dark) {
    this.dark[y][x] = dark;
    this.fixed[y][x] = true;
  }

  /**
   * Squares around a middle, dark at some distances; what sticks out of the symbol is left off.
   *
   * @param {number} x
   * @param {number} y
   * @param {number} reach
   * @param {number[]} darkAt
   */
  #rings(x, y, reach, darkAt) {
    for (let dy = -reach; dy <= reach; dy += 1) {
      for (let dx = -reach; dx <= reach; dx += 1) {
        const inside = x + dx >= 0 && x + dx < this.side && y + dy >= 0 && y + dy < this.side;
        const distance = Math.max(Math.abs(dx), Math.abs(dy));
        if (inside) this.#set(x + dx, y + dy, darkAt.includes(distance));
      }
    }
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #inFinder(x, y) {
    const far = this.side - 9;
    return (x < 9 && y < 9) || (x > far && y < 9) || (x < 9 && y > far);
  }

  #writeVersion() {
    let rest = this.version;
    for (let step = 0; step < 12; step += 1) rest = (rest << 1) ^ (rest >> 11 ? 0x1f25 : 0);
    const value = (this.version << 12) | rest;
    for (let bit = 0; bit < 18; bit += 1) {
      const [near, far] = [Math.floor(bit / 3), this.side - 11 + (bit % 3)];
      const dark = Boolean((value >> bit) & 1);
      this.#set(far, near, dark);
      this.#set(near, far, dark);
    }
  }

  /**
   * Write the 15 bits of the format in both of their places.
   *
   * @param {number} value
   * @param {(x: number, y: number, dark: boolean) => void} put
   */
  #format(value, put) {
    const last = this.side - 1;
    for (let bit = 0; bit < 15; bit += 1) {
      const dark = Boolean((value >> bit) & 1);
      if (bit < 6) put(8, bit, dark);
      else if (bit < 8) put(8, bit + 1, dark);
      else if (bit === 8) put(7, 8, dark);
      else put(14 - bit, 8, dark);
      if (bit < 8) put(last - bit, 8, dark);
      else put(8, last - 14 + bit, dark);
    }
    put(8, this.side - 8, true);
  }
}

/** @param {number} mask */
function protectedFormat(mask) {
  const data = (LEVEL_M << 3) | mask;
  let rest = data;
  for (let step = 0; step < 10; step += 1) rest = (rest << 1) ^ (rest >> 9 ? 0x537 : 0);
  return ((data << 10) | rest) ^ 0x5412;
}

/**
 * Where the middles of the alignment patterns are, along either side.
 *
 * @param {number} version
 */
function alignments(version) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const last = 4 * version + 10;
  const step = version === 32 ? 26 : 2 * Math.ceil((last - 6) / (count - 1) / 2);
  return [6, ...Array.from({ length: count - 1 }, (_, at) => last - (count - 2 - at) * step)];
}

/**
 * How hard a symbol is to read: long runs, blocks, what looks like a finder, and too much of one colour.
 *
 * @param {boolean[][]} rows
 */
function penalty(rows) {
  const side = rows.length;
  let sum = 0;
  let dark = 0;
  for (const lines of [rows, rows.map((_, x) => rows.map((row) => row[x]))]) {
    for (const line of lines) {
      const text = line.map((one) => (one ? "1" : "0")).join("");
      for (const run of text.match(/0{5,}|1{5,}/g) ?? []) sum += run.length - 2;
      for (let at = text.indexOf("1011101"); at >= 0; at = text.indexOf("1011101", at + 1)) {
        // What is outside of the symbol counts as light.
        const [before, after] = [text.slice(Math.max(0, at - 4), at), text.slice(at + 7, at + 11)];
        if (!before.includes("1") || !after.includes("1")) sum += 40;
      }
    }
  }
  rows.forEach((row, y) =>
    row.forEach((one, x) => {
      if (one) dark += 1;
      const square = x > 0 && y > 0 && rows[y - 1][x] === one && row[x - 1] === one && rows[y - 1][x - 1] === one;
      if (square) sum += 3;
    }),
  );
  return sum + 10 * Math.floor(Math.abs((dark * 20) / (side * side) - 10));
}
