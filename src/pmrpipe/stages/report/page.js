"use strict";
document.body.classList.add("js");

// Sortable tables: numbers by value, missing ones last, text by locale.
function cellValue(row, column) {
  const cell = row.children[column];
  const text = (cell.dataset.value ?? cell.textContent).trim();
  const number = text === "" || text === "\u2013" ? NaN : Number(text);
  return { text, number };
}
function sortBy(header) {
  const table = header.closest("table");
  const column = [...header.parentNode.children].indexOf(header);
  const down = header.getAttribute("aria-sort") !== "descending" && header.classList.contains("num")
    || header.getAttribute("aria-sort") === "ascending";
  const sign = down ? -1 : 1;
  const rows = [...table.tBodies[0].rows];
  const numeric = header.classList.contains("num");
  rows.sort((a, b) => {
    const x = cellValue(a, column), y = cellValue(b, column);
    if (!numeric) return sign * x.text.localeCompare(y.text);
    if (Number.isNaN(x.number) || Number.isNaN(y.number)) return Number.isNaN(x.number) - Number.isNaN(y.number);
    return sign * (x.number - y.number);
  });
  rows.forEach((row) => table.tBodies[0].append(row));
  header.parentNode.querySelectorAll("th").forEach((other) => other.setAttribute("aria-sort", "none"));
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
}
document.querySelectorAll(".sortable thead button").forEach((button) => {
  button.addEventListener("click", () => sortBy(button.closest("th")));
});

// Tabs of the pairs: arrow keys move, as in the ARIA practices.
document.querySelectorAll("[role=tablist]").forEach((list) => {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  function select(tab) {
    tabs.forEach((other) => {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).classList.toggle("folded", !chosen);
    });
  }
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) select(tab);
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const here = tabs.indexOf(document.activeElement);
    const next = tabs[Number.isFinite(step) ? (here + step + tabs.length) % tabs.length : step < 0 ? 0 : tabs.length - 1];
    next.focus();
    select(next);
  });
});

// Compare: the fixed image in place of the warped one.
document.querySelectorAll(".compare").forEach((button) => {
  const panel = button.closest(".panel"), image = panel.querySelector("img");
  const fixed = panel.parentNode.querySelector("[data-panel=fixed] img");
  const caption = panel.querySelector("figcaption"), warped = image.src;
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    image.src = shown ? fixed.src : warped;
    caption.textContent = shown ? "Fixed, in place of warped" : "Warped";
  });
});

document.querySelectorAll(".copy").forEach((button) => {
  button.addEventListener("click", async () => {
    const text = document.querySelector(button.dataset.copy).textContent.trim();
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById("methods-text"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected: copy with the keyboard";
    }
  });
});

// The section in view is marked in the navigation.
const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
const watcher = new IntersectionObserver((entries) => {
  entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    links.forEach((link) => { link.classList.remove("here"); link.removeAttribute("aria-current"); });
    const link = links.get(entry.target.id);
    if (link) { link.classList.add("here"); link.setAttribute("aria-current", "true"); }
  });
}, { rootMargin: "-20% 0px -70% 0px" });
document.querySelectorAll("main section").forEach((section) => watcher.observe(section));
