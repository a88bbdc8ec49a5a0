// The dialog in which a part of a picture is chosen: a box, a rotation, and the page of a PDF.

import { pdfPage } from "./api.js";

const STEP = 0.02; // of the picture, for each press of an arrow key
const SMALLEST = 0.01;
const $ = (id) => document.getElementById(id);

let bitmap; // as rotated
let box; // of the part: left, top, right, bottom, in parts of the picture
let turning; // the page that is being loaded
let done = () => {};

/** Choose a part of a picture (a Blob), or of a PDF; resolves to a Blob, or null. */
export async function choosePart(file) {
  const dialog = $("crop");
  const isPdf = file.type === "application/pdf";
  $("crop-pages").hidden = !isPdf;
  dialog.dataset.page = "1";
  await (isPdf ? showPage(file, 1) : show(file));
  dialog.showModal();
  const turn = (by) => showPage(file, Number(dialog.dataset.page) + by).catch(fail);
  $("crop-before").onclick = () => turn(-1);
  $("crop-after").onclick = () => turn(1);
  $("crop-canvas").focus();
  return new Promise((resolve) => (done = resolve));
}

async function showPage(pdf, number) {
  const mine = (turning = {});
  const { picture, pages } = await pdfPage(pdf, number);
  if (turning !== mine) return;
  $("crop").dataset.page = number;
  $("crop-page").textContent = `Page ${number} of ${pages}`;
  $("crop-before").disabled = number <= 1;
  $("crop-after").disabled = number >= pages;
  await show(picture);
}

async function show(picture) {
  bitmap = await createImageBitmap(picture);
  box = [0, 0, 1, 1];
  $("crop-fault").hidden = true;
  draw();
}

function fail(error) {
  $("crop-fault").textContent = error.message;
  $("crop-fault").hidden = false;
}

function draw() {
  const canvas = $("crop-canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const [left, top, right, bottom] = pixels();
  context.fillStyle = "#0006";
  context.beginPath();
  context.rect(0, 0, canvas.width, canvas.height);
  context.rect(left, top, right - left, bottom - top);
  context.fill("evenodd");
  context.strokeStyle = "#c2500c";
  context.lineWidth = Math.max(2, canvas.width / 400);
  context.strokeRect(left, top, right - left, bottom - top);
  const percent = box.map((value) => Math.round(100 * value));
  $("crop-state").textContent =
    `From ${percent[0]} to ${percent[2]} % across, and from ${percent[1]} to ${percent[3]} % down.`;
}

function pixels() {
  return box.map((value, side) => Math.round(value * (side % 2 ? bitmap.height : bitmap.width)));
}

function place(event) {
  const { left, top, width, height } = $("crop-canvas").getBoundingClientRect();
  const within = (value) => Math.min(1, Math.max(0, value));
  return [within((event.clientX - left) / width), within((event.clientY - top) / height)];
}

$("crop-canvas").addEventListener("pointerdown", (event) => {
  const [x, y] = place(event);
  const canvas = event.currentTarget;
  canvas.setPointerCapture(event.pointerId);
  const move = (moved) => {
    const [a, b] = place(moved);
    box = [Math.min(x, a), Math.min(y, b), Math.max(x, a), Math.max(y, b)];
    draw();
  };
  canvas.addEventListener("pointermove", move);
  const end = () => {
    canvas.removeEventListener("pointermove", move);
    if (box[2] - box[0] < SMALLEST || box[3] - box[1] < SMALLEST) box = [0, 0, 1, 1];
    draw();
  };
  canvas.addEventListener("pointerup", end, { once: true });
});

// Arrows move the left and upper sides; with Shift the right and lower ones.
$("crop-canvas").addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [0, -STEP], ArrowRight: [0, STEP], ArrowUp: [1, -STEP], ArrowDown: [1, STEP] };
  if (!(event.key in steps)) return;
  event.preventDefault();
  const [axis, step] = steps[event.key];
  const side = axis + (event.shiftKey ? 2 : 0);
  const [least, most] = event.shiftKey ? [box[axis] + SMALLEST, 1] : [0, box[axis + 2] - SMALLEST];
  box[side] = Math.min(most, Math.max(least, box[side] + step));
  draw();
});

function rotate(clockwise) {
  const canvas = new OffscreenCanvas(bitmap.height, bitmap.width);
  const context = canvas.getContext("2d");
  context.translate(canvas.width / 2, canvas.height / 2);
  context.rotate(((clockwise ? 1 : -1) * Math.PI) / 2);
  context.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2);
  bitmap = canvas.transferToImageBitmap();
  const [left, top, right, bottom] = box;
  box = clockwise ? [1 - bottom, left, 1 - top, right] : [top, 1 - right, bottom, 1 - left];
  draw();
}
$("crop-left").addEventListener("click", () => rotate(false));
$("crop-right").addEventListener("click", () => rotate(true));

$("crop-read").addEventListener("click", async () => {
  const [left, top, right, bottom] = pixels();
  const canvas = new OffscreenCanvas(Math.max(1, right - left), Math.max(1, bottom - top));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // under what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, -left, -top);
  const part = await canvas.convertToBlob({ type: "image/png" });
  const finish = done;
  done = () => {};
  $("crop").close();
  finish(part);
});
$("crop-cancel").addEventListener("click", () => $("crop").close());
$("crop").addEventListener("close", () => done(null));
