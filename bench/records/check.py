"""`bench check`: a folder of results is what it claims to be, found out from the folder alone.

Everything in a file that follows from its other numbers, its predictions and its samples is computed again. A problem
is a path and a reason; a broken file never stops the check.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import BenchError, RequestError
from bench.plugins import registry
from bench.records import disk, follows, known, names, notes, plausible, together, tuning
from bench.records.arrays import unflatten
from bench.records.mismatches import mismatches
from bench.records.schemas import Profile, Record, Taught
from bench.records.specs import TRACK_ORDER, checked_spec
from bench.records.strict import arrays_beside, read_strictly, samples_beside
from bench.scoring.scores import REFERENCE, Array, Predictions, Ragged
from bench.sources import NoData

SCORED_AGAIN = 1e-6  # of a dev score: the same weights in another batch order
ROW = 65_536  # bytes of an example's predictions: ranked lists of 1,000, of student, teacher and references
ARRAYS = {"prediction", "gold", "teacher", "units"}  # of a data set's predictions
RUNS = re.compile(r"(?:[^/]+/){4,}[0-9a-f]{16}(\.json|\.npz|\.samples\.npz)")
UNFINISHED = re.compile(r"\..+-[a-z0-9_]{8}\.partial")  # see bench.export.export
OTHERS = re.compile(rf"{disk.PROFILES}/[^/]+(\.json|\.samples\.npz)|({disk.TEACHERS}|{disk.TUNING})/[^/]+\.json")


@dataclass(frozen=True)
class Problem:
    path: str
    problem: str


@dataclass
class Folder:
    """What is known of the records that were read before."""

    results: Path
    places: dict[str, Path] = field(default_factory=dict)  # of runs, by id
    runs: list[together.Seen] = field(default_factory=list)  # whose files are sound
    taught: dict[str, Taught] = field(default_factory=dict)  # records of teachers, by key
    scorers: follows.Scorers = field(default_factory=dict)


@dataclass
class Compared:
    """What was compared with the data themselves."""

    gold: Callable[[Record], Predictions | None]  # see bench.runs.gold
    boards: int = 0
    left_out: dict[str, str] = field(default_factory=dict)  # tasks, and why


def check(results: Path, files: Sequence[Path] = (), data: Compared | None = None) -> tuple[int, list[Problem]]:
    """(records seen, problems). `files`: plug-ins given by path that records may name; no other file is run. `data`:
    what is to be compared with the data themselves, and in the end what was.

    RequestError: there is no such folder, or it is a part of one."""
    with registry.trusting(files):
        return _check(results, data)


def _check(results: Path, data: Compared | None) -> tuple[int, list[Problem]]:
    if not results.is_dir():
        raise RequestError(f"there is no folder of results at {results}")
    disk.check_level(results)
    found, folder = sorted(walk(results)), Folder(results)
    problems = list[Problem]()
    for path in found:
        reasons = list(stray(path, results)) or (examined(path, folder) if path.suffix in (".json", ".md") else [])
        problems += [Problem(str(path), why) for why in reasons]
    problems += [Problem(str(path), why) for path, why in together.compared(folder.runs, folder.taught)]
    problems += [Problem(str(path), why) for path, why in of_data(folder.runs, data)] if data else []
    others = [results / name for name in disk.APART]
    return sum(p.suffix == ".json" and p.parent not in others for p in found), problems


def of_data(runs: Sequence[together.Seen], data: Compared) -> together.Problems:
    """Of each data identity one record is held against the data, as the others hold the same (`together`)."""
    for one in {(run.spec.task, run.spec.track, run.record.data.identity): run for run in runs}.values():
        try:
            found = data.gold(one.record)
        except NoData as error:
            data.left_out[one.spec.task] = str(error)
        except BenchError as error:
            yield one.path, f"the data: {error}"
        else:
            data.boards += found is not None
            if found is None:
                data.left_out[one.spec.task] = "its gold answers depend on the network"
            elif together.answers(found) != one.answers:
                yield one.path, "its gold answers are not those of the data"


def walk(folder: Path) -> Iterator[Path]:
    """Every file, link and empty folder below; links are not followed, nor what an export is filling, or has left."""
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = [name for name in folders if not UNFINISHED.fullmatch(name)]
        linked = [name for name in folders if (here / name).is_symlink()]
        yield from (here / name for name in (*files, *linked))
        if not folders and not files and here != folder:
            yield here


def stray(path: Path, results: Path) -> Iterator[str]:
    """Why something in the folder does not belong there."""
    name = path.relative_to(results).as_posix()
    if path.is_symlink():
        yield "a link: results are plain files"
    elif not path.is_file():
        yield "an empty folder" if path.is_dir() else "not a plain file"
    elif path.name.startswith(".") and path.suffix in (".partial", ".ready"):
        yield "left by a write that was interrupted: the same command again finishes or removes it"
    elif notes.PLACE.fullmatch(name):
        return
    elif not RUNS.fullmatch(name) and not OTHERS.fullmatch(name):
        yield "a stray file: not <track>/<task>/<method>/<student>/<run id>.json, .npz or .samples.npz"
    elif not path.with_name(re.sub(r"(\.samples)?\.npz$", ".json", path.name)).is_file():
        yield "a stray file: no record lies beside it"


def examined(path: Path, folder: Folder) -> list[str]:
    """All that is wrong with one record and the files beside it; a sound one is kept, to be compared with others."""
    found: list[str] = []
    try:
        if path.name == notes.NAME:
            found += notes.doubts(path)
        elif path.parent == folder.results / disk.PROFILES:
            found += of_profile(path)
        elif path.parent == folder.results / disk.TEACHERS:
            found += of_teacher(path, folder)
        elif path.parent == folder.results / disk.TUNING:
            found += of_tuning(path)
        else:
            record = read_strictly(path, Record)
            found += of_place(record, path, folder)
            found += of_content(record)
            found += tuning.unnamed(record, folder.results)
            found += of_files(record, path, folder, sound=not found)
    except BenchError as error:
        found.append(str(error))
    except Exception as error:  # nothing in a file may stop the check of the others
        found.append(f"cannot be checked: {type(error).__name__}: {str(error)[:200]}")
    return found


def of_profile(path: Path) -> Iterator[str]:
    """Latency, throughput and speed-ups of every network follow from the samples."""
    profile = read_strictly(path, Profile)
    samples = samples_beside(path, profile.samples, set(profile.models))
    yield from differing(profile.model_dump(), follows.profile(profile, samples))
    yield from plausible.of_profile(profile)


def of_tuning(path: Path) -> Iterator[str]:
    """What `bench tune` tried: its name, and which trial was the best."""
    record = read_strictly(path, tuning.Tuning)
    yield from tuning.doubts(record, path.stem)
    yield from plausible.of_provenance(record.provenance)


def of_teacher(path: Path, folder: Folder) -> Iterator[str]:
    """The record of a teacher that was fine-tuned here: its name, and the checkpoint that was kept."""
    record = read_strictly(path, Taught)
    folder.taught[path.stem] = record
    yield from differing(record.model_dump(), follows.taught(record, path.stem))
    yield from plausible.of_cost(record.cost, record.curve, record.settings.get("track", {}))
    yield from plausible.of_provenance(record.provenance)
    family = record.task.partition("/")[0]
    if family not in registry.found("task") and not names.FILE.fullmatch(family):
        yield f"unknown task {record.task!r:.60}"
    if odd := names.oddness(record.model):
        yield f"model: {odd}"
    if not re.fullmatch("[0-9a-f]{64}", record.weights):
        yield "weights: not a SHA-256"


def of_place(record: Record, path: Path, folder: Folder) -> Iterator[str]:
    """The file lies where the spec says, once."""
    spec = checked_spec(record, "the record")
    expected = disk.path_of(folder.results, record.spec, record.run_id)
    if path != expected:
        yield f"belongs to {expected.relative_to(folder.results)}"
    if spec.track not in TRACK_ORDER:
        yield f"unknown track {spec.track!r}"
    if record.run_id in folder.places:
        yield f"the same run as {folder.places[record.run_id]}"
    folder.places.setdefault(record.run_id, path)


def of_content(record: Record) -> Iterator[str]:
    """Numbers that must fit one another, whatever the predictions are, and times in an order that is possible."""
    m, spec = record.metrics, checked_spec(record)
    if unknown := list(known.named(spec)):
        raise RequestError("; ".join(unknown))
    yield from known.fits(record, spec)
    yield from differing(record.model_dump(), follows.itself(record))
    yield from plausible.of_run(record, spec.settings.get("track", {}))
    if chosen_last(record) and abs(m.dev - m.choices[-1].value) > SCORED_AGAIN:
        yield "metrics.dev is not the dev score of the last choice"
    if (record.cost.energy_j is None) != (record.cost.energy_source is None):
        yield "cost: energy without a source, or a source without energy"
    if (before := record.cost.before) and not 0 < len(spec.first) <= before.runs:
        yield f"cost.before counts {before.runs} runs that came first, the spec names {len(spec.first)}"


def chosen_last(record: Record) -> bool:
    """Whether the last stage kept what was best on dev; one that keeps its end reads no dev score."""
    last = record.curve[-1]["stage"] if record.curve else ""
    return any(c.what == f"checkpoint of stage {last}" for c in record.metrics.choices)


def of_files(record: Record, path: Path, folder: Folder, sound: bool) -> Iterator[str]:
    """The files beside the record are the ones it was made from, and give its numbers. `sound`: nothing else is wrong
    with it."""
    said = record.model_dump()
    if record.efficiency.samples is not None:
        samples = samples_beside(path, record.efficiency.samples, {"teacher", "student"})
        yield from differing(said, follows.samples(record, samples))
    elif why := plausible.of_untimed(record):
        yield why
    predictions = unflatten(arrays_beside(path, ".npz", record.predictions, room_for(record)))
    wrong = list(malformed(predictions, record)) or list(rescored(record, predictions, folder.scorers))
    yield from wrong
    if not wrong:
        folder.runs.append(together.Seen.of(path, record, checked_spec(record), predictions, sound))


def rescored(record: Record, predictions: Predictions, scorers: follows.Scorers) -> Iterator[str]:
    """What the predictions give otherwise than the record says; metrics know no arrays but those of their task."""
    try:
        again = follows.predictions(record, predictions, scorers)
    except BenchError:
        raise
    except Exception as error:
        yield f"{record.predictions.file}: its arrays cannot be scored ({type(error).__name__})"
    else:
        yield from differing(record.model_dump(), again)


def room_for(record: Record) -> int:
    """Bytes that predictions of so many examples take at most."""
    most = max(record.data.sizes.values(), default=0)
    return 10**6 + ROW * sum(record.data.sizes.get(name, most) for name in record.metrics.all)


def differing(said: Mapping[str, Any], again: Mapping[follows.Place, Any]) -> Iterator[str]:
    """What is said otherwise at its place than it was computed."""
    for place, value in again.items():
        found: Any = said
        for key in place:
            found = found.get(key) if isinstance(found, Mapping) else None
        yield from mismatches(found, value, ".".join(place))


def malformed(predictions: Predictions, record: Record) -> Iterator[str]:
    """Arrays that no run writes."""
    name, needed = record.predictions.file, {"prediction", "gold"} | ({"teacher"} if record.teacher.main else set())
    allowed = ARRAYS if record.teacher.main else ARRAYS - {"teacher"}
    if set(predictions) != set(record.metrics.all):
        yield f"{name}: its data sets are not those of the metrics"
    needed |= {REFERENCE + name for name in record.references}
    for dataset, arrays in predictions.items():
        if not needed <= set(arrays) <= allowed | needed:
            yield f"{name}: {dataset} holds {', '.join(sorted(arrays))}"
        elif len({len(a) for a in arrays.values()}) > 1 or len({shape(arrays[n]) for n in needed - {"gold"}}) > 1:
            yield f"{name}: the arrays of {dataset} differ in length"
        elif not len(arrays["gold"]):
            yield f"{name}: {dataset} is empty"
        elif not {dataset, "test"} & set(record.data.sizes):
            yield f"{name}: the record does not say how many examples {dataset} has"
        elif (size := sized(record, dataset)) not in (None, len(arrays["gold"])):
            yield f"{name}: {dataset} has {len(arrays['gold'])} examples, the record says {size}"
        elif not all(map(finite, arrays.values())):
            yield f"{name}: {dataset} holds values that are not finite"


def sized(record: Record, dataset: str) -> int | None:
    """The examples of a data set as the card says them; None: it does not."""
    alone = "test" if len(record.metrics.all) == 1 else ""
    return record.data.sizes.get(dataset, record.data.sizes.get(alone))


def shape(array: Array) -> tuple[int, ...]:
    """What prediction and teacher have in common: of ragged rows, how many values there are in a column."""
    return array.flat.shape[1:] if isinstance(array, Ragged) else array.shape


def finite(array: Array) -> bool:
    values = array.flat if isinstance(array, Ragged) else array
    return values.dtype.kind == "U" or bool(np.isfinite(values).all())
