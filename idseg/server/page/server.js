// All calls of the page. Each resolves with an answer or rejects with a `Refused`, whose `reason` has a text.

export class Refused extends Error {
  constructor(told = {}, logId = "") {
    super(told.message ?? told.reason);
    Object.assign(this, { reason: told.reason ?? "internal", facts: told, logId });
  }
}

/** Address of this server, with a slash at the end: its root, or the path under which a proxy shows it. */
export const BASE = new URL(".", document.baseURI).href;

export const session = { settings: null, token: "" };

function headers() {
  const found = { "x-idseg-page": session.settings?.version ?? "" };
  if (session.token) found.authorization = `Bearer ${session.token}`;
  return found;
}

async function fetched(path, options = {}) {
  let answer;
  try {
    answer = await fetch(BASE + path, { ...options, headers: { ...headers(), ...options.headers } });
  } catch (error) {
    throw lost(error);
  }
  if (answer.ok) return answer;
  throw refusedBy(await answer.json().catch(() => ({})));
}

const refusedBy = (reply) => new Refused(reply.error ?? reply.error_detail, reply.log_id);
const asJson = async (promise) => (await promise).json().catch((error) => { throw lost(error); });

/** An answer that ended too early, unless the page itself stopped it. */
const lost = (error) => (error.name === "AbortError" ? error : new Refused({ reason: "network" }));

export async function loadSettings() {
  session.settings = await asJson(fetched("page/settings"));
}

export async function login(id, secret) {
  const body = new URLSearchParams({ grant_type: "client_credentials", client_id: id, client_secret: secret });
  const reply = await asJson(fetched("oauth/2.0/token", { method: "POST", body }));
  session.token = reply.access_token;
}

/** Open the session of a one-time link. */
export async function join(secret) {
  const reply = await asJson(fetched("page/join", { method: "POST", body: secret }));
  if (reply.error_code) throw refusedBy(reply);
  session.token = reply.token;
}

export const sizes = (word, signal) => asJson(fetched(`v1/sizes?${new URLSearchParams({ q: word })}`, { signal }));

/** Send a photo once; `progress` is called with the percentage. Resolves with the photo's handle. */
export function keep(blob, signal, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    signal.addEventListener("abort", stop);
    request.open("POST", `${BASE}v1/photos`);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && progress(Math.round((event.loaded / event.total) * 100));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.onerror = () => reject(new Refused({ reason: "network" }));
    request.onloadend = () => signal.removeEventListener("abort", stop);
    request.onload = () => {
      try {
        const reply = JSON.parse(request.responseText);
        if (request.status === 201) resolve(reply.handle);
        else reject(refusedBy(reply));
      } catch {
        reject(new Refused({ reason: "network" }));
      }
    };
    request.send(blob);
  });
}

const query = (parameters) => new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined));

export const photo = (parameters, signal) => asJson(fetched(`v1/photo?${query(parameters)}`, { method: "POST", signal }));
export const check = (file, parameters, signal) => asJson(fetched(`v1/check?${query(parameters)}`, { method: "POST", body: file, signal }));
export const keptPhoto = async (handle, signal) => (await fetched(`v1/photos/${encodeURIComponent(handle)}`, { signal })).blob().catch((error) => { throw lost(error); });
export const forget = (handle) => fetched(`v1/photos/${encodeURIComponent(handle)}`, { method: "DELETE", keepalive: true }).catch(() => {});

/** The API's reply for the section for developers. It has HTTP 200 for errors too. */
export async function segmented(handle, signal) {
  const reply = await asJson(fetched(`page/photo?${query({ handle })}`, { method: "POST", signal }));
  if (reply.error_code) throw refusedBy(reply);
  return reply;
}
