"""What a release promises: one version, every extra and Python tried, an sdist and an image that can be built."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import __version__
from tests.factories.runs import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def workflow(name: str) -> Any:
    return yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8"))["jobs"]


def test_the_version_is_one() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    assert citation["version"] == __version__ == versions[0]


def test_a_release_tries_every_extra_alone_and_every_python() -> None:
    jobs = workflow("release")
    assert set(jobs["extra"]["strategy"]["matrix"]["extra"]) == PROJECT["optional-dependencies"].keys() - {"dev"}
    promised = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert jobs["wheel"]["strategy"]["matrix"]["python"] == promised
    assert workflow("tests")["test"]["strategy"]["matrix"]["python"] == promised


def test_the_check_of_an_installed_command_is_accepted() -> None:
    """Its runs as a dry run; `release` carries them out."""
    from tests.factories.commands import bench

    script = (ROOT / ".ci/installed").read_text(encoding="utf-8")
    for words in (line.split() for line in re.findall(r"^bench (.+)$", script, re.MULTILINE)):
        if words[0] == "run":
            bench(*words, "--dry-run")
        else:
            told = bench(*words[: 2 if words[0] == "site" else 1], "--help").out
            assert all(word in told for word in words if word.startswith("--"))


def test_the_sdist_holds_what_an_image_is_built_from(tmp_path: Path) -> None:
    """And a wheel comes out of that alone: nothing that the Containerfile leaves out is needed."""
    pytest.importorskip("hatchling", reason="building needs the 'dev' extra")
    made(ROOT, "-m", "hatchling", "build", "--target", "sdist", "--directory", tmp_path)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    source, image = next(p for p in tmp_path.iterdir() if p.is_dir()), tmp_path / "image"
    assert (source / "mkdocs.yml").is_file() and (source / "docs/_pages/text.py").is_file()
    for words in re.findall(r"^COPY (.+)$", (source / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE):
        *names, target = words.split()
        for name in names:
            copied(source / name, image / target / (name if target == "./" else ""))
    made(image, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path)
    assert len(list(tmp_path.glob("bench_kd-*.whl"))) == 1


def test_an_image_is_sent_what_it_copies_and_no_more() -> None:
    """Data, records and environments of a checkout stay where they are."""
    copies = re.findall(r"^COPY (.+) \S+$", (ROOT / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == {name for line in copies for name in line.split()}


def made(cwd: Path, *arguments: object) -> None:
    done = subprocess.run([sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def copied(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
