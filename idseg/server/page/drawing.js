// The points, the face box and the cut's frame, as SVG over the photo.

const SVG = "http://www.w3.org/2000/svg";
const UNSURE = 0.5; // score below which a point is shown as a guess

function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

const LEGIBLE = 10; // px on the screen, the smallest label

/** Draw a reply over the photo it came from; the drawing must be visible. `words` are the names of the parts. */
export function drawOver(svg, reply, words) {
  const { width, height } = reply.photo;
  const cut = reply.cut_location, face = reply.face_location;
  const shown = svg.getBoundingClientRect().width || width;
  const unit = Math.max(Math.max(width, height) / 100, ((LEGIBLE / 1.9) * width) / shown);
  const points = reply.pose_info.body_parts.map((part) => {
    const [name, point] = Object.entries(part)[0];
    return { name, x: point.x + 0.5 + cut.left, y: point.y + 0.5 + cut.top, score: point.score };
  });
  const at = Object.fromEntries(points.map((point) => [point.name, `${point.x},${point.y}`]));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(
    shape("path", {
      class: "shade", "fill-rule": "evenodd",
      d: `M0 0H${width}V${height}H0ZM${cut.left} ${cut.top}v${cut.height}h${cut.width}v${-cut.height}z`,
    }),
    shape("rect", { class: "window", x: cut.left, y: cut.top, width: cut.width, height: cut.height }),
    shape("rect", { class: "face", x: face.left + cut.left, y: face.top + cut.top, width: face.width, height: face.height, rx: unit }),
    shape("path", { class: "bone", d: `M${at.left_shoulder} L${at.neck} L${at.right_shoulder}` }),
    shape("path", { class: "bone", d: `M${at.left_ear} L${at.left_eye} L${at.nose_tip} L${at.right_eye} L${at.right_ear}` }),
    shape("path", { class: "bone", d: `M${at.left_mouth} L${at.right_mouth}` }),
    ...points.map((point) => {
      const dot = shape("circle", {
        class: point.score < UNSURE ? "point unsure" : "point", cx: point.x, cy: point.y, r: unit * 0.75, "stroke-width": unit * 0.25,
      });
      dot.append(shape("title", {}, `${words[point.name]} · ${point.score.toFixed(2)}`));
      return dot;
    }),
    ...points.map((point) => {
      const room = 13 * unit; // about the longest word
      const left = point.name.startsWith("left") ? point.x > room : point.x > width - room;
      return shape("text", {
        x: point.x + (left ? -1.4 : 1.4) * unit, y: point.y - unit * 0.9, "font-size": unit * 1.9, "stroke-width": unit * 0.4,
        "text-anchor": left ? "end" : "start",
      }, words[point.name]);
    }),
  );
}
