"use strict";
const form = document.getElementById("filters");
const selects = [...form.querySelectorAll("select")];

function chosen() {
  return Object.fromEntries(selects.filter((s) => s.value).map((s) => [s.dataset.key, s.value]));
}

// A row that names no model (or task, or metric) belongs to all of them.
function matches(element, choice) {
  return Object.entries(choice).every(
    ([key, value]) => !element.dataset[key] || element.dataset[key] === value,
  );
}

function apply() {
  const choice = chosen();
  let shown = 0;
  let all = 0;
  for (const section of document.querySelectorAll("section[data-values]")) {
    const values = JSON.parse(section.dataset.values);
    section.hidden = Object.entries(choice).some(
      ([key, value]) => key in values && values[key].length > 0 && !values[key].includes(value),
    );
    document.querySelector(`[data-for="${section.id}"]`).hidden = section.hidden;
    for (const row of section.querySelectorAll("tbody tr")) {
      row.hidden = !matches(row, choice);
      all += 1;
      shown += !row.hidden && !section.hidden;
    }
    for (const cell of section.querySelectorAll("[data-column]")) {
      cell.hidden = Boolean(choice.task) && cell.dataset.column !== choice.task;
    }
  }
  document.getElementById("count").textContent = `${shown} of ${all} rows`;
}

form.addEventListener("change", apply);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(apply));
apply();
