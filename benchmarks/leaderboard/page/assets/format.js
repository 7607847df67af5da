"use strict";
/* Words, numbers and elements. Text reaches the page through textContent only. */

const SVG = "http://www.w3.org/2000/svg";
const MINUS = "\u2212";

function element(tag, attributes, ...children) {
  const made = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function fixed(value, decimals) {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value).toLocaleString("en-US", {minimumFractionDigits: decimals, maximumFractionDigits: decimals});
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

/* A piece of the curve, as beside the algorithm's name everywhere on the page. */
function swatch(algorithm) {
  return element("svg:svg", {class: `swatch c${algorithm.colour}`, viewBox: "-15 -6 30 12", "aria-hidden": "true", focusable: "false"},
    element("svg:line", {x1: -14, x2: 14, "stroke-dasharray": algorithm.dash}), element("svg:use", {href: `#m${algorithm.marker}`}));
}

/* Decimals with which numbers of this size have about four digits. */
function decimalsFor(size) {
  return size < 10 ? 3 : size < 100 ? 2 : size < 1000 ? 1 : 0;
}

/* An axis label: 250k, 1.5M. */
function compact(value) {
  for (const [size, unit] of [[1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size) return fixed(value / size, Number.isInteger(+(value / size).toFixed(6)) ? 0 : decimalsOf(value / size)) + unit;
  }
  return fixed(value, decimalsOf(value));
}

function decimalsOf(value) {
  return Math.min(6, (String(+Math.abs(value).toPrecision(10)).split(".")[1] || "").length);
}

/* About `count` round numbers from low to high. */
function ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9; i++) found.push(+(i * step).toPrecision(12));
  return found;
}
