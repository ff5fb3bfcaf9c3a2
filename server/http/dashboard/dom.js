// Making and updating elements, and writing numbers for people. Text reaches the page as text nodes and
// attributes only, so that no name can become markup.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "data") node.data_ = value;  // for handlers; not an attribute
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

export const el = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) =>
    build(document.createElementNS(SVG, tag), attributes, children);

// Makes `old` like `fresh` while nodes that stay the same kind stay the same nodes: focus, selection, scrolling and
// opened details survive an update.
function patch(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName ||
      (old.nodeType === Node.ELEMENT_NODE && old.id !== fresh.id)) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  const kept = old.nodeName === "DETAILS" ? "open" : "";
  for (const {name} of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== kept) old.removeAttribute(name);
  }
  for (const {name, value} of fresh.attributes) {
    if (old.getAttribute(name) !== value && name !== kept) old.setAttribute(name, value);
  }
  old.data_ = fresh.data_;
  patchChildren(old, [...fresh.childNodes]);
}

function patchChildren(parent, fresh) {
  const old = [...parent.childNodes];
  fresh.forEach((node, i) => (i < old.length ? patch(old[i], node) : parent.append(node)));
  old.slice(fresh.length).forEach(node => node.remove());
}

export const render = (parent, ...children) => patchChildren(parent, [...el("div", {}, children).childNodes]);

const three = value => Number(value).toPrecision(3).replace(/e.*$/, "");

export function latency(seconds) {
  if (!(seconds > 0)) return "–";
  for (const [unit, scale] of [["s", 1], ["ms", 1e3], ["µs", 1e6]]) {
    if (seconds * scale >= 1) return `${seconds * scale >= 1000 ? Math.round(seconds * scale) : three(seconds * scale)} ${unit}`;
  }
  return `${three(seconds * 1e9)} ns`;
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

export function bytes(count) {
  const n = Number(count);
  if (!(n > 0)) return "–";
  const power = Math.min(4, Math.floor(Math.log2(n) / 10));
  return `${three(n / 2 ** (10 * power))} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

export const percent = fraction => `${(100 * fraction).toFixed(fraction >= 0.1 ? 0 : 1)} %`;
export const times = ratio => (ratio > 0 && Number.isFinite(ratio) ? `${ratio.toFixed(2)}×` : "–");
export const count = n => Number(n).toLocaleString("en");
export const shortId = name => String(name).split("/").pop().slice(0, 8);
export const seconds = micros => Number(micros) / 1e6;
export const ago = micros => `${duration(Date.now() / 1e3 - seconds(micros))} ago`;
export const when = micros => new Date(Number(micros) / 1e3).toLocaleString();

export const pill = (text, kind) => el("span", {class: `pill ${kind}`}, text);
export const figure = (label, value, note) =>
    el("div", {class: "figure"}, el("dt", {}, label), el("dd", {}, value, note && el("small", {}, note)));
export const card = (title, ...children) => el("section", {class: "card"}, el("h2", {}, title), children);
