"""Tiny models with random weights, of architectures that people bring as teachers, with tokenizers made here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

LAYERS, WIDTH, HEADS = 4, 16, 4
SIZE = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 32}
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
ENDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
NAMES = {
    "bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "unk_token": "<unk>",
    "pad_token": "<pad>", "mask_token": "<mask>",
}  # fmt: skip
VOCABULARY = len(SPECIAL) + 256


class Kept(NamedTuple):
    """An architecture: the class of transformers, what its configuration says, and what its tokenizer lacks."""

    model: str
    settings: dict[str, Any]
    bare: bool = False  # no special tokens around a text, none for padding, no limit: as of GPT-2 and T5
    silent: bool = False  # the vector of padding is 0, as its neighbours read it


# Each token is read with its two neighbours: behind the last one stands padding, or nothing, which is 0.
MOBILE = {**SIZE, "pad_token_id": 1, "embedding_size": 8, "intra_bottleneck_size": 8, "num_feedforward_networks": 2}
ZOO = {
    "bert": Kept("Bert", {**SIZE, "pad_token_id": 1}),
    "distilbert": Kept("DistilBert", {"dim": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": 32}),
    "roberta": Kept("Roberta", {**SIZE, **ENDS, "max_position_embeddings": 34, "type_vocab_size": 1}),
    "albert": Kept("Albert", {**SIZE, "embedding_size": 8}),
    "mpnet": Kept("MPNet", {**SIZE, **ENDS, "max_position_embeddings": 34}),
    "electra": Kept("Electra", {**SIZE, "embedding_size": 8}),
    "deberta": Kept(
        "DebertaV2",
        {**SIZE, "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8,
         "norm_rel_ebd": "layer_norm", "share_att_key": True, "position_biased_input": False},
    ),
    "modernbert": Kept(
        "ModernBert",
        {**SIZE, **ENDS, "cls_token_id": 0, "sep_token_id": 2, "max_position_embeddings": 128, "local_attention": 8,
         "global_attn_every_n_layers": 3},
    ),
    "qwen3": Kept(
        "Qwen3",
        {**SIZE, **ENDS, "num_key_value_heads": 2, "head_dim": 4, "max_position_embeddings": 128,
         "use_sliding_window": True, "sliding_window": 6, "layer_types": ["full_attention", "sliding_attention"] * 2},
        bare=True,
    ),
    "t5": Kept(
        "T5Encoder",
        {"d_model": WIDTH, "d_kv": 4, "d_ff": 32, "num_layers": LAYERS, "num_heads": HEADS, "pad_token_id": 1,
         "eos_token_id": 2, "decoder_start_token_id": 1},
        bare=True,
    ),
    "gpt2": Kept(
        "GPT2", {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 128, "bos_token_id": 2,
                 "eos_token_id": 2}, bare=True,
    ),
    "falcon": Kept(
        "Falcon",
        {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, **ENDS},
        bare=True,
    ),
    "bloom": Kept("Bloom", {"hidden_size": WIDTH, "n_layer": LAYERS, "n_head": HEADS, **ENDS}, bare=True),
    "xlnet": Kept(
        "XLNet", {"d_model": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "d_inner": 32, "pad_token_id": 1}
    ),
    "opt": Kept(
        "OPT",
        {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "ffn_dim": 32, **ENDS,
         "max_position_embeddings": 128, "word_embed_proj_dim": WIDTH},
        bare=True,
    ),
    "gemma3": Kept(
        "Gemma3Text",
        {**SIZE, **ENDS, "num_key_value_heads": 2, "head_dim": 4, "max_position_embeddings": 128, "sliding_window": 6,
         "layer_types": ["sliding_attention", "full_attention"] * 2},
        bare=True,
    ),
    "nomic": Kept("NomicBert", {**SIZE, "max_position_embeddings": 128}),
    "longformer": Kept(
        "Longformer", {**SIZE, **ENDS, "max_position_embeddings": 128, "attention_window": [4] * LAYERS}
    ),
    "mobilebert": Kept("MobileBert", MOBILE, silent=True),
}  # fmt: skip

REFUSED = {  # whose convolutions, or neighbours, read padding
    "mobilebert-padded": Kept("MobileBert", MOBILE),
    "convbert": Kept("ConvBert", {**SIZE, "embedding_size": 8}),
    "funnel": Kept("Funnel", {"block_sizes": [2, 2], "d_model": WIDTH, "n_head": HEADS, "d_head": 4, "d_inner": 32}),
}


def tokenizer_of(bare: bool) -> Any:
    """One token a byte."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({name: n for n, name in enumerate([*SPECIAL, *letters])}, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if bare:
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **NAMES)


def save(name: str, folder: Path, change: Callable[[Any], Any] = lambda model: model, **settings: Any) -> Path:
    """The folder, with a model of the zoo as transformers saves it."""
    import torch
    import transformers

    kept = (ZOO | REFUSED)[name]
    config = getattr(transformers, kept.model.removesuffix("Encoder") + "Config")
    torch.manual_seed(0)
    model = getattr(transformers, kept.model + "Model")(config(vocab_size=VOCABULARY, **kept.settings | settings))
    with torch.no_grad():
        for parameter in model.parameters():  # as first weights are small, what is wrong would be small too
            parameter.add_(0.2 * torch.randn_like(parameter))
        if kept.silent:
            model.get_input_embeddings().weight[model.config.pad_token_id] = 0
    change(model).save_pretrained(folder)
    tokenizer_of(kept.bare).save_pretrained(folder)
    return folder


def save_sentences(plain: Path, folder: Path, limit: int = 64, **settings: Any) -> Path:
    """The same weights as sentence-transformers saves them; `settings` of SentenceTransformer."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    modules = [Transformer(str(plain), max_seq_length=limit), Pooling(WIDTH, "mean", include_prompt=not limit % 2)]
    SentenceTransformer(modules=modules, device="cpu", **settings).save(str(folder), create_model_card=False)
    return folder
