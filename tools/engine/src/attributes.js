// Takes the place of MathJax's core/MmlTree/Attributes.js when the bundle is made: the same class
// with the same answers, but flat. MathJax makes four objects a node, each the prototype of the
// next, and V8 is slow to look things up in such chains: they took a third of all time.

export const INHERIT = '_inherit_';

// Attributes by name, without the members that plain objects inherit.
function Bag() {}
Bag.prototype = Object.create(null);

// What a kind of node has by default, over what all have: one object for all nodes of the kind.
const shared = new WeakMap();

function defaultsOf(own, global) {
  let defaults = shared.get(own);
  if (!defaults) shared.set(own, (defaults = Object.assign(Object.create(global), own)));
  return defaults;
}

export class Attributes {
  constructor(defaults, global) {
    this.global = global;
    this.defaults = defaultsOf(defaults, global);
    this.inherited = new Bag();
    this.attributes = new Bag();
  }

  set(name, value) {
    this.attributes[name] = value;
  }

  setList(list) {
    Object.assign(this.attributes, list);
  }

  unset(name) {
    delete this.attributes[name];
  }

  get(name) {
    let value = this.attributes[name];
    if (value === undefined && !(name in this.attributes)) value = this.getInherited(name);
    return value === INHERIT ? this.global[name] : value;
  }

  getExplicit(name) {
    return this.attributes[name];
  }

  hasExplicit(name) {
    return name in this.attributes;
  }

  hasOneOf(names) {
    return names.some((name) => name in this.attributes);
  }

  getList(...names) {
    const values = {};
    for (const name of names) values[name] = this.get(name);
    return values;
  }

  setInherited(name, value) {
    this.inherited[name] = value;
  }

  getInherited(name) {
    const value = this.inherited[name];
    return value === undefined && !(name in this.inherited) ? this.defaults[name] : value;
  }

  getDefault(name) {
    return this.defaults[name];
  }

  isSet(name) {
    return name in this.attributes || name in this.inherited;
  }

  hasDefault(name) {
    return name in this.defaults;
  }

  getExplicitNames() {
    return Object.keys(this.attributes);
  }

  getInheritedNames() {
    return Object.keys(this.inherited);
  }

  getDefaultNames() {
    return Object.keys(this.defaults);
  }

  getGlobalNames() {
    return Object.keys(this.global);
  }

  getAllAttributes() {
    return this.attributes;
  }

  getAllInherited() {
    return this.inherited;
  }

  getAllDefaults() {
    return this.defaults;
  }

  getAllGlobals() {
    return this.global;
  }
}
