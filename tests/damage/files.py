"""Files that are missing, elsewhere, twice, no plain files, or none of ours."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.damage.tools import Damage, Inapplicable, file_of, first, load, renamed, save

OTHER = "0123456789abcdef"  # a run id that no spec has
NO_ARRAYS = b"PK\x05\x06" + bytes(18)  # an archive that holds nothing


def with_files(path: Path) -> list[Path]:
    """The record and everything of its run beside it."""
    return sorted(path.parent.glob(f"{path.stem}*"))


def moved(results: Path, change: Callable[[list[str]], list[str]]) -> Path:
    """The first run's files in another folder; `change` gets the folder's names below the results."""
    path = first(results)
    folder = results.joinpath(*change(list(path.parent.relative_to(results).parts)))
    folder.mkdir(parents=True, exist_ok=True)
    for file in with_files(path):
        file.rename(folder / file.name)
    return folder / path.name


def move(name: str, change: Callable[[list[str]], list[str]]) -> Damage:
    return Damage(name, lambda results: moved(results, change))


def added(name: str, place: Callable[[Path], Path], data: bytes = b"") -> Damage:
    """A file that is not ours; `place` gets the results folder."""

    def apply(results: Path) -> Path:
        path = place(results)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return Damage(name, apply)


def beside(name: str) -> Callable[[Path], Path]:
    return lambda results: first(results).with_name(name)


def renamed_record(results: Path) -> Path:
    return first(results).rename(first(results).with_name(f"{OTHER}.json"))


def renamed_run(results: Path) -> Path:
    """All files of a run under another id, and that id in the record: only the spec says otherwise."""
    path = first(results)
    save(path, renamed(load(path), path.stem, OTHER))
    for file in with_files(path):
        file.rename(file.with_name(file.name.replace(path.stem, OTHER)))
    return path.with_name(f"{OTHER}.json")


def capital(results: Path) -> Path:
    return first(results).rename(first(results).with_name(f"{first(results).stem}.JSON"))


def copied(results: Path) -> Path:
    return Path(shutil.copy(first(results), first(results).with_name(f"{OTHER}.json")))


def copied_run(results: Path) -> Path:
    """Two runs of one spec and seed, each with its files and its own id."""
    path = first(results)
    for file in with_files(path):
        shutil.copy(file, file.with_name(file.name.replace(path.stem, OTHER)))
    return save(path.with_name(f"{OTHER}.json"), renamed(load(path), path.stem, OTHER))


def copied_elsewhere(results: Path) -> Path:
    folder = first(results).parent.with_name("imaginary-3")
    folder.mkdir()
    for file in with_files(first(results)):
        shutil.copy(file, folder)
    return folder / first(results).name


def without_record(results: Path) -> Path:
    path, left = first(results), file_of(first(results))
    path.unlink()
    return left


def without_predictions(results: Path) -> Path:
    file_of(first(results)).unlink()
    return first(results)


def replaced_by_link(results: Path, which: Callable[[Path], Path]) -> Path:
    """The file itself beside the results folder, a link to it in its place."""
    path = which(first(results))
    target = results.with_name(f"{results.name}-outside-{path.name}")
    path.rename(target)
    path.symlink_to(target)
    return path


def linked_folder(results: Path) -> Path:
    """A student's folder outside, behind a link; a walk that follows links would not see a difference."""
    folder = first(results).parent
    target = results.with_name(f"{results.name}-outside")
    folder.rename(target)
    folder.symlink_to(target, target_is_directory=True)
    return folder


def link(name: str, target: Callable[[Path], Path | str]) -> Damage:
    """A link too many."""

    def apply(results: Path) -> Path:
        path = first(results).with_name("fedcba9876543210.json")
        path.symlink_to(target(results))
        return path

    return Damage(name, apply)


def folder_for_record(results: Path) -> Path:
    path = first(results)
    path.unlink()
    path.mkdir()
    return path


def folder_for_predictions(results: Path) -> Path:
    path = file_of(first(results))
    path.unlink()
    path.mkdir()
    return first(results)


def pipe(results: Path) -> Path:
    """Whoever opens it waits for ever."""
    path = first(results).with_name(f"{OTHER}.json")
    os.mkfifo(path)
    return path


def pipe_for_predictions(results: Path) -> Path:
    path = file_of(first(results))
    path.unlink()
    os.mkfifo(path)
    return first(results)


def unreadable(results: Path) -> Path:
    if os.geteuid() == 0:
        raise Inapplicable("nothing is unreadable for root")
    first(results).chmod(0)
    return first(results)


def unreadable_predictions(results: Path) -> Path:
    if os.geteuid() == 0:
        raise Inapplicable("nothing is unreadable for root")
    file_of(first(results)).chmod(0)
    return first(results)


def empty_folder(results: Path) -> Path:
    folder = first(results).parent / "old"
    folder.mkdir()
    return folder


def not_unicode(results: Path) -> Path:
    path = Path(os.fsdecode(os.fsencode(first(results).parent) + b"/\xff\xfe.json"))
    try:
        path.write_bytes(b"{}\n")
    except OSError:
        raise Inapplicable("this file system has no such names") from None
    return path


DAMAGES: list[Damage] = [
    Damage("record under another name", renamed_record),
    Damage("run under another id", renamed_run),
    Damage("record under a name in capitals", capital),
    move("run in another method's folder", lambda names: [*names[:-2], "imaginary", names[-1]]),
    move("run in another student's folder", lambda names: [*names[:-1], "imaginary-3"]),
    move("run in another track's folder", lambda names: ["imaginary", *names[1:]]),
    move("run in another task's folder", lambda names: [names[0], "imaginary", *names[-2:]]),
    move("run one folder too deep", lambda names: [*names, "old"]),
    move("run one folder too high", lambda names: names[:-1]),
    move("run in no folder", lambda names: []),
    Damage("record a second time under another name", copied),
    Damage("run a second time under another id", copied_run),
    Damage("run a second time in another folder", copied_elsewhere),
    Damage("predictions without their record", without_record),
    Damage("record without its predictions", without_predictions),
    added("notes beside the records", beside("notes.txt"), b"looks good\n"),
    added("a file without an ending", beside("notes"), b"looks good\n"),
    added("a hidden file", beside(".DS_Store"), b"\0\0\0\1Bud1"),
    added("a file of an editor", lambda results: first(results).with_name(f"{first(results).name}~"), b"{}\n"),
    added("a record's lock", lambda results: first(results).with_name(f"{first(results).name}.lock")),
    added("weights", beside("model.safetensors"), bytes(64)),
    added("a pickle", lambda results: first(results).with_suffix(".pkl"), b"\x80\x04N."),
    added("predictions of no record", beside("fedcba9876543210.npz"), NO_ARRAYS),
    added("samples of no record", beside("fedcba9876543210.samples.npz"), NO_ARRAYS),
    added("other arrays of a record", lambda results: first(results).with_suffix(".old.npz"), NO_ARRAYS),
    added("an interrupted write", beside(".abcd1234.partial"), b'{\n "schema":'),
    added("a write under its final name that was interrupted", beside(f"{OTHER}.json"), b'{\n "schema":'),
    added("JSON that is no record", beside("summary.json"), b'{"mean": 0.77}\n'),
    added("a file in a stray folder", lambda results: results / "old/backup/notes.txt", b"looks good\n"),
    added("a file in a hidden folder", lambda results: results / ".git/config", b"[core]\n"),
    added("a name with a line break", beside("a\nb.json"), b"{}\n"),
    added("a name that clears the terminal", beside("\x1b[2J.json"), b"{}\n"),
    added("a name that runs the other way", beside("\u202enosj.json"), b"{}\n"),
    added("a name of digits of another script", beside("\u0661" * 16 + ".json"), b"{}\n"),
    added("a name of 250 characters", beside("a" * 245 + ".json"), b"{}\n"),
    Damage("a name that is not Unicode", not_unicode),
    Damage("an empty folder", empty_folder),
    Damage("a link to the record outside", lambda results: replaced_by_link(results, lambda path: path)),
    Damage("a link to the predictions outside", lambda results: replaced_by_link(results, file_of)),
    Damage("a link to a student's folder outside", linked_folder),
    link("a link to nothing", lambda results: "nowhere.json"),
    link("a link to itself", lambda results: "fedcba9876543210.json"),
    link("a link to another record", lambda results: first(results).name),
    link("a link to the results folder", lambda results: results),
    link("a link to the whole disk", lambda results: "/"),
    Damage("a folder named like a record", folder_for_record),
    Damage("a folder named like predictions", folder_for_predictions),
    Damage("a pipe named like a record", pipe),
    Damage("a pipe named like predictions", pipe_for_predictions),
    Damage("a record that cannot be read", unreadable),
    Damage("predictions that cannot be read", unreadable_predictions),
]  # fmt: skip
