// Makes the finished file in the browser, for what is changed while the server is away: resolution and range of kilobytes as the server writes them. Does not access the page.

import { crc32 } from "./zip.js";

const TYPES = { JPEG: "image/jpeg", PNG: "image/png", WEBP: "image/webp" };
const BEST = 95; // quality of a JPEG, per cent
const LEAST_KB = 1024, MOST_KB = 1000; // bytes: within the range whether a kilobyte has 1000 or 1024
const MOST_COMMENT = 65533; // bytes of one comment segment of a JPEG
const MM_PER_M = 1000, MM_PER_INCH = 25.4;

export const canEncode = (format) => format in TYPES;
export const suffixOf = (format) => (format === "JPEG" ? ".jpg" : `.${format.toLowerCase()}`);

/**
 * @param canvas an OffscreenCanvas with the finished photo.
 * @param kb [least, most]; 0 and Infinity: no bound.
 * @returns the file as a Blob; null if the range cannot be met.
 */
export async function encoded(canvas, format, dpi, [least, most]) {
  const smallest = least * LEAST_KB, largest = most * MOST_KB, write = { JPEG: withDensity, PNG: withPhys, WEBP: (bytes) => bytes }[format];
  const bytes = write(await pixelsIn(canvas, TYPES[format], largest), dpi);
  const whole = format === "JPEG" ? padded(bytes, smallest) : bytes;
  return whole.length < smallest || whole.length > largest ? null : new Blob([whole], { type: TYPES[format] });
}

/** The bytes at the best quality that fits, else at the lowest. */
async function pixelsIn(canvas, type, largest) {
  const at = (quality) => canvas.convertToBlob({ type, quality: quality / 100 });
  let best = await at(BEST);
  if (best.size > largest && type !== TYPES.PNG) { // a PNG has no quality
    best = await at(0);
    for (let low = 0, high = BEST - 1; low < high;) {
      const middle = (low + high + 1) >> 1, blob = await at(middle);
      if (blob.size <= largest) [best, low] = [blob, middle];
      else high = middle - 1;
    }
  }
  return new Uint8Array(await best.arrayBuffer());
}

/** JFIF 1.02, page 5: unit 1 is dots per inch, then both densities. */
function withDensity(bytes, dpi) {
  const whole = Math.round(dpi);
  bytes.set([1, whole >> 8, whole & 255, whole >> 8, whole & 255], 13);
  return bytes;
}

/** PNG (third edition), 11.3.4.3: pixels per metre, before the pixels. */
function withPhys(bytes, dpi) {
  const chunk = new DataView(new ArrayBuffer(21)), perMetre = Math.round((dpi * MM_PER_M) / MM_PER_INCH), header = 33;
  chunk.setUint32(0, 9);
  chunk.setUint32(4, 0x70485973); // pHYs
  chunk.setUint32(8, perMetre);
  chunk.setUint32(12, perMetre);
  chunk.setUint8(16, 1);
  chunk.setUint32(17, crc32(new Uint8Array(chunk.buffer, 4, 13)));
  return joined(bytes.subarray(0, header), new Uint8Array(chunk.buffer), bytes.subarray(header));
}

/** Comments behind the JFIF header, which no viewer shows. */
function padded(bytes, smallest) {
  const end = 4 + ((bytes[4] << 8) | bytes[5]), parts = [];
  for (let lack = smallest - bytes.length; lack > 0; lack -= parts.at(-1).length) {
    const text = Math.min(MOST_COMMENT, Math.max(0, lack - 4)), segment = new Uint8Array(text + 4).fill(32);
    segment.set([0xff, 0xfe, (text + 2) >> 8, (text + 2) & 255]);
    parts.push(segment);
  }
  return joined(bytes.subarray(0, end), ...parts, bytes.subarray(end));
}

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
