// The finished photo with its guides: where the head and the eyes came to lie, and where the document wants them.

const SVG = "http://www.w3.org/2000/svg";
const GUTTER = 136; // px beside the photo, for the figures
const TALLEST = 430; // px

function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

const range = ([low, high]) => `${+low.toFixed(1)} – ${+high.toFixed(1)}`;

/** Draw into `svg`, as wide as `room` px at most. `photo` is the reply's part of that name, `url` its picture. Units on paper: mm. */
export function drawGuides(svg, photo, url, room, guides, words) {
  const [width, height] = photo.mm, mm = photo.head_mm;
  const wide = Math.min(room - (guides ? GUTTER : 0), (TALLEST * width) / height);
  const unit = width / wide; // mm of one px on the screen
  const gutter = guides ? GUTTER * unit : 0;
  svg.setAttribute("viewBox", `0 0 ${width + gutter} ${height}`);
  svg.setAttribute("width", wide + (guides ? GUTTER : 0));
  svg.setAttribute("height", height / unit);
  const parts = [shape("image", { href: url, width, height, preserveAspectRatio: "none" })];
  if (guides) {
    const chin = height - mm.chin, eyes = height - mm.eyes, top = chin - mm.head;
    const rules = Object.fromEntries(photo.rules.map((rule) => [rule.rule, rule]));
    const [head, eye] = [rules.head, rules.eyes];
    const band = (from, to) => shape("rect", { class: "band", x: 0, y: Math.max(from, 0), width, height: Math.max(Math.min(to, height) - Math.max(from, 0), 0) });
    if (head) parts.push(band(chin - head.allowed_mm[1], chin - head.allowed_mm[0]));
    if (eye) parts.push(band(height - eye.allowed_mm[1], height - eye.allowed_mm[0]));
    const state = (rule) => (rule && !rule.ok ? "guide off" : "guide");
    for (const [y, rule] of [[top, head], [chin, head], [eyes, eye]]) {
      parts.push(shape("line", { class: state(rule), x1: 0, x2: width + 8 * unit, y1: y, y2: y }));
    }
    const x = width + 14 * unit;
    parts.push(shape("path", { class: `${state(head)} bracket`, d: `M${x} ${top}V${chin}M${x - 5 * unit} ${top}h${10 * unit}M${x - 5 * unit} ${chin}h${10 * unit}` }));
    const say = (y, name, value, rule) => [
      shape("text", { class: rule && !rule.ok ? "figure off" : "figure", x: x + 9 * unit, y, "font-size": 13 * unit }, `${name} ${value.toFixed(1)} mm`),
      shape("text", { class: "allowed", x: x + 9 * unit, y: y + 15 * unit, "font-size": 11.5 * unit }, rule ? range(rule.allowed_mm) : words.usual),
    ];
    parts.push(...say(top + 10 * unit, words.head, mm.head, head), ...say(eyes + 4 * unit, words.eyes, mm.eyes, eye));
  }
  parts.push(shape("rect", { class: "edge", x: 0, y: 0, width, height }));
  svg.replaceChildren(...parts);
}
