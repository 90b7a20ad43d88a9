"""Records whose every text tries to break out of the page that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.records import disk
from bench.records.schemas import Record
from tests.factories.records import make, put, run_id_of, settings
from tests.web.browser import Site, built

RIGHT_TO_LEFT = "\N{RIGHT-TO-LEFT OVERRIDE}"
LONG = "W" * 60
# Without a slash, for it names folders too.
NAME = f"<img src=x onerror=hacked=1>\"'{{{{7*7}}}}{{%raw%}}${{1}}{RIGHT_TO_LEFT}&amp;--><!--{LONG}"
TEXT = f"{NAME}</title></style></script><script>window.hacked = 1</script>javascript:alert(1){LONG * 10}"
KEPT = {"run_id", "sha256", "data.source", "split", "samples"}  # what the model or a file name checks
FREE = {  # what a record may name as it likes: an entry of each, with a hostile name
    "data.splits": TEXT, "data.sizes": 3, "teacher.metrics": {TEXT: 0.5}, "metrics.all": {TEXT: 0.5},
    "metrics.loyalty": {TEXT: 0.5}, "efficiency.flops": 1e6, "efficiency.latency": {TEXT: 1.0},
    "efficiency.throughput": 1.0, "efficiency.seen": 1.0, "efficiency.speedups": {"value": 1.0, "ci95": (0.5, 1.5)},
    "cost.stages": 3, "environment": {TEXT: TEXT}, "environment.libraries": TEXT, "spec.settings": {TEXT: TEXT},
    "spec.settings.method": {TEXT: TEXT}, "spec.versions": TEXT, "spec": TEXT,
}  # fmt: skip


SHOWN = RIGHT_TO_LEFT, "\N{REPLACEMENT CHARACTER}"  # what becomes of the mark on pages


def text_of(path: str) -> str:
    """What a field says: its own name and all tricks."""
    name = path.startswith("spec.") and not path.startswith("spec.settings")
    return f"{path.rpartition('.')[2] if name else path} {NAME if name else TEXT}"


def worst(seed: int) -> Record:
    """A record in which every text that is not checked is hostile."""
    raw = make(seed=seed).model_dump(by_alias=True)
    raw["efficiency"]["energy"] = {"joules_per_1000": 1.0, "source": ""}
    raw["efficiency"]["noisy"] = True
    for path in (("provenance", "commit"), ("efficiency", "commit"), ("cost", "energy_source")):
        raw[path[0]][path[1]] = ""
    raw["efficiency"]["noise"] = [""]
    raw = replaced(raw, "")
    for path, value in FREE.items():
        part = raw
        for key in path.split("."):
            part = part[key]
        part[text_of(path) if path == "spec" else TEXT] = value
    raw["curve"].append({"stage": TEXT, "step": 90, "losses": {TEXT: 0.5}, "dev": 0.6})
    return Record.model_validate(raw)


def replaced(value: Any, path: str) -> Any:
    """The same tree with other texts."""
    if isinstance(value, dict):
        below = {key: f"{path}.{key}".lstrip(".") for key in value}
        return {k: v if KEPT & {k, below[k]} else replaced(v, below[k]) for k, v in value.items()}
    if isinstance(value, list):
        return [replaced(part, path) for part in value]
    return text_of(path) if isinstance(value, str) else value


def site(folder: Path) -> Site:
    """The worst records on boards of their own, and on another one names that can be compared."""
    results = folder / "results"
    for seed in range(2):
        record = worst(seed)
        record.predictions.file = f"{NAME[:60]}.npz"  # a name that leads elsewhere ends the build, see test_pages
        record.spec["versions"]["task"] = seed  # on a board of its own, for its first record alone would say why not
        record.run_id = run_id_of(record.spec)
        disk.write(results, record, {}, {"single": {"student": [[1]]}})
    for seed in range(2):
        for method, noise in ((f"one {NAME}", 0.4), (f"two {NAME}", 0.9)):
            changes = {"student": f"student {NAME}", "teacher": TEXT, "settings": settings(**{NAME: noise})}
            put(results, noise, method, seed, **changes, efficiency__device=TEXT)
        put(results, 0.6, f"two {NAME}", seed, student=f"student {NAME}", teacher=TEXT, settings=settings(x=TEXT))
    return built(folder)
