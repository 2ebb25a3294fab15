// Passkeys: asks the server for a challenge, the browser's authenticator for an answer, and sends it with the form.
const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function decoded({ publicKey }) {
  const ids = (list) => (list || []).map((each) => ({ ...each, id: bytes(each.id) }));
  const options = { ...publicKey, challenge: bytes(publicKey.challenge) };
  if (publicKey.user) options.user = { ...publicKey.user, id: bytes(publicKey.user.id) };
  if (publicKey.allowCredentials) options.allowCredentials = ids(publicKey.allowCredentials);
  if (publicKey.excludeCredentials) options.excludeCredentials = ids(publicKey.excludeCredentials);
  return { publicKey: options };
}

function encoded(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
    if (credential.response[name]) response[name] = text(credential.response[name]);
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    response,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

async function answer(form) {
  const csrf = form.elements.csrfmiddlewaretoken.value;
  const asked = await fetch(form.dataset.options, { method: "POST", headers: { "X-CSRFToken": csrf } });
  if (asked.redirected) return location.assign(asked.url); // a fresh proof comes first
  if (!asked.ok) throw new Error("The server did not answer. Try again.");
  const options = decoded(await asked.json());
  const { credentials } = navigator;
  const credential = form.dataset.passkey === "make" ? await credentials.create(options) : await credentials.get(options);
  form.elements.credential.value = JSON.stringify(encoded(credential));
  form.submit();
}

if (window.isSecureContext && window.PublicKeyCredential) {
  for (const hint of document.querySelectorAll("[data-no-passkeys]")) hint.hidden = true;
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const problem = form.querySelector("[data-problem]");
      const button = form.querySelector("button");
      problem.hidden = button.disabled = true;
      try {
        await answer(form);
      } catch (error) {
        problem.textContent =
          error.name === "NotAllowedError" ? "It was cancelled, or took too long." : error.message || "That did not work.";
        problem.hidden = button.disabled = false;
      }
    });
  }
}
