// Requests to the server: they send the token, and their errors are one sentence.

const TOKEN = "texlens-token";
const MAX_ATTEMPTS = 6; // while the server is busy

// An address may contain the token, as in `http://host/#token=...`: browsers do not send this part.
function readTokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  setToken(token);
  history.replaceState(null, "", location.pathname);
}
readTokenFromAddress();
addEventListener("hashchange", readTokenFromAddress);

export class ServerError extends Error {}

let askForToken = async () => false;

/** `ask` asks the user for a token and calls `setToken`; it resolves to whether there is one. */
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
      answer = await fetch(new URL(address, import.meta.url), { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServerError("The server cannot be reached: is it still running?");
    }
    if (answer.ok) return answer;
    if (answer.status === 401 && (await askForToken())) continue;
    if (answer.status === 503 && attempt < MAX_ATTEMPTS) {
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
  return (await send("v1/health", {})).json();
}

/** The reading of one picture (a Blob). */
export async function readPicture(picture, name, signal) {
  const form = new FormData();
  form.append("file", picture, name);
  const answer = await send("v1/read", { method: "POST", body: form, signal });
  return (await answer.json()).readings[0];
}

/** Other readings of a picture, the likeliest first. */
export async function otherReadings(picture, name, signal) {
  const form = new FormData();
  form.append("file", picture, name);
  const answer = await send("v1/read?alternatives=5", { method: "POST", body: form, signal });
  return (await answer.json()).readings[0].alternatives ?? [];
}

/** A page of a PDF (a Blob): its picture, and how many pages there are. */
export async function pdfPage(pdf, number) {
  const form = new FormData();
  form.append("file", pdf, "document.pdf");
  const answer = await send(`v1/page?number=${number}`, { method: "POST", body: form });
  return { picture: await answer.blob(), pages: Number(answer.headers.get("X-Pages")) };
}

/** LaTeX in another format, as a Blob. */
export async function render(latex, format, signal) {
  const answer = await send("v1/render", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ latex, format }),
    signal,
  });
  return answer.blob();
}
