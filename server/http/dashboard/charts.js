// Small charts in SVG. Colours come from classes in style.css.
import {count, duration, el, latency, percent, svg} from "./dom.js";

const MARGIN = {left: 62, right: 14, top: 12, bottom: 30};

function niceTicks(low, high, wanted) {
  const raw = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw * 0.8);
  const ticks = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-6; t += step) ticks.push(t);
  return ticks;
}

function stepPath(points, x, y) {
  return points.map((p, i) => `${i ? `H${x(p).toFixed(1)}V` : `M${x(p).toFixed(1)} `}${y(p).toFixed(1)}`).join("");
}

// Those where the curve falls, the first and the last.
function corners(points) {
  return points.filter((p, i) => i === 0 || i === points.length - 1 || p.seconds !== points[i - 1].seconds);
}

// Best-so-far latency over trials or time. Pointer or arrow keys read single points.
export function curve(id, points, {axis, width, baseline, live}) {
  const height = Math.round(Math.min(320, Math.max(200, width * 0.38)));
  const last = points[points.length - 1];
  const right = Math.max(last[axis], 1e-9);
  const top = Math.max(baseline, ...points.map(p => p.seconds));
  const low = last.seconds - 0.12 * (top - last.seconds || top);
  const bottom = height - MARGIN.bottom;
  const x = p => MARGIN.left + (p[axis] / right) * (width - MARGIN.left - MARGIN.right);
  const y = p => MARGIN.top + ((top - p.seconds) / (top - low)) * (bottom - MARGIN.top);
  const label = axis === "trial" ? count : duration;
  const line = stepPath(corners(points), x, y);
  const yTicks = niceTicks(low, top, 4), xTicks = niceTicks(0, right, Math.max(2, Math.min(6, width / 130)));
  const grid = yTicks.map(t => [
    svg("line", {class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y({seconds: t}), y2: y({seconds: t})}),
    svg("text", {class: "tick", x: MARGIN.left - 8, y: y({seconds: t}) + 4, "text-anchor": "end"}, latency(t))]);
  const foot = xTicks.map(t => svg("text", {
    class: "tick", x: x({[axis]: t}), y: height - 8,
    "text-anchor": t === 0 ? "start" : x({[axis]: t}) > width - 40 ? "end" : "middle"}, label(t)));
  const words = `Best predicted latency: from ${latency(points[0].seconds)} to ${latency(last.seconds)} after ` +
      `${count(last.trial)} trials. Arrow keys read single trials.`;
  return el("div", {class: "chart", id, tabindex: 0, role: "img", "aria-label": words, data: {points, x, y, axis}},
      svg("svg", {viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true"},
          grid, foot,
          svg("path", {class: "area", d: `${line}V${bottom}H${MARGIN.left}Z`}),
          baseline > 0 && svg("line", {class: "baseline", x1: MARGIN.left, x2: width - MARGIN.right,
                                       y1: y({seconds: baseline}), y2: y({seconds: baseline})}),
          baseline > 0 && svg("text", {class: "tick", x: width - MARGIN.right, y: y({seconds: baseline}) + 14,
                                       "text-anchor": "end"}, "default schedule"),
          svg("path", {class: "line", d: line}),
          svg("circle", {class: live ? "dot live" : "dot", cx: x(last), cy: y(last), r: 4}),
          svg("line", {class: "cursor", x1: -9, x2: -9, y1: MARGIN.top, y2: bottom}),
          svg("circle", {class: "cursor-dot", cx: -9, cy: -9, r: 4})),
      el("output", {class: "reading"}, summary(last)));
}

const shown = new Map();  // chart id -> index of the point that the reader chose

const summary = p => `best ${latency(p.seconds)} after ${count(p.trial)} trials`;

function reading(points, at) {
  const p = points[at];
  if (!p.record) return summary(p);
  return `trial ${count(p.trial)} · ${duration(p.time)} · best ${latency(p.seconds)} · ${p.record.label}: ` +
      (p.record.outcome === "ok" ? latency(p.record.seconds) : p.record.outcome.replace("_", " "));
}

function show(chart, at) {
  const {points, x, y} = chart.data_;
  const p = points[at];
  chart.querySelector(".reading").textContent = reading(points, at);
  const line = chart.querySelector(".cursor"), dot = chart.querySelector(".cursor-dot");
  line.setAttribute("x1", x(p));
  line.setAttribute("x2", x(p));
  dot.setAttribute("cx", x(p));
  dot.setAttribute("cy", y(p));
}

// Once per page: charts come and go below `root`.
export function followCharts(root) {
  const chartOf = event => event.target instanceof Element && event.target.closest(".chart");
  const move = (chart, at) => {
    const {points} = chart.data_;
    shown.set(chart.id, Math.max(0, Math.min(points.length - 1, at)));
    show(chart, shown.get(chart.id));
  };
  root.addEventListener("pointermove", event => {
    const chart = chartOf(event);
    if (!chart) return;
    const {points, x} = chart.data_;
    const at = event.clientX - chart.getBoundingClientRect().left;
    let low = 0, high = points.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x(points[middle]) < at) low = middle + 1; else high = middle;
    }
    move(chart, low);
  });
  root.addEventListener("keydown", event => {
    const chart = chartOf(event);
    if (!chart) return;
    const {points} = chart.data_;
    const at = shown.get(chart.id) ?? points.length - 1, page = Math.ceil(points.length / 20);
    const to = {ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - page, PageDown: at + page, Home: 0,
                End: points.length - 1}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(chart, to);
  });
  const leave = event => { if (chartOf(event)) shown.delete(chartOf(event).id); };
  root.addEventListener("pointerleave", leave, true);
  root.addEventListener("focusout", leave);
}

// After a render, which drew every chart without its cursor.
export function restoreCursors(root) {
  for (const chart of root.querySelectorAll(".chart")) {
    if (shown.has(chart.id)) show(chart, Math.min(shown.get(chart.id), chart.data_.points.length - 1));
  }
}

export function sparkline(values, {width = 140, height = 34, low = Math.min(...values), high = Math.max(...values)} = {}) {
  if (values.length < 2) return el("span", {class: "muted"}, "…");
  const x = i => (i / (values.length - 1)) * (width - 4) + 2;
  const y = v => height - 3 - (high > low ? (v - low) / (high - low) : 0.5) * (height - 6);
  const line = values.map((v, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join("");
  return svg("svg", {class: "spark", viewBox: `0 0 ${width} ${height}`, height, preserveAspectRatio: "none", "aria-hidden": "true"},
             svg("path", {class: "area", d: `${line}V${height}H2Z`}), svg("path", {class: "line", d: line}));
}

export const OUTCOMES = ["ok", "rejected", "compile_error", "crash", "timeout", "wrong_output", "device_lost",
                         "infrastructure"];

// One bar of all trials, with its legend.
export function outcomes(trials) {
  const counts = OUTCOMES.map(name => ({name, n: trials.filter(t => t.outcome === name).length}));
  const present = counts.filter(c => c.n > 0);
  let at = 0;
  const parts = present.map(({name, n}) => {
    const part = svg("rect", {class: `outcome-${name}`, x: 1000 * at / trials.length, y: 0,
                              width: Math.max(2, 1000 * n / trials.length), height: 16});
    at += n;
    return part;
  });
  return [svg("svg", {class: "stack", viewBox: "0 0 1000 16", preserveAspectRatio: "none", "aria-hidden": "true"}, parts),
          el("ul", {class: "legend"}, present.map(({name, n}) => el("li", {},
              svg("svg", {width: 10, height: 10, "aria-hidden": "true"},
                  svg("rect", {class: `outcome-${name}`, width: 10, height: 10, rx: 2})),
              `${name.replace("_", " ")} `, el("b", {}, count(n)), ` ${percent(n / trials.length)}`)))];
}

// How near the roofline: filled to the best time's part of it, a tick where the default schedule was.
export function roofline(floor, best, start) {
  const part = seconds => (seconds > 0 ? Math.min(1, floor / seconds) : 0);
  return svg("svg", {class: "roof", viewBox: "0 0 200 14", preserveAspectRatio: "none", role: "img",
                     "aria-label": `${percent(part(best))} of the roofline, default ${percent(part(start))}`},
      svg("rect", {class: "track", width: 200, height: 14}),
      svg("rect", {class: "fill", width: 200 * part(best), height: 14}),
      start > 0 && svg("rect", {class: "mark", x: 200 * part(start) - 1, width: 2, height: 14}));
}

// Less time to the left, more to the right, of `limit` each way.
export function difference(delta, limit) {
  const length = limit > 0 ? Math.min(1, Math.abs(delta) / limit) * 100 : 0;
  return svg("svg", {class: "diff", viewBox: "0 0 200 14", preserveAspectRatio: "none", "aria-hidden": "true"},
      svg("rect", {class: "track", width: 200, height: 14}),
      svg("rect", {class: delta < 0 ? "better" : "worse", x: delta < 0 ? 100 - length : 100, width: length, height: 14}),
      svg("rect", {class: "mark", x: 99.5, width: 1, height: 14}));
}
