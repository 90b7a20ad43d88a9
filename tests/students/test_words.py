"""The three students that read words: golden values, padding, vocabulary, the teacher's tokenizer and table."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from bench.errors import RequestError
from bench.inputs import pool
from bench.kinds.classify import Classify
from bench.kinds.embed import Embed
from bench.measuring.clock import Job, Point, count, fixed
from bench.measuring.session import QUICK
from bench.network import Network
from bench.networks.words import WordNetwork
from bench.plugins import registry
from bench.students.bilstm import BiLSTM
from bench.students.bow import Bow
from bench.students.cnn import CNN, MaxCNN
from bench.training import checkpoint

TEXTS = ["The cat sat on the mat.", "A dog", "the café, the Cafe", "one two three four five six seven eight nine ten"]
WANT = frozenset({"embedding"})
SMALL = {Bow: "8", BiLSTM: "1x6", CNN: "4"}
FAMILIES = pytest.mark.parametrize("family", SMALL, ids=lambda f: f.__name__.lower())


class Teacher(Network):
    """A tiny real BERT with the two attributes that a teacher may lend."""

    offers, width = frozenset({"embedding"}), 12

    def __init__(self, rows: int = 40) -> None:
        super().__init__()
        size = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        self.model = BertModel(BertConfig(vocab_size=rows, **size))
        self.word_embeddings = self.model.embeddings.word_embeddings
        self.tokenizer = word_pieces()

    def encode(self, inputs):
        raise NotImplementedError

    def forward(self, batch, want):
        raise NotImplementedError


def word_pieces() -> PreTrainedTokenizerFast:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s", "sat", "dog", "."]
    fast = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    fast.normalizer, fast.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    fast.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast.enable_padding(length=9)
    fast.enable_truncation(5)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=fast, **names)


def task(distil: list[str] = TEXTS, supervised: list[str] = TEXTS[:1]) -> SimpleNamespace:
    pools = {"distil": distil, "supervised": supervised}
    return SimpleNamespace(
        goal=Embed(), training_sets=("distil", "supervised"), examples=lambda name: SimpleNamespace(inputs=pools[name])
    )


def build(family, size: str = "", teacher: Network | None = None, data=None, **settings) -> WordNetwork:
    torch.manual_seed(0)
    student = family(family.Settings(**settings))
    return student.build(size or SMALL[family], data or task(), teacher or Teacher()).eval()


def embed(network: Network, texts: list[str], padding: int = 0) -> torch.Tensor:
    """(B, D), with columns of padding behind the longest input."""
    batch = network.encode(texts).batch(np.arange(len(texts)))
    batch = {name: nn.functional.pad(x, (0, padding)) for name, x in batch.items()}
    return network(batch, WANT).embedding


def ids(network: Network, text: str) -> list[int]:
    return network.encode([text]).ids.flat.tolist()


# Golden values


@torch.no_grad()
def test_bow_is_the_mean_of_its_word_vectors():
    network = build(Bow, "2", data=task(["a b c"], []))
    network.table.weight[2:] = torch.tensor([[1.0, -2.0], [3.0, 4.0], [0.0, 7.0]])  # a, b, c
    expected = torch.tensor([[7 / 4, 13 / 4], [0.0, 7.0]])  # a + 2b + c = [1 + 6 + 0, -2 + 8 + 7]
    torch.testing.assert_close(embed(network, ["a b B c", "c"]), expected)


@torch.no_grad()
def test_cnn_takes_each_filters_largest_window():
    body = MaxCNN(word_width=1, filters=1)
    for conv, weight, bias in zip(
        body.filters, ([1, 0, -1], [1, 1, 1, 1], [0, 0, 0, 0, 1]), (0, 0.1, -0.5), strict=True
    ):
        conv.weight[:], conv.bias[:] = torch.tensor([[weight]]), bias
    words = torch.tensor([[[0.1], [0.5], [-0.2], [0.3], [0.0]]])  # four words, one column of padding
    mask = torch.tensor([[True, True, True, True, False]])
    # h=3, v_i - v_{i+2}, zeros around: -0.1, -0.5, 0.3, 0.2, -0.2, 0.3       -> 0.3
    # h=4, sums of windows: 0.1, 0.6, 0.4, 0.7, 0.6, 0.1, 0.3                  -> 0.7 + 0.1
    # h=5, the last word of the window, or 0 behind the input: 0.1, 0.5 ...    -> 0.5 - 0.5
    torch.testing.assert_close(body(words, mask), torch.tanh(torch.tensor([[0.3, 0.8, 0.0]])))
    embedding, states = body.both(words, mask)
    torch.testing.assert_close(embedding, body(words, mask))
    around = [[-0.5, 0.7, -0.7], [0.3, 0.5, -0.2], [0.2, 0.8, -0.5], [-0.2, 0.7, -0.5]]  # v_{i-1} - v_{i+1}, ...
    torch.testing.assert_close(states[:, :4], torch.tensor([around]).tanh())


@torch.no_grad()
def test_cnn_ignores_windows_of_padding_alone():
    body = MaxCNN(word_width=1, filters=1)
    for conv in body.filters:
        conv.weight[:], conv.bias[:] = 1.0, 0.0
    words, mask = torch.zeros(1, 9, 1), torch.arange(9)[None] < 1
    words[0, 0] = -0.5  # all windows that hold the word give -0.5; one of padding alone would give 0
    torch.testing.assert_close(body(words, mask), torch.full((1, 3), -0.5).tanh())


@torch.no_grad()
def test_bilstm_is_the_largest_state_of_each_feature():
    network = build(BiLSTM)
    states, _ = network.body.lstm(network.table(torch.tensor([ids(network, TEXTS[0])])))  # one input, no padding
    torch.testing.assert_close(embed(network, TEXTS[:1]), states.amax(1))


# Padding, companions, short and empty inputs


@FAMILIES
@torch.no_grad()
def test_padding_and_companions_change_nothing(family):
    network = build(family)
    alone = torch.cat([embed(network, [t]) for t in TEXTS])
    for padding in (0, 1, 13):
        torch.testing.assert_close(embed(network, TEXTS, padding), alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(embed(network, TEXTS[::-1]).flip(0), alone, rtol=0, atol=1e-6)


@FAMILIES
@torch.no_grad()
def test_padding_changes_nothing_in_two_layers_or_with_the_teachers_table(family):
    wide = {} if family is Bow else {"word_width": 12}
    size = {Bow: "12", BiLSTM: "2x3", CNN: "2"}[family]
    network = build(family, size, tokens="teacher", embeddings="teacher", **wide)
    network.table.weight[0] = 5.0  # a lent padding row need not be 0
    torch.testing.assert_close(embed(network, TEXTS[:2], 7)[1:], embed(network, TEXTS[1:2]), rtol=0, atol=1e-6)


@FAMILIES
@torch.no_grad()
def test_empty_and_unknown_inputs_read_as_one_unknown_word(family):
    network = build(family)
    assert ids(network, "") == ids(network, " \t") == ids(network, "zebra") == [1]
    embeddings = embed(network, ["", "zebra", "cat"])
    assert embeddings.shape == (3, network.width) and embeddings.isfinite().all()
    assert torch.equal(embeddings[0], embeddings[1]) and not torch.equal(embeddings[0], embeddings[2])


def pairs() -> SimpleNamespace:
    """A task of pairs of texts in two classes."""
    given = list(zip(TEXTS, reversed(TEXTS), strict=True))
    found = SimpleNamespace(inputs=given)
    return SimpleNamespace(goal=Classify(2), training_sets=("supervised",), examples=lambda purpose: found)


@FAMILIES
def test_a_reader_of_pairs_is_timed_at_a_fixed_length_on_pairs(family):
    """Of so many tokens in both texts together; and the counter runs it."""
    network, want = build(family, data=pairs()), frozenset({"logits"})
    job = Job({"student": network}, pool(pairs().examples("distil").inputs), want, [], QUICK, "cpu", frozenset({0}))
    encoded = fixed(network, job, 128)
    assert encoded.lengths.tolist() == [128]
    assert network(encoded.batch(np.array([0])), want).logits.shape == (1, 2)
    found = count(network, network.encode(job.inputs), job, [Point("single", 1, length=128)])
    assert found["flops"]["128"] >= found["flops"]["mean"] > 0


@FAMILIES
def test_inputs_are_cut_at_max_length(family):
    network = build(family, max_length=3)
    assert network.encode(TEXTS).lengths.tolist() == network.encode(TEXTS, 99).lengths.tolist() == [3, 2, 3, 3]
    assert network.encode(TEXTS, max_length=1).lengths.tolist() == [1, 1, 1, 1]


# Vocabulary


def test_vocabulary_is_by_frequency_then_alphabet():
    network = build(Bow, data=task(["b a c", "B z z", "y"], ["z"]))
    words = sorted(network.tokens.tokenizer.get_vocab().items(), key=lambda item: item[1])
    assert [w for w, _ in words] == ["[PAD]", "[UNK]", "z", "b", "a", "c", "y"]


def test_vocabulary_is_capped_and_the_rest_unknown():
    network = build(Bow, data=task(["b a c", "B z z", "y"], ["z"]), vocabulary=2)
    assert network.table.num_embeddings == 4
    assert ids(network, "z b a") == [2, 3, 1]


def test_words_are_lower_cased_and_keep_their_accents():
    network = build(Bow)
    assert ids(network, "THE,") == ids(network, "the ,")
    assert ids(network, "café") != ids(network, "cafe")


def test_names_of_special_tokens_are_text():
    network = build(Bow)
    assert 0 not in ids(network, "[PAD]")


@FAMILIES
def test_building_twice_gives_the_same_network(family):
    one, two = build(family), build(family)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert np.array_equal(one.encode(TEXTS).ids.flat, two.encode(TEXTS).ids.flat)


# The teacher's tokenizer and table


def test_teacher_tokens_without_special_ones_and_without_its_padding():
    teacher = Teacher()
    network = build(Bow, teacher=teacher, tokens="teacher")
    assert ids(network, "The cats sat . the dog the dog") == [4, 5, 6, 7, 9, 4, 8, 4, 8]
    assert ids(network, "") == ids(network, "zebra") == [1]
    backend = teacher.tokenizer.backend_tokenizer
    assert backend.padding is not None and backend.truncation is not None  # the teacher is left as it is
    assert network.origin == "random" and network.table.num_embeddings == 10


@torch.no_grad()
def test_teacher_embeddings_are_copied():
    teacher = Teacher()
    network = build(BiLSTM, teacher=teacher, tokens="teacher", embeddings="teacher", word_width=12)
    assert network.origin == "teacher word embeddings"
    assert torch.equal(network.table.weight, teacher.word_embeddings.weight[:10])
    network.table.weight.zero_()
    assert teacher.word_embeddings.weight.abs().sum() > 0


def without(name: str) -> Teacher:
    teacher = Teacher()
    delattr(teacher, name)
    return teacher


@pytest.mark.parametrize(
    ("settings", "teacher", "says"),
    [
        ({"tokens": "teacher"}, without("tokenizer"), "no fast tokenizer"),
        ({"tokens": "teacher", "embeddings": "teacher"}, without("word_embeddings"), "no table"),
        ({"tokens": "teacher", "embeddings": "teacher"}, Teacher(rows=9), "no table"),
        ({"tokens": "teacher", "embeddings": "teacher"}, Teacher(), "width 12.* 8 wide"),
    ],
)
def test_a_teacher_that_cannot_lend_is_an_error(settings, teacher, says):
    with pytest.raises(RequestError, match=says):
        build(Bow, teacher=teacher, **settings)


def test_a_teacher_without_a_padding_token_is_an_error():
    teacher = Teacher()
    teacher.tokenizer.pad_token = None
    with pytest.raises(RequestError, match="no padding"):
        build(Bow, teacher=teacher, tokens="teacher")


VECTORS = "3 4\nthe 1 2 3 4 \nunseen 9 9 9 9\ncat 5 6 7 8\nthe 0 0 0 0\n"  # fastText ends a line with a space


def vectors_in(folder, text: str = VECTORS) -> str:
    path = folder / "some.vec"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("text", [VECTORS, VECTORS.partition("\n")[2]], ids=["fasttext", "glove"])
def test_a_table_starts_from_a_file_of_word_vectors(tmp_path, text):
    network = build(BiLSTM, embeddings=vectors_in(tmp_path, text), word_width=4)
    words = network.tokens.tokenizer.get_vocab()
    assert network.table.weight[words["the"]].tolist() == [1, 2, 3, 4]  # the first of two
    assert network.table.weight[words["cat"]].tolist() == [5, 6, 7, 8]
    assert network.table.weight[words["dog"]].abs().max() <= 0.25 and network.table.weight.requires_grad
    assert network.origin == f"word vectors of 2 of {len(words)} words"


def test_vectors_stay_as_they_are_where_that_is_asked(tmp_path):
    network = build(BiLSTM, embeddings=vectors_in(tmp_path, VECTORS), word_width=4, frozen=True)
    before, found = network.table.weight.clone(), embed(network.train(), ["the cat sat", "a dog"])
    found.square().sum().backward()
    learning = [p for p in network.parameters() if p.requires_grad]
    torch.optim.SGD(learning, 1.0).step()
    assert torch.equal(network.table.weight, before) and len(learning) == len(list(network.parameters())) - 1
    assert "table.weight" not in checkpoint.trained(network)  # it is read from the file again
    with pytest.raises(RequestError, match="frozen=true keeps the vectors that a student starts with"):
        BiLSTM.Settings(frozen=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (VECTORS.replace("3 4\n", "3 5\n"), "width 5 and this student's are 4"),
        (VECTORS.replace("5 6 7 8", "5 6 seven 8"), "'cat' has a cell that is no number"),
        (VECTORS.replace("5 6 7 8", "5 6 7"), "'cat' has to be 4 finite"),
        (VECTORS.replace("5 6 7 8", "5 6 nan 8"), "'cat' has to be 4 finite"),
        ("1 4\nunseen 9 9 9 9\n", "none of the"),
        ("3 4\n", "has no word vectors"),
        ("words alone\nof a text\n", "cell that is no number|width 1"),
        ("", "holds no text"),
    ],
)
def test_a_file_that_holds_no_vectors_for_it_is_an_error(tmp_path, text, says):
    with pytest.raises(RequestError, match=says):
        build(BiLSTM, embeddings=vectors_in(tmp_path, text), word_width=4)


def test_a_run_is_known_by_the_vectors_that_it_starts_from(tmp_path):
    student = BiLSTM(BiLSTM.Settings(embeddings=vectors_in(tmp_path)))
    before = student.initial(None)
    vectors_in(tmp_path, VECTORS.replace("5", "6"))
    assert student.initial(None) not in (before, "") and BiLSTM(BiLSTM.Settings()).initial(None) == ""
    with pytest.raises(RequestError, match="no text at"):
        BiLSTM(BiLSTM.Settings(embeddings="nowhere.vec")).initial(None)


# Requests


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"tokens": "teachr"}, "did you mean teacher"),
        ({"embeddings": "glove"}, "unknown embeddings"),
        ({"embeddings": "teacher"}, "set tokens=teacher"),
        ({"embeddings": "a.vec", "tokens": "teacher"}, "not of word pieces"),
        ({"vocabulary": 0}, "vocabulary must be"),
        ({"max_length": 0}, "max_length must be"),
        ({"word_width": 0}, "word_width must be"),
        ({"dropout": 1.0}, "dropout must be"),
    ],
)
def test_a_bad_setting_is_an_error(settings, says):
    with pytest.raises(RequestError, match=says):
        CNN.Settings(**settings)


@pytest.mark.parametrize(
    ("family", "size"),
    [
        (f, s)
        for f in SMALL
        for s in ("", "0", "-1", "1.5", "x", "1x", "x256", "0x256", "1x0", "10x256", "12345", "1x2x3", "٣")
    ],
)
def test_a_malformed_size_is_an_error_with_the_grammar(family, size):
    with pytest.raises(RequestError, match=family.default):
        family.check(size)


def test_sizes_are_canonical():
    assert (Bow.check("300"), CNN.check("100"), BiLSTM.check("2X128")) == ("300", "100", "2x128")


@pytest.mark.parametrize(("family", "width"), [(Bow, 300), (BiLSTM, 512), (CNN, 300)])
def test_default_sizes(family, width):
    network = build(family, family.default)
    assert network.width == embed(network, TEXTS).shape[1] == width
    assert network.embedding_parameters() == network.table.weight.numel()


@pytest.mark.parametrize("name", ["bow", "bilstm", "cnn"])
def test_the_plugin_declares_itself_without_an_import(name):
    plugin = registry.find("student", name)
    assert plugin.declares["offers"] == {"embedding", "states"}
    assert registry.load(plugin).check(plugin.declares["default"]) == plugin.declares["default"]


# Training


@FAMILIES
def test_gradients_reach_the_words_that_were_read_and_no_padding(family):
    network = build(family).train()
    embed(network, ["the cat", "dog"]).square().sum().backward()
    gradient = network.table.weight.grad.abs().sum(1)
    read = {i for text in ("the cat", "dog") for i in ids(network, text)}
    assert set(gradient.nonzero().flatten().tolist()) == read
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@FAMILIES
def test_a_student_learns_to_imitate_fixed_vectors(family):
    network = build(family, dropout=0.0).train()
    target = torch.randn(len(TEXTS), network.width).tanh() / 2
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = nn.functional.mse_loss(embed(network, TEXTS), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10


@FAMILIES
@torch.no_grad()
def test_dropout_is_for_training_only(family):
    network = build(family, dropout=0.5)
    assert torch.equal(embed(network, TEXTS), embed(network, TEXTS))
    network.train()
    assert not torch.equal(embed(network, TEXTS), embed(network, TEXTS))
