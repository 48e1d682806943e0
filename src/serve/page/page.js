// Keeps a page up to date, and asks before failures are dismissed. Without it the page works as well; it is then loaded by hand.
"use strict";

(() => {
  const live = document.getElementById("live");
  const main = document.getElementById("main");
  if (!live || !main) return;

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.ask;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // A page that holds the answer to a question, or a form that was filled in, stays as it is.
  const base = (/^\/portals\/[^/]+/.exec(location.pathname) || [""])[0];
  const path = location.pathname.slice(base.length) || "/";
  const updates = ["/", "/status", "/failures", "/runs"].includes(path) || path.startsWith("/runs/");
  if (!updates || !window.EventSource) return;

  const said = document.createElement("span");
  const button = document.createElement("button");
  button.className = "plain";
  button.type = "button";
  live.append(said, " ", button);

  let source = null;
  let waiting = null;
  let last = 0;

  const say = (text) => {
    if (said.textContent !== text) said.textContent = text;
  };

  // What a person is at work on is not taken away.
  const busy = () => {
    const active = document.activeElement;
    const typing = active && main.contains(active) && active.matches("input") && active.value !== "";
    return typing || String(window.getSelection()) !== "";
  };

  const place = () => {
    const active = document.activeElement;
    if (!active || active === main || !main.contains(active)) return null;
    const all = [...main.querySelectorAll("a, button, input, [tabindex]")];
    return { index: all.indexOf(active), text: active.textContent, tag: active.tagName };
  };

  const back = (place) => {
    if (!place) return;
    const all = [...main.querySelectorAll("a, button, input, [tabindex]")];
    const same = (element) => element && element.tagName === place.tag && element.textContent === place.text;
    const found = same(all[place.index]) ? all[place.index] : all.find(same);
    (found || main).focus({ preventScroll: true });
  };

  const load = async () => {
    waiting = null;
    if (busy()) return later(3000);
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById("main");
      if (!next || !source || busy()) return;
      const kept = place();
      main.replaceChildren(...next.childNodes);
      document.title = page.title;
      const times = [document, page].map((where) => where.querySelector("footer time"));
      if (times[0] && times[1]) times[0].replaceWith(times[1]);
      back(kept);
    } catch {
      say("The server does not answer; this is what it said last.");
    }
  };

  const later = (pause) => {
    waiting ??= setTimeout(load, pause);
  };

  const start = () => {
    source = new EventSource(`${base}/events`);
    source.addEventListener("ready", () => say("Kept up to date."));
    source.addEventListener("changed", () => later(Math.max(0, last + 2000 - Date.now())));
    source.addEventListener("error", () => say("The connection is lost; trying again."));
    button.textContent = "Pause updates";
  };

  const stop = () => {
    source.close();
    source = null;
    clearTimeout(waiting);
    waiting = null;
    say("Updates are paused.");
    button.textContent = "Go on with updates";
  };

  button.addEventListener("click", () => (source ? stop() : start()));
  start();
})();
