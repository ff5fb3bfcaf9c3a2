#include "client/command.h"
#include "client/commands/commands.h"

namespace hone {
namespace {

constexpr OptionRow kCommon[] = {
    {"--json", nullptr, nullptr, "Print JSON only; errors become one JSON object on stderr."},
    {"--context", nullptr, "NAME",
     "Use this server of 'hone context list' (HONE_CONTEXT); local is this user's own, found or started."},
    {"--server", nullptr, "HOST:PORT", "Use this server (HONE_SERVER)."},
    {"--token-file", nullptr, "FILE",
     "File with the bearer token, - for stdin (the token itself: HONE_TOKEN)."},
    {"--ca", nullptr, "FILE", "The server's certificate, PEM (HONE_CA): a copy of its tls/cert.pem."},
    {"--help", "-h", nullptr, "Show this text."},
};

constexpr OptionRow kShape = {"--shape", nullptr, "NAME=DIMS",
                              "Fix the shape of an input, e.g. x=1,3,48,320.", true};
constexpr OptionRow kTarget = {
    "--target", nullptr, "T",
    "What to compile for: x86-64-v2, x86-64-v3, x86-64-v4 or host (default: the device's best)."};
constexpr OptionRow kThreads = {"--threads", nullptr, "N",
                                "Threads of the module (default: all cores of the device)."};
constexpr OptionRow kLimit = {"--limit", nullptr, "N", "Most rows (default 50), or all."};
constexpr OptionRow kPage = {"--page", nullptr, "TOKEN",
                             "Go on after an earlier page: the token that it printed."};
constexpr OptionRow kOut = {"--out", "-o", "DIR", "Folder for the module's files (default: out)."};

constexpr OptionRow kUp[] = {
    {"--timeout", nullptr, "TIME", "How long to wait until server and worker are ready (default 90s)."}};

constexpr OptionRow kLogin[] = {
    {"--name", nullptr, "NAME", "What to call it (default: the host)."},
    {"--fingerprint", nullptr, "SHA256",
     "Trust the certificate with this fingerprint, and no other; nothing is asked then."},
};

constexpr OptionRow kOptimize[] = {
    kOut,
    {"--budget", nullptr, "BUDGET",
     "How long to search: 5m, 100trials, 5m,100trials, 0trials (measure nothing), none (until "
     "no gain is expected). Default 5m."},
    {"--trials", nullptr, "N", "Same as --budget Ntrials."},
    kThreads,
    kTarget,
    kShape,
    {"--algorithms", nullptr, "WHICH",
     "fast (default), or exact: only algorithms that keep the order of rounding."},
    {"--strategy", nullptr, "WHICH", "evolutionary (default) or random."},
    {"--seed", nullptr, "N", "Seed of the search (default 0)."},
    {"--detach", nullptr, nullptr, "Queue the job and return at once."},
    {"--no-onnxruntime", nullptr, nullptr, "Leave the comparison with ONNX Runtime out of the report."},
};

constexpr OptionRow kInspect[] = {kShape, kTarget, kThreads};
constexpr OptionRow kDump[] = {
    {"--after", nullptr, "PHASE",
     "Which phase: import, the name of a pass, cut, program:TASK, plan (default cut)."},
    kShape,
    kTarget,
    kThreads};
constexpr OptionRow kBench[] = {
    {"--model", nullptr, "FILE",
     "The ONNX model to compare with (default: the one the module was made from)."},
    kThreads,
    kShape,
    {"--rounds", nullptr, "N", "Rounds, each a window of both in turn (default 15)."},
    {"--window", nullptr, "TIME", "Length of a window (default 100ms)."},
    {"--seed", nullptr, "N", "Seed of the inputs (default 1)."},
};
constexpr OptionRow kProfile[] = {
    kThreads,
    kShape,
    {"--rounds", nullptr, "N", "Windows of which each step's median is taken (default 15)."},
    {"--window", nullptr, "TIME", "Length of a window (default 100ms)."},
    {"--seed", nullptr, "N", "Seed of the inputs (default 1)."},
};
constexpr OptionRow kCompare[] = {
    {"--fail-if-slower", nullptr, "PERCENT",
     "Exit with 1 if the candidate is slower by more than this, e.g. 2%, with 95 % confidence."},
    {"--evidence", nullptr, "FILE", "Write what was measured, round by round, as JSON."},
    kThreads,
    kShape,
    {"--rounds", nullptr, "N", "Rounds, each a window of both in turn (default 31, at least 6)."},
    {"--window", nullptr, "TIME", "Length of a window (default 100ms)."},
    {"--seed", nullptr, "N", "Seed of the inputs (default 1)."},
};
constexpr OptionRow kList[] = {kLimit, kPage};
constexpr OptionRow kModuleList[] = {{"--job", nullptr, "JOB", "Only modules of this job."}, kLimit, kPage};
constexpr OptionRow kResume[] = {{"--budget", nullptr, "BUDGET",
                                  "How much more: 5m, 100trials, 5m,100trials, none (until no gain is "
                                  "expected). Default: what the job has "
                                  "left of its own budget."}};
constexpr OptionRow kPlot[] = {{"--out", "-o", "FILE", "Write an SVG image here instead."}};
constexpr OptionRow kDownload[] = {kOut};
constexpr OptionRow kTail[] = {
    {"--since", nullptr, "TIME", "Begin this long ago (default 10m)."},
    {"--for", nullptr, "TIME", "End after this time (default: with Ctrl-C). With --json: one record a line."},
};
constexpr OptionRow kExplain[] = {
    {"--job", nullptr, "JOB", "Explain this job's best trial instead."},
    {"--task", nullptr, "TASK", "Of that job: the best trial of this task, its id or the beginning of it."},
    {"--out", "-o", "FILE", "Write an SVG image here instead."},
};
constexpr OptionRow kExport[] = {
    {"--format", nullptr, "FORMAT", "jsonl (default: whole records) or csv."},
    {"--out", "-o", "FILE", "Write here instead of to the terminal."},
};

constexpr OptionRow kUserCreate[] = {
    {"--role", nullptr, "ROLE",
     "viewer (looks), user (default), operator (workers too) or admin (users too)."}};
constexpr OptionRow kUserUpdate[] = {
    {"--role", nullptr, "ROLE", "viewer, user, operator or admin."},
    {"--disable", nullptr, nullptr, "Their tokens work no more."},
    {"--enable", nullptr, nullptr, "Their tokens work again."},
};
constexpr OptionRow kQuotas[] = {
    {"--jobs", nullptr, "N", "Most unfinished jobs at once, or none: no limit."},
    {"--storage", nullptr, "SIZE", "Most bytes of uploads, models and modules, e.g. 20GB, or none."},
    {"--device-time", nullptr, "TIME", "Most time on devices in a calendar month, e.g. 40h, or none."},
};
constexpr OptionRow kUsage[] = {
    {"--month", nullptr, "MONTH", "The month, e.g. 2026-11 (default: this one), UTC."}, kLimit, kPage};
constexpr OptionRow kExpires = {"--expires", nullptr, "TIME",
                                "How long it works, e.g. 12h or 90d (default: for ever)."};
constexpr OptionRow kLabel = {"--label", nullptr, "TEXT", "What it is for; 'hone token list' shows it."};
constexpr OptionRow kSecretOut = {"--out", "-o", "FILE", "Write it to this new file, readable by you alone."};
constexpr OptionRow kTokenCreate[] = {
    {"--role", nullptr, "ROLE", "Less than the user may do: viewer, user, operator or admin."},
    {"--project", nullptr, "PROJECT", "Whose models and jobs it sees (default: default)."},
    kExpires,
    kLabel,
    kSecretOut};
constexpr OptionRow kTokenEnrol[] = {
    {"--expires", nullptr, "TIME", "How long it works (default 1h)."}, kLabel, kSecretOut};

constexpr char kFilterDetails[] =
    "FILTER compares fields with values: model, task, task_label, worker, target, status, latency, trace, "
    "job, create_time; "
    "operators = != < <= > >= and : (contains), joined by AND, OR, NOT and parentheses. status is ok, "
    "rejected, "
    "compile_error, crash, timeout, wrong_output, device_lost or infrastructure; latency takes units (1.5ms, "
    "20us).";

const Command kCommands[] = {
    {"up", "Start a server and a worker of your own, or find them running.", "", 0, 0, kUp,
     "Both run in the background and keep their data under HONE_HOME (default ~/.local/share/hone). Safe to "
     "repeat.",
     "hone up\nhone up --json", RunUp},
    {"down",
     "Stop the server and the worker that 'hone up' started.",
     "",
     0,
     0,
     {},
     "Jobs under way stop too and go on with the next 'hone up'. Data stays.",
     "hone down",
     RunDown},
    {"login", "Save a server, so that commands go there.", "HOST:PORT", 1, 1, kLogin,
     "Shows the fingerprint of the server's certificate, to be compared with the one that 'hone up' or the "
     "server's log shows there, and asks for the token without showing it. Both are tried, then kept in "
     "contexts.json under HONE_HOME, which nobody else can read. Scripts give --fingerprint or --ca, and "
     "--token-file (- is stdin) or HONE_TOKEN. Options win over the environment, that over the last login or "
     "'hone context use', and that over your own server.",
     "hone login tuner.example.com:7443\n"
     "hone login 10.0.0.7:7443 --name lab --fingerprint sha256:9f86... --token-file - < ann.token",
     RunLogin},
    {"context list",
     "List the servers you are logged in to.",
     "",
     0,
     0,
     {},
     "* marks the one that commands go to.",
     "hone context list",
     RunContextList},
    {"context show",
     "Show which server commands go to, why, and who you are there.",
     "",
     0,
     0,
     {},
     "",
     "hone context show\nhone context show --context lab",
     RunContextShow},
    {"context use",
     "Let commands go to another server.",
     "NAME",
     1,
     1,
     {},
     "local is your own server. HONE_SERVER, HONE_CONTEXT and options win over it.",
     "hone context use lab\nhone context use local",
     RunContextUse},
    {"context remove",
     "Forget a server and the token for it.",
     "NAME",
     1,
     1,
     {},
     "The token stays good: 'hone token revoke' voids it.",
     "hone context remove lab",
     RunContextRemove},
    {"dashboard",
     "Print the address of the server's web page.",
     "",
     0,
     0,
     {},
     "Jobs with live curves, trials, tasks beside the roofline, workers, modules compared; reading only. The "
     "address "
     "carries a viewer's token of 12 hours after '#', which browsers keep to themselves; it works on this "
     "machine only.",
     "hone dashboard",
     RunDashboard},
    {"optimize", "Tune a model for a device and compile it to a module.", "MODEL.onnx", 1, 1, kOptimize,
     "Checks the model first; nothing is queued if a node is unsupported or a dimension open. Shows progress "
     "as it goes; "
     "Ctrl-C leaves, the job goes on. The module's files, report.json among them, come into the output "
     "folder.",
     "hone optimize resnet50.onnx --budget 5m -o out/\nhone optimize rec.onnx --shape x=1,3,48,320 --threads "
     "1\n"
     "hone optimize bert.onnx --budget none --detach",
     RunOptimize},
    {"inspect", "See what a model needs before anything is queued.", "MODEL.onnx", 1, 1, kInspect,
     "Inputs, outputs, operators, tasks, work and estimated tuning time; unsupported nodes by name with "
     "their remedy. Exits "
     "with 3 if the model cannot be compiled as it is.",
     "hone inspect resnet50.onnx\nhone inspect rec.onnx --shape x=1,3,48,320 --json", RunInspect},
    {"bench", "Compare a module with ONNX Runtime: speed and outputs.", "OUT_DIR", 1, 1, kBench,
     "Runs both in turns on the same inputs with the same threads, ONNX Runtime in a process of its own. "
     "Exits with 1 if "
     "the outputs differ (rtol 1e-3, atol 1e-4).",
     "hone bench out/\nhone bench out/ --model resnet50.onnx --threads 1 --rounds 31", RunBench},
    {"profile", "Show where the time of a module's run goes.", "OUT_DIR", 1, 1, kProfile,
     "Times each task inside the running module, beside what the tuner measured for it alone and the least "
     "that the device's arithmetic and memory allow. Needs no server.",
     "hone profile out/\nhone profile out/ --threads 1 --json", RunProfile},
    {"compare", "Compare two modules of one model, and gate a build on it.", "BASELINE CANDIDATE", 2, 2,
     kCompare,
     "Runs both in turns in this process on the same inputs. The verdict is \"slower\" if the whole "
     "95 % interval of the ratio candidate / baseline lies above the limit, \"undecided\" if the limit "
     "lies in it.",
     "hone compare old/ new/ --fail-if-slower 2%\n"
     "hone compare a/net.so b/net.so --threads 1 --evidence speed.json",
     RunCompare},
    {"job list", "List jobs, the newest last.", "", 0, 0, kList, "", "hone job list\nhone job list --json",
     RunJobList},
    {"job show", "Show one job with its tasks.", "JOB", 1, 1, {}, "", "hone job show 7f3a", RunJobShow},
    {"job watch",
     "Follow a job until it ends.",
     "JOB",
     1,
     1,
     {},
     "Ctrl-C leaves; the job goes on.",
     "hone job watch 7f3a",
     RunJobWatch},
    {"job cancel",
     "Stop a job; the best so far is still compiled.",
     "JOB",
     1,
     1,
     {},
     "",
     "hone job cancel 7f3a && hone module download 7f3a -o out/",
     RunJobCancel},
    {"job resume", "Let a job that has ended go on.", "JOB", 1, 1, kResume,
     "It goes on from its trials and measures none of them again; its module stays until there is a better "
     "informed one. For jobs that were cancelled, that failed for the machine's reasons, or that have spent "
     "their budget.",
     "hone job resume 7f3a --budget 5m\nhone job resume 7f3a --budget 100trials", RunJobResume},
    {"job delete",
     "Delete a job that has ended, and its module.",
     "JOB",
     1,
     1,
     {},
     "Its trials stay in the log and its model on the server.",
     "hone job delete 7f3a",
     RunJobDelete},
    {"job logs", "List a job's trials in order.", "JOB", 1, 1, kList, "", "hone job logs 7f3a --limit 200",
     RunJobLogs},
    {"job plot", "Show how a job's search converged.", "JOB", 1, 1, kPlot,
     "Best predicted latency after each trial: the sum over the tasks of weight x best time (p20) so far.",
     "hone job plot 7f3a\nhone job plot 7f3a -o convergence.svg", RunJobPlot},
    {"model list", "List uploaded models, the newest last.", "", 0, 0, kList, "", "hone model list",
     RunModelList},
    {"model delete",
     "Delete an uploaded model.",
     "MODEL",
     1,
     1,
     {},
     "Refused while a job under way uses it. Its jobs, trials and modules stay. MODEL is its id or the "
     "beginning of it.",
     "hone model delete 3fa0",
     RunModelDelete},
    {"module list", "List compiled modules.", "", 0, 0, kModuleList, "",
     "hone module list\nhone module list --job 7f3a", RunModuleList},
    {"module download", "Download a module's files.", "JOB_OR_MODULE", 1, 1, kDownload,
     "Of a job that is ending it waits for the module. Each file is checked against its digest.",
     "hone module download 7f3a -o out/", RunModuleDownload},
    {"worker list", "List the devices that measure.", "", 0, 0, kList, "", "hone worker list", RunWorkerList},
    {"worker show",
     "Show a device with its health and calibration.",
     "WORKER",
     1,
     1,
     {},
     "",
     "hone worker show 3c9e",
     RunWorkerShow},
    {"worker drain",
     "Let a device finish what it measures and give it nothing more.",
     "WORKER",
     1,
     1,
     {},
     "It stays connected; 'hone worker release' gives it work again.",
     "hone worker drain 3c9e",
     RunWorkerDrain},
    {"worker release",
     "Give a drained or quarantined device work again.",
     "WORKER",
     1,
     1,
     {},
     "A device is quarantined after 3 results that no honest device can give; 'hone worker show' says the "
     "last. What it told before stays marked as suspect and is not used.",
     "hone worker release 3c9e",
     RunWorkerRelease},
    {"worker remove",
     "Forget a device and void its certificates.",
     "WORKER",
     1,
     1,
     {},
     "Its program ends; what it was measuring goes to others, its trials stay in the log.",
     "hone worker remove 3c9e",
     RunWorkerRemove},
    {"log query", "Search the log of all trials.", "[FILTER]", 0, 1, kList, kFilterDetails,
     "hone log query 'model=\"resnet50\" AND status!=\"ok\"'\nhone log query 'latency<1ms AND "
     "trace:\"winograd\"' --limit 20",
     RunLogQuery},
    {"log tail", "Follow the log of trials as they come.", "[FILTER]", 0, 1, kTail, kFilterDetails,
     "hone log tail\nhone log tail 'status!=\"ok\"' --since 1h\nhone log tail --json --for 10m", RunLogTail},
    {"log explain", "Show why the cost model predicted what it did for a trial.", "[RECORD]", 0, 1, kExplain,
     "The prediction is the roofline's estimate times what the boosted trees had learnt from the trials "
     "before "
     "it, taken apart into the effects of single features (SHAP values) and shown beside what was measured. "
     "RECORD is the number that 'hone log query' shows.",
     "hone log explain 812\nhone log explain --job 7f3a -o explanation.svg\nhone log explain --job 7f3a "
     "--task 4e1c",
     RunLogExplain},
    {"log export", "Write matching trials as JSON lines or CSV.", "[FILTER]", 0, 1, kExport, kFilterDetails,
     "hone log export --format csv -o trials.csv\nhone log export 'job=\"7f3a\"' --format jsonl",
     RunLogExport},
    {"user list", "List who may use the server.", "", 0, 0, kList, "", "hone user list", RunUserList},
    {"user create", "Let someone use the server.", "NAME", 1, 1, kUserCreate,
     "NAME has a-z and 0-9. They get in with a token: 'hone token create NAME'.",
     "hone user create ann\nhone user create bob --role operator", RunUserCreate},
    {"user update", "Change what a user may do.", "NAME", 1, 1, kUserUpdate,
     "Holds at once, for all of their tokens: none may do more than its user.",
     "hone user update ann --role viewer\nhone user update ann --disable", RunUserUpdate},
    {"project list", "List projects with what they use.", "", 0, 0, kList,
     "Models, jobs, modules and trials belong to the project of the token that made them; other projects do "
     "not "
     "see them. Devices serve all.",
     "hone project list", RunProjectList},
    {"project show",
     "Show a project with its quotas.",
     "PROJECT",
     1,
     1,
     {},
     "",
     "hone project show vision",
     RunProjectShow},
    {"project usage", "Report what projects used in a month.", "", 0, 0, kUsage,
     "Jobs made in the month, their trials, and the time that devices worked for them; admins see all "
     "projects.",
     "hone project usage\nhone project usage --month 2026-11 --json", RunProjectList},
    {"project create", "Make a project.", "NAME", 1, 1, kQuotas,
     "NAME has a-z and 0-9. 'hone token create USER --project NAME' lets someone work in it.",
     "hone project create vision --jobs 4 --storage 20GB --device-time 40h", RunProjectCreate},
    {"project set-quota", "Change what a project may use.", "PROJECT", 1, 1, kQuotas,
     "Without device time its running jobs end with the best so far, and no new ones begin until the next "
     "month.",
     "hone project set-quota vision --storage 50GB\nhone project set-quota vision --jobs none",
     RunProjectSetQuota},
    {"token list", "List tokens of users and enrolments.", "", 0, 0, kList,
     "The tokens themselves are nowhere: the server keeps their hashes only.", "hone token list",
     RunTokenList},
    {"token create", "Make a token for a user.", "USER", 1, 1, kTokenCreate,
     "It is shown this once; its holder gives it to 'hone login'.",
     "hone token create ann --expires 90d -o ann.token\nhone token create ci --role viewer --label dashboard",
     RunTokenCreate},
    {"token enrol", "Make a token with which devices join.", "", 0, 0, kTokenEnrol,
     "Good for joining and for nothing else: hone-worker join --enrol-token-file FILE.",
     "hone token enrol -o enrol.token\nhone token enrol --expires 10m --label rack7", RunTokenEnrol},
    {"token revoke",
     "Void a token for good.",
     "TOKEN",
     1,
     1,
     {},
     "TOKEN is its id or the beginning of it.",
     "hone token revoke 3c9e",
     RunTokenRevoke},
    {"admin backup",
     "Copy all that the server keeps, while it works.",
     "",
     0,
     0,
     {},
     "The copy is made on the server's machine, in a new folder below the backup-dir of its configuration; "
     "no "
     "client says where. It holds one state of the database, every file that it names, checked by digest, "
     "and the server's tokens and key. What ends in .part there was cut off.",
     "hone admin backup\nhone admin backup --json",
     RunAdminBackup},
    {"admin restore",
     "Say how a copy is restored, which no client can do.",
     "[COPY]",
     0,
     1,
     {},
     "On the machine that is to serve, with a copy of 'hone admin backup': hone-server --data-dir NEW "
     "--restore-from COPY fills a new folder and checks every file against the copy's MANIFEST. Stop the old "
     "server, start one with --data-dir NEW. Certificate and tokens are those of the copy, so clients and "
     "devices come back by themselves; jobs that were under way go on, and what came after the copy is lost.",
     "hone admin restore --help",
     RunAdminRestore},
    {"dump", "Print the compiler's text after one of its phases.", "MODEL.onnx", 1, 1, kDump, "",
     "hone dump model.onnx --after=cut\nhone dump model.onnx --after=import", RunDump},
    {"completion",
     "Print a script that completes hone's commands in a shell.",
     "bash|zsh|fish",
     1,
     1,
     {},
     "Commands and options come from this very program, so print it again after an update.",
     "hone completion bash > ~/.local/share/bash-completion/completions/hone\n"
     "hone completion zsh > ~/.hone.zsh   # and 'source ~/.hone.zsh' in ~/.zshrc\n"
     "hone completion fish > ~/.config/fish/completions/hone.fish",
     RunCompletion},
    {"help exit-codes", "List the exit codes.", "", 0, 0, {}, "", "hone help exit-codes", RunHelpExitCodes},
    {"version",
     "Print the versions of client and server.",
     "",
     0,
     0,
     {},
     "Starts nothing: the server is asked only if it runs.",
     "hone version",
     RunVersion},
};

}  // namespace

std::span<const Command> Commands() { return kCommands; }
std::span<const OptionRow> CommonOptions() { return kCommon; }

}  // namespace hone
