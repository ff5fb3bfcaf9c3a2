// Two modules side by side, task by task and in total, from their reports.
import {jobs, modules, refreshJobs} from "./api.js";
import {ago, card, el, figure, latency, render, shortId, times} from "./dom.js";
import {difference} from "./charts.js";

const id = module => module.name.split("/").pop();

function report(module) {
  try {
    return JSON.parse(module?.report_json || "{}");
  } catch {
    return {};
  }
}

const label = module => `${report(module).model ?? jobs.items.get(module.job)?.model_display_name ?? "?"} · ` +
    `${module.target} · ${ago(module.create_time_micros)} · ${shortId(module.name)}`;

const total = r => r[r.verdict === "faster" ? "tuned" : "default"]?.median_seconds || r.sum_of_tasks_seconds;

// Rows of {label, weight, a, b, guess}: seconds in one run of the model, by task; undefined where it has no such task.
// `guess`: one side was never measured (its job ended before), so its time is the prior's and no ground to compare.
function joined(a, b) {
  const rows = new Map();
  for (const [side, r] of [["a", a], ["b", b]]) {
    for (const task of r.tasks ?? []) {
      const key = task.label || task.task_id;
      const row = rows.get(key) ?? {label: key, weight: 0, guess: false};
      row[side] = (row[side] ?? 0) + task.weight * task.seconds;
      row.weight = Math.max(row.weight, task.weight);
      row.guess ||= !(task.trials > 0);
      rows.set(key, row);
    }
  }
  const delta = row => (row.guess ? 0 : (row.b ?? 0) - (row.a ?? 0));
  return [...rows.values()].map(row => ({...row, delta: delta(row)})).sort((p, q) => Math.abs(q.delta) - Math.abs(p.delta));
}

function chooser(name, text, all, chosen) {
  return el("label", {class: "chooser"}, text, el("select", {id: `choose-${name}`, "data-side": name},
      el("option", {value: "", selected: !chosen}, "choose a module"),
      all.map(m => el("option", {value: id(m), selected: id(m) === chosen}, label(m)))));
}

function verdict(a, b) {
  const ratio = total(a) / total(b);
  if (!(ratio > 0)) return "no times to compare";
  return Math.abs(ratio - 1) < 0.005 ? "as fast as A" : ratio > 1 ? "faster than A" : "slower than A";
}

function table(rows) {
  const limit = Math.max(...rows.map(row => Math.abs(row.delta)), 0);
  return el("table", {class: "stacking"},
      el("thead", {}, el("tr", {}, ["Task", "B against A", "A", "B", "A / B"].map(
          (name, i) => el("th", {scope: "col", class: i > 1 && "number"}, name)))),
      el("tbody", {}, rows.map(row => el("tr", {},
          el("th", {scope: "row"}, row.label, row.weight > 1 && el("small", {class: "muted"}, ` ×${row.weight}`)),
          el("td", {class: "bar"}, !row.guess && difference(row.delta, limit)),
          el("td", {"data-label": "A", class: "number"}, latency(row.a)),
          el("td", {"data-label": "B", class: "number"}, latency(row.b)),
          el("td", {"data-label": "A / B", class: "number"}, row.guess ? "–" : times(row.a / row.b))))));
}

function comparison(a, b) {
  const rows = joined(a, b);
  const measured = rows.filter(row => !row.guess), guesses = rows.filter(row => row.guess);
  return [
    el("dl", {class: "figures"}, figure("A", latency(total(a)), a.verdict), figure("B", latency(total(b)), b.verdict),
       figure("A / B", times(total(a) / total(b)), verdict(a, b)),
       figure("Sum of tasks", `${latency(a.sum_of_tasks_seconds)} → ${latency(b.sum_of_tasks_seconds)}`,
              guesses.length > 0 && `${guesses.length} of ${rows.length} tasks only estimated`)),
    el("p", {class: "muted"}, "Each was measured in its own job. ", el("code", {}, "hone compare"), " runs both in turns and decides."),
    measured.length > 0 && card("Task by task",
        el("p", {class: "muted"}, "Time of a task in one run of the model; the largest differences first. Left, B takes less " +
                                  "time; right, more."), table(measured)),
    guesses.length > 0 && el("details", {class: "card"}, el("summary", {}, `${guesses.length} tasks that one of the two only ` +
                                                            "estimated, and did not measure"), table(guesses))];
}

export function compareView(first = "", second = "") {
  return {
    title: "Compare",

    async refresh() { await Promise.all([modules.refresh(), refreshJobs()]); },

    render(root) {
      const all = modules.newestFirst();
      const a = modules.items.get(`modules/${first}`), b = modules.items.get(`modules/${second}`);
      render(root, el("h1", {}, "Compare two modules"),
          all.length === 0 ? card("No modules yet", el("p", {}, "A job that ends leaves one.")) :
              el("div", {class: "choosers"}, chooser("a", "A (baseline)", all, first), chooser("b", "B", all, second)),
          a && b && comparison(report(a), report(b)),
          all.length > 0 && !(a && b) && el("p", {class: "muted"}, "Choose two modules, of one model or of two."));
    },

    change(target) {
      const side = target.dataset.side;
      if (side) location.hash = `#/compare/${side === "a" ? target.value : first}/${side === "b" ? target.value : second}`;
    },
  };
}
