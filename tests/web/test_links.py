"""What pages link to outside themselves: papers, the repository, the feed, and the way home from any depth."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.errors import RequestError
from bench.web import feed, formats, use
from bench.web.build import build
from bench.web.links import Links
from bench.web.serve import server
from tests.factories.records import make
from tests.web.site import board_rows, page, save, scored, site, task_page

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Wang et al. arXiv:2002.10957; ACL 2021, arxiv.org/abs/2012.15828.", ["arXiv:2002.10957", "arXiv:2012.15828"]),
        ("Jiao. doi:10.18653/v1/2020.findings-emnlp.372.", ["doi:10.18653/v1/2020.findings-emnlp.372"]),
        ("arXiv:12.3, 10.5 points, version 10.1234", []), ('arXiv:2002.10957"><b>', ["arXiv:2002.10957"]),
        ("arXiv:1 javascript:alert(1)", []),
    ],
)  # fmt: skip
def test_papers_of_a_citation(text: str, found: list[str]) -> None:
    told = formats.papers(text)
    assert [name for name, _ in told] == found
    assert all(re.fullmatch(r"https://(arxiv\.org/abs|doi\.org)/[\w./()-]+", address) for _, address in told)


def test_a_method_s_page_links_to_its_paper(tmp_path: Path) -> None:
    out = site(tmp_path, make("disco"))
    assert "https://arxiv.org/abs/2112.05638" in page(out / "methods/disco.html").values("href")


def test_a_row_leads_to_the_command_and_lines_of_its_best_seed_on_dev(tmp_path: Path) -> None:
    """And only where the student can be exported."""
    dev = {0: 0.5, 1: 0.9, 2: 0.7}
    for seed, value in dev.items():
        scored(tmp_path / "results", "kd", seed, 0.5, metrics__dev=value)
    save(tmp_path / "results", make("kd", task="text/trec", student="dan:8x4"))
    out = site(tmp_path)
    run = make("kd", 1).run_id
    assert f"../runs/{run}.html#use" in page(task_page(out)).values("href")
    text = " ".join(page(out / f"runs/{run}.html").text.split())
    assert f"bench export {run} --format hf --out student" in text
    assert 'model = SentenceTransformer("student")' in text
    classes = use.loading(make("kd", task="text/trec"))
    assert "AutoModelForSequenceClassification.from_pretrained" in classes and "SentenceTransformer" not in classes
    assert "AutoModelForTokenClassification" in use.loading(make("kd", task="conll/2003"))
    assert not use.loading(make("kd", student="cnn")) and not use.loading(make("kd", task="of/nobody"))
    assert use.ways(make("kd")) == ("hf", "onnx") and use.ways(make("kd", student="cnn")) == ("onnx",)
    assert use.ways(make("kd", task="text/trec")) == ("hf", "onnx") and not use.ways(make("kd", task="of/nobody"))
    assert use.ways(make("kd", task="text/trec", student="cnn")) == ("onnx",)
    assert not use.ways(make("kd", task="text/trec", student="dan:8x4"))
    other = next(p for p in out.glob("tasks/text-trec-*.html"))
    assert not [link for link in page(other).values("href") if link.endswith("#use")]
    assert "bench export" not in page(out / f"runs/{make('kd', task='text/trec', student='dan:8x4').run_id}.html").text
    assert "use it" in board_rows(out)["kd bert:3"][4]


def test_the_feed_has_what_each_board_got_on_a_day_the_newest_first(tmp_path: Path) -> None:
    days = ("2026-01-02T03:04:05+00:00", "2026-01-02T05:00:00+02:00", "2026-03-01T00:00:00+00:00", "yesterday\x00<&",
            "0001-01-01T00:00:00+23:59")  # fmt: skip
    for seed, day in enumerate(days):
        save(tmp_path / "results", make("kd", seed, provenance__finished=day))
    build(tmp_path / "results", tmp_path / "out", Links("https://example.org/board"))
    root = ElementTree.fromstring((tmp_path / "out/feed.xml").read_bytes())
    entries = root.findall(f"{ATOM}entry")
    told = [(e.findtext(f"{ATOM}updated"), (e.findtext(f"{ATOM}title") or "").split(": ")[1]) for e in entries]
    assert told == [("2026-03-01T00:00:00+00:00", "1 new run of kd"), ("2026-01-02T03:04:05+00:00", "2 new runs of kd")]
    assert root.findtext(f"{ATOM}updated") == told[0][0]
    slug = task_page(tmp_path / "out").stem
    assert entries[0].find(f"{ATOM}link").get("href") == f"https://example.org/board/tasks/{slug}.html"
    ids = [e.findtext(f"{ATOM}id") for e in entries]
    assert len(set(ids)) == 2 and all(name.startswith(f"urn:bench:{slug}:2026-0") for name in ids if name)
    assert feed.time_of({"finished": "yesterday"}) is None


def test_a_missing_page_of_any_depth_leads_home_with_the_address_of_the_site(tmp_path: Path) -> None:
    save(tmp_path / "results", make("kd"))
    build(tmp_path / "results", tmp_path / "host/board", Links("https://example.org/board/"))
    found = page(tmp_path / "host/board/404.html")
    assert {link for link in found.values("href", "src") if not link.startswith("#")} >= {
        "/board/style.css", "/board/page.js", "/board/index.html",
    }  # fmt: skip
    assert not [link for link in found.values("href", "src") if not link.startswith(("/board/", "#"))]
    build(tmp_path / "results", tmp_path / "top", Links("https://example.org"))
    with server(tmp_path / "top", 0) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        top = f"http://127.0.0.1:{running.server_address[1]}"
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"{top}/tasks/deep/nothing.html")
        style = re.search(r'href="([^"]+style\.css)"', missing.value.read().decode())
        assert style and urllib.request.urlopen(top + style[1]).status == 200
        running.shutdown()


def test_every_page_links_to_the_repository_where_it_is_told(tmp_path: Path) -> None:
    save(tmp_path / "results", make("kd"))
    home = "https://example.org/owner/name"
    build(tmp_path / "results", tmp_path / "out")
    assert not any(home.encode() in p.read_bytes() for p in (tmp_path / "out").rglob("*.html"))
    build(tmp_path / "results", tmp_path / "out", Links(repository=f"{home}/"))
    for path in (tmp_path / "out").rglob("*.html"):
        assert {home, f"{home}/issues"} <= set(page(path).values("href")), "a build that is told otherwise is a new one"


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "example.org", 'https://x/"><script>', "//x", "https://x y"]
)
@pytest.mark.parametrize("option", ["base_url", "repository"])
def test_an_address_that_is_none_is_refused(option: str, address: str) -> None:
    with pytest.raises(RequestError, match=rf"--{option.replace('_', '-')} .*: give an address"):
        Links(**{option: address})


def test_pages_have_a_name_for_those_who_share_them(tmp_path: Path) -> None:
    out = site(tmp_path, make("kd", 0, 0.75))
    for path in (out / "index.html", task_page(out), out / f"runs/{make('kd').run_id}.html"):
        metas = {attrs.get("property"): attrs.get("content") for tag, attrs in page(path).tags if tag == "meta"}
        assert metas["og:title"] and metas["og:description"]
        (icon,) = [attrs["href"] for tag, attrs in page(path).tags if tag == "link" and attrs.get("rel") == "icon"]
        assert (path.parent / str(icon)).read_bytes().startswith(b"<svg")
    assert "spearman 75.00 of 80.00" in (task_page(out)).read_text(encoding="utf-8")


def test_find_looks_for_words_in_names_and_not_in_numbers(opened, site) -> None:
    pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")
    opened_page = opened("task")
    names = {row["key"]: row["name"] for row in site.boards["mini"]["rows"]}

    def found(text: str) -> list[str]:
        opened_page.locator("[name=find]").fill(text)
        shown = "all => all.filter(r => !r.hidden).map(r => r.id)"
        return [names[key] for key in opened_page.eval_on_selector_all("#rows tbody tr", shown)]

    assert found("cnn KD") == ["kd cnn"] and found("bert disco") == ["disco bert:3"]
    score = f"{100 * site.boards['mini']['rows'][1]['score']:.2f}"
    assert found(score) == []
