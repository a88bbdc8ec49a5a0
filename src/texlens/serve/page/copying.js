// Copying and saving a formula in several formats.

import { render } from "./api.js";

/** What can be copied (`text`, `format`, `image`) or saved (`file`), in the order of the buttons. */
export const FORMS = [
  { label: "Copy LaTeX", text: (latex) => latex },
  { label: "$…$", title: "Copy as LaTeX within a line", format: "inline" },
  { label: "\\[…\\]", title: "Copy as displayed LaTeX", format: "display" },
  { label: "Markdown", title: "Copy as Markdown", format: "markdown" },
  { label: "MathML", title: "Copy as MathML", format: "mathml" },
  { label: "Typst", title: "Copy as Typst", format: "typst" },
  { label: "Picture", title: "Copy as a picture", image: "png" },
  { label: "Word", title: "Save as a Word document", file: "docx" },
  { label: "SVG", title: "Save as SVG", file: "svg" },
  { label: "PNG", title: "Save as PNG", file: "png" },
];

/** Copy or save; resolves to a sentence about what was done. */
export async function deliver(form, latex) {
  if (form.file) {
    save(await render(latex, form.file), `formula.${form.file}`);
    return `Saved as formula.${form.file}.`;
  }
  if (form.image) {
    const picture = render(latex, form.image);
    if (!navigator.clipboard?.write) {
      save(await picture, "formula.png");
      return "This browser cannot copy pictures here: saved as formula.png.";
    }
    await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
    return "Picture copied.";
  }
  await copyText(form.text ? form.text(latex) : render(latex, form.format).then((b) => b.text()));
  return "Copied.";
}

async function copyText(text) {
  if (navigator.clipboard?.write && text instanceof Promise) {
    // Browsers allow copying only right after a click, so they get the promise, not its result.
    const blob = text.then((value) => new Blob([value], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
  } else if (navigator.clipboard) {
    await navigator.clipboard.writeText(await text);
  } else {
    copyBySelection(await text); // over plain HTTP from another machine
  }
}

function copyBySelection(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("The browser did not allow copying.");
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
