// The page: pictures are pasted, dropped, chosen or photographed, and each becomes a card.

import { health, onTokenNeeded, setToken } from "./api.js";
import { Card } from "./card.js";
import { choosePart } from "./cropping.js";
import { earlier, forgetAll, save } from "./history.js";
import { thumbnail, withinLimits } from "./pictures.js";

const MAX_REQUESTS = 8; // at the same time
const FEEDBACK_MS = 1600; // for which a button shows that it has worked

const $ = (id) => document.getElementById(id);
const queue = [];
let running = 0;
let started = 0;
let finished = 0;
let limits = { max_body_bytes: Infinity, max_pixels: Infinity };

// --- Input of pictures -------------------------------------------------------------------------

async function takePart(pdf) {
  try {
    const part = await choosePart(pdf);
    if (part) take([new File([part], pdf.name, { type: part.type })]);
  } catch (error) {
    notice(error.message);
  }
}

function take(given) {
  const pdf = [...given].find((file) => file.type === "application/pdf");
  if (pdf) takePart(pdf);
  const files = [...given].filter((file) => file.type !== "application/pdf");
  const pictures = [...files].filter((file) => file.type.startsWith("image/"));
  notice(pictures.length < files.length ? "Only pictures can be read: other files were ignored." : "");
  // The newest are on top; pictures that arrive together keep their order.
  const cards = pictures.reverse().map((file) => addCard(file, file.name || "Pasted picture"));
  queue.push(...cards.reverse());
  started += cards.length;
  if (pictures.length) $("cards").firstElementChild.scrollIntoView({ block: "nearest" });
  work();
}

function addCard(picture, name, id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`) {
  const card = new Card(id, picture, name, {
    announce,
    changed: store,
    removed: () => {
      document.body.classList.toggle("has-cards", $("cards").childElementCount > 0);
      showEarlier();
    },
  });
  $("cards").prepend(card.element);
  document.body.classList.add("has-cards");
  return card;
}

async function work() {
  showProgress();
  while (queue.length && running < MAX_REQUESTS) {
    const card = queue.shift();
    running++;
    readCard(card).finally(() => {
      running--;
      finished++;
      work();
    });
  }
}

async function readCard(card) {
  card.picture = await withinLimits(card.picture, limits);
  if (await card.read()) announce(`${card.name} is read.`);
}

function showProgress() {
  const busy = running + queue.length > 0;
  $("progress").hidden = !busy || started < 2;
  $("progress-bar").value = started ? finished / started : 0;
  $("progress-text").textContent = `${finished} of ${started} read`;
  if (!busy) started = finished = 0;
}

$("choose").addEventListener("change", takeChosen);
$("camera").addEventListener("change", takeChosen);

function takeChosen(event) {
  take(event.target.files);
  event.target.value = "";
}

document.addEventListener("paste", (event) => {
  const { files } = event.clipboardData;
  if (files.length) {
    event.preventDefault();
    take(files);
  } else if (!event.target.closest?.("textarea, input")) {
    notice("There is no picture in the clipboard.");
  }
});

$("paste").addEventListener("click", async () => {
  try {
    const items = await navigator.clipboard.read();
    const kinds = items.flatMap((item) => {
      const kind = item.types.find((type) => type.startsWith("image/"));
      return kind ? [item.getType(kind)] : [];
    });
    if (kinds.length) take(await Promise.all(kinds));
    else notice("There is no picture in the clipboard.");
  } catch {
    notice("Press Ctrl+V (or ⌘V): this browser does not let a button look into the clipboard.");
  }
});

$("example").addEventListener("click", async () => {
  const answer = await fetch("example.png");
  take([new File([await answer.blob()], "example.png", { type: "image/png" })]);
});

let depth = 0; // dragenter and dragleave come for every element passed
document.addEventListener("dragenter", (event) => {
  if (![...event.dataTransfer.types].includes("Files")) return;
  depth++;
  $("drop").hidden = false;
});
document.addEventListener("dragleave", () => {
  depth = Math.max(0, depth - 1);
  $("drop").hidden = depth === 0;
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  if (event.target.closest?.("textarea") && !event.dataTransfer.files.length) return;
  event.preventDefault();
  depth = 0;
  $("drop").hidden = true;
  if (event.dataTransfer.files.length) take(event.dataTransfer.files);
  else notice("Addresses are not fetched: save the picture, or copy and paste it.");
});

// --- Messages ----------------------------------------------------------------------------------

/** Show a message to screen readers, and on the button that caused it. */
function announce(sentence, button) {
  $("announcement").textContent = sentence;
  if (!button || button.dataset.label) return;
  button.dataset.label = button.textContent;
  button.textContent = sentence.startsWith("Saved") ? "Saved ✓" : "Copied ✓";
  setTimeout(() => {
    button.textContent = button.dataset.label;
    delete button.dataset.label;
  }, FEEDBACK_MS);
}

function notice(sentence) {
  $("notice").textContent = sentence;
  $("notice").hidden = !sentence;
}

// --- Earlier readings -------------------------------------------------------------------------

async function store(card) {
  await save({
    id: card.id,
    time: Date.now(),
    name: card.name,
    latex: card.latex,
    reading: card.reading,
    picture: await thumbnail(card.picture),
  });
  await showEarlier();
}

async function showEarlier() {
  const open = new Set([...$("cards").children].map((element) => element.dataset.id));
  const entries = (await earlier()).filter((entry) => !open.has(entry.id));
  $("history").hidden = entries.length === 0;
  for (const image of $("earlier").querySelectorAll("img")) URL.revokeObjectURL(image.src);
  $("earlier").replaceChildren(...entries.map(historyItem));
}

function historyItem(entry) {
  const image = document.createElement("img");
  image.alt = "";
  image.src = URL.createObjectURL(entry.picture);
  image.onerror = () => image.replaceWith(document.createElement("span")); // TIFF, in most browsers
  const code = document.createElement("code");
  code.textContent = entry.latex || "no formula";
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-label", `Open ${entry.name}: ${entry.latex}`);
  button.append(image, code);
  button.addEventListener("click", () => reopen(entry));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function reopen(entry) {
  const card = addCard(entry.picture, entry.name, entry.id);
  showEarlier();
  card.show(entry.reading, entry.latex);
  card.element.scrollIntoView({ block: "nearest" });
  card.element.focus();
}

$("forget").addEventListener("click", async () => {
  await forgetAll();
  await showEarlier();
  announce("All earlier readings were deleted.");
});

// --- Colours, token, start --------------------------------------------------------------------

const THEMES = ["auto", "light", "dark"];

function setTheme(theme) {
  localStorage.setItem("texlens-theme", theme);
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme").textContent = `Colours: ${theme}`;
}

$("theme").addEventListener("click", () => {
  const now = localStorage.getItem("texlens-theme") ?? "auto";
  setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
});
setTheme(localStorage.getItem("texlens-theme") ?? "auto");

onTokenNeeded(
  () =>
    new Promise((resolve) => {
      const dialog = $("token");
      if (!dialog.open) {
        dialog.returnValue = "";
        dialog.showModal();
      }
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "given"), { once: true });
    }),
);
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken($("token-input").value.trim());
  $("token").close("given");
});

showEarlier();
health().then(
  (answer) => (limits = answer),
  (error) => notice(error.message),
);
