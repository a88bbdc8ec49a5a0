// Pictures made smaller where they are too large for the server, or for this browser to keep.

const SENT_PIXELS = 12e6; // of a picture that the server would refuse as it is
const KEPT_PIXELS = 1e6;
const KEPT_BYTES = 300_000;

/** The picture (a Blob), or a smaller one where the server's limits ask for it. */
export function withinLimits(picture, { max_pixels, max_body_bytes }) {
  const bytes = 0.9 * max_body_bytes; // the form around it takes some
  return shrunk(picture, SENT_PIXELS, (pixels) => pixels <= max_pixels && picture.size <= bytes);
}

/** The picture, or a smaller one to be kept in its stead. */
export function thumbnail(picture) {
  return shrunk(picture, KEPT_PIXELS, () => picture.size <= KEPT_BYTES);
}

async function shrunk(picture, most, fits) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(picture);
  } catch {
    return picture; // no picture, or a kind this browser cannot show: the server will say
  }
  const pixels = bitmap.width * bitmap.height;
  if (!fits(pixels)) picture = await drawn(bitmap, Math.min(1, Math.sqrt(most / pixels)));
  bitmap.close();
  return picture;
}

function drawn(bitmap, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(bitmap.width * scale));
  canvas.height = Math.max(1, Math.floor(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // under what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}
