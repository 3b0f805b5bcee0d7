// Draws on canvases: backgrounds, the person's layers, the finished photo with a placement.

const GRADIENT = /^(vertical|radial):(#[0-9a-f]{6}),(#[0-9a-f]{6})$/i;

/** The person as a picture with transparency, from the reply's two layers. */
export async function personOf(layers, blobOf) {
  const [colours, alpha] = await Promise.all([
    createImageBitmap(blobOf({ base64: layers.colours, media_type: "image/jpeg" }), { colorSpaceConversion: "none" }),
    createImageBitmap(blobOf({ base64: layers.alpha, media_type: "image/png" }), { colorSpaceConversion: "none" }),
  ]);
  const { width, height } = alpha;
  const pixels = pixelsOf(colours, width, height), mask = pixelsOf(alpha, width, height);
  for (let at = 3; at < pixels.data.length; at += 4) pixels.data[at] = mask.data[at - 3];
  return createImageBitmap(pixels);
}

function pixelsOf(bitmap, width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

/** A picture brighter by `stops` (below 0: darker): y = g x / (1 + (g - 1) x) in linear light; the same formula as in idseg/photo/light.py. */
export async function lit(bitmap, stops) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height), { data } = pixels, curve = curveOf(stops);
  for (let at = 0; at < data.length; at += 4) {
    data[at] = curve[data[at]];
    data[at + 1] = curve[data[at + 1]];
    data[at + 2] = curve[data[at + 2]];
  }
  return createImageBitmap(pixels);
}

function curveOf(stops) {
  const gain = 2 ** stops;
  return Uint8ClampedArray.from({ length: 256 }, (_, level) => {
    const x = level / 255, linear = x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    const y = (gain * linear) / (1 + (gain - 1) * linear);
    return 255 * (y <= 0.0031308 ? y * 12.92 : 1.055 * y ** (1 / 2.4) - 0.055);
  });
}

/** Fill with a background: #rrggbb, vertical:#a,#b, radial:#a,#b; any other text leaves it transparent. */
export function paintBackground(context, background, width, height) {
  const gradient = GRADIENT.exec(background);
  if (gradient) {
    const [, kind, first, second] = gradient;
    context.save();
    let fill;
    if (kind === "vertical") fill = context.createLinearGradient(0, 0, 0, height);
    else {
      context.translate(width / 2, height / 2);
      context.scale(width / 2, height / 2); // an ellipse: its corners lie at √2
      fill = context.createRadialGradient(0, 0, 0, 0, 0, Math.SQRT2);
    }
    fill.addColorStop(0, first);
    fill.addColorStop(1, second);
    context.fillStyle = fill;
    if (kind === "vertical") context.fillRect(0, 0, width, height);
    else context.fillRect(-1, -1, 2, 2);
    context.restore();
  } else if (/^#[0-9a-f]{6}$/i.test(background)) {
    context.fillStyle = background;
    context.fillRect(0, 0, width, height);
  }
}

/** The product of two 2 x 3 matrices [a, b, c, d, e, f]; the second is applied first. */
function after(second, first) {
  const [a, b, c, d, e, f] = second, [g, h, i, j, k, l] = first;
  return [a * g + b * j, a * h + b * k, a * i + b * l + c, d * g + e * j, d * h + e * k, d * i + e * l + f];
}

/** The manual change as a matrix on finished pixels, about `eyes` [x, y]; the same formula as in idseg/photo/adjust.py. */
export function handMatrix(adjust, eyes, perMm, width) {
  const angle = (adjust.turn * Math.PI) / 180, cos = adjust.zoom * Math.cos(angle), sin = adjust.zoom * Math.sin(angle);
  const to = [eyes[0] + adjust.right * perMm, eyes[1] + adjust.down * perMm];
  const moved = [cos, -sin, to[0] - cos * eyes[0] + sin * eyes[1], sin, cos, to[1] - sin * eyes[0] - cos * eyes[1]];
  return adjust.flip ? after([-1, 0, width, 0, 1, 0], moved) : moved;
}

/** Draw `picture` on a canvas with `scale` px per finished pixel; `matrix` maps its pixels to finished pixels. */
export function drawPlaced(context, picture, matrix, scale) {
  const [a, b, c, d, e, f] = matrix;
  context.save();
  context.setTransform(a * scale, d * scale, b * scale, e * scale, c * scale, f * scale);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0);
  context.restore();
}

export { after };
