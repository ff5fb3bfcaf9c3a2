"""Who may include what: the table of the design, enforced over every source file.

    include_rules.py REPOSITORY
"""
import pathlib
import re
import sys

# A folder may include its own files and those of the folders listed. Those in OPEN are open to all.
FOLDERS = {
    "proto": [],
    "compiler/runtime": [],
    "compiler/dim_expr": [],
    "compiler/layout": ["compiler/dim_expr"],
    "compiler/tensor_program": ["compiler/dim_expr"],
    "compiler/ops": ["compiler/dim_expr", "compiler/tensor_program"],
    "compiler/graph": ["compiler/dim_expr", "compiler/layout", "compiler/ops"],
    "compiler/target": [],
    "compiler/task": ["compiler/graph", "compiler/ops", "compiler/layout", "compiler/dim_expr", "compiler/target",
                      "compiler/tensor_program"],
    "compiler/schedule": ["compiler/task", "compiler/target", "compiler/layout", "compiler/tensor_program",
                          "compiler/dim_expr"],
    "compiler/graph_passes": ["compiler/graph", "compiler/task", "compiler/ops", "compiler/layout", "compiler/target",
                              "compiler/dim_expr", "compiler/tensor_program"],
    "compiler/frontend": ["compiler/graph", "compiler/ops", "compiler/dim_expr", "compiler/task",
                          "compiler/tensor_program", "compiler/layout", "compiler/target"],
    "compiler/codegen": ["compiler/schedule", "compiler/task", "compiler/target", "compiler/layout",
                         "compiler/tensor_program", "compiler/dim_expr"],
    "compiler/plan": ["compiler/graph_passes", "compiler/codegen", "compiler/graph", "compiler/task", "compiler/layout",
                      "compiler/dim_expr"],
    "compiler/module": ["compiler/plan", "compiler/graph_passes", "compiler/codegen", "compiler/graph", "compiler/task",
                        "compiler/layout", "compiler/target", "compiler/dim_expr"],
    "compiler": ["compiler"],
    "tuner/cost_model": ["tuner"],
    "tuner/job": ["tuner", "compiler"],
    "tuner": ["compiler/schedule", "compiler/task", "compiler/target", "compiler/tensor_program"],
    "server/storage": ["server/auth", "server/execution", "server/records"],
    "server": ["server"],
    "worker": ["worker"],
    "client": ["client"],
}
OPEN = ["proto/certificates", "proto/sandbox", "proto/values", "compiler/runtime"]

# Headers of other projects and of generated code, and the only folders that may include them.
OUTSIDE = [
    (r"llvm/|lld/|llvm-c/", ["compiler/codegen", "compiler/module"]),
    (r"xgboost/", ["tuner/cost_model"]),
    (r"sqlite3\.h|libpq", ["server/storage"]),
    (r"onnx/|onnx\.pb\.h|onnx-ml\.pb\.h", ["compiler/frontend/onnx"]),
    (r"grpcpp/|grpc/|.*\.grpc\.pb\.h",
     ["server/service", "server/workers", "server/jobs", "server", "worker/server_connection", "client"]),
    (r"hone/v1/.*\.pb\.h",
     ["proto", "server/service", "server/workers", "server/jobs", "server", "tuner/job", "worker/server_connection", "client"]),
]
PARTS = ["proto", "compiler", "tuner", "server", "worker", "client"]


def folder_of(path):
    """The most specific row for a file."""
    folder = path
    while folder and folder not in FOLDERS:
        folder = folder.rpartition("/")[0]
    return folder


def inside(path, folders):
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def faults(repository):
    for part in PARTS:
        for path in sorted((repository / part).rglob("*")):
            if path.suffix not in (".h", ".cc", ".c"):
                continue
            name = path.relative_to(repository).as_posix()
            own = folder_of(name.rpartition("/")[0])
            for line in path.read_text(errors="replace").splitlines():
                match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
                if not match:
                    continue
                header = match.group(1)
                for pattern, allowed in OUTSIDE:
                    if re.match(pattern, header) and not any(name.rpartition("/")[0] == folder or
                                                             (folder != "server" and name.startswith(folder + "/"))
                                                             for folder in allowed):
                        yield f"{name} includes {header}: only {', '.join(allowed)} may"
                if header.split("/")[0] not in PARTS or "/" not in header:
                    continue
                target = header.rpartition("/")[0]
                if not inside(target, [own] + OPEN + FOLDERS[own]):
                    yield f"{name} includes {header}: {own} may include {', '.join(FOLDERS[own]) or 'nothing'}"


if __name__ == "__main__":
    found = list(faults(pathlib.Path(sys.argv[1])))
    print("\n".join(found))
    print(f"{len(found)} includes break the rules")
    sys.exit(1 if found else 0)
