// A light output tree for MathJax. To draw boxes, MathJax's SVG writer runs as it is, but what it
// writes are sketches: plain objects with numbers where SVG has text. That is twice as fast as
// making SVG and reading it back.

import { SvgWrapper } from '@mathjax/src/mjs/output/svg/Wrapper.js';
import { inkOfOutline } from './outline.js';

/**
 * A node of the output tree. (x, y) and scale place it in its parent, in em; a `glyph` has its code
 * point, its MathJax variant and the ink of its outline, in 1/1000 em; a group made by a wrapper
 * knows the wrapper. Attributes are as MathJax set them, lengths in 1/1000 em.
 */
class Sketch {
  constructor(kind, attributes, parent, wrapper = null) {
    this.kind = kind;
    this.attributes = attributes;
    this.children = [];
    this.parent = parent;
    this.wrapper = wrapper;
    this.x = 0;
    this.y = 0;
    this.scale = 1;
    this.code = 0;
    this.variant = '';
    this.ink = null;
  }
}

export function newSketch() {
  return new Sketch('g', {}, null);
}

/** Make MathJax's SVG writer sketch whenever `output.sketching` is true. */
export function teachSketching(output, adaptor) {
  const wrapper = SvgWrapper.prototype;
  const stock = {};
  for (const name of ['createSvgNodes', 'handleScale', 'handleAttributes', 'place', 'placeChar', 'fixed'])
    stock[name] = wrapper[name];
  const override = (name, sketched) => {
    wrapper[name] = function (...args) {
      return this.jax.sketching ? sketched.apply(this, args) : stock[name].apply(this, args);
    };
  };

  override('createSvgNodes', function (parents) {
    this.dom = parents.map((parent) => {
      const node = new Sketch('g', {}, parent, this);
      parent.children.push(node);
      return node;
    });
    return this.dom;
  });
  override('handleScale', function () {
    if (this.bbox.rscale !== 1) for (const node of this.dom) node.scale = this.bbox.rscale;
  });
  override('handleAttributes', function () {});
  override('place', function (x, y, node = null) {
    if (!node) {
      x += this.dx * this.bbox.rscale;
      node = this.dom[0];
    }
    node.x += x;
    node.y += y;
  });
  override('fixed', (x) => Math.round(1e6 * x) / 1000);
  override('placeChar', function (code, x, y, parent, variant = null, buffer = false) {
    variant ??= this.variant;
    const [, , width, data] = this.getVariantChar(variant, code);
    if (data.unknown) return stock.placeChar.call(this, code, x, y, parent, variant, buffer);
    const dx = this.utext ? this.addUtext(x, y, parent, variant) : 0;
    if (data.p !== undefined) {
      if (data.ink === undefined) data.ink = inkOfOutline(data.p && `M${data.p}Z`);
      if (data.ink) {
        const node = new Sketch('glyph', {}, parent);
        node.x = x + dx;
        node.y = y;
        node.code = code;
        node.variant = variant;
        node.ink = data.ink;
        parent.children.push(node);
      }
    } else if (data.c !== undefined) {
      const group = new Sketch('g', {}, parent);
      group.x = x + dx;
      group.y = y;
      parent.children.push(group);
      let inner = 0;
      for (const part of this.unicodeChars(data.c, variant)) inner += this.placeChar(part, inner, y, group, variant);
      return inner + dx;
    }
    return width + dx;
  });

  // Numbers stay numbers: 1/1000 em throughout, since the writer scales before it formats.
  const format = output.fixed;
  output.fixed = function (x, digits) {
    return this.sketching ? x : format.call(this, x, digits);
  };
  const makeNode = adaptor.node;
  adaptor.node = function (kind, attributes = {}, children = [], namespace) {
    if (!output.sketching || attributes.properties)
      return makeNode.call(this, kind, attributes, children, namespace);
    const node = new Sketch(kind, attributes, null);
    for (const child of children) this.append(node, child);
    return node;
  };
}
