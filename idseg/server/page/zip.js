// Makes a ZIP of already compressed files: stored, not deflated (APPNOTE 6.3.9, 4.3.7 to 4.3.16).

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function record(size, fields) {
  const view = new DataView(new ArrayBuffer(size));
  for (const [at, bytes, value] of fields) bytes === 2 ? view.setUint16(at, value, true) : view.setUint32(at, value, true);
  return new Uint8Array(view.buffer);
}

/** @param files `[name, Blob]` pairs; equal names get a number. */
export async function zipped(files, now = new Date()) {
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const date = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  const parts = [], directory = [], used = new Set();
  let offset = 0;
  for (const [wanted, blob] of files) {
    const name = new TextEncoder().encode(unused(wanted, used));
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const common = (at) => [[at, 2, 20], [at + 2, 2, 0x0800], [at + 4, 2, 0], [at + 6, 2, time], [at + 8, 2, date], [at + 10, 4, crc32(bytes)], [at + 14, 4, bytes.length], [at + 18, 4, bytes.length], [at + 22, 2, name.length]];
    const local = record(30, [[0, 4, 0x04034b50], ...common(4)]);
    directory.push(record(46, [[0, 4, 0x02014b50], [4, 2, 20], ...common(6), [42, 4, offset]]), name);
    parts.push(local, name, bytes);
    offset += local.length + name.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = record(22, [[0, 4, 0x06054b50], [8, 2, files.length], [10, 2, files.length], [12, 4, size], [16, 4, offset]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

function unused(name, used) {
  const [, stem, suffix] = /^(.*?)(\.[^.]*)?$/.exec(name);
  let free = name;
  for (let number = 2; used.has(free); number++) free = `${stem}-${number}${suffix ?? ""}`;
  used.add(free);
  return free;
}
