// The token, the route and the clock: one view at a time, refreshed while the page is seen.
import {Refused, token} from "./api.js";
import {followCharts} from "./charts.js";
import {compareView} from "./compare.js";
import {el} from "./dom.js";
import {jobView} from "./job.js";
import {jobsView} from "./jobs.js";
import {workersView} from "./workers.js";

const PERIOD_MS = 1500, MAX_PERIOD_MS = 5000;
const ROUTES = [  // of the address's fragment
  [/^#\/jobs\/([\w-]+)$/, jobView],
  [/^#\/workers$/, () => workersView],
  [/^#\/compare(?:\/([\w-]*)(?:\/([\w-]*))?)?$/, compareView],
  [/^/, () => jobsView],
];

const main = document.getElementById("main"), gate = document.getElementById("gate");
const status = document.getElementById("status"), forget = document.getElementById("forget");
let view, timer, period = PERIOD_MS, turn = 0;

// A token in the fragment (`hone dashboard` prints such addresses) moves to this tab's storage and out of sight.
function takeToken() {
  const found = /^#token=([\w.~+\/=-]+)$/.exec(location.hash);
  if (!found) return;
  token.set(found[1]);
  history.replaceState(null, "", "#/jobs");
}

function say(text, kind) {
  status.textContent = text;
  status.className = `status ${kind}`;
}

function askToken(message) {
  clearTimeout(timer);
  ++turn;
  token.forget();
  say("", "");
  main.replaceChildren();
  document.getElementById("gate-message").textContent = message;
  gate.hidden = false;
  forget.hidden = true;
  document.title = "Hone";
  document.getElementById("token").focus();
}

async function refresh() {
  clearTimeout(timer);
  if (!token.get() || document.hidden) return;
  const mine = ++turn, now = view;
  try {
    await now.refresh();
    if (mine !== turn) return;
    now.render(main);
    document.title = `${now.title} · Hone`;
    say("live", "good");
    period = PERIOD_MS;
  } catch (error) {
    if (mine !== turn) return;
    if (error instanceof Refused) return askToken(error.message);
    say(error instanceof TypeError || error.name === "TimeoutError" ? "the server is away; trying again" : error.message, "bad");
    if (main.childElementCount === 0) main.replaceChildren(el("p", {class: "notice bad"}, status.textContent));
    period = Math.min(MAX_PERIOD_MS, 1.6 * period);
  }
  timer = setTimeout(refresh, period);
}

function open() {
  takeToken();
  if (!token.get()) return askToken("");
  gate.hidden = true;
  forget.hidden = false;
  for (const [pattern, make] of ROUTES) {
    const found = pattern.exec(location.hash);
    if (!found) continue;
    view = make(...found.slice(1));
    break;
  }
  for (const a of document.querySelectorAll("nav a")) {
    const here = (location.hash || "#/jobs").startsWith(a.getAttribute("href"));
    if (here) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
  }
  main.replaceChildren();
  period = PERIOD_MS;
  refresh();
}

gate.addEventListener("submit", event => {
  event.preventDefault();
  const input = document.getElementById("token");
  token.set(input.value.trim());
  input.value = "";
  open();
});
forget.addEventListener("click", () => askToken("Signed out."));
main.addEventListener("click", event => {
  if (event.target instanceof Element && view.click?.(event.target)) view.render(main);
});
main.addEventListener("change", event => view.change?.(event.target));
document.querySelector(".skip").addEventListener("click", event => {
  event.preventDefault();  // the fragment is the route
  main.focus();
});
document.addEventListener("visibilitychange", refresh);
window.addEventListener("hashchange", open);
window.addEventListener("resize", () => { if (main.childElementCount > 0 && token.get()) refresh(); });
followCharts(main);
open();
