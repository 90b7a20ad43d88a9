// A board's columns: sets of them for a question, single ones, cards on a phone, and two rows to compare.
"use strict";

const SETS = ["overview", "research", "deploy", "cost", "all"];

// Of body and foot, whose rows may end before the last column.
const rowsOf = (table) => [...table.tBodies[0].rows, ...(table.tFoot ? table.tFoot.rows : [])];

function chooser(table, form) {
  const heads = columns(table);
  const hidden = new Set();
  const picked = address.searchParams.get("hide");
  const boxes = new Map();
  const buttons = new Map();
  const show = (set) => {
    hidden.clear();
    if (set !== "all") heads.filter((h) => h.dataset.show !== undefined && !h.dataset.show.split(" ").includes(set)).forEach((h) => hidden.add(h.dataset.col));
  };
  const apply = (set) => {
    heads.forEach((head, i) => {
      const off = hidden.has(head.dataset.col);
      head.hidden = off;
      for (const row of rowsOf(table)) if (row.cells[i]) row.cells[i].hidden = off;
      if (boxes.has(head)) boxes.get(head).checked = !off;
    });
    for (const group of $("th[data-group]", table)) {
      const left = heads.filter((h) => h.dataset.in === group.dataset.group && !h.hidden).length;
      group.hidden = left === 0;
      group.colSpan = Math.max(1, left);
    }
    buttons.forEach((button, name) => button.setAttribute("aria-pressed", String(name === set)));
    remember("hide", set ? "" : [...hidden].join("~"));
    remember("columns", set === "overview" ? "" : set);
    fit(table);
  };
  const sets = make("p", { class: "sets", role: "group", "aria-label": "Columns for" });
  for (const name of SETS) {
    const button = make("button", { type: "button" }, name[0].toUpperCase() + name.slice(1));
    button.addEventListener("click", () => { show(name); apply(name); });
    buttons.set(name, button);
    sets.append(button);
  }
  const single = make("fieldset", {}, make("legend", {}, "Columns"));
  for (const head of heads.slice(1)) {
    const box = make("input", { type: "checkbox" });
    box.addEventListener("change", () => { hidden[box.checked ? "delete" : "add"](head.dataset.col); apply(hidden.size ? "" : "all"); });
    boxes.set(head, box);
    const group = heads.filter((h) => h.textContent.trim() === head.textContent.trim()).length > 1 && head.dataset.in
      ? ` (${table.querySelector(`[data-group="${head.dataset.in}"]`).textContent.trim()})` : "";
    single.append(make("label", { class: "check" }, box, head.textContent.trim() + group));
  }
  form.append(make("details", {}, make("summary", {}, "Columns"), single));
  table.closest(".scroll").before(sets);
  const asked = address.searchParams.get("columns");
  const set = picked !== null ? "" : SETS.includes(asked) ? asked : "overview";
  if (set) show(set);
  else picked.split("~").filter((name) => heads.slice(1).some((h) => h.dataset.col === name)).forEach((name) => hidden.add(name));
  apply(set || (hidden.size ? "" : "all"));
}

// A table that fits needs no scroller of its own, and its headings then stay at the top of the window.
function fit(table) {
  const box = table.closest(".scroll");
  box.classList.remove("fits");
  box.classList.toggle("fits", table.scrollWidth <= box.clientWidth + 1);
}

// On a phone each row is a card, in which a cell is told by its heading; what sorts is then a field.
function cards(table, form) {
  const phone = matchMedia("(max-width: 40rem)");
  const heads = columns(table);
  const label = (head) => {
    const text = head.textContent.trim();
    const group = table.querySelector(`[data-group="${head.dataset.in}"]`);
    return group && head.dataset.in === "against" ? `${text} (${group.textContent.trim()})` : text;
  };
  const field = make("select", {}, ...heads.filter((h) => h.dataset.col).map((h) => make("option", { value: h.dataset.col }, label(h))));
  const sorter = make("label", { class: "sorter" }, "Sort by ", field);
  field.value = "score";
  field.addEventListener("change", () => heads.find((h) => h.dataset.col === field.value).querySelector("button").click());
  const change = () => {
    table.classList.toggle("cards", phone.matches);
    if (phone.matches && !table.dataset.told) {
      table.dataset.told = "yes";
      for (const row of rowsOf(table)) [...row.cells].forEach((cell, i) => { cell.dataset.label = label(heads[i]); });
    }
    fit(table);
  };
  form.append(sorter);
  phone.addEventListener("change", change);
  window.addEventListener("resize", () => fit(table));
  change();
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
    const box = make("input", { type: "checkbox", class: "pickrow", "aria-label": `Compare ${name}`, value: row.id });
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

$("form[data-for]").forEach((form) => {
  const table = document.getElementById(form.dataset.for);
  chooser(table, form);
  choosing(table);
  cards(table, form);
});
