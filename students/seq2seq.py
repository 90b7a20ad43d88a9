"""A small encoder-decoder Transformer, from random weights: Vaswani et al. 2017 as transformers' Marian builds it.

Sinusoidal positions, post-norm, one table for source, target and output. Pieces are byte-level BPE of the training
texts of both languages (Sennrich et al. 2016), so that no text has an unknown piece; a teacher's tokenizer is taken
where it has one, as token-level distillation compares piece by piece. Sizes are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from bench.inputs import texts
from bench.network import Network
from bench.networks.translators import LONGEST, Translator, text_of
from bench.networks.words import checked
from bench.student import Student
from bench.task import Task

PIECES = 2_000  # the same for teacher and student; our choice
PAD, END, MASK = "<pad>", "</s>", "<mask>"
HEAD = 16  # width of an attention head


class Seq2Seq(Student):
    offers = frozenset({"logits"})
    kinds = frozenset({"generate"})
    sizes = "WIDTHxLAYERS (16x1 to 4096x9, WIDTH a multiple of 16; as many layers in encoder and decoder)"
    default = "64x2"  # our choice

    @classmethod
    def check(cls, size: str) -> str:
        found = checked(size or cls.default, "[1-9][0-9]{1,3}x[1-9]", cls)
        return checked(found if int(found.split("x")[0]) % HEAD == 0 else f"{found} ", "[0-9x]+", cls)

    def build(self, size: str, task: Task, teacher: Network | None) -> Translator:
        width, layers = map(int, self.check(size).split("x"))
        lent = teacher.tokenizer if isinstance(teacher, Translator) else pieces(task)
        return Translator(marian(width, layers, lent), lent, LONGEST, task.goal)


def marian(width: int, layers: int, tokenizer: Any) -> Any:
    """A new model for these pieces."""
    from transformers import MarianConfig, MarianMTModel

    heads = width // HEAD
    return MarianMTModel(
        MarianConfig(
            vocab_size=len(tokenizer), d_model=width, encoder_layers=layers, decoder_layers=layers,
            encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4 * width,
            decoder_ffn_dim=4 * width, max_position_embeddings=4 * LONGEST, scale_embedding=True, dropout=0.1,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id, forced_eos_token_id=None,
        )
    )  # fmt: skip


def pieces(task: Task) -> Any:
    """The tokenizer of a task: byte-level BPE over sources and targets of the training set."""
    from transformers import PreTrainedTokenizerFast

    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    found.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES, special_tokens=[PAD, END, MASK], initial_alphabet=alphabet, show_progress=False
    )
    found.train_from_iterator(both(task), trainer)
    found.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, found.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=found, pad_token=PAD, eos_token=END, mask_token=MASK, model_max_length=LONGEST
    )


def both(task: Task) -> Iterator[str]:
    """The training texts of both sides."""
    examples = task.examples("supervised")
    yield from texts(examples.inputs).columns[0]
    yield from (text_of(row) for row in examples.labels)
