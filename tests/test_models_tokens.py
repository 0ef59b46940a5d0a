# SPDX-License-Identifier: Apache-2.0
"""Models of tokens and pixels: published sizes, shapes, and what each output may depend on."""

from __future__ import annotations

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import models, nn


def count(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


def tokens(length: int = 6) -> gs.Tensor:
    return gs.from_numpy(np.random.default_rng(0).integers(1, 9, size=(3, length)))


def changed(x: gs.Tensor, place: tuple[int, ...]) -> gs.Tensor:
    other = x.numpy().copy()
    other[place] = (other[place] + 1) % 9
    return gs.from_numpy(other)


@pytest.mark.parametrize(
    ("width", "layers", "vocabulary", "context"), [(768, 12, 50257, 1024), (12, 2, 50, 16)]
)
def test_parameters_of_gpt(width: int, layers: int, vocabulary: int, context: int) -> None:
    # GPT-2's smallest: the sum of what its paper lists, 124,439,808.
    wanted = (vocabulary + context) * width + layers * (12 * width**2 + 13 * width) + 2 * width
    if width == 768:
        assert wanted == 124_439_808
    else:
        assert count(models.GPT(vocabulary, context, width, 3, layers)) == wanted


@pytest.mark.parametrize(
    ("width", "layers", "vocabulary", "context"), [(768, 12, 30522, 512), (12, 2, 50, 16)]
)
def test_parameters_of_bert(width: int, layers: int, vocabulary: int, context: int) -> None:
    # BERT-base's uncased body with its pooler, 109,482,240.
    tables = (vocabulary + context + 2) * width + 2 * width
    wanted = tables + layers * (12 * width**2 + 13 * width) + width**2 + width
    if width == 768:
        assert wanted == 109_482_240
    else:
        assert count(models.BERT(vocabulary, context, width, 3, layers)) == wanted


@pytest.mark.slow
@pytest.mark.parametrize(("make", "size"), [(models.gpt, 124_439_808), (models.bert, 109_482_240)])
def test_published_sizes(make, size: int) -> None:  # type: ignore[no-untyped-def]
    assert count(make()) == size


CAUSAL = {
    "gpt": lambda: models.GPT(9, 8, 12, 3, 2, dropout=0.0),
    "recurrent": lambda: models.RecurrentLanguageModel(9, 8, 4, "gru"),
    "wavenet": lambda: models.WaveNet(9, 4, 6, layers=3),
}


@pytest.mark.parametrize("name", CAUSAL)
def test_language_models_do_not_see_what_comes(name: str) -> None:
    model = CAUSAL[name]()
    x = tokens()
    before, after = (model(each).detach().numpy() for each in (x, changed(x, (0, 3))))
    assert before.shape == (3, 6, 9)
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    np.testing.assert_array_equal(before[1:], after[1:])
    assert (before[0, 3:] != after[0, 3:]).any(axis=1).all()


def test_bert_sees_both_sides_but_no_padding() -> None:
    model = models.BERT(9, 8, 12, 3, 2).eval()
    x = tokens()
    before, after = (model(each).detach().numpy() for each in (x, changed(x, (0, 3))))
    assert (before[0] != after[0]).any(axis=1).all()
    filled = gs.cat([x, gs.zeros(3, 2, dtype=gs.int64)], 1)
    np.testing.assert_allclose(model(filled).detach().numpy()[:, :6], before, atol=1e-5)
    assert model.pooled(model(x)).shape == (3, 12)
    assert models.MaskedLanguageModel(model)(x).shape == (3, 6, 9)


def test_gpt_and_wavenet_crop_to_their_reach() -> None:
    gpt = models.GPT(9, 4, 12, 3, 1, dropout=0.0)
    x = tokens(8)
    np.testing.assert_array_equal(
        gpt.next_scores(x).detach().numpy(), gpt(x[:, -4:])[:, -1].detach().numpy()
    )
    net = models.WaveNet(9, 4, 6, layers=3)
    assert net.reach == 8
    x = tokens(12)
    whole, cropped = net(x)[:, -1], net.next_scores(x)
    np.testing.assert_allclose(whole.detach().numpy(), cropped.detach().numpy(), atol=1e-6)
    assert models.wavenet(9).reach == 1 + 3 * 1023


def test_recurrent_state_goes_on() -> None:
    model = models.RecurrentLanguageModel(9, 8, 4, "lstm", layers=2)
    x = tokens()
    _, state = model.advance(x[:, :4])
    rest, _ = model.advance(x[:, 4:], state)
    np.testing.assert_allclose(rest.detach().numpy(), model(x)[:, 4:].detach().numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="cell is 'elman', expected one of rnn, lstm, gru"):
        models.recurrent_language_model(9, "elman")


@pytest.mark.parametrize("attention", [False, True])
def test_seq2seq_translates_as_it_scores(attention: bool) -> None:
    model = models.Seq2Seq(9, 7, 8, 4, attention)
    source = tokens()
    written, weights = model.translate(source, 4, start=1)
    inputs = gs.cat([gs.ones(3, 1, dtype=gs.int64), written[:, :-1]], 1)
    np.testing.assert_array_equal(model(source, inputs).argmax(-1).numpy(), written.numpy())
    filled = gs.cat([source, gs.zeros(3, 2, dtype=gs.int64)], 1)
    np.testing.assert_allclose(
        model(filled, inputs).detach().numpy(), model(source, inputs).detach().numpy(), atol=1e-6
    )
    assert (weights is None) != attention
    if weights is not None:
        assert weights.shape == (3, 4, 6)
        np.testing.assert_allclose(weights.sum(-1).numpy(), 1, atol=1e-6)
    assert models.seq2seq(9, 7, attention=attention).decoder.hidden_size == 128


def test_translator_translates_as_it_scores() -> None:
    model = models.TransformerTranslator(9, 7, 8, 2, 1).eval()
    source = tokens()
    written = model.translate(source, 4, start=1)
    inputs = gs.cat([gs.ones(3, 1, dtype=gs.int64), written[:, :-1]], 1)
    np.testing.assert_array_equal(model(source, inputs).argmax(-1).numpy(), written.numpy())
    filled = gs.cat([source, gs.zeros(3, 2, dtype=gs.int64)], 1)
    np.testing.assert_allclose(
        model(filled, inputs).detach().numpy(), model(source, inputs).detach().numpy(), atol=1e-5
    )


def test_transformer_classifier_ignores_padding() -> None:
    model = models.TransformerClassifier(9, 3, 8, 2, 1).eval()
    filled = gs.cat([tokens(), gs.zeros(3, 2, dtype=gs.int64)], 1)
    scores = model(tokens()).detach().numpy()
    assert scores.shape == (3, 3)
    np.testing.assert_allclose(model(filled).detach().numpy(), scores, atol=1e-5)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_lstmn_follows_its_formulas() -> None:
    model = models.LSTMN(3, 4).double()
    x = np.random.default_rng(1).normal(size=(2, 5, 3))
    p = {key: value.numpy() for key, value in model.state_dict().items()}
    hs, cs, seen = [np.zeros((2, 4))], [np.zeros((2, 4))], np.zeros((2, 4))
    for now in x.transpose(1, 0, 2):
        query = np.hstack([seen, now]) @ p["intra.query_proj.weight"].T
        keys = [h @ p["intra.key_proj.weight"].T + p["intra.key_proj.bias"] for h in hs]
        scores = np.stack([np.tanh(query + key) @ p["intra.weight"] for key in keys])
        weights = np.exp(scores) / np.exp(scores).sum(axis=0)
        seen = sum(w[:, None] * h for w, h in zip(weights, hs, strict=True))
        kept = sum(w[:, None] * c for w, c in zip(weights, cs, strict=True))
        gates = np.hstack([seen, now]) @ p["gates.weight"].T + p["gates.bias"]
        i, f, o, new = np.split(gates, 4, axis=1)
        cs.append(sigmoid(f) * kept + sigmoid(i) * np.tanh(new))
        hs.append(sigmoid(o) * np.tanh(cs[-1]))
    states, cells, looks = model(gs.from_numpy(x))
    np.testing.assert_allclose(states.detach().numpy(), np.stack(hs[1:], 1), atol=1e-12)
    np.testing.assert_allclose(cells.detach().numpy(), np.stack(cs[1:], 1), atol=1e-12)
    np.testing.assert_allclose(looks[:, -1, :4].detach().numpy(), weights[1:].T, atol=1e-12)
    assert looks.shape == (2, 5, 5)
    assert not looks.triu().detach().numpy().any()


def test_lstmn_reads_a_memory_only_if_made_for_it() -> None:
    x = gs.randn(2, 5, 3)
    states, cells, _ = models.LSTMN(3, 4)(x)
    decoder = models.LSTMN(3, 4, inter=True)
    with_memory, without = decoder(x, (states, cells))[0], decoder(x)[0]
    assert (with_memory != without).any().item()
    with pytest.raises(ValueError, match="expected a model made with inter=True"):
        models.LSTMN(3, 4)(x, (states, cells))


def test_word2vec_and_glove_score_by_products() -> None:
    model = models.Word2Vec(9, 4)
    nn.init.normal_(model.outputs.weight)
    words, outputs = (each.detach().numpy() for each in model.parameters())
    scores = model(gs.tensor([[1, 2]]), gs.tensor([[3, 4, 5]])).detach().numpy()
    wanted = outputs[[3, 4, 5]] @ words[[1, 2]].mean(axis=0)
    np.testing.assert_allclose(scores[0], wanted, rtol=1e-5)
    glove = models.GloVe(9, 4)
    w, v, b, c = (each.detach().numpy() for each in glove.parameters())
    found = glove(gs.tensor([2]), gs.tensor([7])).item()
    assert found == pytest.approx(w[2] @ v[7] + b[2, 0] + c[7, 0], rel=1e-4)
    np.testing.assert_allclose(glove.vectors.numpy(), w + v)


def test_glove_loss_weighs_rare_pairs_less() -> None:
    estimate, counts = gs.tensor([1.0, 2.0]), gs.tensor([1.0, 1000.0])
    wanted = (0.01**0.75 * 1.0 + (2 - np.log(1000)) ** 2) / 2
    assert models.glove_loss(estimate, counts).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    "model",
    [models.PixelCNN(4, 8, 2, 5), models.PixelRNN(4, 8, 2, 5)],
    ids=["PixelCNN", "PixelRNN"],
)
def test_pixels_see_above_and_left_only(model: nn.Module) -> None:
    x = np.random.default_rng(0).integers(4, size=(1, 5, 6))
    other = x.copy()
    other[0, 2, 3] = (other[0, 2, 3] + 1) % 4
    before, after = (model(gs.from_numpy(each)).detach().numpy() for each in (x, other))
    assert before.shape == (1, 4, 5, 6)
    differs = (before != after).any(axis=(0, 1)).reshape(-1)
    assert not differs[: 2 * 6 + 3 + 1].any()
    assert differs[2 * 6 + 4]
    assert differs[3 * 6 + 3]
    drawn = model.sample(2, 3, 4)
    assert drawn.shape == (2, 3, 4)
    assert 0 <= drawn.min().item() <= drawn.max().item() < 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.GPT(0),
        lambda: models.BERT(0),
        lambda: models.Seq2Seq(0, 3),
        lambda: models.RecurrentLanguageModel(0),
        lambda: models.TransformerClassifier(0),
        lambda: models.TransformerTranslator(3, 0),
        lambda: models.LSTMN(0, 3),
        lambda: models.Word2Vec(0),
        lambda: models.GloVe(0),
        lambda: models.PixelCNN(0),
        lambda: models.WaveNet(0),
    ],
)
def test_models_without_tokens_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="expected at least 1"):
        make()
