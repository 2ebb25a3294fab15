// The page's connection: says how it is, and after every interruption renders the page anew before it listens again.
// The page carries the numbers of the streams it was rendered at, so that nothing between page and socket is lost.
const PAUSE_MS_MAX = 10_000;
const SUMMARY_MS = 1_000;
const SUMMARY_IDLE_MS = 30_000;

const box = document.getElementById("connection");
let failures = 0;
let offlineSince = null;
let retry = null;
let isRefreshing = false;
let summaryDue = null;
let summaryAt = Date.now();

// The extension's own reconnecting would take the old place in the streams.
htmx.config.wsReconnectDelay = () => 2 ** 31 - 1;

export const isLive = () => box.dataset.state === "live" || box.dataset.state === "stale";

const say = (state, text) => {
  if (box.dataset.state !== state) box.dataset.state = state;
  const words = box.querySelector("[data-text]");
  if (words.textContent !== text) words.textContent = text;
};

export const sayPrices = (areStale) => {
  if (isLive()) say(areStale ? "stale" : "live", areStale ? "Live, prices are stale" : "Live");
};

const clock = (date) => `${date.toISOString().slice(11, 16)} UTC`;

export async function refresh() {
  if (isRefreshing) return;
  isRefreshing = true;
  clearTimeout(retry);
  const socket = document.getElementById("socket");
  try {
    await htmx.ajax("GET", "/", { target: "#live", swap: "morph" });
  } catch {
    // The server does not answer: said below, tried again.
  }
  isRefreshing = false;
  if (document.getElementById("socket") === socket) lost();
}

function lost() {
  offlineSince ??= new Date();
  say("offline", `Offline since ${clock(offlineSince)}, trying again`);
  const pause = Math.min(PAUSE_MS_MAX, 500 * 2 ** failures) * (0.75 + Math.random() / 2);
  failures += 1;
  clearTimeout(retry);
  retry = setTimeout(refresh, pause);
}

function renewSummary() {
  summaryDue = null;
  if (document.hidden || !isLive()) return;
  summaryAt = Date.now();
  htmx.trigger("#summary", "renew");
}

const scheduleSummary = () => {
  summaryDue ??= setTimeout(renewSummary, Math.max(50, summaryAt + SUMMARY_MS - Date.now()));
};

document.body.addEventListener("htmx:wsConnecting", () => {
  if (!offlineSince) say("connecting", "Connecting…");
});
document.body.addEventListener("htmx:wsOpen", () => {
  failures = 0;
  offlineSince = null;
  say("live", "Live");
});
document.body.addEventListener("htmx:wsClose", () => lost());
document.body.addEventListener("htmx:wsAfterMessage", () => {
  const due = document.querySelector("#refresh[data-due]");
  if (due) {
    delete due.dataset.due;
    refresh();
  }
  scheduleSummary();
});
addEventListener("online", () => offlineSince && refresh());
document.addEventListener("visibilitychange", () => !document.hidden && scheduleSummary());
setInterval(() => Date.now() - summaryAt > SUMMARY_IDLE_MS && scheduleSummary(), 5_000);
