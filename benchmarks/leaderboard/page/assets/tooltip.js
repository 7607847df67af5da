/* What one point of a curve says, beside it and to screen readers. */

class Tooltip {
  constructor(plot) {
    this.box = element("div", {class: "tip", hidden: ""});
    this.said = element("p", {class: "hidden", role: "status"});
    plot.append(this.box, this.said);
    this.plot = plot;
  }

  show(point, chart, aloud) {
    const {algorithm, series, index} = point;
    const n = Array.isArray(series.n) ? series.n[index] : series.n;
    const low = series.low[index], high = series.high[index];
    const value = fixed(series.y[index], chart.decimals);
    const interval = low === null || high === null
      ? (n === 1 ? "one run, no interval" : "no interval")
      : `95 % interval ${fixed(low, chart.decimals)} to ${fixed(high, chart.decimals)}`;
    const where = chart.where(series.x[index]);
    const lines = [[value, "strong"], [interval, ""], [`${n === null || n === undefined ? "n not recorded" : `n = ${n}`}, ${where}`, ""]];
    this.box.className = `tip c${algorithm.colour}`;
    this.box.replaceChildren(
      element("b", {}, swatch(algorithm), " ", algorithm.title), ...lines.map(([text, name]) => element("span", {class: name}, text)));
    this.box.hidden = false;
    if (aloud) this.said.textContent = `${algorithm.title}, ${where}: ${value}, ${interval}, ${lines[2][0].split(",")[0]}`;
    const width = this.box.offsetWidth, height = this.box.offsetHeight;
    const left = point.px + 14 + width > this.plot.clientWidth ? point.px - 14 - width : point.px + 14;
    const top = Math.max(0, point.py - height - 10);
    this.box.style.transform = `translate(${Math.round(Math.max(0, Math.min(left, this.plot.clientWidth - width)))}px, ${Math.round(top)}px)`;
  }

  hide() {
    this.box.hidden = true;
    this.said.textContent = "";
  }
}
