"""`bench tune`: the same number of trials on dev for every method, drawn by optuna. Test stays sealed.

The first trial is the method's own settings. Each of the others is an ordinary run that ends before test is read: the
same protocol, store and updates. It leaves no record of a run, and so no row: all trials of a method are in one file,
results/tuning/<key>.json, which is written after each of them, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch

from bench.base.console import Console
from bench.base.provenance import now, provenance
from bench.errors import BenchError, RequestError, unknown
from bench.measuring import machine
from bench.method import Tuned
from bench.plugins import registry
from bench.records import tuning
from bench.records.tuning import Range, Trial, Tuning
from bench.runs import recording, sweep
from bench.runs.protocol import build_student, distil, untaught
from bench.runs.spec import Opened, Request, Spec, parse_settings, resolve
from bench.store import folders

AROUND = 4.0  # times the method's own learning rate, and its share, between which rates are drawn. Our choice


@dataclass(frozen=True)
class Study:
    """One method's trials: what is asked for, the first of them, and what the others draw."""

    request: Request
    first: Spec
    space: Mapping[str, Range]
    opened: Opened  # tasks, with the data that they have read

    @property
    def key(self) -> str:
        space = {name: range_.model_dump() for name, range_ in self.space.items()}
        return folders.content_key(asked=dict(self.first.values), space=space)

    def at(self, drawn: Mapping[str, float]) -> Spec:
        """The run with these settings. RequestError: one cannot have such a value."""
        words = [f"{self.first.method.name}.{name}={value!r}" for name, value in drawn.items()]
        settings = [*self.request.settings, *words]
        return resolve(dataclasses.replace(self.request, settings=settings), self.opened)[0]

    def distributions(self) -> dict[str, Any]:
        """As optuna draws them; whole numbers where a setting is one."""
        from optuna.distributions import FloatDistribution, IntDistribution

        hints = hints_of(self.first)
        return {
            name: IntDistribution(int(r.low), int(r.high), log=r.log)
            if is_a(hints[name], int)
            else FloatDistribution(r.low, r.high, log=r.log)
            for name, r in self.space.items()
        }

    def own(self) -> dict[str, float]:
        """What the method has in the first trial, of the settings that are numbers within their ranges."""
        held = {name: getattr(self.first.method_settings, name) for name in self.space}
        if "lr" in held:
            held["lr"] = rate_of(self.first)
        return {
            name: v for name, v in held.items() if v is not None and self.space[name].low <= v <= self.space[name].high
        }


def plan(request: Request, search: Sequence[str]) -> list[Study]:
    """A study for each method. RequestError: not one data set; a setting that is none, is set and searched, or cannot
    have the values of its range; a method with nothing to search."""
    opened: Opened = {}
    found, given = [], ranges(search)
    names = {name: registry.find("method", name).name for name in request.methods}
    for name, own in names.items():
        settings = [s for s in request.settings if owner(s) not in {*names.values()} - {own}]
        single = dataclasses.replace(request, methods=[name], settings=settings)
        specs = resolve(single, opened)
        if len(specs) != 1:
            raise RequestError(f"bench tune takes one data set and one student; these are {len(specs)} runs")
        asked = {key: range_ for key, range_ in given.items() if owner(key) in ("", own)}
        study = Study(single, specs[0], space(specs[0], asked, parse_settings(settings)), opened)
        for key, range_ in study.space.items():
            study.at({key: range_.low}), study.at({key: range_.high})
        found.append(study)
    if foreign := [key for key in given if owner(key) not in ("", *names.values())]:
        raise RequestError(f"--search {foreign[0]}: only settings of {', '.join(sorted(names.values()))} are searched")
    return found


def owner(setting: str) -> str:
    """`kd` of `kd.alpha=0.5`."""
    return setting.partition("=")[0].rpartition(".")[0]


def ranges(search: Sequence[str]) -> dict[str, Range]:
    """KEY=LOW:HIGH, and `:log` behind it. RequestError: it is none."""
    found = {}
    for key, text in parse_settings(search, "--search").items():
        low, _, rest = text.partition(":")
        high, _, scale = rest.partition(":")
        try:
            range_ = Range(low=float(low), high=float(high), log=scale == "log")
        except ValueError:
            raise RequestError(
                f"--search {key}={text}: give LOW:HIGH or LOW:HIGH:log, as in lr=1e-5:1e-3:log"
            ) from None
        if scale not in ("", "log") or not range_.low < range_.high or (range_.log and range_.low <= 0):
            raise RequestError(f"--search {key}={text}: LOW is below HIGH, and above 0 on a log scale")
        found[key] = range_
    return found


def space(spec: Spec, given: Mapping[str, Range], fixed: Mapping[str, str]) -> dict[str, Range]:
    """The ranges by setting: those of the command, and where it says nothing those that the method declares and one
    around its learning rate. What --set says is not searched."""
    bare = {key.rpartition(".")[2]: range_ for key, range_ in given.items()}
    held = {key.rpartition(".")[2] for key in fixed if owner(key) in ("", spec.method.name)}
    hints = hints_of(spec)
    if wrong := sorted(bare.keys() - hints.keys()):
        raise unknown("setting", wrong[0], hints)
    if words := sorted(name for name in bare if not is_a(hints[name], int, float)):
        raise RequestError(f"--search {words[0]}: the setting is no number")
    if both := sorted(bare.keys() & held):
        raise RequestError(f"--set {both[0]} and --search {both[0]}: give one of them")
    usual = dict(declared(hints, spec.task.kind))
    if "lr" in hints.keys() - held - bare.keys():
        rate = rate_of(spec)
        usual["lr"] = Range(low=rate / AROUND, high=rate * AROUND, log=True)
    found = {name: range_ for name, range_ in {**usual, **bare}.items() if name not in held}
    if not found:
        raise RequestError(f"{spec.method.name} has no setting to search: name one with --search KEY=LOW:HIGH")
    return dict(sorted(found.items()))


def hints_of(spec: Spec) -> dict[str, Any]:
    """The types of the method's settings."""
    return get_type_hints(type(spec.method_settings), include_extras=True)


def is_a(hint: Any, *types: type) -> bool:
    """Whether a type is one of these, or holds one: `Annotated[float | None, ...]`."""
    return hint in types or any(is_a(part, *types) for part in get_args(hint))


def declared(hints: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Range]]:
    """The ranges in the types of the settings."""
    for name, hint in hints.items():
        for mark in getattr(hint, "__metadata__", ()):
            if isinstance(mark, Tuned) and kind not in mark.without:
                yield name, Range(low=mark.low, high=mark.high, log=mark.log)


def rate_of(spec: Spec) -> float:
    """The learning rate that the method has without any --set: its own, its recipe's, or the architecture's."""
    if own := getattr(spec.method_settings, "lr", None):
        return float(own)
    recipe = registry.load(spec.method).recipes.get(spec.task.kind)
    return float((recipe or build_student(spec, untaught(spec.task, spec.place)).optimiser).lr)


def tune(
    request: Request, search: Sequence[str], trials: int, results: Path, device: str, console: Console
) -> list[tuple[Study, Path]]:
    """As many trials of every method, and the file of each. BenchError: the first trial of one failed. RequestError: a
    method has had more trials."""
    check_installed()
    chosen = sweep.choose_device(device)
    sweep.check_writable(results)
    sweep.check_writable(folders.root())
    studies = plan(request, search)
    known = [read(study, trials, results) for study in studies]
    return [
        (study, carry_out(study, tried, trials, results, chosen, console))
        for study, tried in zip(studies, known, strict=True)
    ]


def check_installed() -> None:
    """RequestError: optuna is not here."""
    try:
        import optuna
    except ImportError:
        raise RequestError("bench tune needs optuna, from the 'tune' extra: pip install 'bench-kd[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def read(study: Study, trials: int, results: Path) -> list[Trial]:
    """The trials that an earlier command has carried out. RequestError: more than are asked for."""
    path = tuning.path_of(results, study.key)
    found = tuning.read(path).trials if path.exists() else []
    if len(found) > trials:
        raise RequestError(f"{study.first.method.name} has had {len(found)} trials ({path}): ask for as many, or more")
    return found


def carry_out(
    study: Study, known: Sequence[Trial], trials: int, results: Path, device: torch.device, console: Console
) -> Path:
    """One method's trials, and its file. Those that are known are told to the sampler again, which so draws as before.
    RequestError: it draws others, as another version of it does."""
    import optuna

    first, started = study.first, now()
    console(f"{first.label}: {trials} trials of {', '.join(study.space)}")
    sampler = optuna.samplers.TPESampler(seed=first.seed)
    optimiser = optuna.create_study(direction="maximize", sampler=sampler)
    done, specs = list[Trial](), list[Spec]()
    for number in range(trials):
        asked = optimiser.ask(study.distributions()) if number else None
        drawn = {name: rounded(value) for name, value in asked.params.items()} if asked else {}
        spec = study.at(drawn)
        trial = known[number] if number < len(known) else tried(spec, drawn, number, results, device)
        if trial.run_id != spec.run_id:
            raise RequestError(f"{tuning.path_of(results, study.key)} was drawn by another sampler: remove it")
        tell(optimiser, asked, trial, study)
        done.append(trial)
        specs.append(spec)
        if number >= len(known):
            said = f"{100 * trial.dev:.2f}" if trial.dev is not None else f"failed: {trial.error}"
            console(f"  [{number + 1}/{trials}] {in_words(drawn)}: {first.task.main_metric} on dev {said}")
            leave(study, done, specs, results, device, started)
    return tuning.path_of(results, study.key)


def tried(spec: Spec, drawn: Mapping[str, float], number: int, results: Path, device: torch.device) -> Trial:
    """One trial. One that fails counts, unless it is the first, whose settings are the method's own: BenchError."""
    quiet = Console(quiet=True)
    found, status = sweep.attempt(f"{spec.run_id}-tune", lambda: trained(spec, results, device, quiet), quiet)
    if status and not number:
        details = f" (details: {found['log']})" if "log" in found else ""
        raise (RequestError if status == RequestError.exit_status else BenchError)(found["error"] + details)
    failed = {"dev": None, "cost": None, "error": found.get("error")}
    return Trial(settings=dict(drawn), run_id=spec.run_id, **(failed if status else found))


def trained(spec: Spec, results: Path, device: torch.device, console: Console) -> dict[str, Any]:
    """Dev score and cost of a run that ends before test. Runs that it wants are ordinary ones, with records."""
    for _, helper in spec.wanted:
        sweep.run_one(helper, results, device, console)
    folder = folders.make_folder(folders.root() / "runs" / f"{spec.run_id}-tune")
    with folders.locked(f"run-{spec.run_id}-tune"):
        found = distil(spec, folder, device, console)
        shutil.rmtree(folder)
    trainer = found.trainer
    cost = recording.cost(trainer.progress, list(trainer.teachers.values()), trainer.meter)
    return {"dev": found.dev, "cost": cost | {"before": recording.before(spec, results)}}


def tell(optimiser: Any, asked: Any, trial: Trial, study: Study) -> None:
    """What the sampler learns of a trial."""
    import optuna

    if asked is not None:
        state = optuna.trial.TrialState.FAIL if trial.dev is None else None
        optimiser.tell(asked, trial.dev, state=state)
    else:
        own, every = study.own(), study.distributions()
        known = {name: every[name] for name in own}
        optimiser.add_trial(optuna.trial.create_trial(params=own, distributions=known, value=trial.dev))


def leave(
    study: Study, done: Sequence[Trial], specs: Sequence[Spec], results: Path, device: torch.device, started: str
) -> None:
    """Write the file with all trials so far, and the spec of the best."""
    from optuna import __version__

    best = max((n for n, trial in enumerate(done) if trial.dev is not None), key=lambda n: done[n].dev or 0.0)
    tuning.write(
        results,
        Tuning(
            schema_=1, key=study.key, asked=dict(study.first.values), metric=study.first.task.main_metric,
            sampler=f"optuna {__version__}, TPESampler", sampler_seed=study.first.seed, space=dict(study.space),
            trials=list(done), spec=dict(specs[best].values), environment=machine.describe(device),
            provenance=provenance(started),
        ),
    )  # fmt: skip


def rounded(value: float) -> float:
    """To four digits, which a command line can say."""
    return value if isinstance(value, int) else float(f"{value:.4g}")


def in_words(drawn: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in drawn.items()) or "as the method has them"
