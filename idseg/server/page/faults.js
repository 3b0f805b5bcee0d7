// Marks on the picture for rules that are not met, with their numbers in the list.

import { shape } from "./words.js";

const EYES = ["eyes_open", "eyes_clear", "no_glare", "eye_line", "resolution"];
const MOUTH = ["mouth_closed", "no_smile"];
const HEAD = ["roll", "yaw", "pitch", "head_height", "head_width", "face_width", "sharp", "contrast", "not_burnt", "not_dark", "even_light", "head_uncovered"];
const SIDES = ["head_inside", "shoulders_inside"];

/** Place of a rule in the finished photo, mm: [left, top, width, height]; null: it has no place (the file, for example). */
function zoneOf(rule, { mm, middle, chin, crown, eyes, width, height, lacks }) {
  const head = chin - crown;
  if (EYES.includes(rule)) return [middle - mm.width * 0.52, eyes - head * 0.1, mm.width * 1.04, head * 0.2];
  if (MOUTH.includes(rule)) return [middle - mm.width * 0.3, chin - head * 0.27, mm.width * 0.6, head * 0.18];
  if (HEAD.includes(rule)) return [middle - mm.width / 2, crown, mm.width, head];
  if (rule === "gap_above") return [0, 0, width, Math.max(1, crown)];
  if (rule === "gap_below") return [0, chin, width, height - chin];
  if (rule === "shoulders_level") return [0, chin, width, Math.max(1, height - chin)];
  if (rule === "background_even" || rule === "background_color") return [0.4, 0.4, width * 0.22, height * 0.3];
  if (SIDES.includes(rule)) return sideZone(rule, lacks, width, height);
  return null;
}

/** A strip along the side where the photo ends too early. */
function sideZone(rule, lacks, width, height) {
  const found = Object.entries(lacks).filter(([side]) => (rule === "head_inside" ? side === "top" || !lacks.top : side !== "top"));
  const [side, lack] = found.sort((one, other) => other[1] - one[1])[0] ?? [rule === "head_inside" ? "top" : "bottom", 0];
  const deep = Math.max(lack, Math.min(width, height) * 0.05);
  return { top: [0, 0, width, deep], bottom: [0, height - deep, width, deep], left: [0, 0, deep, height], right: [width - deep, 0, deep, height] }[side];
}

/** SVG shapes; `unit`: millimetres per px on the screen. */
export function drawFaults(faults, where) {
  const zones = new Map(), dots = [], { unit, width, height } = where, placed = [], radius = 12 * unit;
  faults.forEach((fault, index) => {
    const zone = zoneOf(fault.rule, where);
    if (!zone) return;
    zones.set(zone.join(), shape("rect", { class: "fault-zone", x: zone[0], y: zone[1], width: zone[2], height: zone[3], rx: 4 * unit })); // equal zones once
    const spot = { x: Math.min(width - radius, Math.max(radius, zone[0] + zone[2])), y: Math.min(height - radius, Math.max(radius, zone[1])) };
    while (placed.some((other) => Math.hypot(other.x - spot.x, other.y - spot.y) < 2.1 * radius)) spot.y += 2.2 * radius;
    placed.push(spot);
    dots.push(shape("circle", { class: "fault-dot", cx: spot.x, cy: spot.y, r: radius }));
    dots.push(shape("text", { class: "fault-number", x: spot.x, y: spot.y, "font-size": 14 * unit }, String(index + 1)));
  });
  return [...zones.values(), ...dots];
}
