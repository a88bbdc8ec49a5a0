// Smaller copies of pictures that are too large for the server, or for the history.

const UPLOAD_PIXELS = 12e6; // of a picture that is too large for the server
const THUMBNAIL_PIXELS = 1e6;
const THUMBNAIL_BYTES = 300_000;

/** The picture (a Blob), or a smaller one within the server's limits. */
export function withinLimits(picture, { max_pixels, max_body_bytes }) {
  const bytes = 0.9 * max_body_bytes; // the rest is for the form around it
  return shrunk(picture, UPLOAD_PIXELS, (pixels) => pixels <= max_pixels && picture.size <= bytes);
}

/** The picture, or a smaller one for the history. */
export function thumbnail(picture) {
  return shrunk(picture, THUMBNAIL_PIXELS, () => picture.size <= THUMBNAIL_BYTES);
}

async function shrunk(picture, most, fits) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(picture);
  } catch {
    return picture; // the browser cannot decode it: the server decides
  }
  const pixels = bitmap.width * bitmap.height;
  if (!fits(pixels)) picture = await scaled(bitmap, Math.min(1, Math.sqrt(most / pixels)));
  bitmap.close();
  return picture;
}

function scaled(bitmap, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(bitmap.width * scale));
  canvas.height = Math.max(1, Math.floor(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // under what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}
