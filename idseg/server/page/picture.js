// Pixels: decoding the reply's pictures, any background, scaling a photo that is too large. Nothing here touches the page.

const MAX_SIDE = 2560; // px; a photo that must be scaled keeps more than any ID photo needs

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** ImageData of a picture, without colour conversion. */
export async function pixelsOf(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** The person on a colour [r, g, b]: demo + (1 - alpha) colour. With null: straight alpha, colours un-multiplied. */
export function onBackground(demo, mask, color) {
  const out = new ImageData(demo.width, demo.height);
  const from = demo.data, alpha = mask.data, to = out.data;
  for (let i = 0; i < to.length; i += 4) {
    const a = alpha[i];
    for (let c = 0; c < 3; c++) {
      to[i + c] = color ? from[i + c] + Math.round(((255 - a) * color[c]) / 255) : a ? Math.min(255, Math.round((from[i + c] * 255) / a)) : 0;
    }
    to[i + 3] = color ? 255 : a;
  }
  return out;
}

export function draw(canvas, pixels) {
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

export function pngOf(pixels) {
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

export function colorOf(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** The photo as it can be sent: itself where it fits, else a scaled JPEG. Files that no browser reads go as they are: the server says why. */
export async function fitting(file, maxBytes) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return { blob: file, scaled: null };
  const side = Math.max(bitmap.width, bitmap.height);
  const fits = file.size <= maxBytes && side <= 4096;
  let blob = file, scaled = null;
  for (let most = MAX_SIDE; !fits && (blob === file || blob.size > maxBytes); most *= 0.8) {
    const scale = Math.min(1, most / side);
    const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.93 });
    scaled = { from: `${bitmap.width} × ${bitmap.height}`, to: `${canvas.width} × ${canvas.height}` };
  }
  bitmap.close();
  return { blob, scaled };
}
