// Requests to the studio, and what it tells by itself.

const HEADER = { "X-Mmdream": "1" };

async function answer(response) {
  if (response.ok) return response;
  let text = `the studio answered ${response.status}`;
  try {
    text = (await response.json()).error || text;
  } catch {
    /* No JSON: the status is all there is. */
  }
  throw new Error(text);
}

export async function get(path, options = {}) {
  return (await answer(await fetch(path, options))).json();
}

export async function send(method, path, body, headers = {}) {
  const given = body instanceof Blob || body instanceof ArrayBuffer ? body : JSON.stringify(body ?? {});
  return (await answer(await fetch(path, { method, body: given, headers: { ...HEADER, ...headers } }))).json();
}

// The newest request wins: an older one that is under way is given up.
export function newest() {
  let controller = null;
  return async (path) => {
    controller?.abort();
    controller = new AbortController();
    const response = await answer(await fetch(path, { signal: controller.signal }));
    return { blob: await response.blob(), seconds: Number(response.headers.get("X-Seconds")) };
  };
}

export function listen(onMessage, onState) {
  let wait = 500, wasCut = false;
  const open = () => {
    const socket = new WebSocket(`ws://${location.host}/api/events`);
    socket.onopen = () => {
      wait = 500;
      onState(true, wasCut);
    };
    socket.onmessage = (event) => onMessage(JSON.parse(event.data));
    socket.onclose = () => {
      wasCut = true;
      onState(false, true);
      setTimeout(open, wait);
      wait = Math.min(wait * 2, 4000);
    };
  };
  open();
}

export function nonce() {
  return document.querySelector("meta[name=nonce]").content;
}

export async function text(path) {
  return (await answer(await fetch(path))).text();
}
