"use strict";
const items = document.getElementById("items");
const articles = Array.from(items.children, (element, order) => ({
  element, order, goodness: JSON.parse(element.dataset.goodness), text: element.dataset.text,
}));
const control = (id) => document.getElementById(id);

// Goodness: a value turned so that 1 is perfect. An item without one stands last.
function arrange() {
  const key = control("sort").value;
  const sign = control("best").checked ? -1 : 1;
  const wanted = control("find").value.toLowerCase();
  const faulty = control("faulty").checked;
  const value = (item) => item.goodness[key] ?? (sign > 0 ? 2 : -1);
  articles.sort((a, b) => sign * (value(a) - value(b)) || a.order - b.order);
  let shown = 0;
  for (const item of articles) {
    const hidden = !item.text.includes(wanted) || (faulty && item.goodness[key] === 1);
    item.element.hidden = hidden;
    shown += hidden ? 0 : 1;
    items.append(item.element);
  }
  control("count").textContent = `${shown} of ${articles.length} shown`;
}
for (const id of ["find", "sort", "best", "faulty"]) control(id).addEventListener("input", arrange);
arrange();
