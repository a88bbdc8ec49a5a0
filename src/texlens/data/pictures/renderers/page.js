// What a page of `browser.py` does: typesets formulas into cells, and reports where each one stands.
//
// `texlensPage` is set before the page loads: {renderer, font}. `texlens.render(formulas, style)`
// gives, for each formula, {error} or {x, y, width, height, em, characters, foreign}: the cell in CSS
// pixels, the size of type, the characters shown, and whether MathJax took some from another font.

const texlens = {
  // Whether all fonts are there. MathJax's extension for chemistry, which loads beside the font, can
  // come too early for it on a busy machine; its arrows are then missing as long as the page lives.
  async ready() {
    if (texlensPage.renderer.startsWith('mathjax')) {
      await MathJax.startup.promise;
      const [probe] = await this.render(['\\ce{A <=> B ->[x] C <- D <=>> E}'], { size: 16, width: 900, display: true });
      return !probe.error && !probe.foreign;
    }
    if (texlensPage.renderer === 'mathml') {
      const face = new FontFace('page', `url("${texlensPage.fontAddress}")`);
      document.fonts.add(await face.load());
    }
    return true;
  },

  typeset: {
    katex(formula, display, place) {
      katex.render(formula, place, { displayMode: display, output: 'html', strict: false, trust: false });
    },
    mathml(formula, display, place) {
      temml.render(formula, place, { displayMode: display, throwOnError: true, strict: false, trust: false });
    },
    async mathjax(formula, display, place) {
      const convert = MathJax.tex2chtmlPromise || MathJax.tex2svgPromise;
      place.append(await convert(formula, { display, em: 16, ex: 8, containerWidth: 100000 }));
    },
  },

  async render(formulas, style) {
    const typeset = this.typeset[texlensPage.renderer.replace(/-.*/, '')];
    document.documentElement.style.cssText = `--width: ${style.width}px; --size: ${style.size}px; --ink: ${style.ink}; --paper: ${style.paper}`;
    document.body.replaceChildren();
    const cells = [];
    for (const formula of formulas) {
      const cell = document.createElement('div');
      const place = document.createElement('span');
      cell.append(place);
      document.body.append(cell);
      try {
        await typeset(formula, style.display, place);
        cells.push({ cell, place });
      } catch (error) {
        cell.remove();
        cells.push({ error: String(error.message || error) });
      }
    }
    if (window.MathJax) {
      MathJax.startup.document.clear();
      MathJax.startup.document.updateDocument();
    }
    await document.fonts.ready;
    return cells.map((item) => (item.error ? item : this.report(item)));
  },

  report({ cell, place }) {
    const { x, y, width, height } = cell.getBoundingClientRect();
    const root = place.querySelector('.katex, math, mjx-container') || place;
    return {
      x, y, width, height,
      em: parseFloat(getComputedStyle(root).fontSize),
      characters: [...new Set(place.textContent)].join(''),
      foreign: Boolean(place.querySelector('mjx-utext, svg text, mjx-merror, [data-mjx-error]')),
    };
  },
};
