/**
 * What is written into a QR symbol (ISO/IEC 18004): a text as bytes, or, if it has only capitals and digits as ticket
 * codes have, in the mode for these, which makes it smaller; with error correction of level M, which mends a
 * seventh of the symbol: enough for a scratched screen.
 */

/** Error correction code words of a block, and how many blocks there are, by version 1 to 40, at level M. */
const CORRECTION = [
  10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28,
];
const BLOCKS = [
  1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35,
  37, 38, 40, 43, 45, 47, 49,
];
const BYTES = 0b0100;
const ALPHANUMERIC = 0b0010;
const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const PADDING = [0xec, 0x11];

/** Powers of 2 in the field of 256 elements modulo x^8 + x^4 + x^3 + x^2 + 1, twice over, and their logarithms. */
const POWERS = new Uint8Array(510);
const LOGARITHMS = new Uint8Array(256);
for (let exponent = 0, value = 1; exponent < 255; exponent += 1) {
  POWERS[exponent] = POWERS[exponent + 255] = value;
  LOGARITHMS[value] = exponent;
  value = (value << 1) ^ (value & 0x80 ? 0x11d : 0);
}

/**
 * The smallest symbol that a text fits into, and its code words in the order in which they are drawn.
 *
 * @param {string} text
 * @returns {{version: number, words: number[]}}
 */
export function codeWords(text) {
  for (let version = 1; version <= 40; version += 1) {
    const capacity = dataWords(version);
    const bits = bitsOf(text, version);
    if (bits.length <= 8 * capacity) return { version, words: interleave(version, data(bits, capacity)) };
  }
  throw new RangeError("the text is too long for a QR symbol");
}

/**
 * How many modules of a version carry code words.
 *
 * @param {number} version
 */
function rawModules(version) {
  const side = 4 * version + 17;
  // All, less the finders with their edges, the format, the timing …
  let modules = side * side - 3 * 64 - 31 - 2 * (side - 16);
  if (version > 1) {
    // … the alignment patterns, of which some lie on the timing, …
    const along = Math.floor(version / 7) + 2;
    modules -= 25 * (along * along - 3) - 10 * (along - 2);
  }
  // … and the version.
  return version < 7 ? modules : modules - 36;
}

/** @param {number} version */
function dataWords(version) {
  return Math.floor(rawModules(version) / 8) - CORRECTION[version - 1] * BLOCKS[version - 1];
}

/**
 * A text with its mode and its length before it.
 *
 * @param {string} text
 * @param {number} version
 * @returns {number[]} bits
 */
function bitsOf(text, version) {
  /** @type {number[]} */
  const bits = [];
  const put = (/** @type {number} */ value, /** @type {number} */ length) => {
    for (let at = length - 1; at >= 0; at -= 1) bits.push((value >> at) & 1);
  };
  const numbers = [...text].map((letter) => LETTERS.indexOf(letter));
  if (numbers.includes(-1)) {
    const bytes = new TextEncoder().encode(text);
    put(BYTES, 4);
    put(bytes.length, version < 10 ? 8 : 16);
    for (const byte of bytes) put(byte, 8);
    return bits;
  }
  put(ALPHANUMERIC, 4);
  put(numbers.length, version < 10 ? 9 : version < 27 ? 11 : 13);
  for (let at = 0; at + 1 < numbers.length; at += 2) put(numbers[at] * LETTERS.length + numbers[at + 1], 11);
  if (numbers.length % 2) put(numbers[numbers.length - 1], 6);
  return bits;
}

/**
 * @param {number[]} bits
 * @param {number} capacity in code words
 */
function data(bits, capacity) {
  for (let end = Math.min(4, 8 * capacity - bits.length); end > 0; end -= 1) bits.push(0);
  while (bits.length % 8) bits.push(0);
  const words = [];
  for (let at = 0; at < bits.length; at += 8) words.push(parseInt(bits.slice(at, at + 8).join(""), 2));
  for (let at = 0; words.length < capacity; at += 1) words.push(PADDING[at % 2]);
  return words;
}

/**
 * Cut into blocks, add each block's correction, and shuffle, so that a scratch spreads over all blocks.
 *
 * @param {number} version
 * @param {number[]} words
 */
function interleave(version, words) {
  const count = BLOCKS[version - 1];
  const short = Math.floor(words.length / count);
  const longFrom = count - (words.length % count);
  const blocks = [];
  for (let number = 0, at = 0; number < count; number += 1) {
    const length = short + (number >= longFrom ? 1 : 0);
    blocks.push(words.slice(at, at + length));
    at += length;
  }
  const generator = generatorOf(CORRECTION[version - 1]);
  const corrections = blocks.map((block) => remainder(block, generator));
  const shuffled = [];
  for (let at = 0; at <= short; at += 1) for (const block of blocks) if (at < block.length) shuffled.push(block[at]);
  for (let at = 0; at < generator.length; at += 1) for (const one of corrections) shuffled.push(one[at]);
  return shuffled;
}

/**
 * The product of (x - 2^i), without its leading 1.
 *
 * @param {number} degree
 */
function generatorOf(degree) {
  let product = [1];
  for (let root = 0; root < degree; root += 1) {
    const next = [...product, 0];
    product.forEach((factor, at) => (next[at + 1] ^= times(factor, POWERS[root])));
    product = next;
  }
  return product.slice(1);
}

/**
 * @param {number[]} block
 * @param {number[]} generator
 */
function remainder(block, generator) {
  const rest = new Array(generator.length).fill(0);
  for (const word of block) {
    const factor = word ^ rest.shift();
    rest.push(0);
    generator.forEach((one, at) => (rest[at] ^= times(one, factor)));
  }
  return rest;
}

/**
 * @param {number} a
 * @param {number} b
 */
function times(a, b) {
  return a && b ? POWERS[LOGARITHMS[a] + LOGARITHMS[b]] : 0;
}
