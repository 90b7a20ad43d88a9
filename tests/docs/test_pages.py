"""Pages that the code tells: complete, true to what they are made of, escaped, linked, and in the navigation once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from bench.plugins import registry
from docs import _pages
from docs._pages import limits, settings, text
from tests.factories.runs import ROOT

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return _pages.pages()


@pytest.fixture(scope="module")
def everything(made: dict[str, str]) -> dict[str, str]:
    """Pages that were made and pages that were written, by their addresses."""
    written = {p.relative_to(DOCS).as_posix(): p.read_text(encoding="utf-8") for p in DOCS.rglob("*.md")}
    assert not written.keys() & made.keys()
    return {**written, **made}


@pytest.mark.parametrize(("kind", "folder"), [("method", "methods"), ("task", "tasks"), ("student", "students")])
def test_every_plug_in_has_a_page_and_a_line_of_the_list(made: dict[str, str], kind: str, folder: str) -> None:
    for name in registry.found(kind):
        assert f"[{name}]({name}.md)" in made[f"{folder}/index.md"]
        assert made[f"{folder}/{name}.md"].startswith(f"# {name}\n")


def test_a_page_has_the_rows_of_the_records(made: dict[str, str]) -> None:
    """Those of the README, which another test holds against the records."""
    for name in ("kd", "disco", "finetune"):
        (cells,) = re.findall(rf"^\| {name} \| \*\*([\d.]+)\*\* \| ([\d.]+ to [\d.]+) \| ([\d.]+%) \|", README, re.M)
        score, interval, retention = cells
        line = f"| `sts` | lite | `{name}` | `bert:3` | {score} spearman | {interval} | {retention} | 3 |"
        assert line in made[f"methods/{name}.md"] and line in made["tasks/sts.md"] and line in made["students/bert.md"]


def test_a_page_says_what_fits_and_why_the_rest_does_not(made: dict[str, str]) -> None:
    page = made["methods/disco.md"]
    fits, _, misfits = page.partition("## Fits")[2].partition("| not | because |")
    assert "[sts](../tasks/sts.md)" in fits and "squad" not in fits
    assert "[squad](../tasks/squad.md)" in misfits and "this one is 'span'" in misfits


def test_published_numbers_and_their_sources_are_on_the_page(made: dict[str, str]) -> None:
    assert "| CRD | wrn40-2 | wrn16-2 | images/cifar100 | accuracy | 75.48 |" in made["methods/crd.md"]
    assert "What papers report" not in made["methods/revisited.md"], "there are none"


def test_every_command_is_in_the_reference(made: dict[str, str]) -> None:
    page = made["reference/commands.md"]
    for name in ("run", "compare", "site build", "site diff", "store rm", "transfer"):
        assert f"## bench {name}\n" in page
    assert "--remeasure" in page and "\nbench run --task sts --method disco\n" in page


@dataclass(frozen=True)
class First:
    rate: float = 2e-4  # of layers
    # one line above,
    # and another
    size: int | None = None
    quiet: bool = False


@dataclass(frozen=True)
class Second(First):
    rate: float = 1e-3  # its own
    names: tuple[str, ...] = (
        "a",
        "b",  # beside a part
    )


def test_settings_are_the_fields_with_defaults_and_comments() -> None:
    lines = settings.of(Second, "mine").splitlines()
    assert lines[0].startswith("On the command line: `--set mine.SETTING=VALUE`")
    assert [line.split(" | ")[0][2:] + " " + line.split(" | ")[1] for line in lines[4:]] == [
        "`rate` `0.001`", "`size` `none`", "`quiet` `false`", '`names` `["a", "b"]`',
    ]  # fmt: skip
    assert settings.comments(Second) == {
        "rate": "its own", "size": "one line above, and another", "names": "beside a part",
    }  # fmt: skip


def test_a_docstring_is_words_and_blocks() -> None:
    told = text.prose("It is <b>bold</b> [x](y) a_b | c `d_e`.\n\n    L = a_b * c\n        next\n\nLead:\n    x")
    assert told.split("\n\n") == [
        r"It is &lt;b&gt;bold&lt;/b&gt; \[x\](y) a\_b \| c `d_e`.",
        "~~~text\nL = a_b * c\n    next\n~~~",
        "Lead:",
        "~~~text\nx\n~~~",
    ]


def test_limits_name_every_reconstruction(made: dict[str, str]) -> None:
    part = made["reference/limits.md"].partition("## Reconstructions")[2].partition("\n## ")[0]
    for kind, folder in (("method", "methods"), ("student", "students")):
        for name, plugin in registry.found(kind).items():
            if "a reconstruction" in plugin.path.read_text(encoding="utf-8").lower().partition('"""\n\n')[0]:
                assert f"[{name}](../{folder}/{name}.md)" in part, name
    assert "recalled, not verified" in made["reference/limits.md"]


def test_a_sentence_stands_for_itself() -> None:
    said = "# Head\n\nOne of Kim et al. 2020 is not known. Two;\nstill two (a [link](x.md)).\n- **Item.** Three.\n"
    assert list(limits.sentences_of(said)) == [
        "One of Kim et al. 2020 is not known.", "Two; still two (a link).", "Item.", "Three.",
    ]  # fmt: skip


def test_links_lead_to_pages_and_headings(everything: dict[str, str]) -> None:
    wrong = [
        f"{address}: {link}"
        for address, page in everything.items()
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"~~~.*?~~~|```.*?```", "", page, flags=re.S))
        if "://" not in link and not leads(link, address, everything)
    ]
    assert not wrong


def leads(link: str, address: str, everything: dict[str, str]) -> bool:
    path, _, anchor = link.partition("#")
    target = (DOCS / address).parent.joinpath(path).resolve() if path else (DOCS / address).resolve()
    name = target.relative_to(DOCS).as_posix() if target.is_relative_to(DOCS) else ""
    if anchor:
        return anchor in headings(everything.get(name, ""))
    return name in everything or target.is_file()


def headings(page: str) -> set[str]:
    from markdown.extensions.toc import slugify

    return {slugify(title, "-") for title in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}


def test_every_page_is_in_the_navigation_once(everything: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that somebody adds too, without a line of its own."""
    pytest.importorskip("mkdocs", reason="the navigation needs the 'docs' extra")
    monkeypatch.syspath_prepend(DOCS)
    import _hook

    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = {*everything, "a-new-page.md", "methods/a-new-method.md"}
    found = list(_hook.leaves(_hook.filled(nav, pages - set(_hook.leaves(nav)))))
    assert sorted(found) == sorted(pages)
    assert "a-new-page.md" in titled(nav_of(_hook, nav, pages), "How to")


def nav_of(hook: Any, nav: Any, pages: set[str]) -> Any:
    return hook.filled(nav, pages - set(hook.leaves(nav)))


def titled(nav: list[dict[str, Any]], title: str) -> Any:
    return next(item[title] for item in nav if title in item)


def test_the_site_asks_nothing_of_another_host() -> None:
    """As far as its settings say; `make docs` builds it."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert config["theme"]["font"] is False and config["plugins"] == ["search"] and config["strict"] is True
    assert not {"extra_javascript", "extra_css", "extra", "google_analytics"} & config.keys()
