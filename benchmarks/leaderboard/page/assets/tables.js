/* Sorting: the headers become buttons, and on a phone, where rows are cards, a list to choose from. */

function makeSortable(table) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const columns = heads.map((head, column) => ({head, column, first: head.dataset.first})).filter(each => each.first);
  const select = element("select", {});
  for (const each of columns) {
    const title = each.head.querySelector(".title");
    const button = element("button", {type: "button", class: "sort"}, title.textContent);
    title.replaceWith(button);
    each.head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const now = each.head.getAttribute("aria-sort");
      sort(each, now === "none" ? each.first : now === "ascending" ? "descending" : "ascending");
    });
    for (const direction of [each.first, each.first === "ascending" ? "descending" : "ascending"]) {
      select.append(element("option", {value: `${each.column} ${direction}`}, `${button.textContent}, ${direction}`));
    }
  }
  select.addEventListener("change", () => {
    const [column, direction] = select.value.split(" ");
    sort(columns.find(each => each.column === +column), direction);
  });
  const label = element("label", {class: "sort-by"}, "Sort by ", select);
  table.parentElement.before(label);

  function sort(by, direction) {
    const sign = direction === "ascending" ? 1 : -1;
    const rows = [...body.rows].map(row => ({row, value: row.cells[by.column].dataset.value}));
    const numbers = rows.every(each => each.value === "" || Number.isFinite(+each.value));
    rows.sort((a, b) => {
      if (a.value === "" || b.value === "") return (a.value === "") - (b.value === "");  /* what is not there stays last */
      return sign * (numbers ? a.value - b.value : a.value.localeCompare(b.value));
    });
    body.append(...rows.map(each => each.row));
    for (const each of columns) each.head.setAttribute("aria-sort", each === by ? direction : "none");
    select.value = `${by.column} ${direction}`;
    say(`Sorted by ${by.head.querySelector("button").textContent}, ${direction}`);
  }
}

/* A click anywhere in a row opens its provenance, as its button does. */
function openFromRow(row) {
  const button = row.querySelector("button[popovertarget]");
  row.addEventListener("click", event => {
    if (!event.target.closest("button") && !String(getSelection())) button.click();
  });
}

function say(text) {
  document.getElementById("said").textContent = text;
}
