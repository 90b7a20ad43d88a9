"""Records that are not what their spec, their run id or their place say; and texts made to harm a reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.damage.tools import Damage, edit, first, load, plus, record, respec, save, second, to, without


def spec(name: str, change: Callable[[dict[str, Any]], Any]) -> Damage:
    """A spec that no run has, under the run id and at the place that are right for it."""
    return Damage(name, lambda results: respec(results, change))


def other_hash(text: str) -> str:
    return ("1" if text[0] == "0" else "0") + text[1:]


def hash_of_another(results: Path) -> Path:
    raw = load(first(results))
    raw["predictions"] = load(second(results))["predictions"]
    return save(first(results), raw)


def another_runs_spec(results: Path) -> Path:
    """The right name for the wrong run."""
    raw = load(first(results))
    raw["spec"] = load(second(results))["spec"]
    return save(first(results), raw)


def odd_setting(found: dict[str, Any]) -> None:
    """The first setting of the track, as a text."""
    key = next(iter(found["settings"]["track"]))
    found["settings"]["track"][key] = str(found["settings"]["track"][key])


ORIGIN = "student.origin"
FILE = "predictions.file"

DAMAGES: list[Damage] = [
    edit("run_id changed", other_hash, "run_id"),
    edit("run_id too short", lambda text: text[:8], "run_id"),
    edit("run_id in capitals", lambda text: "ABCDEF" + text[6:], "run_id"),
    edit("seed changed, the id left", plus(1), "spec.seed"),
    edit("a setting of the track changed, the id left", plus(1), "spec.settings.track.*"),
    edit("method changed, the id left", to("imaginary"), "spec.method"),
    record("a key of the spec removed, the id left", without("spec.versions.task")),
    Damage("spec of another run", another_runs_spec),
    spec("spec without a seed", without("seed")),
    spec("seed that is a text", lambda found: found.update(seed=str(found["seed"]))),
    spec("seed that is true", lambda found: found.update(seed=True)),
    spec("seed below 0", lambda found: found.update(seed=-1)),
    spec("unknown task", lambda found: found.update(task="imaginary")),
    spec("unknown track", lambda found: found.update(track="imaginary")),
    spec("student that is not the measured one", lambda found: found.update(student="imaginary:3")),
    spec("task that climbs out of the folder", lambda found: found.update(task=f"../{found['track']}/{found['task']}")),
    spec("settings that are a list", lambda found: found.update(settings=[])),
    spec("identity of the data that was not read", lambda found: found["data"].update(identity="0" * 64)),
    spec("source of the data that was not read", lambda found: found["data"].update(source="imaginary")),
    spec("version of the teacher that was not used", lambda found: found["versions"].update(teacher="imaginary==1#")),
    spec("teacher that was not used", lambda found: found.update(teacher="imaginary")),
    edit("data.identity that is not the spec's", other_hash, "data.identity"),
    edit("data.source that is not the spec's", lambda s: "hub" if s != "hub" else "directory", "data.source"),
    edit("teacher.identity that is not the spec's", to("imaginary==1#"), "teacher.identity"),
    edit("teacher.name that is not the spec's", to("imaginary"), "teacher.name"),
    edit("student.name that is not the spec's", to("imaginary:3"), "student.name"),
    record("data of other sizes than the predictions", lambda raw: raw["data"]["sizes"].update(
        dict.fromkeys(raw["metrics"]["all"], 7))),
    edit("sha256 changed", other_hash, "predictions.sha256"),
    edit("sha256 in capitals", lambda text: text.upper(), "predictions.sha256"),
    edit("sha256 too short", lambda text: text[:-1], "predictions.sha256"),
    edit("sha256 of nothing", to(""), "predictions.sha256"),
    edit("sha256 of the samples changed", other_hash, "efficiency.samples.sha256"),
    Damage("predictions of another run named", hash_of_another),
    edit("predictions in a file that climbs out", lambda name: f"../../{name}", FILE),
    edit("predictions in a file below a folder", lambda name: f"./{name}", FILE),
    edit("predictions in an absolute file", to("/etc/passwd"), FILE),
    edit("predictions in a file of Windows", to("C:\\x.npz"), FILE),
    edit("predictions in no file", to(""), FILE),
    edit("predictions in the folder", to("."), FILE),
    edit("predictions in a file with a null byte", lambda name: f"{name}\0", FILE),
    edit("predictions in a file of a million characters", to("x" * 10**6 + ".npz"), FILE),
    edit("predictions in another place of the network", to("https://example.org/x.npz"), FILE),
    edit("control characters", to("teacher\x1b[2J\x07"), ORIGIN),
    edit("a null byte", to("teacher\0layers"), ORIGIN),
    edit("text that runs the other way", to("\u202eteacher\u202c"), ORIGIN),
    edit("a character of no width", to("teach\u200ber"), ORIGIN),
    edit("half a pair of surrogates", to("\ud800"), ORIGIN),
    edit("a text of a million characters", to("x" * 10**6), ORIGIN),
    edit("control characters in the command", lambda text: f"{text}\r\x1b[1A", "provenance.command"),
    edit("control characters in a note", to(["\x9b31m"]), "data.notes"),
]  # fmt: skip
