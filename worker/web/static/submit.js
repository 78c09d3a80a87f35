// Sends the form of a batch without leaving it: files stay chosen between the check and the submission.
(() => {
  "use strict";
  const one = (selector, from = document) => from.querySelector(selector);
  const form = one("#submission");
  if (!form) return;
  const preview = one("#preview"), progress = one("#progress"), lost = one("#lost");
  let isBusy = false, isSubmitted = false;

  function busy(isOn) {
    isBusy = isOn;
    form.setAttribute("aria-busy", String(isOn));
    for (const button of [one("#check"), one("#take")]) if (button) button.disabled = isOn;
    if (!isOn) progress.textContent = "";
  }

  // What answers is the whole page; its preview, or the message of another page, takes the place of ours.
  function put(html) {
    const page = new DOMParser().parseFromString(html, "text/html");
    const fresh = one("#preview", page);
    preview.replaceChildren(...(fresh ? fresh.childNodes : page.querySelectorAll(".notice")));
    one("#check").classList.toggle("main", !one("#take"));
    const said = one(".notice.bad[role=alert], h2", preview);
    said?.scrollIntoView({ block: "start" });
    said?.focus({ preventScroll: true });
  }

  function send(address) {
    if (isBusy) return;
    const request = new XMLHttpRequest(), fields = new FormData(form);
    busy(true);
    progress.textContent = "Checking";
    request.upload.addEventListener("progress", (event) => {
      const percent = event.lengthComputable ? Math.floor(100 * event.loaded / event.total) : 100;
      progress.textContent = percent < 100 ? `Uploading, ${percent} %` : "Checking";
    });
    request.addEventListener("load", () => {
      lost.hidden = request.status < 502;
      const next = request.getResponseHeader("HX-Redirect");
      if (next) { isSubmitted = true; location.assign(next); return; }
      busy(false);
      put(request.responseText);
    });
    request.addEventListener("error", () => { busy(false); lost.hidden = false; });
    request.open("POST", address);
    request.setRequestHeader("HX-Request", "true");
    request.send(fields);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    // The property formAction of a button without that attribute is the address of the page.
    send(event.submitter?.getAttribute("formaction") || form.action);
  });
  // What was checked is not what the form has now.
  form.addEventListener("change", () => {
    if (isBusy || !preview.firstElementChild) return;
    preview.replaceChildren();
    one("#check").classList.add("main");
    progress.textContent = "Changed: check again";
  });
  // Loaded again, the page of a form that was submitted leads to its batch.
  addEventListener("pageshow", (event) => { if (event.persisted && isSubmitted) location.reload(); });
})();
