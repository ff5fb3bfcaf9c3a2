"""What a job must survive. Each takes a Hone, a model, and check(hone, folder) for the module that comes out of it."""
import os
import signal

from hone_service import kill_9

TRIALS = 48   # of the jobs that are disturbed: enough to be caught in the middle


def start_job(hone, model):
    """Queues a job and waits for its first trial."""
    job = hone.json("optimize", model, "--trials", TRIALS, "--strategy", "random", "--threads", 1, "--detach")["job"]["name"]
    hone.wait_for_job(job, lambda j: j["progress"]["trials_done"] > 0, "a first trial")
    return job


def assert_survived(hone, job, acknowledged, check):
    """The job reached its end, each trial counted once, nothing acknowledged was measured again."""
    after = hone.wait_for_job(job, lambda j: j["state"] == "JOB_STATE_SUCCEEDED", "the end of the job", timeout=300)
    assert 0 < len(acknowledged) < TRIALS, "the disturbance came too late to prove anything"
    assert after["progress"]["trials_done"] == TRIALS, after["progress"]
    records = hone.trials(job)
    ids = [r["trial_id"] for r in records]
    assert len(ids) == len(set(ids)) == TRIALS, (len(ids), len(set(ids)))
    kept = {r["name"]: r for r in records}
    for record in acknowledged:   # still there, word for word
        assert kept[record["name"]] == record, (kept[record["name"]], record)
    out = os.path.join(hone.folder, "survived")
    hone.run("module", "download", job, "-o", out)
    check(hone, out)
    return after


def kill_server(hone, model, check):
    """The command that watches starts the server again and sees the job through."""
    out = os.path.join(hone.folder, "out")
    command = hone.start("optimize", model, "-o", out, "--trials", TRIALS, "--strategy", "random", "--threads", 1,
                         "--no-onnxruntime")
    job = hone.wait_for_any_job()
    hone.wait_for_job(job, lambda j: j["progress"]["trials_done"] > 0, "a first trial")
    acknowledged = hone.trials(job)
    killed = hone.state["server_pid"]
    kill_9(killed)
    text, _ = command.communicate(timeout=300)
    print(text)
    assert command.returncode == 0, text
    assert "away" in text, text
    assert not hone.up()["started"] and hone.state["server_pid"] != killed
    assert_survived(hone, job, acknowledged, check)


def kill_job(hone, model, check):
    job = start_job(hone, model)
    acknowledged = hone.trials(job)
    children = hone.job_children()
    assert children, "no hone-job child runs"
    for pid in children:
        kill_9(pid)
    assert assert_survived(hone, job, acknowledged, check)["child_restarts"] >= 1


def kill_worker(hone, model, check):
    job = start_job(hone, model)
    acknowledged = hone.trials(job)
    kill_9(hone.state["worker_pid"])
    assert hone.up()["started"]
    assert_survived(hone, job, acknowledged, check)


def resume(hone, model, check):
    """A cancelled job goes on with the rest of its budget, a finished one with more; nothing is measured twice."""
    job = start_job(hone, model)
    running = hone.run("job", "resume", job, check=False)
    assert running.returncode == 3 and "hone job watch" in running.stderr, running.stderr
    hone.run("job", "cancel", job)
    hone.wait_for_job(job, lambda j: j["end_time_micros"] != "0", "the end of the cancelled job")
    acknowledged = hone.trials(job)
    resumed = hone.json("job", "resume", job)
    assert resumed["module"] and resumed["progress"]["trials_done"] == len(acknowledged), resumed
    kill_9(hone.state["server_pid"])
    assert hone.up()["started"]
    assert_survived(hone, job, acknowledged, check)
    spent = hone.run("job", "resume", job, check=False)
    assert spent.returncode == 3 and "--budget" in spent.stderr, spent.stderr
    hone.run("job", "resume", job, "--budget", "8trials")
    ended = hone.wait_for_job(job, lambda j: j["state"] == "JOB_STATE_SUCCEEDED", "the second end", timeout=300)
    records = hone.trials(job)
    assert len(records) == ended["progress"]["trials_done"] == TRIALS + 8, (len(records), ended["progress"])
    schedules = [(r["task_key"], r["trace"]) for r in records]
    assert len(set(schedules)) == len(schedules), "a schedule was measured twice"
    out = os.path.join(hone.folder, "resumed")
    hone.run("module", "download", job, "-o", out)
    check(hone, out)


def detach(hone, model, check):
    """Ctrl-C leaves the job running; cancelling it gives the best so far."""
    command = hone.start("optimize", model, "--budget", "none", "--strategy", "random", "--threads", 1)
    job = hone.wait_for_any_job()
    hone.wait_for_job(job, lambda j: j["progress"]["trials_done"] > 0, "a first trial")
    command.send_signal(signal.SIGINT)
    text, _ = command.communicate(timeout=60)
    assert command.returncode == 130 and "hone job watch" in text, text
    before = hone.json("job", "show", job)["progress"]["trials_done"]
    hone.wait_for_job(job, lambda j: j["progress"]["trials_done"] > before, "another trial")
    hone.run("job", "cancel", job)
    out = os.path.join(hone.folder, "best")
    hone.run("module", "download", job, "-o", out)
    check(hone, out)
