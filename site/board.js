// What the pages gain with JavaScript: sorting, filters, columns, comparison, copying, light and dark. They stand without it.
"use strict";

const $ = (selector, within = document) => [...within.querySelectorAll(selector)];
const address = new URL(location.href);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// State in the address, so that a view can be linked to: empty values leave it.
function remember(name, value) {
  if (value) address.searchParams.set(name, value);
  else address.searchParams.delete(name);
  history.replaceState(null, "", address);
}

// Light and dark: the system's choice until somebody makes one.
function themes() {
  const root = document.documentElement;
  const stored = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const button = make("button", { type: "button", class: "theme" });
  const say = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colours`); };
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* a browser that keeps nothing */ }
    say();
  });
  say();
  $(".top nav").forEach((nav) => nav.append(button));
}

// A button beside every command.
function copying() {
  for (const code of $("[data-copy]")) {
    const button = make("button", { type: "button", class: "copy" }, "Copy");
    button.addEventListener("click", async () => {
      button.textContent = (await copied(code.textContent)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    (code.closest("pre") || code).after(button);
  }
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // no clipboard in pages from files: the older way
    const area = make("textarea", { class: "skip", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

// Tables: a column's cells, by the place of its heading among the columns of the body.
function columns(table) {
  const rows = [...table.tHead.rows];
  const found = [];
  if (rows.length === 1) return [...rows[0].cells];
  let below = 0; // headings of the second row stand under the groups of the first
  for (const cell of rows[0].cells) {
    if (cell.rowSpan === rows.length) found.push(cell);
    else for (let i = 0; i < cell.colSpan; i += 1) found.push(rows[1].cells[below++]);
  }
  return found;
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
  find: (row, value) => row.textContent.toLowerCase().includes(value.toLowerCase()),
  hardware: (row, value) => row.dataset.hardware.includes(`|${value}|`),
  latency: (row, value, clock) => row.dataset.latency.split(" ").some((ms, i) => ms && Number(ms) <= Number(value) && (!clock || clock === String(i))),
  parameters: (row, value) => Number(row.dataset.parameters) <= Number(value),
};

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
    charts(rows);
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

// Marks of hidden rows fade, and the front is that of the rows that are left.
function charts(rows) {
  const hidden = new Set(rows.filter((row) => row.hidden).map((row) => row.dataset.row));
  for (const chart of $("svg.chart")) {
    const marks = $("[data-mark]", chart);
    marks.forEach((mark) => mark.classList.toggle("faint", hidden.has(mark.dataset.mark)));
    const front = chart.querySelector(".front");
    if (!front) continue;
    const left = marks.filter((mark) => !hidden.has(mark.dataset.mark)).map((mark) => [Number(mark.dataset.x), Number(mark.dataset.y)]);
    left.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    let best = Infinity;
    const steps = left.filter(([, y]) => y < best && ((best = y), true));
    front.setAttribute("d", steps.length ? `M${steps.map((s) => s.join(" ")).join(" ")}` : "M0 0");
  }
}

// A row under the pointer stands out in the charts.
function highlighting(table) {
  const toggle = (event, on) => {
    const row = event.target.closest("tr[data-row]");
    if (row) $(`[data-mark="${row.dataset.row}"]`).forEach((mark) => mark.classList.toggle("near", on));
  };
  table.addEventListener("mouseover", (event) => toggle(event, true));
  table.addEventListener("mouseout", (event) => toggle(event, false));
}

// Which columns to show.
function chooser(table, form) {
  const heads = columns(table);
  const hidden = new Set((address.searchParams.get("hide") || "").split("~").filter(Boolean));
  const apply = () => {
    heads.forEach((head, i) => {
      const off = hidden.has(head.dataset.col);
      head.hidden = off;
      for (const row of table.tBodies[0].rows) row.cells[i].hidden = off;
    });
    for (const group of $("th[data-group]", table)) {
      const left = heads.filter((h) => h.dataset.in === group.dataset.group && !h.hidden).length;
      group.hidden = left === 0;
      group.colSpan = Math.max(1, left);
    }
    remember("hide", [...hidden].join("~"));
  };
  const set = make("fieldset", {}, make("legend", {}, "Columns"));
  for (const head of heads.slice(1)) {
    const box = make("input", { type: "checkbox", checked: !hidden.has(head.dataset.col) });
    box.addEventListener("change", () => { hidden[box.checked ? "delete" : "add"](head.dataset.col); apply(); });
    const group = heads.filter((h) => h.textContent.trim() === head.textContent.trim()).length > 1 && head.dataset.in
      ? ` (${table.querySelector(`[data-group="${head.dataset.in}"]`).textContent.trim()})` : "";
    set.append(make("label", { class: "check" }, box, head.textContent.trim() + group));
  }
  form.append(make("details", {}, make("summary", {}, "Columns"), set));
  if (hidden.size) apply();
}

// Two rows to compare: boxes in the board, and a bar that leads to the comparison.
function choosing(table) {
  const board = table.dataset.compare;
  const chosen = [];
  const link = make("a", {});
  const bar = make("p", { class: "bar", role: "status", hidden: true });
  const say = () => {
    bar.hidden = chosen.length === 0;
    if (chosen.length === 2) {
      const [a, b] = chosen.map((box) => box.value);
      link.href = `${document.body.dataset.root}compare.html?board=${board}&a=${a}&b=${b}`;
      link.textContent = "Compare the two rows";
      bar.replaceChildren(link);
    } else bar.textContent = "Choose a second row to compare with";
  };
  for (const row of table.tBodies[0].rows) {
    const name = row.cells[0].textContent.trim().replace(/\s+/g, " ");
    const box = make("input", { type: "checkbox", class: "pickrow", "aria-label": `Compare ${name} ${row.cells[1].textContent.trim()}`, value: row.dataset.row });
    box.addEventListener("change", () => {
      if (box.checked) chosen.push(box);
      else chosen.splice(chosen.indexOf(box), 1);
      if (chosen.length > 2) chosen.shift().checked = false;
      say();
    });
    row.cells[0].prepend(box);
  }
  table.closest(".scroll").after(bar);
}

// The page that compares: a board's differences come as a script, since pages from files may fetch nothing.
const arrived = new Map();
window.benchData = (data) => { arrived.set(data.slug, data); };

function load(slug, done) {
  if (arrived.has(slug)) { done(arrived.get(slug)); return; }
  const script = make("script", { src: `data/${slug}.js` });
  script.addEventListener("load", () => done(arrived.get(slug)));
  script.addEventListener("error", () => done(null));
  document.head.append(script);
}

function comparing(form) {
  const { board, a, b } = form.elements;
  const answer = document.getElementById("compared");
  const options = (select, data, wanted) => {
    select.replaceChildren(...data.rows.map((name, i) => make("option", { value: String(i) }, name)));
    if (data.rows[Number(wanted)] !== undefined) select.value = String(Number(wanted));
  };
  const show = (data) => {
    answer.replaceChildren(...told(data, Number(a.value), Number(b.value), board.selectedOptions[0].dataset));
    remember("board", board.value);
    remember("a", a.value);
    remember("b", b.value);
  };
  const fill = (first, second) => load(board.value, (data) => {
    if (!data) {
      [a, b].forEach((select) => select.replaceChildren());
      answer.textContent = "The data of this board could not be loaded.";
      return;
    }
    options(a, data, first);
    options(b, data, second);
    show(data);
  });
  const known = [...board.options].some((o) => o.value === address.searchParams.get("board"));
  if (known) board.value = address.searchParams.get("board");
  board.addEventListener("change", () => fill("1", "2"));
  for (const select of [a, b]) select.addEventListener("change", () => show(arrived.get(board.value)));
  form.hidden = false;
  fill(address.searchParams.get("a") || "1", address.searchParams.get("b") || "2");
}

function told(data, a, b, of) {
  if (a === b) return [make("p", {}, "Choose two different rows.")];
  const swapped = data.pairs.find((p) => p[0] === b && p[1] === a);
  const pair = data.pairs.find((p) => p[0] === a && p[1] === b) || swapped;
  if (!pair) return [make("p", {}, "These two cannot be compared: they share no seed, or no predictions of one of them are stored.")];
  const sign = pair === swapped ? -1 : 1;
  const [value, low, high] = sign === 1 ? [pair[2], pair[3], pair[4]] : [-pair[2], -pair[4], -pair[3]];
  const [, , , , , p, holm, seeds, said, shown] = pair;
  const points = (x) => `${x < 0 ? "\u2212" : "+"}${Math.abs(100 * x).toFixed(2)}`;
  const small = (x) => (x < 0.0001 ? "below 0.0001" : x.toFixed(4));
  const [better, worse] = value >= 0 ? ["A", "B"] : ["B", "A"];
  const words = data.sentences[said].replace("{better}", better).replace("{worse}", worse);
  const rows = [
    ["A", data.rows[a]], ["B", data.rows[b]], [`A minus B, ${data.metric} x 100`, points(value)],
    ["95% interval", `${points(low)} to ${points(high)}`], ["p-value", small(p)],
    [`p-value after Holm's correction over ${data.families[shown]}`, small(holm)], ["Common seeds", String(seeds)],
  ];
  const body = make("tbody", {}, ...rows.map(([name, text]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, text))));
  const table = make("table", { class: "pairs" }, make("caption", {}, `${of.task}, ${of.track} track`), body);
  return [make("p", { class: "lead" }, make("strong", { class: said }, words)), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The comparison" }, table)];
}

themes();
copying();
// The address has one sort of each table; the first table of a page needs no prefix.
$("table[data-sortable]").forEach((table, i) => sortable(table, i ? `${table.id || i}-` : ""));
$("form[data-for]").forEach((form) => {
  filters(form);
  const table = document.getElementById(form.dataset.for);
  if (table.dataset.compare) { chooser(table, form); choosing(table); highlighting(table); }
});
$("form#compare").forEach(comparing);
