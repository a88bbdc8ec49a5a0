// Talking to the server: every request with the token, every error as one sentence.

const TOKEN = "texlens-token";
const PATIENCE = 6; // tries while the server is busy

// `http://host/#token=...` brings the token along; what stands behind # is never sent anywhere.
function takeBroughtToken() {
  const brought = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!brought) return;
  setToken(brought);
  history.replaceState(null, "", location.pathname);
}
takeBroughtToken();
addEventListener("hashchange", takeBroughtToken);

export class ServerError extends Error {}

let askForToken = async () => false;

/** `ask` gets a token from the user into `setToken`; it resolves to whether it did. */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

export function setToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

async function send(address, options) {
  for (let attempt = 1; ; attempt++) {
    const token = sessionStorage.getItem(TOKEN);
    const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
    let answer;
    try {
      answer = await fetch(address, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServerError("The server cannot be reached: is it still running?");
    }
    if (answer.ok) return answer;
    if (answer.status === 401 && (await askForToken())) continue;
    if (answer.status === 503 && attempt < PATIENCE) {
      await pause(1000 * (Number(answer.headers.get("Retry-After")) || 1), options.signal);
      continue;
    }
    const problem = await answer.json().catch(() => ({}));
    throw new ServerError(problem.detail ?? `The server answered ${answer.status}.`);
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

export async function health() {
  return (await send("/v1/health", {})).json();
}

/** The reading of one picture (a Blob). */
export async function readPicture(picture, name, signal) {
  const form = new FormData();
  form.append("file", picture, name);
  const answer = await send("/v1/read", { method: "POST", body: form, signal });
  return (await answer.json()).readings[0];
}

/** LaTeX in another form, as a Blob. */
export async function render(latex, format, signal) {
  const answer = await send("/v1/render", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ latex, format }),
    signal,
  });
  return answer.blob();
}
