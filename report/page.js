// What moves on the page: tables that sort, a filter by suite, and runs that open. Nothing is fetched.
"use strict";

const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

// ---- tables ----------------------------------------------------------------------------------------------------------

function sortable(table) {
  const body = table.tBodies[0];
  all("th", table).forEach((head, place) => head.querySelector("button")?.addEventListener("click", () => {
    const first = head.classList.contains("number") ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    all("th", table).forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const rows = [...body.rows].sort((one, two) => compare(one.cells[place], two.cells[place], order));
    body.append(...rows);
  }));
}

function compare(one, two, order) {
  const [a, b] = [one.dataset.value, two.dataset.value];
  if (a === undefined && b === undefined) return (order === "ascending" ? 1 : -1) * one.innerText.localeCompare(two.innerText);
  if (a === undefined || b === undefined) return a === undefined ? 1 : -1;  // what is missing comes last, either way
  return (order === "ascending" ? 1 : -1) * (Number(a) - Number(b));
}

function edges(frame) {  // which edges of a frame hide columns
  const inner = frame.firstElementChild, left = inner.scrollLeft, first = inner.querySelector("th");
  frame.classList.toggle("left", left > 1);
  frame.classList.toggle("right", left + inner.clientWidth < inner.scrollWidth - 1);
  frame.style.setProperty("--first", `${first?.offsetWidth ?? 0}px`);
}

function filter(select) {
  const suite = select.value, shown = JSON.parse(select.selectedOptions[0].dataset.sets || "null");
  all("[data-key]").forEach((each) => { each.hidden = shown !== null && !shown.includes(each.dataset.key); });
  all("[data-suite]").forEach((each) => { each.hidden = shown !== null && each.dataset.suite !== suite; });
  all("section:not([data-key], [data-suite])").forEach((section) => {
    const parts = all("tbody tr, [data-key], [data-suite]", section);
    section.hidden = parts.length > 0 && parts.every((part) => part.hidden);
  });
}

// ---- runs ------------------------------------------------------------------------------------------------------------

function fill(details) {  // a run's section is built when it is opened
  const template = details.querySelector("template");
  if (template) template.replaceWith(template.content);
}

// ---- the page --------------------------------------------------------------------------------------------------------

all("table").forEach(sortable);
all(".frame").forEach((frame) => {
  frame.firstElementChild.addEventListener("scroll", () => edges(frame), { passive: true });
  new ResizeObserver(() => edges(frame)).observe(frame);
});
all("details").forEach((details) => details.addEventListener("toggle", () => fill(details)));
const select = document.getElementById("suite");
select?.addEventListener("change", () => filter(select));
function reveal() {  // what the address names is opened, and shown whatever the filter hides
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.closest("[hidden]")) { select.value = ""; filter(select); target.scrollIntoView(); }
  if (target?.tagName === "DETAILS") target.open = true;
}
addEventListener("hashchange", reveal);
reveal();
