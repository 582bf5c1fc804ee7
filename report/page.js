// What moves on the page: tables that sort, a filter by suite, and charts drawn to the width there is.
// The numbers come from the page's own element #data; nothing is fetched.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const ink = (name) => `var(--${name})`;
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

function filter(suite) {
  const shown = data.suites[suite];
  all("[data-key]").forEach((each) => { each.hidden = Boolean(shown) && !shown.includes(each.dataset.key); });
  all("[data-suite]").forEach((each) => { each.hidden = Boolean(shown) && each.dataset.suite !== suite; });
  all("section").forEach((section) => {
    const parts = all("tbody tr, [data-key], [data-suite]", section);
    section.hidden = parts.length > 0 && parts.every((part) => part.hidden);
  });
  draw();
}

// ---- charts ----------------------------------------------------------------------------------------------------------

function element(parent, name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== "") made.textContent = text;
  parent.append(made);
  return made;
}

function ticks(low, high, about) {
  const rough = (high - low) / about || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}

function decades(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high * 1.001; power++)
    for (const each of [1, 2, 5]) if (each * 10 ** power >= low * 0.999 && each * 10 ** power <= high * 1.001) found.push(each * 10 ** power);
  return found.length > 6 ? found.filter((each) => Math.abs(Math.log10(each) % 1) < 1e-9) : found;
}

function short(value) {
  const size = Math.abs(value);
  for (const [unit, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (size >= unit * 0.9995) return `${Number((value / unit).toPrecision(3))}${letter}`;
  return `${Number(value.toPrecision(3))}`;
}

// series: [{name, ink, points: [[x, y, title?]], line, dots, band: [[x, low, high]], faint, dash}], levels: [{y, name}]
function chart(box, { series, levels = [], x, y, percent = false, logX = false, logY = false, zero = true, diagonal = false }) {
  const width = Math.max(260, box.clientWidth), height = Math.max(210, Math.min(300, width * 0.58));
  const edge = { left: 46, right: 12, top: 12, bottom: 38 };
  const points = series.flatMap((each) => [...each.points, ...(each.band || []).flatMap(([a, b, c]) => [[a, b], [a, c]])]);
  if (!points.length) return;
  const xs = points.map((p) => p[0]), ys = [...points.map((p) => p[1]), ...levels.map((level) => level.y)];
  const across = scale(xs, logX, edge.left, width - edge.right), up = scale(ys, logY, height - edge.bottom, edge.top, zero);
  const svg = element(box, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${y} over ${x}` });
  for (const tick of up.ticks) {
    element(svg, "line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: up(tick), y2: up(tick) });
    element(svg, "text", { x: edge.left - 7, y: up(tick) + 4, "text-anchor": "end" }, percent ? `${Math.round(tick * 100)}%` : short(tick));
  }
  for (const tick of across.ticks) element(svg, "text", { x: across(tick), y: height - edge.bottom + 16, "text-anchor": "middle" }, short(tick));
  element(svg, "line", { class: "axis", x1: edge.left, x2: width - edge.right, y1: height - edge.bottom, y2: height - edge.bottom });
  element(svg, "text", { x: (edge.left + width - edge.right) / 2, y: height - 4, "text-anchor": "middle" }, x);
  if (diagonal) {
    const far = Math.min(across.high, up.high), near = Math.max(across.low, up.low);
    element(svg, "line", { x1: across(near), y1: up(near), x2: across(far), y2: up(far), style: `stroke:${ink("behaviour")}`, "stroke-dasharray": "1 4" });
  }
  series.forEach((each) => plot(svg, each, across, up));
  for (const level of levels) {
    element(svg, "line", { x1: edge.left, x2: width - edge.right, y1: up(level.y), y2: up(level.y), style: `stroke:${ink("behaviour")}`, "stroke-dasharray": "5 4" });
    element(svg, "text", { x: width - edge.right, y: up(level.y) - 5, "text-anchor": "end", class: "level" }, level.name);
  }
}

function scale(values, logarithmic, from, to, zero = true) {
  let low = Math.min(...values), high = Math.max(...values);
  if (zero && !logarithmic) low = Math.min(low, 0);
  const spare = 0.04 * (high - low) || 1;
  if (logarithmic) { [low, high] = [Math.max(low, 1e-12) / 1.15, high * 1.15]; } else { high += spare; low -= zero && low === 0 ? 0 : spare; }
  const through = logarithmic ? Math.log : (value) => value;
  const place = (value) => from + ((through(value) - through(low)) / (through(high) - through(low))) * (to - from);
  const marks = logarithmic ? decades(low, high) : ticks(low, high, Math.abs(to - from) > 330 ? 6 : 4);
  return Object.assign(place, { ticks: marks, low, high });
}

function plot(svg, { points, ink: name, line = true, dots = false, band = [], faint = false, dash = "" }, across, up) {
  const path = (list) => list.map(([a, b], place) => `${place ? "L" : "M"}${across(a).toFixed(1)} ${up(b).toFixed(1)}`).join("");
  if (band.length) {
    const outline = [...band.map(([a, low]) => [a, low]), ...band.map(([a, , high]) => [a, high]).reverse()];
    element(svg, "path", { d: `${path(outline)}Z`, style: `fill:${ink(name)}`, opacity: 0.14 });
  }
  if (line && points.length > 1)
    element(svg, "path", { d: path(points), fill: "none", style: `stroke:${ink(name)}`, "stroke-width": faint ? 1 : 2,
      "stroke-linejoin": "round", opacity: faint ? 0.35 : 1, "stroke-dasharray": dash });
  if (dots)
    for (const [a, b, title] of points) {
      const dot = element(svg, "circle", { cx: across(a), cy: up(b), r: 4, style: `fill:${ink(name)};stroke:var(--page)`, "stroke-width": 1.2 });
      if (title) element(dot, "title", {}, title);
    }
}

function ridges(box, { edges, ridges: rows, x }) {
  const width = Math.max(260, box.clientWidth), each = 46, left = Math.min(150, width * 0.34), right = 92;
  const height = rows.length * each + 44;
  const place = (value) => left + ((value - edges[0]) / (edges.at(-1) - edges[0])) * (width - right - left);
  const svg = element(box, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "distribution of returns" });
  rows.forEach((row, number) => {
    const ground = (number + 1) * each, top = Math.max(...row.counts);
    const steps = row.counts.map((count, bin) => {
      const y = (ground - (0.8 * each * count) / top).toFixed(1);
      return `L${place(edges[bin]).toFixed(1)} ${y}L${place(edges[bin + 1]).toFixed(1)} ${y}`;
    });
    element(svg, "path", { d: `M${left} ${ground}${steps.join("")}L${width - right} ${ground}Z`, style: `fill:${ink(row.ink)};stroke:${ink(row.ink)}`, "fill-opacity": 0.3, "stroke-width": 1 });
    const mean = element(svg, "line", { x1: place(row.mean), x2: place(row.mean), y1: ground, y2: ground - 0.88 * each, style: `stroke:${ink(row.ink)}`, "stroke-width": 2 });
    element(mean, "title", {}, `mean ${row.mean}`);
    element(svg, "text", { x: left - 9, y: ground - 6, "text-anchor": "end", class: "name", style: `fill:${ink(row.ink)}` }, row.name);
    element(svg, "text", { x: width - right + 8, y: ground - 6 }, `${Math.round(row.mean)} (${row.score})`);
  });
  for (const tick of ticks(edges[0], edges.at(-1), width > 500 ? 5 : 3)) element(svg, "text", { x: place(tick), y: height - 24, "text-anchor": "middle" }, short(tick));
  element(svg, "text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, x);
}

// A chart's points at each update: every seed as a faint line, and their mean where all of them have a value.
function curves(models, axis, column) {
  const series = [];
  for (const model of models) {
    const runs = model.runs.map((name) => data.runs[name]).filter((run) => run?.[column]?.some((value) => value !== null));
    const lines = runs.map((run) => run.update.map((update, k) => [position(run, k, axis), run[column][k], update]).filter((point) => point[1] !== null));
    if (lines.length > 1) lines.forEach((points) => series.push({ ink: model.ink, points, faint: true }));
    const shared = lines.length ? lines[0].filter(([, , update]) => lines.every((line) => line.some((point) => point[2] === update))) : [];
    const mean = shared.map(([, , update]) => {
      const here = lines.map((line) => line.find((point) => point[2] === update));
      return [0, 1].map((which) => here.reduce((sum, point) => sum + point[which], 0) / here.length);
    });
    series.push({ ink: model.ink, points: mean, dots: column === "return" && mean.length < 40 });
  }
  return series;
}

function position(run, k, axis) {
  return axis === "tokens" ? run.update[k] * run.tokens : axis === "seconds" ? run.seconds[k] : run.update[k];
}

function learning(box, figure) {
  const row = data.rows[box.dataset.row], models = box.dataset.run ? [{ ink: box.dataset.ink, runs: [box.dataset.run] }] : row.models;
  const column = box.dataset.column, axis = figure.querySelector("select")?.value || "updates";
  const levels = column === "return" ? row.levels.slice(0, 1) : [];
  const series = curves(models, axis, column);
  const values = series.flatMap((each) => each.points.map((point) => point[1]));
  const logY = column === "loss" && Math.min(...values) > 0 && Math.max(...values) > 8 * Math.min(...values);
  chart(box, { series, levels, x: axis, y: column, logY });
}

const KINDS = {
  learning,
  profile: (box) => chart(box, { ...data.profiles[box.dataset.number], x: "normalised score τ", y: "runs above τ", percent: true }),
  returns: (box) => ridges(box, { ...data.rows[box.dataset.row], x: "return of an episode" }),
  asked: (box) => { const row = data.rows[box.dataset.row]; chart(box, { series: row.asked, levels: row.levels, x: "return asked for", y: "return achieved", diagonal: true }); },
  compute: (box, figure) => {
    const axis = figure.querySelector("select").value;
    const series = data.rows[box.dataset.row].models.map((model) => ({ ink: model.ink, line: false, dots: true, points: model.compute.map((run) => [run[axis], run.score, run.title]) }));
    chart(box, { series, x: `${axis} (logarithmic)`, y: "normalised score", logX: true, zero: false });
  },
};

// A chart is drawn when it comes near the screen: a page of a thousand runs has hundreds.
const near = new IntersectionObserver((changes) => changes.filter((change) => change.isIntersecting).forEach((change) => paint(change.target)), { rootMargin: "800px" });

function paint(box) {
  if (!box.clientWidth) return;  // closed or filtered away
  near.unobserve(box);
  box.replaceChildren();
  KINDS[box.dataset.chart](box, box.closest("figure"));
}

function draw(inside = document) {
  all("[data-chart]", inside).forEach((box) => { near.unobserve(box); near.observe(box); });
}

function fill(details) {  // what a run's section holds, once it is opened
  const template = details.querySelector("template");
  if (template) template.replaceWith(template.content);
  draw(details);
}

// ---- the page --------------------------------------------------------------------------------------------------------

all("table").forEach(sortable);
document.addEventListener("change", (event) => { const figure = event.target.closest("figure"); if (figure) draw(figure); });
all("details").forEach((details) => details.addEventListener("toggle", () => fill(details)));
addEventListener("beforeprint", () => all("[data-chart]").forEach(paint));
document.getElementById("suite")?.addEventListener("change", (event) => filter(event.target.value));
function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName === "DETAILS") target.open = true;
}
addEventListener("hashchange", reveal);
let waiting = 0;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => draw(), 120); });
reveal();
draw();
