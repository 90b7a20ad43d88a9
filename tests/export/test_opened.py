"""An exported folder as `bench.load` opens it: the library that the folder is for, and the tokenizer with it."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from bench.export.hf import opened


def test_a_model_with_a_head_comes_with_its_tokenizer(teacher: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(teacher.with_name(f"{teacher.name}-plain"))
    config = BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, num_labels=3,
    )  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    found = opened(tmp_path)
    inputs = found.tokenizer(["a cat", "two dogs"], padding=True, return_tensors="pt")
    with torch.no_grad():
        assert torch.allclose(found(**inputs).logits, model(**inputs).logits, atol=1e-6)
    assert type(found) is BertForSequenceClassification and not found.training


def test_a_folder_of_sentence_transformers_is_one(teacher: Path) -> None:
    assert opened(teacher).encode(["a cat"]).shape == (1, 48)
