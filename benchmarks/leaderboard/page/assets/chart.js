/* A figure with curves, bands and the values under the pointer or the arrow keys. */

const NARROW = 560;
const MANY = 8;  /* more curves than this have bands that are seen only under the pointer */

class Chart {
  constructor(figure, spec, algorithms) {
    Object.assign(this, {figure, spec, algorithms, hiddenOnes: new Set(), strong: null, at: null, drawnWidth: 0});
    this.plot = figure.querySelector(".plot");
    this.svg = element("svg:svg", {
      tabindex: "0", role: "application", "aria-roledescription": "chart",
      "aria-label": `${figure.getAttribute("aria-label")}: ${spec.y} over ${spec.x}. Left and right arrows move along the curve, up and down change the algorithm, Escape leaves.`});
    this.plot.append(this.svg);
    this.tip = new Tooltip(this.plot);
    this.svg.addEventListener("pointermove", event => this.point(event));
    this.svg.addEventListener("pointerdown", event => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.leave());
    this.svg.addEventListener("blur", () => this.leave());
    this.svg.addEventListener("keydown", event => this.key(event));
    const steps = spec.x.includes("step");
    this.where = x => steps ? `step ${fixed(x, 0)}` : `at ${spec.x.includes("τ") ? "τ = " : ""}${fixed(x, 2)}`;
  }

  shown() {
    return this.spec.series.filter(series => !this.hiddenOnes.has(series.a));
  }

  /* Lay the figure out for the width it has now. */
  draw() {
    const width = Math.max(260, this.plot.clientWidth);
    const narrow = width < NARROW, series = this.shown();
    this.drawnWidth = this.plot.clientWidth;
    const labelled = !narrow && series.length <= 12;
    const height = Math.round(Math.min(360, Math.max(230, width * 0.42)));
    const margin = {top: 26, right: labelled ? 134 : 14, bottom: 40, left: 46};
    const inner = {left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom};
    this.scale(series, inner);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    this.inner = inner;
    this.groups = new Map(series.map((each, rank) => [each.a, this.series(each, rank)]));
    this.cursor = element("svg:g", {class: "here"});
    this.svg.replaceChildren(...this.axes(inner, narrow), ...this.references(inner, labelled), ...this.groups.values(),
      ...(labelled ? this.names(series, inner) : []), this.cursor);
    this.svg.classList.toggle("many", series.length > MANY);
    if (!series.length) this.svg.append(this.label(inner.left + 10, inner.top + 24, "No algorithm is chosen.", "empty"));
    this.legend(labelled ? [] : series);
    this.emphasise(this.strong);
    this.leave();
  }

  scale(series, inner) {
    const xs = this.spec.series.flatMap(each => [each.x[0], each.x[each.x.length - 1]]);
    const ys = series.flatMap(each => [...each.y, ...each.low, ...each.high]).filter(y => y !== null);
    let [low, high] = this.spec.range || extent(ys);
    const longest = 1.6 * (high - low);  /* a reference further away would press the curves together */
    for (const line of this.spec.lines) {
      if (Math.max(high, line.y) - Math.min(low, line.y) <= longest) [low, high] = extent([low, high, line.y]);
    }
    if (low === high) [low, high] = [low - 1, high + 1];
    const pad = this.spec.range ? 0 : (high - low) * 0.04;
    const [left, right] = extent([0, ...xs]);
    this.domain = {left, right: right === left ? left + 1 : right, low: low - pad, high: high + pad};
    this.decimals = decimalsFor(Math.max(Math.abs(low), Math.abs(high)));
    const {domain} = this;
    this.px = x => inner.left + (x - domain.left) / (domain.right - domain.left) * (inner.right - inner.left);
    this.py = y => inner.bottom - (y - domain.low) / (domain.high - domain.low) * (inner.bottom - inner.top);
  }

  label(x, y, text, name, anchor) {
    return element("svg:text", {x, y, class: name || "", "text-anchor": anchor || "start"}, text);
  }

  axes(inner, narrow) {
    const parts = [];
    for (const y of ticks(this.domain.low, this.domain.high, 5)) {
      parts.push(element("svg:line", {class: "grid", x1: inner.left, x2: inner.right, y1: this.py(y), y2: this.py(y)}));
      parts.push(this.label(inner.left - 8, this.py(y) + 4, compact(y), "", "end"));
    }
    for (const x of ticks(this.domain.left, this.domain.right, narrow ? 4 : 8)) {
      parts.push(element("svg:line", {class: "axis", x1: this.px(x), x2: this.px(x), y1: inner.bottom, y2: inner.bottom + 4}));
      parts.push(this.label(this.px(x), inner.bottom + 17, compact(x), "", "middle"));
    }
    parts.push(element("svg:line", {class: "axis", x1: inner.left, x2: inner.right, y1: inner.bottom, y2: inner.bottom}));
    parts.push(this.label(0, 12, this.spec.y, "axis-title"));
    parts.push(this.label(inner.right, inner.bottom + 34, this.spec.x, "axis-title", "end"));
    return parts;
  }

  references(inner, labelled) {
    return this.spec.lines.flatMap(line => {
      const y = this.edge(line), parts = [];
      if (y === this.py(line.y)) parts.push(element("svg:line", {class: "line", x1: inner.left, x2: inner.right, y1: y, y2: y}));
      if (!labelled) parts.push(this.label(inner.right, y - 4, this.told(line), "line-label", "end"));
      return parts;
    });
  }

  /* Where a reference is, or the edge beyond which it is. */
  edge(line) {
    return this.py(Math.max(this.domain.low, Math.min(this.domain.high, line.y)));
  }

  told(line) {
    const arrow = line.y > this.domain.high ? " ↑" : line.y < this.domain.low ? " ↓" : "";
    return arrow ? `${line.label} ${compact(line.y)}${arrow}` : line.label;
  }

  series(each, rank) {
    const algorithm = this.algorithms[each.a];
    const points = each.x.map((x, i) => [this.px(x), each.y[i] === null ? null : this.py(each.y[i])]);
    const group = element("svg:g", {class: `series c${algorithm.colour}`},
      element("svg:path", {class: "band", d: this.band(each)}),
      element("svg:path", {class: "curve", d: path(points), "stroke-dasharray": algorithm.dash}));
    /* Six marks a curve, not at the same steps as the neighbour's. */
    const apart = Math.max(1, Math.floor(points.length / 6)), first = Math.floor(apart * ((rank * 0.382) % 1));
    for (let i = first; i < points.length; i += apart) if (points[i][1] !== null) group.append(mark(points[i], algorithm, "mark"));
    return group;
  }

  band(each) {
    const known = each.x.map((x, i) => i).filter(i => each.low[i] !== null && each.high[i] !== null);
    if (known.length < 2) return "";
    const top = known.map(i => [this.px(each.x[i]), this.py(each.high[i])]);
    const back = known.reverse().map(i => [this.px(each.x[i]), this.py(each.low[i])]);
    return path(top) + path(back).replace("M", "L") + "Z";
  }

  /* Names at the curves' ends, pushed apart until none covers another. */
  names(series, inner) {
    const ends = series.map(each => {
      let last = each.y.length - 1;
      while (last > 0 && each.y[last] === null) last--;
      return {each, x: this.px(each.x[last]), y: this.py(each.y[last] ?? this.domain.low)};
    }).concat(this.spec.lines.map(line => ({line, y: this.edge(line)}))).sort((a, b) => a.y - b.y);
    let above = inner.top - 16;
    for (const end of ends) above = end.at = Math.max(end.y, above + 16);
    let below = inner.bottom + 10;
    for (const end of [...ends].reverse()) below = end.at = Math.min(end.at, below - 16);
    return ends.map(({each, line, x, y, at}) => {
      if (line) return this.label(inner.right + 13, at + 4, this.told(line), "line-label");
      const algorithm = this.algorithms[each.a];
      const title = algorithm.title.length > 14 ? algorithm.title.slice(0, 13) + "…" : algorithm.title;
      return element("svg:g", {class: `series c${algorithm.colour}`, "data-name": each.a},
        element("svg:g", {class: "leader"}, element("svg:path", {d: `M${x + 2} ${y}L${inner.right + 12} ${at}`}), mark([inner.right + 17, at], algorithm, "")),
        this.label(inner.right + 26, at + 4, title, "name"));
    });
  }

  legend(series) {
    this.figure.querySelector(".legend")?.remove();
    if (!series.length) return;
    this.figure.append(element("ul", {class: "legend"}, ...series.map(each => {
      const algorithm = this.algorithms[each.a];
      return element("li", {}, swatch(algorithm), " ", element("bdi", {}, algorithm.title));
    })));
  }

  /* One algorithm stands out, the others step back; null: all alike. */
  emphasise(algorithm) {
    this.strong = algorithm;
    for (const group of this.svg.querySelectorAll(".series")) group.classList.remove("dim", "strong");
    if (algorithm === null || !this.groups?.has(algorithm)) return;
    for (const [a, group] of this.groups) group.classList.add(a === algorithm ? "strong" : "dim");
    for (const name of this.svg.querySelectorAll("[data-name]")) name.classList.toggle("dim", +name.dataset.name !== algorithm);
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    let best = null, least = Infinity;
    for (const series of this.shown()) {
      const near = nearest(series.x, this.domain.left + (x - this.inner.left) / (this.inner.right - this.inner.left) * (this.domain.right - this.domain.left));
      for (let i = Math.max(0, near - 2); i <= Math.min(series.x.length - 1, near + 2); i++) {
        if (series.y[i] === null) continue;
        const away = Math.hypot(this.px(series.x[i]) - x, this.py(series.y[i]) - y);
        if (away < least) [least, best] = [away, {series, index: i}];
      }
    }
    if (best) this.show(best, false);
  }

  key(event) {
    const series = this.shown().filter(each => each.y.some(y => y !== null));
    if (!series.length) return;
    if (event.key === "Escape") return this.leave();
    const moves = {ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity, ArrowUp: 0, ArrowDown: 0};
    if (!(event.key in moves)) return;
    event.preventDefault();
    if (!this.at || !series.includes(this.at.series)) return this.show({series: series[0], index: last(series[0])}, true);
    let {series: own, index} = this.at;
    if (moves[event.key]) {
      const direction = Math.sign(moves[event.key]);
      let next = Math.max(0, Math.min(own.x.length - 1, index + moves[event.key]));
      while (own.y[next] === null && next > 0 && next < own.x.length - 1) next += direction;
      if (own.y[next] !== null) index = next;
    } else {
      /* Up is the next curve above at this step, down the next below. */
      const x = own.x[index], value = each => each.y[nearest(each.x, x)] ?? -Infinity;
      const order = [...series].sort((a, b) => value(b) - value(a));
      own = order[(order.indexOf(own) + (event.key === "ArrowUp" ? -1 : 1) + order.length) % order.length];
      index = nearest(own.x, x);
      if (own.y[index] === null) index = last(own);
    }
    this.show({series: own, index}, true);
  }

  show({series, index}, aloud) {
    const algorithm = this.algorithms[series.a];
    const px = this.px(series.x[index]), py = this.py(series.y[index]);
    this.at = {series, index};
    if (this.svg.classList.contains("many")) this.emphasise(series.a);
    this.cursor.setAttribute("class", `here c${algorithm.colour}`);
    this.cursor.replaceChildren(element("svg:line", {x1: px, x2: px, y1: this.inner.top, y2: this.inner.bottom}));
    if (series.low[index] !== null && series.high[index] !== null) {
      this.cursor.append(element("svg:line", {class: "range", x1: px, x2: px, y1: this.py(series.low[index]), y2: this.py(series.high[index])}));
    }
    this.cursor.append(mark([px, py], algorithm, "", 1.35));
    this.tip.show({algorithm, series, index, px, py}, this, aloud);
  }

  leave() {
    if (this.at && this.svg.classList.contains("many")) this.emphasise(null);
    this.at = null;
    this.cursor?.replaceChildren();
    this.tip.hide();
  }
}

function mark([x, y], algorithm, name, size) {
  return element("svg:g", {class: name, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${size || 0.85})`},
    element("svg:use", {href: `#m${algorithm.marker}`}));
}

function path(points) {
  let text = "", pen = "M";
  for (const [x, y] of points) {
    if (y === null) { pen = "M"; continue; }
    text += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  }
  return text;
}

function last(series) {
  let index = series.y.length - 1;
  while (index > 0 && series.y[index] === null) index--;
  return index;
}

/* Least and largest; too many values to spread them over arguments. */
function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  return values.length ? [low, high] : [0, 1];
}

/* The index of the value in ascending `sorted` that is closest to x. */
function nearest(sorted, x) {
  let low = 0, high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < x) low = middle; else high = middle;
  }
  return x - sorted[low] <= sorted[high] - x ? low : high;
}
