// Charts: one at a time with an axis to choose, marks that follow the table's rows and lead to them.
"use strict";

// Marks of hidden rows fade, and the front is that of the rows that are left.
function fade(rows) {
  const hidden = new Set(rows.filter((row) => row.hidden).map((row) => row.id));
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
    const row = event.target.closest("tbody tr[id]");
    if (row) $(`[data-mark="${row.id}"]`).forEach((mark) => mark.classList.toggle("near", on));
  };
  table.addEventListener("mouseover", (event) => toggle(event, true));
  table.addEventListener("mouseout", (event) => toggle(event, false));
}

// Of several charts the one whose axis is chosen.
function axis(box) {
  const figures = [...box.querySelectorAll("figure[data-axis]")];
  if (figures.length < 2) return;
  const field = make("select", {}, ...figures.map((figure) => make("option", {}, figure.dataset.axis)));
  const apply = () => figures.forEach((figure) => { figure.hidden = figure.dataset.axis !== field.value; });
  const asked = address.searchParams.get("axis");
  if (figures.some((figure) => figure.dataset.axis === asked)) field.value = asked;
  field.addEventListener("change", () => { apply(); remember("axis", field.selectedIndex ? field.value : ""); });
  box.prepend(make("p", { class: "filters" }, make("label", {}, "Against", field)));
  apply();
}

// A mark leads to its row, by the address that names the row.
function leading(mark) {
  mark.addEventListener("click", () => {
    const row = document.getElementById(mark.dataset.mark);
    if (row) row.hidden = false;
    location.hash = mark.dataset.mark;
  });
}

$(".charts").forEach(axis);
$("[data-mark]").forEach(leading);
$("table[data-compare]").forEach((table) => {
  highlighting(table);
  const rows = [...table.tBodies[0].rows];
  table.addEventListener("filtered", () => fade(rows));
  fade(rows);
});
