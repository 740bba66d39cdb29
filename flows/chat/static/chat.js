"use strict";
// News come by themselves; messages are sent without loading the page anew. Without this script forms and a link do it.
(() => {
  const live = () => document.getElementById("live");
  const page = (text) => new DOMParser().parseFromString(text, "text/html");
  const title = document.title;
  let sending = false;

  function settle() {
    const log = document.querySelector(".talk");
    if (log) log.scrollTop = log.scrollHeight;
    for (const button of document.querySelectorAll("button.use")) button.hidden = !document.getElementById("text");
    const count = Number(document.getElementById("talk")?.dataset.count || 0);
    document.title = count ? `(${count}) ${title}` : title;
  }

  // Whoever opened the other answers goes on seeing them when news come.
  function put(next, old) {
    const open = [...old.querySelectorAll("details[open]")].map((each) => each.id);
    old.replaceWith(document.adoptNode(next));
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  }

  function swap(found, keep) {
    const next = found.getElementById("live");
    if (!next) return false;
    const text = document.getElementById("text");
    const said = keep && text ? text.value : "";
    const focused = document.activeElement === text;
    put(next, live());
    const field = document.getElementById("text");
    if (field && said) field.value = said;
    if (field && (focused || !keep)) field.focus();
    settle();
    return true;
  }

  function failed(words) {
    const place = document.getElementById("unsent");
    if (!place) return location.reload();
    place.textContent = words || live().dataset.failed;
    place.hidden = false;
  }

  async function send(form, submitter) {
    if (sending) return;
    sending = true;
    try {
      const body = new URLSearchParams(new FormData(form, submitter));
      const answer = await fetch(form.action, { method: "POST", body });
      const found = page(await answer.text());
      if (!answer.ok || !swap(found, !form.matches(".compose") || Boolean(found.querySelector(".chat > .said[role=alert]:not([hidden])"))))
        failed(found.querySelector("main h1")?.textContent);
    } catch {
      failed();
    } finally {
      sending = false;
    }
  }

  async function look() {
    const talk = document.getElementById("talk");
    if (!talk || sending || document.hidden) return;
    try {
      const seen = talk.dataset.seen === undefined ? "" : `?seen=${talk.dataset.seen}`;
      const answer = await fetch(live().dataset.news + seen);
      if (answer.status !== 200 || sending) return;
      const next = page(await answer.text()).getElementById("talk");
      if (!next || document.getElementById("talk") !== talk) return;
      if (next.dataset.state !== talk.dataset.state) {
        const whole = await fetch(location.pathname);
        if (whole.ok && !sending) swap(page(await whole.text()), true);
        return;
      }
      if (next.innerHTML === talk.innerHTML) return;
      put(next, talk);
      settle();
    } catch {
      return; // the next look may succeed
    }
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form.live")) return;
    event.preventDefault();
    send(event.target, event.submitter);
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "text" || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  });
  document.addEventListener("click", (event) => {
    const field = document.getElementById("text");
    if (!event.target.matches("button.use") || !field) return;
    field.value = event.target.dataset.text;
    field.focus();
  });
  document.addEventListener("visibilitychange", look);
  if (live()) {
    settle();
    setInterval(look, 1000 * Number(live().dataset.poll));
  }
})();
