// Times of the page in the reader's own zone beside it, ages that go on counting, and the age of every price that is not
// fresh.
import { isLive, refresh, sayPrices } from "./link.js";

const STALE_MS = 30_000;
const ASK_AFTER_MS = 10_000; // a price that did not change is not announced: ask whether it was seen again
const ASK_EVERY_MS = 5_000;

let offset = 0;
let askedAt = 0;

const length = (ms) => {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
};

const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

const local = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "long" });

function paintTimes(now) {
  for (const element of document.querySelectorAll("time[data-time]:not([title])")) {
    element.title = local.format(new Date(element.dateTime));
  }
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const at = new Date(element.dateTime);
    write(element, length(now - at));
    element.title = local.format(at);
  }
}

function paintAges(now) {
  let oldest = 0;
  let stale = 0;
  const shown = document.querySelectorAll("time[data-age]");
  for (const element of shown) {
    const age = now - new Date(element.dateTime);
    const isStale = age > STALE_MS;
    oldest = Math.max(oldest, age);
    stale += isStale;
    element.hidden = !isStale;
    if (isStale) write(element, `${length(age)} old`);
    element.closest(".position")?.classList.toggle("is-stale", isStale);
  }
  sayPrices(shown.length > 0 && stale === shown.length);
  if (oldest > ASK_AFTER_MS && now - askedAt > ASK_EVERY_MS && isLive() && !document.hidden) {
    askedAt = now;
    askTimes();
  }
}

async function askTimes() {
  const answer = await fetch("/live/prices/", { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok || answer.headers.has("HX-Redirect")) return;
  const known = await answer.json();
  let isBehind = false;
  for (const element of document.querySelectorAll("time[data-age]")) {
    const [at, price] = known[element.dataset.age] ?? [];
    if (!at || at <= new Date(element.dateTime).getTime()) continue;
    isBehind ||= element.parentElement.dataset.flash !== price;
    element.dateTime = new Date(at).toISOString();
  }
  if (isBehind) refresh();
  paint();
}

function paint() {
  const now = Date.now() + offset;
  paintTimes(now);
  paintAges(now);
}

function setClock() {
  const told = Number(document.getElementById("summary")?.dataset.now);
  if (told) offset = told - Date.now();
}

setClock();
paint();
setInterval(paint, 1000);
document.body.addEventListener("htmx:wsAfterMessage", paint);
document.body.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id === "summary") setClock();
  paint();
});
