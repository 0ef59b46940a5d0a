# SPDX-License-Identifier: Apache-2.0
"""Scalers, encoders, splits and balancing: hand-made cases, and scikit-learn where installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.data import (
    KFold,
    LabelEncoder,
    MinMaxScaler,
    OneHotEncoder,
    SimpleImputer,
    StandardScaler,
    StratifiedKFold,
    Subset,
    TensorDataset,
    oversample,
    train_test_split,
    undersample,
)

NAN = float("nan")
TABLE = np.array([[1.0, 5, 0.1, -2], [2, 5, 0.1, NAN], [4, 5, 0.1, 7], [9, 5, 0.1, 1]])


def sklearn(module: str) -> Any:
    return pytest.importorskip(f"sklearn.{module}", reason="scikit-learn is not installed")


# ---- scalers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("StandardScaler", {}),
        ("StandardScaler", {"with_mean": False}),
        ("StandardScaler", {"with_std": False}),
        ("MinMaxScaler", {}),
        ("MinMaxScaler", {"feature_range": (-1, 2), "clip": True}),
    ],
)
def test_scalers_equal_scikit_learn(name: str, options: dict[str, Any]) -> None:
    theirs = getattr(sklearn("preprocessing"), name)(**options).fit(TABLE)
    ours = getattr(gs.data, name)(**options).fit(TABLE)
    other = TABLE[::-1] * 2 - 1
    np.testing.assert_allclose(ours.transform(other), theirs.transform(other), rtol=1e-12)
    back = ours.inverse_transform(other)
    np.testing.assert_allclose(back, theirs.inverse_transform(other), rtol=1e-12)
    for attribute in ours._learned:
        expected = getattr(theirs, attribute)
        if expected is not None:
            np.testing.assert_allclose(getattr(ours, attribute), expected, rtol=1e-12)


def test_scalers_by_hand() -> None:
    scaled = StandardScaler().fit_transform(gs.tensor([[0.0, 3], [4, 3]]))
    assert isinstance(scaled, gs.Tensor)
    assert scaled.dtype == gs.float32
    assert scaled.tolist() == [[-1, 0], [1, 0]]
    assert MinMaxScaler().fit_transform([[0, 3], [4, 3]]).tolist() == [[0, 0], [1, 0]]
    assert MinMaxScaler().fit_transform([[0, 3], [4, 3]]).dtype == np.float32


@pytest.mark.parametrize("device", ["cpu", "cudasim"])
def test_scalers_keep_device_and_dtype(device: str) -> None:
    x = gs.tensor([[1.0], [3.0]], dtype=gs.bfloat16, device=device)
    scaler = StandardScaler()
    y = scaler.fit_transform(x)
    assert (y.device, y.dtype, y.tolist()) == (x.device, gs.bfloat16, [[-1], [1]])
    assert scaler.inverse_transform(y).tolist() == [[1], [3]]


@pytest.mark.parametrize("make", [StandardScaler, MinMaxScaler, SimpleImputer])
def test_state_of_scalers(make: Any, tmp_path: Path) -> None:
    fitted = make().fit(TABLE)
    gs.save(fitted.state_dict(), tmp_path / "state")
    loaded = make()
    with pytest.raises(ValueError, match="call fit first"):
        loaded.transform(TABLE)
    loaded.load_state_dict(gs.load(tmp_path / "state"))
    np.testing.assert_array_equal(loaded.transform(TABLE), fitted.transform(TABLE))
    with pytest.raises(ValueError, match="the state has the keys"):
        loaded.load_state_dict({"a": 1})
    with pytest.raises(ValueError, match="X has 1 features, fit had 4"):
        loaded.transform([[1.0]])


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([1.0, 2], ValueError, "shape \\(2,\\)"),
        (np.zeros((0, 2)), ValueError, "N at least 1"),
        ([[np.inf]], ValueError, "infinite"),
        ([["a"]], TypeError, "expected numbers"),
    ],
)
def test_scalers_refuse(x: Any, error: type[Exception], message: str) -> None:
    for make in (StandardScaler, MinMaxScaler):
        with pytest.raises(error, match=message):
            make().fit(x)
    with pytest.raises(ValueError, match="expected low < high"):
        MinMaxScaler((1, 1))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strategy": "median"},
        {"strategy": "most_frequent"},
        {"strategy": "constant", "fill_value": -1.0},
        {"strategy": "constant"},
        {"missing_values": 5.0, "add_indicator": True},
        {"add_indicator": True},
    ],
)
def test_imputer_equals_scikit_learn(options: dict[str, Any]) -> None:
    table = TABLE.copy()
    table[2, 1] = 6
    if "missing_values" in options:
        table[1, 3] = 3
    theirs = sklearn("impute").SimpleImputer(**options).fit(table)
    ours = SimpleImputer(**options).fit(table)
    other = np.where(np.arange(16).reshape(4, 4) % 5 == 0, ours.missing_values, table)
    if options.get("add_indicator"):
        other = table[::-1]
    np.testing.assert_allclose(ours.transform(other), theirs.transform(other))


def test_imputer_of_texts() -> None:
    column = np.array([["a", None], ["b", "x"], [None, "x"], ["b", "y"]], dtype=object)
    filled = SimpleImputer(missing_values=None, strategy="most_frequent").fit_transform(column)
    assert filled.tolist() == [["a", "x"], ["b", "x"], ["b", "x"], ["b", "y"]]
    filled = SimpleImputer(missing_values="b", strategy="constant").fit_transform([["b"], ["c"]])
    assert filled.tolist() == [["missing_value"], ["c"]]
    with pytest.raises(TypeError, match="'mean' needs numbers"):
        SimpleImputer().fit([["a"]])
    with pytest.raises(ValueError, match="column 0 has nothing but missing"):
        SimpleImputer().fit([[NAN]])
    with pytest.raises(ValueError, match="strategy is 'max'"):
        SimpleImputer(strategy="max")


# ---- encoders ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"drop": "first"}, {"drop": "if_binary"}, {"handle_unknown": "ignore"}],
)
def test_one_hot_equals_scikit_learn(options: dict[str, Any]) -> None:
    columns = [["b", 3, "x"], ["a", 1, "y"], ["b", 10, "z"], ["c", 1, "x"]]
    theirs = (
        sklearn("preprocessing")
        .OneHotEncoder(sparse_output=False, **options)
        .fit(np.array(columns, dtype=object))
    )
    ours = OneHotEncoder(**options).fit(columns)
    result = ours.transform(columns)
    np.testing.assert_array_equal(result, theirs.transform(np.array(columns, dtype=object)))
    assert ours.get_feature_names_out() == theirs.get_feature_names_out().tolist()
    assert ours.inverse_transform(result).tolist() == columns
    loaded = OneHotEncoder(**options)
    loaded.load_state_dict(ours.state_dict())
    np.testing.assert_array_equal(loaded.transform(columns), result)


def test_one_hot_by_hand() -> None:
    encoder = OneHotEncoder(handle_unknown="ignore").fit(np.array([[1.0], [NAN], [2.0]]))
    flags = encoder.transform(np.array([[NAN], [2.0], [7.0]]))
    assert flags.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert encoder.inverse_transform(flags)[1:].tolist() == [[2.0], [None]]
    tensor = OneHotEncoder(dtype=gs.float64).fit_transform(gs.tensor([[3], [5]]))
    assert isinstance(tensor, gs.Tensor)
    assert (tensor.dtype, tensor.tolist()) == (gs.float64, [[1, 0], [0, 1]])
    given = OneHotEncoder(categories=[["a", "b", "c"]])
    assert given.fit_transform([["c"]]).tolist() == [[0, 0, 1]]
    assert given.get_feature_names_out(["n"]) == ["n_a", "n_b", "n_c"]


def test_one_hot_refuses() -> None:
    encoder = OneHotEncoder().fit([["a"], ["b"]])
    with pytest.raises(ValueError, match="column 0 has the unknown category 'z'"):
        encoder.transform([["z"]])
    with pytest.raises(ValueError, match="unknown category 1;"):
        encoder.transform([[1]])
    with pytest.raises(ValueError, match="names two categories"):
        encoder.inverse_transform([[1, 1]])
    with pytest.raises(ValueError, match="sorted and different"):
        OneHotEncoder(categories=[["b", "a"]]).fit([["a"]])
    with pytest.raises(ValueError, match="drop is 'last'"):
        OneHotEncoder(drop="last")
    with pytest.raises(ValueError, match="handle_unknown is 'warn'"):
        OneHotEncoder(handle_unknown="warn")


def test_label_encoder() -> None:
    encoder = LabelEncoder()
    assert encoder.fit_transform(["dog", "cat", "dog"]).tolist() == [1, 0, 1]
    assert encoder.inverse_transform(gs.tensor([0, 1])).tolist() == ["cat", "dog"]
    numbers = LabelEncoder().fit(gs.tensor([30, 10]))
    places = numbers.transform(gs.tensor([10, 30, 30]))
    assert isinstance(places, gs.Tensor)
    assert places.tolist() == [0, 1, 1]
    assert numbers.inverse_transform(places).tolist() == [10, 30, 30]
    loaded = LabelEncoder()
    loaded.load_state_dict(encoder.state_dict())
    assert loaded.transform(["dog"]).tolist() == [1]
    with pytest.raises(ValueError, match=r"labels \['cow'\] are not among"):
        encoder.transform(["cow", "dog"])
    with pytest.raises(ValueError, match="places run from -1 to 1"):
        encoder.inverse_transform([-1, 1])
    with pytest.raises(TypeError, match="expected integers"):
        encoder.inverse_transform([0.5])
    with pytest.raises(ValueError, match="expected \\(N,\\)"):
        encoder.fit([["a"]])


# ---- splits --------------------------------------------------------------------------------------

LABELS = np.array([0, 1, 1, 2, 1, 0, 2, 1, 1, 0, 1, 2, 1, 1, 0, 2, 1])


@pytest.mark.parametrize(
    "options",
    [
        {"random_state": 0},
        {"random_state": 7, "test_size": 0.3, "train_size": 0.5},
        {"shuffle": False, "test_size": 4},
        {"random_state": 3, "train_size": 6},
        {"random_state": 5, "stratify": LABELS},
        {"random_state": 6, "stratify": LABELS, "test_size": 5, "train_size": 7},
    ],
)
def test_train_test_split_equals_scikit_learn(options: dict[str, Any]) -> None:
    x = np.arange(17)
    theirs = sklearn("model_selection").train_test_split(x, LABELS, **options)
    ours = train_test_split(x, LABELS, **options)
    assert [part.tolist() for part in ours] == [part.tolist() for part in theirs]


@pytest.mark.parametrize("options", [{}, {"shuffle": True, "random_state": 11}])
@pytest.mark.parametrize("name", ["KFold", "StratifiedKFold"])
def test_folds_equal_scikit_learn(name: str, options: dict[str, Any]) -> None:
    labels = np.array(list("bbabcabbcababcbab"))
    x = np.zeros((17, 2))
    theirs = getattr(sklearn("model_selection"), name)(3, **options).split(x, labels)
    ours = getattr(gs.data, name)(3, **options).split(x, labels)
    for (train, test), (their_train, their_test) in zip(ours, theirs, strict=True):
        assert test.tolist() == their_test.tolist()
        assert train.tolist() == their_train.tolist()


def test_train_test_split_of_anything() -> None:
    x, y = gs.tensor(np.arange(20.0).reshape(10, 2)), list(range(10))
    dataset = TensorDataset(x)
    x_train, x_test, y_train, y_test, d_train, d_test = train_test_split(
        x, y, dataset, test_size=0.2, random_state=1
    )
    assert isinstance(x_train, gs.Tensor)
    assert isinstance(d_train, Subset)
    assert sorted(y_train + y_test) == y
    assert [int(row[0]) // 2 for row in x_test.tolist()] == y_test
    assert [int(d_test[i][0].tolist()[0]) // 2 for i in range(2)] == y_test
    gs.manual_seed(5)
    first = train_test_split(y)
    assert train_test_split(y) != first
    gs.manual_seed(5)
    assert train_test_split(y) == first


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ((), {}, "got no arrays"),
        (([1, 2], [1]), {}, "expected equal numbers"),
        (([1, 2],), {"test_size": 1.0}, "test_size is 1.0"),
        (([1, 2],), {"test_size": 2}, "make 0 training and 2 test"),
        (([1],), {}, "make 0 training"),
        (
            ([1, 2, 3],),
            {"test_size": 2, "train_size": 2},
            "make 2 training and 2 test samples of 3",
        ),
        (([1, 2, 3],), {"stratify": [0, 0, 1]}, "class 1 has 1 sample"),
        (([1, 2, 3, 4],), {"stratify": [0, 0, 1, 1], "test_size": 1}, "one of each class in both"),
        (([1, 2],), {"stratify": [0]}, "one for each sample"),
        (([1, 2],), {"stratify": [0, 0], "shuffle": False}, "needs shuffle"),
        (([1, 2],), {"random_state": 2**32}, "random_state is"),
    ],
)
def test_train_test_split_refuses(arrays: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_test_split(*arrays, **options)


def test_folds_refuse() -> None:
    with pytest.raises(ValueError, match="n_splits is 1"):
        KFold(1)
    with pytest.raises(ValueError, match="random_state needs shuffle"):
        KFold(random_state=1)
    with pytest.raises(ValueError, match="2 samples for 3 folds"):
        next(KFold(3).split([1, 2]))
    with pytest.raises(ValueError, match="needs y"):
        next(StratifiedKFold(2).split([1, 2]))
    with pytest.raises(ValueError, match="no class has 3 samples"):
        next(StratifiedKFold(3).split([1, 2, 3, 4], [0, 0, 1, 1]))
    with pytest.warns(UserWarning, match="a class has 1 samples, fewer than the 2 folds"):
        next(StratifiedKFold(2).split([1, 2, 3], [0, 0, 1]))
    assert StratifiedKFold(4).get_n_splits() == 4


def test_balancing() -> None:
    x, y = gs.tensor([[0.0], [1], [2], [3], [4], [5]]), gs.tensor([0, 0, 0, 1, 1, 2])
    more, labels = oversample(x, y, random_state=0)
    assert more.tolist()[:6] == x.tolist()
    assert np.bincount(labels.tolist()).tolist() == [3, 3, 3]
    assert all(
        y.tolist()[int(value)] == label
        for [value], label in zip(more.tolist(), labels.tolist(), strict=True)
    )
    fewer, labels = undersample([10, 11, 12, 13], ["a", "b", "a", "a"], random_state=0)
    assert len(fewer) == 2
    assert labels.count("b") == 1
    assert 11 in fewer
    again = oversample(x, y, random_state=0)[0]
    assert again.tolist() == more.tolist()
    with pytest.raises(ValueError, match="no samples"):
        undersample([], [])
    with pytest.raises(ValueError, match="one for each sample"):
        oversample([1, 2], [1])
