// The points, the face box and the cut's frame as SVG over the photo; labels are in two columns beside the face and do not overlap.

import { shape } from "./words.js";

const UNSURE = 0.5; // score below which a point is shown as a guess
const SMALLEST = 11; // px on the screen of a label
const WIDEST = { han: 1, other: 0.64 }; // of a letter, in sizes of the font

/** At most so many sizes of the font. */
const widthOf = (text) => [...text].reduce((sum, letter) => sum + (/[\u4e00-\u9fff]/.test(letter) ? WIDEST.han : WIDEST.other), 0);

/** Positions of the labels: sorted by height, at least `step` apart. */
export function spread(heights, step, low, high) {
  const order = heights.map((y, index) => [y, index]).sort((one, other) => one[0] - other[0]);
  const placed = [];
  let last = -Infinity;
  for (const [y, index] of order) placed[index] = last = Math.max(y, last + step, low);
  const over = Math.max(0, last - high);
  return placed.map((y) => y - over);
}

/** Draw a reply over its photo. `shown`: the photo's width on the screen, px. */
export function drawOver(svg, reply, names, shown) {
  const { width, height } = reply.photo, cut = reply.cut_location, face = reply.face_location;
  const unit = width / shown, size = SMALLEST * 1.15 * unit;
  const points = reply.pose_info.body_parts.map((part) => {
    const [name, point] = Object.entries(part)[0];
    return { name, x: point.x + 0.5 + cut.left, y: point.y + 0.5 + cut.top, score: point.score };
  });
  const at = Object.fromEntries(points.map((point) => [point.name, `${point.x},${point.y}`]));
  const middle = face.left + cut.left + face.width / 2;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(
    shape("path", { class: "shade", "fill-rule": "evenodd", d: `M0 0H${width}V${height}H0ZM${cut.left} ${cut.top}v${cut.height}h${cut.width}v${-cut.height}z` }),
    shape("rect", { class: "window", x: cut.left, y: cut.top, width: cut.width, height: cut.height }),
    shape("rect", { class: "face", x: face.left + cut.left, y: face.top + cut.top, width: face.width, height: face.height, rx: 4 * unit }),
    ...["left_shoulder neck right_shoulder", "left_ear left_eye nose_tip right_eye right_ear", "left_mouth right_mouth"].map((path) => shape("path", { class: "bone", d: `M${path.split(" ").map((name) => at[name]).join(" L")}` })),
    ...[true, false].flatMap((left) => labels(points.filter((point) => point.x < middle === left), { left, unit, size, names, face, cut, width, height })),
    ...points.map((point) => dot(point, unit, names)),
  );
}

function dot(point, unit, names) {
  const made = shape("circle", { class: point.score < UNSURE ? "point unsure" : "point", cx: point.x, cy: point.y, r: 4 * unit, "stroke-width": 1.5 * unit });
  made.append(shape("title", {}, `${names[point.name]} · ${point.score.toFixed(2)}`));
  return made;
}

function labels(points, { left, unit, size, names, face, cut, width, height }) {
  const longest = size * Math.max(0, ...points.map(({ name }) => widthOf(names[name]))) + 6 * unit;
  const edge = left ? Math.max(longest, face.left + cut.left - 14 * unit) : Math.min(width - longest, face.left + cut.left + face.width + 14 * unit);
  const heights = spread(points.map((point) => point.y), size * 1.35, size, height - size * 0.4);
  return points.flatMap((point, index) => [
    shape("line", { class: "leader", x1: point.x, y1: point.y, x2: edge, y2: heights[index] - size * 0.35 }),
    shape("text", { x: edge + (left ? -3 : 3) * unit, y: heights[index], "font-size": size, "stroke-width": 3 * unit, "text-anchor": left ? "end" : "start" }, names[point.name]),
  ]);
}
