"use strict";
// Draws the charts, and keeps the page as new as its server. Without this script all but the charts is there.

const EVERY = 15000; // milliseconds between two looks
const EVERY_RUNNING = 2000; // while something goes on that somebody waits for
const charts = document.querySelector("[data-figures]");
let figures = null;
const HOURS = 20 * 3600 * 1000; // milliseconds between ticks, from which on they are days
const TICKS = [
  { dtickrange: [null, HOURS], value: "%H:%M\n%m-%d" },
  { dtickrange: [HOURS, null], value: "%m-%d\n%Y" },
]; // in figures, which read alike in every language

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const inked = (value) => (typeof value === "string" && value.startsWith("--") ? ink(value) : value);

function coloured(trace) {
  const { color, pale, ...made } = trace;
  const found = inked(color);
  if (found) {
    made.line = { ...made.line, color: found };
    made.marker = { ...made.marker, color: found };
    if (made.fill) made.fillcolor = found + (pale ? "22" : "1a");
  } else if (made.marker) {
    made.marker = { ...made.marker, color: inked(made.marker.color) };
  }
  if (made.error_y) made.error_y = { ...made.error_y, color: inked(made.error_y.color) };
  return made;
}

function framed(layout, narrow) {
  const axis = { gridcolor: ink("--line"), linecolor: ink("--line"), zeroline: false, fixedrange: true, automargin: true };
  const shapes = (layout.shapes || []).map((shape) => ({ ...shape, line: { ...shape.line, color: inked(shape.line.color) } }));
  return {
    ...layout,
    shapes,
    autosize: true,
    dragmode: false,
    hovermode: "closest",
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: ink("--muted") },
    hoverlabel: { bgcolor: ink("--card"), bordercolor: ink("--line"), font: { color: ink("--ink") }, align: "left" },
    margin: { l: 8, r: 8, t: 30, b: 8 },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: 12.5 } },
    xaxis: { ...axis, ...layout.xaxis, type: "date", nticks: narrow ? 4 : 8, showgrid: false, tickformatstops: TICKS, ticks: "outside", tickcolor: ink("--line") },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

function draw() {
  if (!figures || !window.Plotly) return;
  for (const place of charts.querySelectorAll("[data-chart]")) {
    const { data, layout } = figures[place.dataset.chart];
    if (data.length === 0) {
      Plotly.purge(place);
      const said = document.createElement("p");
      said.className = "empty";
      said.textContent = charts.dataset.empty;
      place.replaceChildren(said);
      continue;
    }
    if (place.firstElementChild && place.firstElementChild.className === "empty") place.replaceChildren();
    if (layout.height) place.style.height = `${layout.height}px`;
    const settings = { displayModeBar: false, responsive: true };
    Plotly.react(place, data.map(coloured), framed(layout, place.clientWidth < 500), settings);
  }
  charts.dataset.drawn = "yes";
}

async function drawNew() {
  if (!charts) return;
  const answer = await fetch(charts.dataset.figures);
  if (!answer.ok) return;
  figures = await answer.json();
  draw();
}

function busy(part) {
  return part.contains(document.activeElement) || part.querySelector("details[open]") !== null;
}

function renew(fresh) {
  const before = document.querySelector("[data-stamp]")?.dataset.stamp;
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next && next.outerHTML !== part.outerHTML && !busy(part)) part.replaceWith(next);
  }
  document.title = fresh.title;
  const now = document.querySelector("[data-stamp]")?.dataset.stamp;
  if (now !== before && !charts) location.reload(); // the first look brings the charts
  else if (now !== before) drawNew();
}

async function look() {
  const offline = document.getElementById("offline");
  try {
    if (!document.hidden) {
      const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
      if (answer.redirected) return location.reload();
      if (answer.ok) renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
      if (offline) offline.hidden = answer.ok;
    }
  } catch {
    if (offline) offline.hidden = false;
  }
  setTimeout(look, document.querySelector("[data-running]") ? EVERY_RUNNING : EVERY);
}

addEventListener("DOMContentLoaded", () => {
  drawNew().catch(() => {});
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  setTimeout(look, document.querySelector("[data-running]") ? EVERY_RUNNING : EVERY);
});
