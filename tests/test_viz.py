# SPDX-License-Identifier: Apache-2.0
"""Every picture is drawn, shows the numbers it was given, and refuses what it cannot show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn, viz
from tests.simulator import needs_simulator

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def rendered(figure: Any) -> np.ndarray:
    """Return the pixels (H, W, 3) of a figure as uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def classifier() -> nn.Sequential:
    gs.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


IMAGES = np.random.default_rng(0).random((6, 1, 8, 8), dtype=np.float32)
HISTORY = {"loss": [3.0, 2.0, 1.0], "val_loss": [3.5, 2.5, 2.0], "accuracy": [0.1, 0.5, 0.9]}


def plane_model(x: gs.Tensor) -> gs.Tensor:
    return x[:, 0] - x[:, 1]


# Name: the picture, and the same one of other numbers, which has to look different.
PICTURES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "plot_history": (
        lambda: viz.plot_history(HISTORY),
        lambda: viz.plot_history({**HISTORY, "loss": [3.0, 1.0, 2.0]}),
    ),
    "plot_learning_rates": (
        lambda: viz.plot_learning_rates([0.1, 0.2, 0.1]),
        lambda: viz.plot_learning_rates([0.1, 0.2, 0.2]),
    ),
    "plot_learning_rates of losses": (
        lambda: viz.plot_learning_rates([0.01, 0.1, 1.0], [2.0, 1.0, 5.0]),
        lambda: viz.plot_learning_rates([0.01, 0.1, 1.0], [2.0, 1.5, 5.0]),
    ),
    "plot_roc": (
        lambda: viz.plot_roc([0.0, 0.2, 1.0], [0.0, 0.9, 1.0]),
        lambda: viz.plot_roc([0.0, 0.4, 1.0], [0.0, 0.9, 1.0]),
    ),
    "plot_precision_recall": (
        lambda: viz.plot_precision_recall([0.5, 1.0], [1.0, 0.0]),
        lambda: viz.plot_precision_recall([0.7, 1.0], [1.0, 0.0]),
    ),
    "plot_confusion_matrix": (
        lambda: viz.plot_confusion_matrix([[9, 1], [2, 8]]),
        lambda: viz.plot_confusion_matrix([[9, 1], [8, 2]]),
    ),
    "plot_decision_boundary": (
        lambda: viz.plot_decision_boundary(plane_model, [[0.0, 1.0], [1.0, 0.0]], [0, 1]),
        lambda: viz.plot_decision_boundary(
            lambda x: -plane_model(x), [[0.0, 1.0], [1.0, 0.0]], [0, 1]
        ),
    ),
    "plot_embeddings": (
        lambda: viz.plot_embeddings(IMAGES[:, 0, 0], [0, 0, 0, 1, 1, 1]),
        lambda: viz.plot_embeddings(IMAGES[:, 0, 1], [0, 0, 0, 1, 1, 1]),
    ),
    "plot_latent_walk": (
        lambda: viz.plot_latent_walk(lambda z: z.reshape(-1, 1, 1, 2), steps=3),
        lambda: viz.plot_latent_walk(lambda z: z.reshape(-1, 1, 1, 2) ** 2, steps=3),
    ),
    "plot_latent_walk along a line": (
        lambda: viz.plot_latent_walk(
            lambda z: z.reshape(-1, 1, 1, 3), steps=4, start=[0.0, 0, 0], end=[1.0, 0.5, 0]
        ),
        lambda: viz.plot_latent_walk(
            lambda z: z.reshape(-1, 1, 1, 3), steps=4, start=[0.0, 0, 0], end=[0.2, 0.5, 0]
        ),
    ),
    "plot_value_grid": (
        lambda: viz.plot_value_grid([[0.1, 0.9]], [[1, -1]], [[0, 0]]),
        lambda: viz.plot_value_grid([[0.1, 0.9]], [[0, -1]], [[0, 0]]),
    ),
    "reconstruction_rows": (
        lambda: viz.reconstruction_rows(IMAGES, 1 - IMAGES, titles=["in", "out"]),
        lambda: viz.reconstruction_rows(IMAGES, IMAGES, titles=["in", "out"]),
    ),
    "plot_filters": (
        lambda: viz.plot_filters(gs.arange(18.0).reshape(2, 1, 3, 3)),
        lambda: viz.plot_filters(-gs.arange(18.0).reshape(2, 1, 3, 3)),
    ),
    "plot_feature_maps": (
        lambda: viz.plot_feature_maps(classifier(), gs.tensor(IMAGES), "0"),
        lambda: viz.plot_feature_maps(classifier(), gs.tensor(IMAGES[::-1].copy()), "0"),
    ),
    "plot_boxes": (
        lambda: viz.plot_boxes(IMAGES[0], [[1, 1, 5, 6]], ["cat"], [0.9]),
        lambda: viz.plot_boxes(IMAGES[0], [[1, 1, 7, 6]], ["cat"], [0.9]),
    ),
    "plot_masks": (
        lambda: viz.plot_masks(IMAGES[0], np.eye(8, dtype=int)),
        lambda: viz.plot_masks(IMAGES[0], 1 - np.eye(8, dtype=int)),
    ),
    "plot_attention": (
        lambda: viz.plot_attention([[0.9, 0.1], [0.3, 0.7]], ["le", "chat"], ["the", "cat"]),
        lambda: viz.plot_attention([[0.1, 0.9], [0.3, 0.7]], ["le", "chat"], ["the", "cat"]),
    ),
    "plot_loss_surface": (lambda: loss_surface(1.0), lambda: loss_surface(2.0)),
    "plot_optimizer_paths": (
        lambda: viz.plot_optimizer_paths(
            lambda x, y: x**2 + y**2, {"sgd": [[1, 1], [0, 0]]}, BOUNDS
        ),
        lambda: viz.plot_optimizer_paths(
            lambda x, y: x**2 + y**2, {"sgd": [[1, 0], [0, 0]]}, BOUNDS
        ),
    ),
    "draw_graph": (
        lambda: viz.draw_graph(classifier(), gs.tensor(IMAGES)),
        lambda: viz.draw_graph(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), gs.tensor(IMAGES)),
    ),
}
BOUNDS = ((-2.0, 2.0), (-2.0, 2.0))


def loss_surface(scale: float) -> Any:
    gs.manual_seed(1)
    model = nn.Linear(3, 2)
    x = gs.tensor(IMAGES[:, 0, 0, :3])
    return viz.plot_loss_surface(model, lambda: scale * (model(x) ** 2).mean(), steps=5)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_show_their_numbers(name: str) -> None:
    draw, other = PICTURES[name]
    first, again, different = (rendered(make()) for make in (draw, draw, other))
    assert first.std() > 5, "the picture is blank"
    np.testing.assert_array_equal(first, again)
    assert first.shape != different.shape or (first != different).mean() > 1e-4


def test_history_draws_training_and_validation() -> None:
    figure = viz.plot_history(HISTORY)
    loss, accuracy = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines] == [HISTORY["loss"], HISTORY["val_loss"]]
    assert [line.get_label() for line in accuracy.lines] == ["training"]
    assert list(loss.lines[0].get_xdata()) == [1, 2, 3]


def test_curves_take_values_or_pairs() -> None:
    curves = {"a": [3.0, 1.0], "b": ([0.0, 5.0, 6.0], [1.0, 2.0, 4.0])}
    figure = viz.plot_curves(curves, points=([1.0], [2.0]), xlabel="x", yscale="log")
    first, second = figure.axes[0].lines
    np.testing.assert_array_equal(first.get_xydata(), [[0, 3], [1, 1]])
    np.testing.assert_array_equal(second.get_xdata(), [0, 5, 6])
    assert [each.get_text() for each in figure.axes[0].get_legend().get_texts()] == ["a", "b"]
    assert figure.axes[0].get_yscale() == "log"
    with pytest.raises(ValueError, match="plot_curves: a has shape"):
        viz.plot_curves({"a": [[1.0]]})


def test_confusion_matrix_writes_counts_and_shares() -> None:
    texts = {text.get_text() for text in viz.plot_confusion_matrix([[3, 1], [0, 4]]).axes[0].texts}
    assert texts == {"3", "1", "0", "4"}
    figure = viz.plot_confusion_matrix([[3, 1], [0, 4]], ["a", "b"], normalize=True)
    assert {text.get_text() for text in figure.axes[0].texts} == {"0.75", "0.25", "0.00", "1.00"}
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["a", "b"]


def test_roc_states_its_area() -> None:
    figure = viz.plot_roc([0, 0.5, 1], [0, 1, 1], "net")
    assert figure.axes[0].lines[0].get_label() == "net (area 0.750)"


def test_decision_boundary_paints_the_models_classes() -> None:
    figure = viz.plot_decision_boundary(plane_model, [[0.0, 0], [1, 1]], [0, 1], resolution=4)
    np.testing.assert_array_equal(
        figure.axes[0].images[0].get_array(), np.tril(np.ones((4, 4)), -1).T.astype(int)
    )


def test_embeddings_keep_the_largest_spread() -> None:
    points = np.zeros((5, 4))
    points[:, 2] = [0, 1, 2, 3, 10]
    drawn = viz.plot_embeddings(points).axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(np.abs(drawn[:, 0]), np.abs(points[:, 2] - 3.2), atol=1e-9)
    np.testing.assert_allclose(drawn[:, 1], 0, atol=1e-9)


@needs_simulator
def test_latent_walk_runs_where_the_model_is() -> None:
    model = gs.models.vae(2, sizes=(784, 8)).to("cudasim")
    assert viz.plot_latent_walk(model.decode, steps=2).axes
    assert model.training


def test_image_grid_places_images_row_by_row() -> None:
    images = np.stack([np.full((1, 2, 3), value, np.uint8) for value in (10, 20, 30)])
    grid = viz.image_grid(images, columns=2, padding=1)
    assert grid.shape == (5, 7, 3)
    assert grid.dtype == np.uint8
    assert grid[0, 0, 0] == 10
    assert grid[0, 4, 0] == 20
    assert grid[3, 0, 0] == 30
    assert (grid[2] == 255).all()
    assert (grid[:, 3] == 255).all()
    assert (grid[3:, 4:] == 255).all()


def test_grad_cam_finds_what_speaks_for_the_class() -> None:
    # Channel 0 of the layer is the input; class 1 counts what is bright.
    model = nn.Sequential(
        nn.Conv2d(1, 1, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2)
    )
    with gs.no_grad():
        model[0].weight.fill_(1.0)
        model[3].weight.copy_(gs.tensor([[-1.0], [1.0]]))
        model[3].bias.zero_()
    image = np.zeros((1, 1, 6, 6), np.float32)
    image[0, 0, 2, 3] = 4.0
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.train()
    heat = viz.grad_cam(model, gs.tensor(image), "0", target=1)
    np.testing.assert_allclose(heat[0], image[0, 0] / 4, atol=1e-6)
    assert not viz.grad_cam(model, gs.tensor(image), model[0], target=[0]).any()
    assert model.training


def test_saliency_is_the_gradient_of_the_score() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 3))
    x = gs.tensor(IMAGES[:2, :, :2, :4])
    weight = np.abs(model[1].weight.detach().numpy()).reshape(3, 2, 4)
    np.testing.assert_allclose(viz.saliency(model, x, [2, 0]), weight[[2, 0]], rtol=1e-6)
    highest = model(x).detach().numpy().argmax(1)
    np.testing.assert_allclose(viz.saliency(model, x), weight[highest], rtol=1e-6)


def test_loss_surface_puts_the_weights_back() -> None:
    model = nn.Linear(3, 2)
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    seen = []
    figure = viz.plot_loss_surface(
        model, lambda: seen.append(float((model.weight**2).sum())) or seen[-1], steps=3
    )
    assert len(seen) == 9
    assert seen[4] == pytest.approx(float((before["weight"] ** 2).sum()), rel=1e-6)
    assert len(set(seen)) > 5
    assert figure.axes
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_value_grid_writes_values_outside_walls() -> None:
    figure = viz.plot_value_grid([[0.5, 0.25], [1, -1]], walls=[[0, 1], [0, 0]])
    assert {text.get_text() for text in figure.axes[0].texts} == {"0.50", "1.00", "-1.00"}


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: gs.Tensor) -> gs.Tensor:
        return self.c(gs.relu(self.a(x)) + self.b(x))


def test_graph_follows_tensors_through_functions() -> None:
    from gradsmith.viz import graph

    boxes = graph._record(Branches().eval(), (gs.ones(5, 3),))
    assert [box.label.split("\n")[0] for box in boxes] == ["input", "a", "b", "c", "output"]
    assert [sorted(box.sources) for box in boxes] == [[], [0], [0], [1, 2], [3]]
    assert boxes[3].label == "c\nLinear\n5 x 2"
    texts = [text.get_text() for text in viz.draw_graph(Branches(), gs.ones(5, 3)).axes[0].texts]
    assert "a\nLinear\n5 x 4" in texts


def test_gif_holds_the_frames(tmp_path: Path) -> None:
    from PIL import Image

    frames = [np.full((4, 6), value, np.float32) for value in (0.0, 0.5, 1.0)]
    path = viz.save_gif(frames, tmp_path / "a.gif", fps=10)
    with Image.open(path) as picture:
        assert (picture.n_frames, picture.size, picture.info["duration"]) == (3, (6, 4), 100)
        picture.seek(2)
        assert np.asarray(picture.convert("RGB"))[0, 0, 0] == 255


def test_training_gif_draws_every_other_epoch(tmp_path: Path) -> None:
    from PIL import Image

    x, y = gs.randn(12, 2), gs.tensor([0, 1] * 6)
    model = nn.Sequential(nn.Linear(2, 2))
    model.compile(optimizer="sgd", loss="cross_entropy")
    gif = viz.TrainingGif(
        tmp_path / "t.gif", lambda m: viz.plot_decision_boundary(m, x, y, resolution=10), every=2
    )
    model.fit(x, y, epochs=5, callbacks=[gif], verbose=0)
    assert len(gif.frames) == 3
    assert not plt.get_fignums()
    with Image.open(tmp_path / "t.gif") as picture:
        assert picture.format == "GIF"


REFUSALS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no metric": (lambda: viz.plot_history(HISTORY, ["auc"]), ValueError, "plot_history: .*auc"),
    "empty history": (lambda: viz.plot_history({}), ValueError, "plot_history"),
    "rates": (lambda: viz.plot_learning_rates([]), ValueError, "plot_learning_rates"),
    "losses": (lambda: viz.plot_learning_rates([1.0], [1.0, 2]), ValueError, "2 losses for 1"),
    "roc": (lambda: viz.plot_roc([0, 1], [0, 1, 1]), ValueError, "plot_roc: .*2 and 3"),
    "matrix": (lambda: viz.plot_confusion_matrix([[1, 2]]), ValueError, r"\(1, 2\)"),
    "names": (lambda: viz.plot_confusion_matrix([[1]], ["a", "b"]), ValueError, "2 names"),
    "points": (
        lambda: viz.plot_decision_boundary(plane_model, [[1.0, 2, 3]], [0]),
        ValueError,
        r"x has shape \(1, 3\)",
    ),
    "scores": (
        lambda: viz.plot_decision_boundary(lambda x: 3, [[1.0, 2]], [0]),
        TypeError,
        "gave a int",
    ),
    "labels": (lambda: viz.plot_embeddings([[1.0, 2]], [0, 1]), ValueError, "2 labels for 1"),
    "walk": (lambda: viz.plot_latent_walk(lambda z: z, start=[0.0]), ValueError, "together"),
    "grid": (lambda: viz.plot_value_grid([[1.0]], [[0, 1]]), ValueError, "expected one shape"),
    "images": (lambda: viz.image_grid(np.ones((2, 5, 3, 3))), ValueError, r"\(2, 5, 3, 3\)"),
    "columns": (lambda: viz.image_grid(IMAGES, columns=0), ValueError, "columns is 0"),
    "rows": (lambda: viz.reconstruction_rows(IMAGES, IMAGES[:2]), ValueError, r"\[6, 2\]"),
    "weight": (lambda: viz.plot_filters(np.ones(3)), ValueError, "expected 4 dimensions"),
    "layer": (
        lambda: viz.plot_feature_maps(classifier(), gs.tensor(IMAGES), "x"),
        ValueError,
        "no layer 'x'",
    ),
    "boxes": (lambda: viz.plot_boxes(IMAGES[0], [[1, 2, 3]]), ValueError, r"\(1, 3\)"),
    "masks": (lambda: viz.plot_masks(IMAGES[0], np.ones((3, 3))), ValueError, "masks have shape"),
    "class": (
        lambda: viz.grad_cam(classifier(), gs.tensor(IMAGES), "0", target=7),
        ValueError,
        "classes from 0 to 2",
    ),
    "cam layer": (
        lambda: viz.grad_cam(classifier(), gs.tensor(IMAGES), "3"),
        ValueError,
        "expected one output",
    ),
    "saliency": (lambda: viz.saliency(nn.Linear(2, 2), gs.ones(3, 2)), ValueError, r"\(3, 2\)"),
    "attention": (lambda: viz.plot_attention([[1.0]], ["a", "b"]), ValueError, "2 names"),
    "surface": (lambda: viz.plot_loss_surface(nn.ReLU(), lambda: 0), ValueError, "0 parameters"),
    "path": (
        lambda: viz.plot_optimizer_paths(lambda x, y: x, {"a": [[1.0]]}, BOUNDS),
        ValueError,
        "path 'a'",
    ),
    "graph": (lambda: viz.draw_graph(nn.ReLU()), ValueError, "draw_graph"),
    "frames": (lambda: viz.save_gif([], "x.gif"), ValueError, "0 frames"),
    "frame": (lambda: viz.save_gif([np.ones(3)], "x.gif"), ValueError, r"\(3,\)"),
    "every": (lambda: viz.TrainingGif("x.gif", print, every=0), ValueError, "every is 0"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_say_what_was_wrong(name: str) -> None:
    call, kind, message = REFUSALS[name]
    with pytest.raises(kind, match=message):
        call()


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'gradsmith\[viz\]'"):
        viz.plot_history(HISTORY)
