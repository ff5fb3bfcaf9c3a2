// The server's reading calls (README "Dashboard"), and what the page remembers of their answers.

const KEY = "hone-token";
const PAGE_JOBS = 50, PAGE_RECORDS = 500, MAX_RECORDS = 20000, MAX_PAGES = 100, PATIENCE_MS = 15000;

export class Refused extends Error {}  // the token, by the server

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: value => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

export async function call(method, fields = {}) {
  const response = await fetch(`/api/${method}?${new URLSearchParams(fields)}`, {
    headers: {Authorization: `Bearer ${token.get()}`}, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS)});
  const body = await response.json();
  if (response.ok) return body;
  if (response.status === 401 || response.status === 403) throw new Refused(body.message);
  throw new Error(body.message);
}

// A listing that only grows: its last page is read again, earlier ones are not.
class Listing {
  constructor(method, key, page_size) { Object.assign(this, {method, key, page_size, items: new Map(), last: ""}); }

  async refresh() {
    for (let page = 0; page < MAX_PAGES; ++page) {
      const answer = await call(this.method, {page_size: this.page_size, page_token: this.last});
      for (const item of answer[this.key]) this.items.set(item.name, item);
      if (!answer.next_page_token) return;
      this.last = answer.next_page_token;
    }
  }

  newestFirst() {
    return [...this.items.values()].sort((a, b) => Number(b.create_time_micros) - Number(a.create_time_micros));
  }
}

export const jobs = new Listing("JobService/ListJobs", "jobs", PAGE_JOBS);
export const modules = new Listing("ModuleService/ListModules", "modules", PAGE_JOBS);

export const ended = job => Number(job.end_time_micros) > 0;

// New jobs, and old ones that go on.
export async function refreshJobs() {
  const open = jobs.newestFirst().filter(job => !ended(job)).slice(0, 20);
  await Promise.all([jobs.refresh(), ...open.map(job => refreshJob(job.name))]);
}

export async function refreshJob(name) {
  const job = await call("JobService/GetJob", {name});
  const known = jobs.items.get(name);
  if (!known || Number(known.revision) <= Number(job.revision)) jobs.items.set(name, job);
  return jobs.items.get(name);
}

export async function listWorkers() {
  return (await call("WorkerService/ListWorkers", {page_size: 1000})).workers;
}

// The log of one job, read on from its last batch: {name, task, label, outcome, message, seconds, trace, time, ratio}.
class JobLog {
  constructor(job) { Object.assign(this, {job, records: [], seen: new Set(), batch: 0, full: false, revision: -1}); }

  async refresh(job) {
    if (this.full || this.revision === job.revision) return;
    const id = this.job.split("/").pop();
    const filter = `job="${id}" AND batch>=${this.batch}`;
    let page_token = "";
    do {
      const answer = await call("RecordService/ListRecords", {filter, page_size: PAGE_RECORDS, page_token});
      answer.records.forEach(record => this.add(record));
      page_token = answer.next_page_token;
      this.full = this.records.length >= MAX_RECORDS;
    } while (page_token && !this.full);
    this.revision = job.revision;
  }

  add(record) {
    this.batch = Math.max(this.batch, record.batch);
    if (this.seen.has(record.name)) return;
    this.seen.add(record.name);
    const measured = record.measurement ?? {};
    this.records.push({
      name: record.name, task: record.task_id, label: record.task_label, trace: record.trace,
      outcome: (measured.outcome ?? "").replace("OUTCOME_", "").toLowerCase(), message: measured.message ?? "",
      seconds: measured.p20_seconds, ratio: measured.ratio_to_incumbent,
      time: Number(record.create_time_micros) / 1e6,
      trial: record.task_key !== "" && !record.trial_id.endsWith(".incumbent"),
    });
  }

  trials() { return this.records.filter(record => record.trial); }

  // The best predicted latency after each trial: the sum over the tasks of weight x best time so far, and what the
  // server expects of tasks that were never measured, so that the curve ends at the job's predicted latency.
  convergence(job) {
    const tasks = new Map();
    let total = 0;
    for (const task of job.progress?.tasks ?? []) {
      if (task.default_seconds > 0) tasks.set(task.task_id, {weight: task.weight, best: task.default_seconds});
      total += task.weight * task.default_seconds;
    }
    if (!(total > 0)) return [];
    const points = [{trial: 0, time: 0, seconds: total}];
    let trial = 0;
    for (const record of this.records) {
      if (record.trial) ++trial;
      const task = tasks.get(record.task);
      if (task && record.outcome === "ok" && record.seconds > 0 && record.seconds < task.best) {
        total += task.weight * (record.seconds - task.best);
        task.best = record.seconds;
      }
      if (record.trial) points.push({trial, time: record.time - this.records[0].time, seconds: total, record});
    }
    const rest = Math.max(0, job.progress.predicted_seconds - total);
    return points.map(point => ({...point, seconds: point.seconds + rest}));
  }
}

const logs = new Map();
export function logOf(job) {
  if (!logs.has(job.name)) logs.set(job.name, new JobLog(job.name));
  return logs.get(job.name);
}
