// The devices that measure: health, utilisation as seen from here, and their calibration.
import {listWorkers} from "./api.js";
import {ago, bytes, card, count, el, figure, percent, pill, render, seconds, shortId} from "./dom.js";
import {sparkline} from "./charts.js";

const SAMPLES = 240;
const KINDS = {idle: "idle", busy: "busy", lost: "bad"};

let workers = [];
const history = new Map();  // name -> [{time, busy, trials}], one for each look

function note(worker) {
  const samples = history.get(worker.name) ?? [];
  samples.push({time: Date.now() / 1e3, busy: worker.state === "busy" ? 1 : 0, seconds: worker.busy_seconds,
                trials: Number(worker.trials_done)});
  history.set(worker.name, samples.slice(-SAMPLES));
}

// The part of the time it held leases since this page was opened: as the server counts it or, until that moves, as seen.
function busyPart(samples) {
  const first = samples[0], last = samples[samples.length - 1];
  const counted = (last.seconds - first.seconds) / (last.time - first.time);
  return counted > 0 ? Math.min(1, counted) : samples.reduce((sum, s) => sum + s.busy, 0) / samples.length;
}

function perMinute(samples) {
  const first = samples[0], last = samples[samples.length - 1];
  return last.time > first.time ? (60 * (last.trials - first.trials)) / (last.time - first.time) : 0;
}

// Trials in each step between looks, smoothed over a few.
function pace(samples) {
  return samples.slice(1).map((s, i) => perMinute(samples.slice(Math.max(0, i - 4), i + 2)));
}

function calibration(device) {
  const c = device?.calibration;
  if (!c) return el("p", {class: "muted"}, "not calibrated yet");
  const rows = [...Object.entries(c.fma_gflops ?? {}).sort().map(([target, g]) => [target, `${g.toFixed(0)} GFLOP/s`]),
                ...[["L1", c.l1_read_gbps], ["L2", c.l2_read_gbps], ["L3", c.l3_read_gbps], ["memory", c.dram_read_gbps]]
                    .filter(([, v]) => v > 0).map(([name, v]) => [name, `${v.toFixed(0)} GB/s`])];
  return el("ul", {class: "legend"}, rows.map(([name, value]) => el("li", {}, `${name} `, el("b", {}, value))));
}

function workerCard(worker) {
  const d = worker.device ?? {}, samples = history.get(worker.name);
  return el("section", {class: "card"},
      el("h2", {}, worker.display_name || shortId(worker.name), " ", pill(worker.state, KINDS[worker.state] ?? "warn"), " ",
         worker.hold && pill(worker.hold, worker.hold === "quarantined" ? "bad" : "warn")),
      el("p", {class: "muted"}, [d.cpu_name, d.target, d.cores > 0 && `${d.cores} cores`, d.l2_bytes > 0 && `L2 ${bytes(d.l2_bytes)}`,
                                 d.l3_bytes > 0 && `L3 ${bytes(d.l3_bytes)}`].filter(Boolean).join(" · ")),
      worker.hold_reason && el("p", {class: "notice"}, worker.hold_reason),
      el("dl", {class: "figures"},
         figure("Last seen", ago(worker.last_seen_micros)), figure("Trials", count(worker.trials_done)),
         figure("Busy", percent(busyPart(samples)), "since opened"),
         figure("Trials / min", perMinute(samples).toFixed(0)),
         worker.leases_lost > 0 && figure("Leases lost", count(worker.leases_lost), `of ${count(+worker.leases_done + +worker.leases_lost)}`)),
      worker.last_failure && el("p", {class: "muted"}, `Last lost lease: ${worker.last_failure}`),
      worker.state !== "lost" && sparkline(pace(samples), {width: 300, height: 48, low: 0}),
      calibration(d));
}

export const workersView = {
  title: "Workers",

  async refresh() {
    workers = await listWorkers();
    workers.forEach(note);
  },

  render(root) {
    const order = {busy: 0, idle: 1, lost: 3};
    const rank = w => order[w.state] ?? 2;
    const sorted = [...workers].sort((a, b) => rank(a) - rank(b) || seconds(b.last_seen_micros) - seconds(a.last_seen_micros));
    const by = state => workers.filter(w => w.state === state).length;
    render(root, el("h1", {}, "Workers"),
        el("dl", {class: "figures"}, figure("Busy", count(by("busy"))), figure("Idle", count(by("idle"))),
           figure("Lost", count(by("lost"))),
           figure("Trials / min", workers.reduce((sum, w) => sum + perMinute(history.get(w.name)), 0).toFixed(0))),
        workers.length === 0 ?
            card("No workers yet", el("p", {}, "Lend a device with ", el("code", {}, "hone-worker join"), ".")) :
            el("div", {class: "cards wide"}, sorted.map(workerCard)));
  },
};
