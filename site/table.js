// Tables: sorting by a heading, and forms whose fields are conditions on the rows. The address remembers both.
"use strict";

// A table's headings by the place of their columns. Those of a second row stand below groups, in order.
function columns(table) {
  const [first, second] = table.tHead.rows;
  if (!second) return [...first.cells];
  return [...[...first.cells].filter((cell) => cell.rowSpan === 2), ...second.cells]; // what spans both rows comes first
}

function valueOf(cell) {
  const raw = cell.dataset.v;
  const text = cell.textContent.trim().toLowerCase();
  if (raw === undefined) return text === "\u2014" ? null : text; // the dash of what is unknown
  return raw === "" || raw === "None" ? null : Number(raw);
}

function compareValues(a, b, sign) {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1; // the unknown last, either way
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortable(table, prefix) {
  const heads = columns(table);
  const body = table.tBodies[0];
  const original = [...body.rows];
  const sort = (head, direction) => {
    const place = heads.indexOf(head);
    const sign = direction === "ascending" ? 1 : -1;
    const keyed = original.map((row, i) => ({ row, i, top: row.classList.contains("reference"), value: valueOf(row.cells[place]) }));
    keyed.sort((a, b) => b.top - a.top || compareValues(a.value, b.value, sign) || a.i - b.i);
    body.append(...keyed.map((k) => k.row));
    heads.forEach((h) => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", direction);
  };
  for (const head of heads.filter((h) => h.dataset.col)) {
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = head.classList.contains("n") ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      const direction = head.getAttribute("aria-sort") === first ? other : first;
      sort(head, direction);
      remember(`${prefix}sort`, `${head.dataset.col}.${direction === "ascending" ? "up" : "down"}`);
    });
  }
  const [name, way] = (address.searchParams.get(`${prefix}sort`) || "").split(".");
  const chosen = heads.find((h) => h.dataset.col === name);
  if (chosen) sort(chosen, way === "up" ? "ascending" : "descending");
}

// Filters: a form beside a table, each of its fields a condition on the rows.
const conditions = {
  find: (row, value) => value.toLowerCase().split(/\s+/).every((word) => nameOf(row).includes(word)),
  hardware: (row, value) => row.dataset.hardware.includes(`|${value}|`),
  latency: (row, value, clock) => row.dataset.latency.split(" ").some((ms, i) => ms && Number(ms) <= Number(value) && (!clock || clock === String(i))),
  parameters: (row, value) => Number(row.dataset.parameters) <= Number(value),
};

// A row's name is what its first cell says: method, student, teacher, settings. Numbers are not searched.
const nameOf = (row) => row.cells[0].textContent.toLowerCase();

function filters(form) {
  const table = document.getElementById(form.dataset.for);
  const rows = [...table.tBodies[0].rows];
  const shown = make("p", { class: "shown", role: "status" });
  const fields = [...form.elements].filter((field) => field.name);
  const apply = () => {
    const wanted = fields.map((f) => [f.name, f.type === "checkbox" ? (f.checked ? f.value : "") : f.value.trim()]).filter(([, v]) => v);
    const clock = Object.fromEntries(wanted).hardware; // a limit of latency is one on this machine
    for (const row of rows) {
      const keep = wanted.every(([name, value]) => (conditions[name] ? conditions[name](row, value, clock) : row.dataset[name] === value));
      row.hidden = !(keep || (row.classList.contains("reference") && !wanted.some(([name]) => name === "find")));
    }
    const count = rows.filter((row) => !row.hidden).length;
    shown.textContent = wanted.length ? `${count} of ${rows.length} rows shown` : "";
    table.dispatchEvent(new CustomEvent("filtered", { detail: rows }));
    fields.forEach((f) => remember(f.name, f.type === "checkbox" ? (f.checked ? f.value : "") : f.value.trim()));
  };
  for (const field of fields) {
    const value = address.searchParams.get(field.name);
    if (value !== null && field.type === "checkbox") field.checked = value === field.value;
    else if (value !== null) field.value = value;
  }
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  form.after(shown);
  if (fields.some((f) => (f.type === "checkbox" ? f.checked : f.value))) apply();
}

// The address has one sort of each table; the first table of a page needs no prefix.
$("table[data-sortable]").forEach((table, i) => sortable(table, i ? `${table.id || i}-` : ""));
$("form[data-for]").forEach(filters);
