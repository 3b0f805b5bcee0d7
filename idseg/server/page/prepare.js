// Prepares a file for sending: unchanged if it is small, else shrunk to the size that the result needs. Does not access the page.

const LEAST_SIDE = 1600, MOST_SIDE = 2560, FULL_SIDE = 4096; // px
const SIDES_PER_RESULT = 3.2; // a head fills about a third of a selfie's height
const PLAIN = /^image\/(jpeg|png|bmp|webp)$/;

export const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
export const blobOf = (file) => new Blob([bytesOf(file.base64)], { type: file.media_type });

/** Longest side to send for a finished photo of `px` [width, height]; `full`: the server's maximum. */
export const sideFor = (px, full) => full ? FULL_SIDE : Math.round(Math.min(MOST_SIDE, Math.max(LEAST_SIDE, SIDES_PER_RESULT * Math.max(...px))));

/**
 * @returns `{blob, bitmap, original}`: the file to send, its picture, and the sides of the original. `bitmap` is null if this
 *   browser cannot read the format (many cannot read HEIC); the file is then sent unchanged.
 */
export async function prepared(file, side, maxBytes, quarters = 0) {
  const whole = await createImageBitmap(file).catch(() => null);
  if (!whole) return { blob: file, bitmap: null, original: null };
  const original = [whole.width, whole.height];
  const longest = Math.max(...original);
  if (!quarters && longest <= side && file.size <= maxBytes && PLAIN.test(file.type)) return { blob: file, bitmap: whole, original };
  let blob = null, canvas = null;
  for (let most = side; !blob || blob.size > maxBytes; most *= 0.8) {
    canvas = drawn(whole, Math.min(1, most / longest), quarters);
    blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.93 });
  }
  whole.close();
  return { blob, bitmap: canvas.transferToImageBitmap(), original };
}

function drawn(bitmap, scale, quarters) {
  const sides = [Math.round(bitmap.width * scale), Math.round(bitmap.height * scale)];
  const [width, height] = quarters % 2 ? [sides[1], sides[0]] : sides;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.translate(width / 2, height / 2);
  context.rotate((quarters * Math.PI) / 2);
  context.drawImage(bitmap, -sides[0] / 2, -sides[1] / 2, sides[0], sides[1]);
  return canvas;
}

/** The part of a picture around one face, without the other faces; boxes are fractions of the sides: [left, top, width, height]. */
export async function around(bitmap, boxes, chosen) {
  const middle = (box) => box[0] + box[2] / 2;
  const mine = middle(boxes[chosen]);
  const left = Math.max(0, ...boxes.filter((box) => middle(box) < mine).map((box) => (middle(box) + box[2] / 2 + boxes[chosen][0]) / 2));
  const right = Math.min(1, ...boxes.filter((box) => middle(box) > mine).map((box) => (box[0] + boxes[chosen][0] + boxes[chosen][2]) / 2));
  const width = Math.round((right - left) * bitmap.width);
  const canvas = new OffscreenCanvas(width, bitmap.height);
  canvas.getContext("2d").drawImage(bitmap, -Math.round(left * bitmap.width), 0);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
}
