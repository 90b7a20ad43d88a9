"""What the benchmarks beside other tools share. The peers are not installed here: `make peers` is their test."""

import subprocess
import sys
from collections import Counter

import pytest

from peers import fuzz, pairing
from tests.factories.runs import ROOT

SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT / "peers")!r})
import pairing
def main():
    raise pairing.Missing("nosuchtool: No module named 'nosuchtool'")
pairing.finish(main)
"""


def report() -> pairing.Report:
    made = pairing.Report("name", "Title", {})
    made.samples = {
        "peer": [{"cpu": 6.0}, {"cpu": 4.0}, {"cpu": 9.0}],
        "ours": [{"cpu": 2.0}, {"cpu": 2.0}, {"cpu": 3.0}],
    }
    return made


def test_a_ratio_is_the_median_over_rounds_with_its_interval_and_its_target():
    made = report()
    made.ratio("peer / ours", "peer", "ours", "cpu", 2.5)
    made.ratio("ours / peer", "peer", "ours", "cpu", 0.3, most=True)
    more, less = made.ratios
    assert (more["value"], more["low"], more["high"], more["met"]) == (3.0, 2.0, 3.0, True)
    assert less["value"] == pytest.approx(1 / 3) and not less["met"]
    assert "target >= 2.5: met" in pairing.ratio_line(more) and "MISSED" in pairing.ratio_line(less)


def test_a_gate_that_does_not_hold_decides_the_status(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pairing, "OUT", tmp_path)
    held, broken = report(), report()
    held.check("losses", 1e-7, 1e-5)
    broken.check("losses", 1e-3, 1e-5)
    assert (held.close(as_json=False), broken.close(as_json=False)) == (0, 1)
    assert "FAIL losses" in capsys.readouterr().out and (tmp_path / "name.json").exists()


def test_a_missing_peer_is_said_and_ends_with_status_1(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "the peer is missing: nosuchtool" in done.stderr
    with pytest.raises(pairing.Missing, match="nosuchtool"):
        pairing.one(str(script), "peer")


def test_cpu_seconds_count_ended_children():
    found = {}
    with pairing.clock(found):
        subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)
    assert found["cpu"] > 0.05


def test_a_short_fuzz_of_commands_data_and_plugins_finds_no_fault(tmp_path):
    """In full by hand: `python peers/fuzz.py --count 2000`."""
    told = Counter()
    sorts = (fuzz.data_case, fuzz.command_case, fuzz.plugin_case)
    assert list(fuzz.faults(60, 0, 60, tmp_path, told, sorts)) == []
    assert sum(told.values()) == 60 and set(told) <= {"0", "1", "2"} and told["2"] > 20
