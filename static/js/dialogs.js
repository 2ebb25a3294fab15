// Questions before actions, messages that go away, the clipboard, and the menu that closes behind you.
const ask = document.getElementById("ask");
const TOAST_MS = 15_000;

document.body.addEventListener("htmx:confirm", (event) => {
  const { question, elt, issueRequest } = event.detail;
  if (!question) return;
  event.preventDefault();
  ask.querySelector("[data-question]").textContent = question;
  ask.querySelector("#ask-title").textContent = elt.dataset.askTitle || "Sure?";
  ask.returnValue = "no";
  ask.onclose = () => ask.returnValue === "yes" && issueRequest(true);
  ask.showModal();
});

function toast(title, text) {
  const card = document.createElement("div");
  card.className = "toast-card";
  card.dataset.kind = "error";
  const words = card.appendChild(document.createElement("div"));
  words.append(Object.assign(document.createElement("strong"), { textContent: title }), document.createElement("br"), text);
  document.getElementById("toasts").append(card);
}

document.body.addEventListener("htmx:responseError", (event) => {
  const { xhr } = event.detail;
  toast("That did not work", `The server answered ${xhr.status} at ${new Date().toISOString().slice(11, 16)} UTC. Try again.`);
});

new MutationObserver((changes) => {
  for (const { addedNodes } of changes)
    for (const card of addedNodes) setTimeout(() => card.remove?.(), TOAST_MS);
}).observe(document.getElementById("toasts"), { childList: true });

document.addEventListener("click", async (event) => {
  event.target.closest("[data-dismiss]")?.closest(".toast-card")?.remove();
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent);
    copy.textContent = "Copied";
  }
  for (const menu of document.querySelectorAll("details.dropdown[open]"))
    if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelectorAll("details.dropdown[open]").forEach((menu) => (menu.open = false));
});
