"""A network as onnxruntime runs it: the same output in float32, a smaller file and nearly the same output in int8."""

from __future__ import annotations

import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

from bench.base.console import Console
from bench.errors import RequestError
from bench.export import runtime
from bench.inputs import Texts
from tests.export.test_heads import INPUTS, student

pytest.importorskip("onnxruntime")
TEXTS = Texts(["Is it?", "Why so?", "A longer text."], ["Yes, it is.", "no", "It has more words than the others."])


def test_the_graph_computes_what_the_network_does_also_in_another_process() -> None:
    network, logits = student("classify"), frozenset({"logits"})
    made = runtime.forms({"mine": network}, "logits", Console(quiet=True))
    assert list(made) == ["mine onnx", "mine int8"]
    sent = pickle.loads(pickle.dumps(made))  # noqa: S301
    batch = network.encode(TEXTS).batch(np.arange(3))
    with torch.no_grad():
        expected = network(batch, logits).logits.numpy()
        found = {
            name: form(form.encode(TEXTS).batch(np.arange(3)), logits).logits.numpy() for name, form in sent.items()
        }
    assert np.abs(found["mine onnx"] - expected).max() < 1e-5
    apart = np.abs(found["mine int8"] - expected).max()
    assert 1e-5 < apart < 0.1 * np.abs(expected).max(), "weights of 8 bits are not the same weights, and near them"
    assert made["mine int8"].disk_bytes < 0.5 * made["mine onnx"].disk_bytes


def test_what_the_kind_keeps_of_words_is_what_it_keeps_of_the_network() -> None:
    network, logits = student("tag"), frozenset({"logits"})
    batch = network.encode(INPUTS["tag"]).batch(np.arange(3))
    form = runtime.of(network, "logits")["onnx"]
    with torch.no_grad():
        expected = network.goal.decode(network(batch, logits))
    for own, other in zip(expected, network.goal.decode(form(batch, logits)), strict=True):
        np.testing.assert_allclose(np.asarray(own), np.asarray(other), atol=1e-5)


def test_threads_are_those_of_torch() -> None:
    form = runtime.of(student("classify"), "logits")["onnx"]
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert form.session().get_session_options().intra_op_num_threads == threads
    finally:
        torch.set_num_threads(before)


def test_what_no_graph_holds_is_told() -> None:
    class Other(torch.nn.Linear):
        device = torch.device("cpu")

    with pytest.raises(RequestError, match="no ONNX of mine: Other turns text into numbers with code of its own"):
        runtime.forms(OrderedDict(mine=Other(1, 1)), "logits", Console(quiet=True))  # type: ignore[arg-type]
