/** The path in the document, and the same relative to this page. */
const { path, base } = document.body.dataset;
const element = (id) => document.getElementById(id);
const response = await fetch(`${base}/openapi.json`);
const { paths } = await response.json();
const operations = new Map(
  Object.entries(paths).filter(([route]) => route !== path)
    .map(([route, { post }]) => [route.slice(path.length + 1), post]),
);

/** Creates an element with text. */
function create(name, text, attributes = {}) {
  const created = document.createElement(name);
  created.textContent = text;
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  return created;
}

function schemaOf(name) {
  return operations.get(name).requestBody.content["application/json"].schema;
}

/** Returns a body to begin with: the required parameters and the payload. */
function bodyFor(name) {
  const { properties = {}, required = [] } = schemaOf(name);
  const names = Object.keys(properties).filter((each) => required.includes(each) || each === "data");
  return JSON.stringify(
    Object.fromEntries(names.map((each) => [each, exampleOf(properties[each])])),
    null,
    2,
  );
}

function exampleOf({ type, examples, items }) {
  if (examples) return examples[0];
  if (type === "string") return "";
  if (type === "integer") return 0;
  if (type === "boolean") return false;
  if (type === "array") return items?.type === "string" ? ["news"] : [];
  return type === "object" ? {} : { text: "hello" };
}

function show(name) {
  const { summary, description } = operations.get(name);
  const { properties = {}, required = [] } = schemaOf(name);
  element("method").textContent = name;
  element("summary").textContent = `${summary}.`;
  element("permission").textContent = description.replaceAll("`", "");
  element("params").replaceChildren(
    ...Object.entries(properties).map(([param, schema]) => {
      const row = create("tr", "");
      const about = [required.includes(param) ? "required" : "", schema.description ?? ""].filter(Boolean)
        .join("; ");
      row.append(
        create("td", param),
        create("td", schema.type ?? "any"),
        create("td", about.replaceAll("`", "")),
      );
      return row;
    }),
  );
  element("params").parentElement.hidden = Object.keys(properties).length === 0;
  element("body").value = bodyFor(name);
  element("status").textContent = element("answer").textContent = "";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.textContent === name) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  document.title = `${name} · Plugboard`;
  showCommand();
}

function showCommand() {
  const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const url = new URL(`${base}/${element("method").textContent}`, location);
  element("curl").textContent = `curl -H "X-API-Key: $KEY" -d ${quote(element("body").value)} ${url}`;
}

async function send() {
  const status = element("status");
  status.textContent = "…";
  delete status.dataset.wrong;
  const key = element("key").value;
  const headers = { "content-type": "application/json", ...(key && { "x-api-key": key }) };
  try {
    const url = `${base}/${element("method").textContent}`;
    const answer = await fetch(url, { method: "POST", headers, body: element("body").value });
    const text = await answer.text();
    status.textContent = `${answer.status} ${answer.statusText}`;
    if (!answer.ok || /^\{"error"/.test(text)) status.dataset.wrong = "";
    element("answer").textContent = pretty(text);
  } catch (error) {
    status.textContent = String(error);
    status.dataset.wrong = "";
  }
}

/** Indents an answer, unless that would change its numbers. */
function pretty(text) {
  try {
    const value = JSON.parse(text);
    return JSON.stringify(value) === text ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text;
  }
}

const groups = Map.groupBy(operations, ([, { tags }]) => tags[0]);
for (const [title, members] of groups) {
  const list = create("ul", "");
  for (const [name] of members) {
    const item = create("li", "");
    item.append(create("a", name, { href: `#${name}` }));
    list.append(item);
  }
  const section = create("section", "");
  section.append(create("h3", title[0].toUpperCase() + title.slice(1)), list);
  document.querySelector("nav").append(section);
}

const fromHash = () => {
  const name = decodeURIComponent(location.hash.slice(1));
  show(operations.has(name) ? name : "publish");
};
addEventListener("hashchange", fromHash);
element("body").addEventListener("input", showCommand);
document.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
fromHash();
