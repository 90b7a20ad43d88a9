// The page that compares two rows of a board, which its address names by what they are.
"use strict";

function comparing(form) {
  const { board, a, b } = form.elements;
  const answer = document.getElementById("compared");
  const gone = (what, name) => make("p", { class: "gap" }, `The ${what} ${name} that this address names is not here: its runs, data or settings have changed, or were removed.`);
  const show = (data) => {
    answer.replaceChildren(...told(data, a.value, b.value, board.selectedOptions[0].dataset));
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
    const keys = data.rows.map(([key]) => key);
    const missing = [first, second].filter((key) => key && !keys.includes(key));
    [[a, first, 1], [b, second, 2]].forEach(([select, wanted, place]) => {
      select.replaceChildren(...data.rows.map(([key, name]) => make("option", { value: key }, name)));
      select.value = keys.includes(wanted) ? wanted : keys[Math.min(place, keys.length - 1)];
    });
    if (missing.length) answer.replaceChildren(...missing.map((key) => gone("row", key)));
    else show(data);
  });
  const asked = address.searchParams.get("board");
  const known = [...board.options].some((o) => o.value === asked);
  if (known) board.value = asked;
  board.addEventListener("change", () => fill("", ""));
  for (const select of [a, b]) select.addEventListener("change", () => show(arrived.get(board.value)));
  form.hidden = false;
  if (asked && !known) answer.replaceChildren(gone("board", asked));
  else fill(address.searchParams.get("a"), address.searchParams.get("b"));
}

function told(data, one, other, of) {
  const [a, b] = [one, other].map((key) => data.rows.findIndex((row) => row[0] === key));
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
    ["A", data.rows[a][1]], ["B", data.rows[b][1]], [`A minus B, ${data.metric} x 100`, points(value)],
    ["95% interval", `${points(low)} to ${points(high)}`], ["p-value", small(p)],
    [`p-value after Holm's correction over ${data.families[shown]}`, small(holm)], ["Common seeds", String(seeds)],
  ];
  const body = make("tbody", {}, ...rows.map(([name, text]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, text))));
  const table = make("table", { class: "pairs" }, make("caption", {}, `${of.task}, ${of.track} track`), body);
  return [make("p", { class: "lead" }, make("strong", { class: said }, words)), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The comparison" }, table)];
}

$("form#compare").forEach(comparing);
