// The reference of the API: find operations by any word in them, and open the one that the address names.
const find = document.getElementById("find");
const found = document.getElementById("found");
const operations = [...document.querySelectorAll("[data-operation]")].map((element) => ({
  element,
  words: element.textContent.toLowerCase(),
}));

function show() {
  const wanted = find.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const { element, words } of operations) {
    element.hidden = !wanted.every((word) => words.includes(word));
    if (!element.hidden) count += 1;
  }
  for (const section of document.querySelectorAll("[data-tag]")) {
    section.hidden = section.querySelector("[data-operation]:not([hidden])") === null;
  }
  found.hidden = wanted.length === 0;
  found.textContent = `${count} of ${operations.length} operations`;
}

function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

find.addEventListener("input", show);
addEventListener("hashchange", open);
open();
