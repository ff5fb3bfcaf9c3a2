// The list of jobs, with curves of those that run.
import {ended, jobs, logOf, refreshJobs} from "./api.js";
import {ago, card, count, duration, el, figure, latency, percent, pill, render, seconds, shortId, times} from "./dom.js";
import {sparkline} from "./charts.js";

const MAX_CURVES = 6;

const STATES = {
  JOB_STATE_QUEUED: ["queued", "idle"], JOB_STATE_RUNNING: ["running", "busy"],
  JOB_STATE_SUCCEEDED: ["succeeded", "good"], JOB_STATE_FAILED: ["failed", "bad"],
  JOB_STATE_CANCELLED: ["cancelled", "warn"],
};

export function statePill(job) {
  const [text, kind] = STATES[job.state] ?? ["unknown", "idle"];
  return pill(job.state === "JOB_STATE_CANCELLED" && !ended(job) ? "stopping" : text, kind);
}

// Part of its budget that a job has used; of several limits the nearest.
export function spent(job) {
  const p = job.progress ?? {};
  if (ended(job)) return 1;
  return Math.min(1, Math.max(p.trials_budget > 0 ? p.trials_done / p.trials_budget : 0,
                              p.seconds_budget > 0 ? p.seconds_spent / p.seconds_budget : 0));
}

export const progressBar = job => el("progress", {max: 1, value: spent(job).toFixed(4),
                                                  "aria-label": `${percent(spent(job))} of the budget`});

export const speedup = job => job.progress?.default_predicted_seconds / job.progress?.predicted_seconds;

export const link = job => el("a", {href: `#/jobs/${job.name.split("/").pop()}`}, job.model_display_name || "(no name)");

function runningCard(job) {
  const p = job.progress ?? {};
  const points = logOf(job).convergence(job);
  return el("article", {class: "card running"},
      el("h3", {}, link(job), " ", statePill(job)),
      el("p", {class: "muted"}, `${p.phase || "queued"} · ${shortId(job.name)} · started ${ago(job.create_time_micros)}`),
      points.length > 1 && sparkline(points.map(q => q.seconds), {width: 300, height: 56}),
      el("p", {class: "row"}, el("b", {class: "big"}, latency(p.predicted_seconds)),
         el("span", {class: "gain"}, times(speedup(job))),
         el("span", {class: "muted"}, `${count(p.trials_done)} trials`,
            p.eta_seconds > 0 && ` · ${duration(p.eta_seconds)} left`)),
      progressBar(job));
}

function row(job) {
  const p = job.progress ?? {};
  const took = ended(job) ? duration(seconds(job.end_time_micros) - seconds(job.create_time_micros)) : "";
  return el("tr", {},
      el("th", {scope: "row"}, link(job), el("small", {class: "muted"}, ` ${shortId(job.name)}`)),
      el("td", {"data-label": "State"}, statePill(job)),
      el("td", {"data-label": "Latency", class: "number"}, latency(p.predicted_seconds)),
      el("td", {"data-label": "Over default", class: "number"}, times(speedup(job))),
      el("td", {"data-label": "Trials", class: "number"}, count(p.trials_done ?? 0)),
      el("td", {"data-label": "Took", class: "number"}, took || "–"),
      el("td", {"data-label": "Created"}, ago(job.create_time_micros)));
}

export const jobsView = {
  title: "Jobs",

  async refresh() {
    await refreshJobs();
    const running = jobs.newestFirst().filter(job => !ended(job)).slice(0, MAX_CURVES);
    await Promise.all(running.map(job => logOf(job).refresh(job)));
  },

  render(root) {
    const all = jobs.newestFirst();
    const open = all.filter(job => !ended(job));
    const by = state => all.filter(job => job.state === state).length;
    const gains = all.filter(job => job.state === "JOB_STATE_SUCCEEDED").map(speedup).filter(Number.isFinite);
    const median = gains.sort((a, b) => a - b)[gains.length >> 1];
    render(root, el("h1", {}, "Jobs"),
        el("dl", {class: "figures"},
           figure("Under way", count(open.length)), figure("Succeeded", count(by("JOB_STATE_SUCCEEDED"))),
           figure("Failed", count(by("JOB_STATE_FAILED"))),
           figure("Median gain", times(median), "over the default schedules")),
        open.length > 0 && el("div", {class: "cards"}, open.map(runningCard)),
        all.length === 0 ?
            card("No jobs yet", el("p", {}, "Queue one with ", el("code", {}, "hone optimize model.onnx"), ".")) :
            card("All jobs", el("table", {class: "stacking"},
                el("thead", {}, el("tr", {}, ["Model", "State", "Latency", "Over default", "Trials", "Took", "Created"]
                    .map((name, i) => el("th", {scope: "col", class: i > 1 && i < 6 && "number"}, name)))),
                el("tbody", {}, all.map(row)))));
  },
};
