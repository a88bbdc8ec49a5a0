// One reading on the page: its picture, its rendering, and its LaTeX to edit and to copy.

import { otherReadings, readPicture, render } from "./api.js";
import { deliver, FORMS } from "./copying.js";
import { choosePart } from "./cropping.js";
import { uncertainRanges, markedNodes, movedRanges } from "./marks.js";

const PREVIEW_AFTER_MS = 180; // after the last key
const SAVE_AFTER_MS = 800;
const LOW_CONFIDENCE = 0.7; // a reading below it is highlighted
const ZOOM = 1.6; // of the rendering: an em is 16 pixels in it

let count = 0;

export class Card {
  /** `picture` is a Blob. `announce` shows a message; `changed` is called when the card should be saved. */
  constructor(id, picture, name, { announce, changed, removed }) {
    this.picture = picture;
    this.name = name;
    this.id = id;
    this.announce = announce;
    this.changed = changed;
    this.latex = "";
    this.ranges = [];
    this.stop = new AbortController();
    this.element = document.getElementById("card").content.firstElementChild.cloneNode(true);
    const find = (selector) => this.element.querySelector(selector);
    this.parts = {
      editor: find(".latex"), marks: find(".marks"), rendered: find(".rendered"),
      paper: find(".reading .paper"), waiting: find(".waiting"), fault: find(".fault"),
      doubt: find(".next-doubt"), alternatives: find(".alternatives"), more: find(".more"), done: find(".done"), failed: find(".failed"),
    };
    this.element.dataset.id = id;
    find(".name").textContent = name;
    this.element.setAttribute("aria-label", `Reading of ${name}`);
    const label = `latex-${++count}`;
    this.parts.editor.id = label;
    find(".editor-label").htmlFor = label;
    this.showPicture(find(".picture"));
    this.addCopies(find(".copies"));
    this.parts.editor.addEventListener("input", () => this.edited());
    this.parts.editor.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.copy(FORMS[0]);
    });
    this.parts.doubt.addEventListener("click", () => this.goToDoubt());
    this.parts.more.addEventListener("click", () => this.showAlternatives());
    this.element.addEventListener("keydown", (event) => {
      if (event.altKey && event.key.toLowerCase() === "a") {
        event.preventDefault();
        this.showAlternatives();
      }
    });
    find(".crop").addEventListener("click", () => this.crop());
    find(".remove").addEventListener("click", () => {
      this.stop.abort();
      this.element.remove();
      removed(this);
    });
    find(".again").addEventListener("click", () => this.read());
    new ResizeObserver(() => this.fit()).observe(this.element);
  }

  showPicture(image) {
    image.src = URL.createObjectURL(this.picture);
    image.onerror = () => {
      const text = document.createElement("p");
      text.className = "nopreview";
      text.textContent = "This browser cannot show this kind of picture.";
      image.replaceWith(text);
    };
  }

  addCopies(group) {
    for (const form of FORMS) {
      if (form.file && !group.querySelector(".divider")) {
        const divider = document.createElement("span");
        divider.className = "divider";
        group.append(divider);
      }
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = form.label;
      if (form.title) {
        button.title = form.title;
        button.setAttribute("aria-label", form.title);
      }
      button.classList.toggle("primary", form === FORMS[0]);
      button.addEventListener("click", () => this.copy(form, button));
      group.append(button);
    }
  }

  /** Request the reading; resolves to whether there is one. */
  async read() {
    this.parts.failed.hidden = true;
    this.parts.waiting.hidden = false;
    this.parts.paper.setAttribute("aria-busy", "true");
    try {
      this.show(await readPicture(this.picture, this.name, this.stop.signal));
      this.changed(this);
      return true;
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
      return false;
    }
  }

  /** Read a part of the picture, or the picture rotated, instead. */
  async crop() {
    try {
      const part = await choosePart(this.picture);
      if (part === null) return;
      this.picture = part;
    } catch {
      this.announce("This browser cannot show this kind of picture.");
      return;
    }
    this.showPicture(this.element.querySelector(".picture"));
    this.parts.alternatives.hidden = true;
    this.parts.more.textContent = "Other readings";
    await this.read();
    this.parts.editor.focus();
  }

  /** Let the user choose among the reading and others: radio buttons, so that arrow keys do. */
  async showAlternatives() {
    const { alternatives: group, more } = this.parts;
    if (!this.reading || more.disabled) return;
    more.disabled = true;
    try {
      const others = await otherReadings(this.picture, this.name, this.stop.signal);
      if (others.length === 0) {
        more.textContent = "No other readings";
        this.announce("There are no other readings.");
        return;
      }
      const own = { latex: this.reading.latex, probability: this.reading.confidence };
      const choices = [own, ...others].map((entry, place) => this.choice(entry, place));
      group.replaceChildren(group.querySelector("legend"), ...choices);
      group.hidden = false;
      group.querySelector("input").focus();
      const found = others.length === 1 ? "is 1 other reading" : `are ${others.length} other readings`;
      this.announce(`There ${found}.`);
    } catch (error) {
      if (error.name !== "AbortError") this.announce(messageOf(error));
    } finally {
      more.disabled = false;
    }
  }

  choice({ latex, probability }, place) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "radio";
    input.name = `choice-${this.parts.editor.id}`;
    input.checked = place === 0;
    input.addEventListener("change", () => {
      this.parts.editor.value = latex;
      this.edited();
    });
    const code = document.createElement("code");
    code.textContent = latex;
    const percent = document.createElement("span");
    const isSmall = probability < 0.1;
    percent.textContent = `${isSmall ? (100 * probability).toFixed(1) : Math.floor(100 * probability)} %`;
    label.append(input, code, percent);
    return label;
  }

  /** `latex` is the reading's, or as the user edited it. */
  show(reading, latex = reading.latex) {
    this.reading = reading;
    const sureness = this.element.querySelector(".sureness");
    const percent = Math.floor(100 * reading.confidence);
    const isKnown = reading.latex && !reading.warnings.includes("no_logprobs");
    if (isKnown) sureness.textContent = `${percent} % sure`;
    sureness.dataset.level = reading.confidence < LOW_CONFIDENCE ? "low" : "high";
    const warnings = this.element.querySelector(".warnings");
    warnings.textContent = reading.messages.join(" ");
    warnings.hidden = reading.messages.length === 0;
    const ranges = uncertainRanges(reading.latex, reading.tokens);
    this.ranges = movedRanges(ranges, reading.latex, latex);
    this.latex = this.parts.editor.value = latex;
    this.parts.done.hidden = false;
    this.parts.waiting.hidden = true;
    this.showMarks();
    return this.preview();
  }

  fail(error) {
    this.parts.waiting.hidden = true;
    this.parts.paper.setAttribute("aria-busy", "false");
    this.parts.failed.hidden = false;
    this.element.querySelector(".failure").textContent = messageOf(error);
  }

  edited() {
    const text = this.parts.editor.value;
    this.ranges = movedRanges(this.ranges, this.latex, text);
    this.latex = text;
    this.showMarks();
    clearTimeout(this.previewing);
    this.previewing = setTimeout(() => this.preview(), PREVIEW_AFTER_MS);
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.changed(this), SAVE_AFTER_MS);
  }

  showMarks() {
    this.parts.marks.replaceChildren(...markedNodes(this.latex, this.ranges));
    const doubts = this.ranges.length;
    this.parts.doubt.hidden = doubts === 0;
    this.parts.doubt.textContent = doubts === 1 ? "1 doubtful spot →" : `${doubts} doubtful spots →`;
    this.fit();
  }

  /** Select the next uncertain token after the cursor. */
  goToDoubt() {
    const { editor } = this.parts;
    const next = this.ranges.find((range) => range.start >= editor.selectionEnd) ?? this.ranges[0];
    editor.focus();
    editor.setSelectionRange(next.start, next.end);
    const percent = Math.floor(100 * next.probability);
    this.announce(`${this.latex.slice(next.start, next.end)}: ${percent} % sure.`);
  }

  async preview() {
    this.rendering?.abort();
    this.rendering = new AbortController();
    const { rendered, fault, paper, waiting } = this.parts;
    const { signal } = this.rendering;
    if (!this.latex.trim()) {
      rendered.hidden = fault.hidden = true;
      paper.setAttribute("aria-busy", "false");
      return;
    }
    try {
      const svg = await render(this.latex, "svg", signal);
      if (signal.aborted) return;
      const old = rendered.src;
      rendered.src = URL.createObjectURL(svg);
      await rendered.decode();
      if (old) URL.revokeObjectURL(old);
      rendered.alt = `The formula ${this.latex}`;
      rendered.hidden = false;
      waiting.hidden = true;
      rendered.classList.remove("stale");
      fault.hidden = true;
      this.fit();
    } catch (error) {
      if (signal.aborted) return;
      rendered.classList.add("stale");
      fault.textContent = messageOf(error);
      fault.hidden = false;
      waiting.textContent = "Not rendered yet: the LaTeX below has an error.";
      waiting.hidden = !rendered.hidden;
    }
    paper.setAttribute("aria-busy", "false");
  }

  /** Fit the editor's height to its text, and the rendering's width to the card. */
  fit() {
    const { editor, rendered, paper } = this.parts;
    editor.style.height = "auto";
    editor.style.height = `${editor.scrollHeight}px`;
    if (rendered.naturalWidth) {
      const available = paper.clientWidth - 32;
      const wanted = Math.min(ZOOM * rendered.naturalWidth, Math.max(available, 0.75 * rendered.naturalWidth));
      rendered.style.width = `${wanted}px`;
    }
  }

  async copy(form, button) {
    try {
      this.announce(await deliver(form, this.latex), button);
    } catch (error) {
      this.parts.fault.textContent = messageOf(error);
      this.parts.fault.hidden = false;
    }
  }
}

function messageOf(error) {
  return `${error.message ?? error}`;
}
