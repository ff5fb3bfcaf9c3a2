// One job: its curve, its trials by outcome, its tasks beside the roofline, its last trials.
import {ended, logOf, refreshJob} from "./api.js";
import {ago, card, count, duration, el, figure, latency, percent, render, seconds, shortId, times, when} from "./dom.js";
import {curve, outcomes, restoreCursors, roofline} from "./charts.js";
import {progressBar, speedup, statePill} from "./jobs.js";

const TASKS_SHOWN = 15, LAST_TRIALS = 10;

let axis = "trial";  // of the curve: trial or time

function figures(job, trials) {
  const p = job.progress ?? {};
  const end = ended(job) ? seconds(job.end_time_micros) : Date.now() / 1e3;
  return el("dl", {class: "figures"},
      figure("Predicted latency", latency(p.predicted_seconds), `default ${latency(p.default_predicted_seconds)}`),
      figure("Over default", times(speedup(job))),
      figure("Trials", count(p.trials_done ?? 0), p.trials_budget > 0 ? `of ${count(p.trials_budget)}` : ""),
      figure(ended(job) ? "Took" : "Running for", duration(end - seconds(job.create_time_micros)),
             p.eta_seconds > 0 && !ended(job) ? `${duration(p.eta_seconds)} left` : ""),
      figure("Measured well", trials.length ? percent(trials.filter(t => t.outcome === "ok").length / trials.length) : "–",
             "of the trials"));
}

function facts(job) {
  const spec = job.spec ?? {};
  return [!ended(job) && job.progress?.phase, spec.target && `target ${spec.target}`,
          spec.threads > 0 && `${spec.threads} thread${spec.threads > 1 ? "s" : ""}`, spec.strategy, spec.algorithms,
          job.child_restarts > 0 && `restarted ${job.child_restarts}×`, `created ${when(job.create_time_micros)}`]
      .filter(Boolean).join(" · ");
}

function convergenceCard(job, log, width) {
  const points = log.convergence(job);
  const choice = (value, text) =>
      el("button", {type: "button", class: "choice", "data-axis": value, "aria-pressed": String(axis === value)}, text);
  return card("Best so far", el("div", {class: "choices", role: "group", "aria-label": "Horizontal axis"},
                                choice("trial", "by trials"), choice("time", "by time")),
      points.length > 1 ?
          curve("best-so-far", points, {axis, width, baseline: points[0].seconds, live: !ended(job)}) :
          el("p", {class: "muted"}, "No trial has been measured yet."),
      log.full && el("p", {class: "notice"}, `Of this job's log the first ${count(log.records.length)} records are shown.`));
}

function taskRow(task, total) {
  const best = task.best_seconds > 0 ? task.best_seconds : task.default_seconds;
  return el("tr", {},
      el("th", {scope: "row", title: task.best_trace}, task.label || shortId(task.task_id),
         task.weight > 1 && el("small", {class: "muted"}, ` ×${task.weight}`)),
      el("td", {class: "bar"}, roofline(task.floor_seconds, best, task.default_seconds)),
      el("td", {"data-label": "Of roofline", class: "number"}, best > 0 ? percent(Math.min(1, task.floor_seconds / best)) : "–"),
      el("td", {"data-label": "Share", class: "number"}, total > 0 ? percent(task.weight * best / total) : "–"),
      el("td", {"data-label": "Best", class: "number"}, latency(best)),
      el("td", {"data-label": "Over default", class: "number"}, times(task.default_seconds / best)),
      el("td", {"data-label": "Trials", class: "number"}, count(task.trials)));
}

function tasksTable(tasks, total) {
  return el("table", {class: "stacking tasks"},
      el("thead", {}, el("tr", {}, ["Task", "Roofline", "", "Share", "Best", "Over default", "Trials"].map(
          (name, i) => el("th", {scope: "col", class: i > 1 && "number"}, name)))),
      el("tbody", {}, tasks.map(task => taskRow(task, total))));
}

function tasksCard(job) {
  const cost = task => task.weight * (task.best_seconds || task.default_seconds);
  const tasks = [...(job.progress?.tasks ?? [])].sort((a, b) => cost(b) - cost(a));
  if (tasks.length === 0) return null;
  const total = tasks.reduce((sum, task) => sum + cost(task), 0);
  return card("Tasks beside the roofline",
      el("p", {class: "muted"}, "Filled: how much of the device's limit the best schedule reaches. Tick: the default schedule."),
      tasksTable(tasks.slice(0, TASKS_SHOWN), total),
      tasks.length > TASKS_SHOWN && el("details", {}, el("summary", {}, `${tasks.length - TASKS_SHOWN} smaller ones`),
                                       tasksTable(tasks.slice(TASKS_SHOWN), total)));
}

function trialsCard(trials) {
  if (trials.length === 0) return null;
  const last = trials.slice(-LAST_TRIALS).reverse();
  return [card("Trials by outcome", outcomes(trials)),
          card("Last trials", el("table", {class: "stacking"},
              el("thead", {}, el("tr", {}, ["Task", "Outcome", "Time", "Of the best then", "Schedule"].map(
                  (name, i) => el("th", {scope: "col", class: (i === 2 || i === 3) && "number"}, name)))),
              el("tbody", {}, last.map(t => el("tr", {},
                  el("th", {scope: "row"}, t.label),
                  el("td", {"data-label": "Outcome", title: t.message}, t.outcome.replace("_", " ")),
                  el("td", {"data-label": "Time", class: "number"}, t.outcome === "ok" ? latency(t.seconds) : "–"),
                  el("td", {"data-label": "Of the best then", class: "number"}, t.ratio > 0 ? t.ratio.toFixed(3) : "–"),
                  el("td", {class: "trace"}, el("code", {title: t.trace}, t.trace)))))))];
}

export function jobView(id) {
  let job;
  return {
    title: "Job",

    async refresh() {
      if (!job || !ended(job)) job = await refreshJob(`jobs/${id}`);
      await logOf(job).refresh(job);
      this.title = job.model_display_name;
    },

    render(root) {
      const log = logOf(job), trials = log.trials();
      const width = Math.max(260, Math.min(1100, root.clientWidth - 42));
      render(root, el("p", {class: "back"}, el("a", {href: "#/jobs"}, "← Jobs")),
          el("h1", {}, job.model_display_name, " ", statePill(job)),
          el("p", {class: "muted"}, facts(job)),
          job.error && el("p", {class: "notice bad"}, job.error),
          !ended(job) && progressBar(job),
          figures(job, trials), convergenceCard(job, log, width), tasksCard(job), trialsCard(trials),
          job.module && el("p", {}, "Its module: ", el("code", {}, `hone module download ${shortId(job.name)}`), " · ",
                           el("a", {href: `#/compare/${job.module.split("/").pop()}`}, "compare with another")));
      restoreCursors(root);
    },

    click(target) {
      if (!target.dataset.axis) return false;
      axis = target.dataset.axis;
      return true;
    },
  };
}
