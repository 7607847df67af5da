/* Wire the page: filters, charts drawn when they come into sight, rows. */

const figures = JSON.parse(document.getElementById("figures").textContent);
const charts = new Map([...document.querySelectorAll("figure.chart")].map(
  figure => [figure, new Chart(figure, figures.charts[figure.dataset.chart], figures.algorithms)]));
const chips = [...document.querySelectorAll(".chip")];
const filters = document.getElementById("filters");
const against = document.getElementById("against");

const seen = new IntersectionObserver(entries => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    charts.get(entry.target).draw();
    sized.observe(entry.target);
  }
}, {rootMargin: "600px"});
const sized = new ResizeObserver(entries => {
  for (const {target} of entries) {
    const chart = charts.get(target);
    if (chart.plot.clientWidth && chart.plot.clientWidth !== chart.drawnWidth) chart.draw();
  }
});

function chosen(kind) {
  return new Set(chips.filter(chip => chip.dataset.filter === kind && chip.getAttribute("aria-pressed") === "true").map(chip => +chip.dataset.index));
}

function count(kind) {
  return chips.filter(chip => chip.dataset.filter === kind).length;
}

/* Show what is chosen; a change is also said to screen readers. */
function filter(changed) {
  const tasks = chosen("task"), algorithms = chosen("algorithm");
  const all = tasks.size === count("task");
  for (const section of document.querySelectorAll("section.task")) {
    const closed = !section.querySelector("table");
    section.hidden = closed ? !all : !tasks.has(+section.dataset.task);
  }
  for (const part of document.querySelectorAll("main [data-algorithm]")) part.hidden = !algorithms.has(+part.dataset.algorithm);
  for (const table of document.querySelectorAll("table.improvement")) {
    if (against.value !== "" && table.dataset.algorithm !== against.value) table.hidden = true;
  }
  document.getElementById("nothing").hidden = tasks.size > 0;
  for (const chart of charts.values()) {
    chart.hiddenOnes = new Set(figures.algorithms.map((_, i) => i).filter(i => !algorithms.has(i)));
    refresh(chart);
  }
  if (changed) say(`${tasks.size} of ${count("task")} tasks and ${algorithms.size} of ${count("algorithm")} algorithms are shown`);
}

/* Draw again what is in sight; the rest when it comes there. */
function refresh(chart) {
  if (!chart.drawnWidth) return;
  const {top, bottom} = chart.figure.getBoundingClientRect();
  if (bottom > 0 && top < innerHeight) return chart.draw();
  chart.drawnWidth = 0;
  sized.unobserve(chart.figure);
  seen.observe(chart.figure);
}

function press(chip, on) {
  chip.setAttribute("aria-pressed", String(on));
}

filters.hidden = false;
for (const chip of chips) {
  chip.addEventListener("click", () => { press(chip, chip.getAttribute("aria-pressed") !== "true"); filter(true); });
  if (chip.dataset.filter !== "algorithm") continue;
  const emphasise = strong => () => { for (const chart of charts.values()) if (chart.drawnWidth) chart.emphasise(strong); };
  for (const event of ["pointerenter", "focus"]) chip.addEventListener(event, emphasise(+chip.dataset.index));
  for (const event of ["pointerleave", "blur"]) chip.addEventListener(event, emphasise(null));
}
for (const [name, on] of [["all", true], ["none", false]]) {
  for (const button of document.querySelectorAll(`[data-${name}]`)) {
    button.addEventListener("click", () => {
      for (const chip of chips) if (chip.dataset.filter === button.dataset[name]) press(chip, on);
      filter(true);
    });
  }
}
if (against) {
  against.closest("p").hidden = false;
  if (against.length > 7 || innerWidth < 760) against.value = against.options[1].value;  /* all of them would be a long list */
  against.addEventListener("change", () => filter(true));
}
for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
for (const row of document.querySelectorAll("tr.opens")) openFromRow(row);
for (const figure of charts.keys()) seen.observe(figure);
new ResizeObserver(() => {
  const covers = getComputedStyle(filters).position === "sticky" ? filters.offsetHeight : 0;
  document.documentElement.style.scrollPaddingTop = `${covers + 16}px`;
}).observe(filters);
filter(false);
addEventListener("beforeprint", () => { for (const chart of charts.values()) chart.draw(); });
