"use strict";
// Answers by one key, without a new page; an answer that does not arrive stays here and is sent again. Without this
// script every button still works.

const WAIT = 10000; // milliseconds until an answer counts as not sent
const AGAIN = [1000, 2000, 4000, 8000, 15000]; // milliseconds between tries
const BLINK = 300; // milliseconds in which nobody reads a text: a press is meant for the one before
const IDLE = 15000; // milliseconds between looks for new work
let looked = 0; // milliseconds that the text was in sight
let since = performance.now();
let shown = performance.now();
let sending = false;

const turn = () => document.getElementById("turn");
const store = () => `tidegate:${turn().dataset.line}:${turn().dataset.who}`;
const kept = () => JSON.parse(localStorage.getItem(store()) || "null");

function begin() {
  looked = 0;
  since = shown = performance.now();
  const filter = document.getElementById("filter");
  if (filter) {
    filter.closest("label").hidden = document.getElementById("filter-hint").hidden = false;
    filter.addEventListener("input", sift);
    if (matchMedia("(hover: hover)").matches) filter.focus({ preventScroll: true }); // no keyboard over a phone's page
  }
}

function seen() {
  if (!document.hidden) looked += performance.now() - since;
  since = performance.now();
  return (looked / 1000).toFixed(1);
}

function choices() {
  return [...document.querySelectorAll("#labels button:not([hidden])")];
}

function sift() {
  const wanted = document.getElementById("filter").value.trim().toLowerCase();
  for (const button of document.querySelectorAll("#labels button")) {
    button.hidden = !button.value.toLowerCase().includes(wanted);
  }
  choices().forEach((button, place) => {
    button.querySelector("kbd").textContent = place < 9 ? place + 1 : "";
  });
}

function tell(state, what = "") {
  const place = document.getElementById("unsent");
  place.hidden = !state;
  place.className = `unsent ${state}`;
  document.getElementById("unsent-what").textContent = what;
}

function lock(form, button) {
  for (const other of document.querySelectorAll("#turn button")) other.disabled = true;
  if (button) button.classList.add("pressed");
}

function show(html, saved) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const next = fresh.getElementById("turn");
  if (!next) return location.reload();
  turn().replaceWith(next);
  document.title = fresh.title;
  if (saved) document.getElementById("status").textContent = saved;
  begin();
  const text = document.getElementById("text");
  if (text && !document.getElementById("filter")) text.focus({ preventScroll: true });
}

async function send(deed, tries = 0) {
  sending = true;
  const body = new URLSearchParams({ ...deed.fields, csrf: turn().dataset.csrf });
  try {
    const answer = await fetch(deed.path, { method: "POST", body, keepalive: true, signal: AbortSignal.timeout(WAIT) });
    if (answer.redirected && new URL(answer.url).pathname === "/login") return location.assign(answer.url);
    if (answer.status >= 500 || answer.status === 429) throw new Error(answer.status);
    if (answer.status === 403 && !deed.renewed) {
      localStorage.setItem(store(), JSON.stringify({ ...deed, renewed: true }));
      return location.reload(); // the session may be another one: its page has another token
    }
    localStorage.removeItem(store());
    sending = false;
    if (!answer.ok) {
      const said = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main h1");
      tell("refused", `${deed.word} – ${said ? said.textContent : answer.status}`);
      return look();
    }
    tell("");
    show(await answer.text(), deed.fields.kind === "undo" ? turn().dataset.undone : `${turn().dataset.saved} ${deed.word}`);
  } catch {
    tell("waiting", deed.word);
    const soon = AGAIN[Math.min(tries, AGAIN.length - 1)];
    await new Promise((go) => { setTimeout(go, soon); addEventListener("online", go, { once: true }); });
    return send(deed, tries + 1);
  }
}

async function look(path = location.pathname) {
  try {
    const answer = await fetch(path);
    if (answer.redirected && new URL(answer.url).pathname === "/login") return location.assign(answer.url);
    if (answer.ok && !sending) show(await answer.text());
  } catch { /* the next look may reach the server */ }
}

function press(event) {
  const form = event.target;
  if (!form.dataset.deed) return;
  event.preventDefault();
  if (!event.submitter || sending || performance.now() - shown < BLINK) return;
  const data = new FormData(form, event.submitter);
  data.set("seconds", seen());
  const fields = Object.fromEntries(data);
  delete fields.csrf;
  const word = event.submitter.querySelector("span")?.textContent || event.submitter.lastChild.textContent.trim();
  const deed = { path: form.getAttribute("action"), fields, word };
  localStorage.setItem(store(), JSON.stringify(deed)); // until it has arrived, even if this page is closed
  lock(form, event.submitter);
  send(deed);
}

function typed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
  const here = document.activeElement;
  const writing = here && (here.tagName === "TEXTAREA" || here.id === "filter");
  if (event.key === "Escape" && writing) {
    here.blur();
    return document.getElementById("text")?.focus({ preventScroll: true });
  }
  if (here?.tagName === "TEXTAREA") return;
  let target = null;
  if (/^[1-9]$/.test(event.key)) target = choices()[event.key - 1];
  else if (here?.id === "filter" && event.key === "Enter") target = choices().length === 1 ? choices()[0] : null;
  else if (!writing && event.key === "/") target = document.getElementById("filter");
  else if (!writing && /^[a-z]$/i.test(event.key)) target = document.querySelector(`[aria-keyshortcuts="${event.key.toLowerCase()}"]`);
  if (!target) {
    if (here?.id === "filter" && event.key === "Enter") event.preventDefault();
    return;
  }
  event.preventDefault();
  if (target.id === "filter") return target.focus();
  target.click();
  if (target.tagName === "SUMMARY" && target.parentElement.open) target.parentElement.querySelector("textarea").focus();
}

document.addEventListener("submit", press);
document.addEventListener("keydown", typed);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) looked += performance.now() - since;
  since = performance.now();
});
addEventListener("DOMContentLoaded", () => {
  if (matchMedia("(max-width: 60rem)").matches) document.getElementById("guide")?.removeAttribute("open");
  begin();
  const deed = kept();
  if (deed) {
    lock();
    send(deed);
  }
  setInterval(() => { if (turn().hasAttribute("data-idle") && !document.hidden && !sending) look(); }, IDLE);
});
