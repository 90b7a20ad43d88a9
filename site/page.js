// What every page gains with JavaScript: light and dark, copying, and rows that addresses name. Pages stand without it.
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

// Data of a board comes as a script, since pages from files may fetch nothing: `benchData` and `benchRows` take it.
const arrived = new Map();
const keep = (kind) => (data) => { arrived.set(`${kind}${data.slug}`, data); };
window.benchData = keep("");
window.benchRows = keep("rows-");

function load(name, done) {
  if (arrived.has(name)) { done(arrived.get(name)); return; }
  const script = make("script", { src: `${document.body.dataset.root}data/${name}.js` });
  script.addEventListener("load", () => done(arrived.get(name)));
  script.addEventListener("error", () => done(null));
  document.head.append(script);
}

// An address that names a row which is not here says so; the page of a long board shows its best rows alone.
function named() {
  const table = document.querySelector("table[data-compare]");
  const name = decodeURIComponent(location.hash.slice(1));
  $(".gone").forEach((said) => said.remove());
  if (!table || !name || document.getElementById(name)) return;
  const all = document.querySelector("a[data-all]");
  const said = make("p", { class: "gap gone", role: "status" }, `The row ${name} that this address names is not ${all ? "among the rows shown here. " : "on this board: its runs or settings have changed, or were removed."}`);
  if (all) said.append(make("a", { href: `${all.getAttribute("href")}#${name}` }, "Look among all rows"));
  document.querySelector("h1").after(said);
}

themes();
copying();
named();
window.addEventListener("hashchange", named);
