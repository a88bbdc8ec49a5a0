// Shows /openapi.json as a page.

for (const place of document.querySelectorAll(".here")) place.textContent = location.origin;

const description = await (await fetch("openapi.json")).json();

function element(name, content = [], className = "") {
  const made = document.createElement(name);
  made.append(...[content].flat());
  made.className = className;
  return made;
}

/** Text whose parts between backticks are code. */
function prose(text) {
  return text.split("`").map((part, place) => (place % 2 ? element("code", part) : part));
}

function resolved(schema) {
  return schema?.$ref ? description.components.schemas[schema.$ref.split("/").at(-1)] : schema;
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  return schema.format === "binary" ? "file" : schema.type;
}

function table(schema) {
  const { properties = {}, required = [] } = resolved(schema);
  const rows = Object.entries(properties).map(([name, field]) => {
    const notes = [field.description ?? ""];
    if (!required.includes(name) && field.default !== undefined && field.default !== null) {
      notes.push(`Default: ${JSON.stringify(field.default)}.`);
    }
    return element("tr", [
      element("td", element("code", name)),
      element("td", typeOf(field)),
      element("td", prose(notes.filter(Boolean).join(" "))),
    ]);
  });
  const head = element("tr", ["field", "type", ""].map((text) => element("th", text)));
  return element("div", element("table", [head, ...rows]), "wide");
}

/** A table for a schema, and one for each record inside it. */
function tables(schema, seen = new Set()) {
  const parts = [table(schema)];
  for (const field of Object.values(resolved(schema).properties ?? {})) {
    for (const inner of [field, field.items, ...(field.anyOf ?? []), ...(field.anyOf ?? []).map((f) => f.items)]) {
      if (!inner?.$ref || seen.has(inner.$ref)) continue;
      seen.add(inner.$ref);
      parts.push(element("h3", inner.$ref.split("/").at(-1)), ...tables(inner, seen));
    }
  }
  return parts;
}

function operation(address, method, details) {
  const title = element("p", [element("span", method.toUpperCase(), "method"), address], "address");
  const parts = [title, element("p", prose(details.description ?? details.summary))];
  for (const [kind, { schema }] of Object.entries(details.requestBody?.content ?? {})) {
    parts.push(element("h3", `Body: ${kind}`), ...tables(schema));
  }
  for (const [kind, { schema }] of Object.entries(details.responses["200"]?.content ?? {})) {
    parts.push(element("h3", `Response: ${kind}`));
    if (resolved(schema)?.properties) parts.push(...tables(schema));
  }
  const errors = Object.keys(details.responses).filter((status) => status >= "400");
  if (errors.length) parts.push(element("p", `Problems: ${errors.join(", ")}.`));
  return element("section", parts, "operation");
}

const operations = Object.entries(description.paths).flatMap(([address, methods]) =>
  Object.entries(methods).map(([method, details]) => operation(address, method, details)),
);
document.getElementById("operations").replaceChildren(...operations);
