// What was done to the photo, in words: the steps of the server's record (`done` in its JSON), and what this page did before sending. Does not access the page.

const LEAST_TURN = 0.05; // degrees; the server's record leaves smaller turns out too
const LEAST_SCALE = 0.0005; // of the side

/** Nothing done before the server's own work. `quarters`: turns by 90° clockwise, `scale`: factor on the sides. */
export const NOTHING_BEFORE = Object.freeze({ quarters: 0, scale: 1 });

/** The turn in degrees, clockwise, in -180 < turn <= 180. */
function wholeTurn(quarters, degrees) {
  const turn = (quarters * 90 + degrees) % 360;
  return turn > 180 ? turn - 360 : turn <= -180 ? turn + 360 : turn;
}

/**
 * The steps in order, as words of one language.
 * @param photo the server's record: turned_deg, mirrored, scaled, light_stops, background.
 * @param before what the page did to the pixels before: `{quarters, scale}`.
 * @param did the words of a text file.
 * @param nameOf the name of a background.
 */
export function stepsOf(photo, before, did, nameOf) {
  const turn = wholeTurn(before.quarters, photo.turned_deg), scale = photo.scaled * before.scale, { kind, text } = photo.background;
  const steps = [did.cropped];
  if (Math.abs(turn) >= LEAST_TURN) steps.push(did.turned(String(+Math.abs(turn).toFixed(1)), turn > 0));
  if (Math.abs(scale - 1) >= LEAST_SCALE) steps.push(did[scale > 1 ? "enlarged" : "reduced"](String(+(100 * scale).toPrecision(3))));
  if (photo.mirrored) steps.push(did.mirrored);
  if (photo.light_stops) steps.push(did[photo.light_stops > 0 ? "brightened" : "darkened"](String(+Math.abs(photo.light_stops).toPrecision(2))));
  return [...steps, kind === "kept" ? did.kept : kind === "removed" ? did.removed : did.replaced(nameOf(text))];
}

/** The steps as one sentence; behind it that the face is as it was, where that is true. */
export function doneText(photo, before, words, nameOf) {
  const { did } = words, sentence = did.sentence(stepsOf(photo, before, did, nameOf).join(did.comma));
  return sentence + (photo.unretouched ? did.unretouched : did.lightOnly);
}
