// Which student under my limits: the rule of `bench recommend`, on the rows of a board.
"use strict";

const LIMITS = [
  ["ms", "latency", (row) => row.ms, 1],
  ["parameters", "parameters", (row) => row.parameters, 1],
  ["keep", "retention", (row) => row.retention, -1],
];

// Which limits a row does not keep, and by which part of the limit; a value that is not known keeps none.
function misses(row, limits) {
  return LIMITS.filter(([name]) => limits[name] !== null).map(([name, word, value, sign]) => {
    const own = value(row);
    const by = own === null ? Infinity : sign * (own - limits[name]);
    return { word, own, by, part: by / limits[name] };
  }).filter((miss) => miss.by > 0);
}

// With their places, best first: `placed` of bench/board/recommend.py. A place counts the rows that a row cannot stand
// for; of one network, rows that can stand for each other have the best of their places. Then the faster comes first.
function placed(kept) {
  const behind = new Map(kept.map((row) => [row.at, new Set(row.behind)]));
  const below = new Map(kept.map((row) => [row.at, kept.filter((other) => behind.get(row.at).has(other.at)).length]));
  const equals = (row) => kept.filter((other) => other.network === row.network && !behind.get(row.at).has(other.at));
  const keyed = kept.map((row) => ({ row, key: [Math.min(...equals(row).map((other) => below.get(other.at))), row.ms ?? Infinity, row.parameters, -(row.dev ?? 0), -row.score, row.name] }));
  keyed.sort((a, b) => {
    const i = a.key.findIndex((value, place) => value !== b.key[place]);
    return i < 0 ? 0 : a.key[i] < b.key[i] ? -1 : 1;
  });
  return keyed.map(({ row, key }) => ({ ...row, place: key[0] + 1 }));
}

function limitsOf(form) {
  const number = (name, scale) => (form.elements[name].value.trim() === "" ? null : Number(form.elements[name].value) * scale);
  return { ms: number("ms", 1), parameters: number("parameters", 1e6), keep: number("keep", 0.01) };
}

function noted(row, limits) {
  const found = [];
  const low = row.score ? row.score_low * row.retention / row.score : null;
  if (limits.keep !== null && row.retention !== null && low < limits.keep) found.push("its retention may be below the limit");
  if (row.noisy) found.push("noisy timings");
  if (row.ms === null) found.push("latency not measured on this hardware");
  if (row.provisional) found.push("fewer than 3 seeds");
  return [...found, ...row.marks];
}

function choosingUnder(form) {
  const { board, device } = form.elements;
  const answer = document.getElementById("chosen");
  const hundred = (x) => (100 * x).toFixed(2);
  const short = (x) => x.toLocaleString("en", { maximumSignificantDigits: 3 });
  const link = (row) => make("a", { href: `tasks/${board.value}.html#${row.key}` }, row.name);
  const cells = (row, limits) => [
    make("th", { scope: "row" }, link(row)), hundred(row.score), row.retention === null ? "\u2014" : hundred(row.retention),
    row.ms === null ? "\u2014" : short(row.ms), row.speedup === null ? "\u2014" : short(row.speedup), short(row.parameters / 1e6), short(row.disk_bytes / 1e6), noted(row, limits).join(", "),
  ].map((cell, i) => (cell instanceof Node ? cell : make("td", { class: i < 7 ? "n" : "" }, cell)));

  const tell = (data) => {
    if (data && data.slug !== board.value) return; // of a board that was chosen before
    if (!data) { answer.textContent = "The data of this board could not be loaded."; return; }
    if (device.options.length !== data.hardware.length || device.dataset.board !== board.value) {
      device.dataset.board = board.value;
      device.replaceChildren(...data.hardware.map((name, i) => make("option", { value: String(i) }, name)));
      const asked = address.searchParams.get("device");
      if (data.hardware[asked]) device.value = asked;
      device.closest("label").hidden = data.hardware.length < 2;
    }
    const limits = limitsOf(form);
    const rows = data.rows.map((row, at) => ({ ...row, ms: row.speed[device.value]?.latency_ms ?? null, speedup: row.speed[device.value]?.speedup ?? null, noisy: row.speed[device.value]?.noisy, at }));
    const students = rows.filter((row) => row.method && row.score !== null).map((row) => ({ ...row, misses: misses(row, limits) }));
    const kept = placed(students.filter((row) => !row.misses.length));
    if (!students.length) { answer.replaceChildren(make("p", {}, "No row of this board has a score.")); return; }
    if (!kept.length) { answer.replaceChildren(none(students)); return; }
    const [first, ...others] = kept;
    const lead = make("p", { class: "lead" }, "Use ", make("strong", {}, link(first)), ` with ${data.metric} ${hundred(first.score)}. `, others.length ? `${others.length} other row${others.length === 1 ? "" : "s"} keep these limits too.` : "No other row keeps these limits.");
    const heads = ["Row", `${data.metric} x 100`, "Retention, %", "Latency, ms", "Speed-up", "Parameters, M", "Disk, MB", "Know that"];
    const head = make("tr", {}, ...heads.map((name, i) => make("th", { scope: "col", class: i && i < 7 ? "n" : "" }, name)));
    const body = make("tbody", {}, ...kept.slice(0, 5).map((row) => make("tr", {}, ...cells(row, limits))));
    const caption = make("caption", {}, data.order);
    answer.replaceChildren(lead, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rows within the limits" }, make("table", {}, caption, make("thead", {}, head), body)));
  };
  // By the row whose worst miss is the smallest part of its limit.
  const none = (students) => {
    const worst = (row) => Math.max(...row.misses.map((miss) => miss.part));
    const nearest = students.reduce((a, b) => (worst(b) < worst(a) ? b : a));
    const why = nearest.misses.map((m) => (m.own === null ? `${m.word} is not known` : `${m.word} misses the limit by ${short(100 * m.part)}%`)).join(" and ");
    return make("p", { class: "gap" }, "No student keeps these limits; the nearest is ", link(nearest), `: ${why}.`);
  };
  const apply = () => load(`rows-${board.value}`, tell);
  const said = (name) => (name === "device" && form.elements.device.value === "0" ? "" : form.elements[name].value.trim());
  for (const name of ["board", "ms", "parameters", "keep"]) {
    const value = address.searchParams.get(name);
    if (value === null) continue;
    if (name !== "board" || [...board.options].some((o) => o.value === value)) form.elements[name].value = value;
  }
  form.addEventListener("input", () => {
    apply();
    ["board", "device", "ms", "parameters", "keep"].forEach((name) => remember(name, said(name)));
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
}

$("form#limits").forEach(choosingUnder);
