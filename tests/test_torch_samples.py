# SPDX-License-Identifier: Apache-2.0
"""PyTorch's own samples of every operation, module and optimiser that both libraries have.

What differs has an entry in `DIFFERENCES`, which names the row of ``docs/differences.md`` that
says so; an entry that no sample needs any more fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = [
    pytest.mark.torch,
    # PyTorch warns of functions that it renames.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        find_spec("expecttest") is None,
        reason="PyTorch's tables of samples need expecttest (pip install expecttest)",
    ),
]
OPERATIONS: dict[str, Any] = {}
VARIANTS: dict[str, Any] = {}
MODULES: dict[str, Any] = {}
OPTIMIZERS: dict[str, Any] = {}
if find_spec("torch") is not None and find_spec("expecttest") is not None:
    from tests.torch_module_samples import (
        MODULES,
        OPTIMIZERS,
        module_complaint,
        module_samples,
        optimizer_complaint,
        optimizer_samples,
    )
    from tests.torch_samples import SHARED as OPERATIONS
    from tests.torch_samples import complaints
    from tests.torch_variants import VARIANTS, variant_complaints

ROWS = (Path(__file__).parents[1] / "docs" / "differences.md").read_text(encoding="utf-8")


class Difference(NamedTuple):
    """What is meant to differ: of which operations, in which words, and the row that says so."""

    names: str
    words: str
    row: str


_INTEGERS = "layers and losses of integers"
_LABELS = "labels -1 and 1 of margin losses"
_NUMBERS = "numbers beside tensors where PyTorch wants tensors"
_UNFIT = "numbers that an integer dtype cannot hold"
_ZERO = "results that do not change with their input"
_BOOLS = "sums of bools"
_ACCEPTED = "calls that PyTorch refuses without need"
DIFFERENCES = [
    Difference("FractionalMaxPool3d", "_random_samples has shape", "`_random_samples`"),
    Difference("Muon", "weights differ", "`Muon`"),
    Difference("add|sub|rsub|index_add|full_like", "does not fit in uint8", _UNFIT),
    Difference("scatter", "value is 2.5", _UNFIT),
    Difference("add|index_add", "alpha is a bool", _BOOLS),
    Difference("index_put|put|scatter_add|scatter_reduce.sum", "bool elements cannot", _BOOLS),
    Difference("addmv|addbmm|baddbmm|addr", "result (0 )?is (float32|int64)", "`beta` and `alpha`"),
    Difference(
        "clamp_max|clamp_min|atan2|hypot|copysign|eq|ne|lt|le|gt|ge|fmod|ldexp|lcm|gcd|maximum|minimum"
        "|max.binary|min.binary|logical_and|logical_or|logical_xor|rsub|__radd__|__rmul__"
        "|__rand__|__ror__|__rxor__|igamma|igammac",
        "^error .*accepted",
        _NUMBERS,
    ),
    Difference(
        "cdist|nn.functional.pdist|nextafter|linalg.slogdet|linalg.matrix_power|linalg.norm|linalg.vector_norm",
        "results carry gradients",
        _ZERO,
    ),
    Difference("cholesky_(inverse|solve)", "gradient . differs", "`cholesky_solve`"),
    Difference("matrix_exp", "float16 .*PyTorch np.float64.nan", "`matrix_exp` of 16 bits"),
    Difference("histc", "bfloat16", "`histc` of bfloat16"),
    Difference("nn.functional.softmin.with_dtype", "uint8", "arithmetic of uint8"),
    Difference("trapz|trapezoid|cumulative_trapezoid", "uint8", "arithmetic of uint8"),
    Difference("as_strided.partial_views", "", "`as_strided`: `storage_offset`"),
    Difference(
        "nn.functional.(avg_pool.d|conv.*|local_response_norm|linear|triplet_margin_loss"
        "|interpolate.bilinear|interpolate.bicubic|feature_alpha_dropout.without_train"
        "|cosine_embedding_loss|margin_ranking_loss|poisson_nll_loss)",
        "TypeError: .* expected a floating dtype",
        _INTEGERS,
    ),
    Difference("nn.functional.max_pool[23]d", "TypeError", "max pooling of integers"),
    Difference("nn.functional.max_pool[13]d", "accepted", _ACCEPTED),
    Difference("roll", "accepted", _ACCEPTED),
    Difference("nn.functional.(group|layer|rms)_norm", "eps is -0.5", "negative `eps`"),
    Difference(
        "nn.functional.(soft_margin_loss|margin_ranking_loss|hinge_embedding_loss)"
        "|MarginRankingLoss",
        "expected -1 or 1",
        _LABELS,
    ),
    Difference(
        "nn.functional.(multi_margin_loss|multilabel_margin_loss)",
        "input has shape",
        "scores without a dimension",
    ),
    Difference(
        "nn.functional.gaussian_nll_loss",
        "expected equal shapes",
        "losses whose input and target broadcast",
    ),
    Difference("nn.functional.avg_pool2d", "stride has 0 values", "`stride=()` of pooling"),
    Difference("nn.functional.batch_norm", "input has shape", "`batch_norm` of one dimension"),
    Difference("nn.functional.(embedding|embedding_bag)", "sparse", "`Embedding(sparse=True)`"),
    Difference("nn.functional.grid_sample", "float16", "`grid_sample` of 16 bits"),
    Difference("__rpow__", "negative integer powers", "integers to negative integer powers"),
    Difference("tensordot", "do not match", "`tensordot` of dimensions of sizes 1 and n"),
    Difference("svd|linalg.svd", "backward: .*full_matrices", "`svd(full_matrices=True)`"),
    Difference("linalg.pinv.hermitian", "result 0 differs", "`hermitian=True`"),
]
OF_OTHER_NAMES = [
    Difference("addbmm", "addbmm_: the result has shape", "`addbmm_` of a tensor of another shape"),
]


def check(name: str, found: Iterable[str]) -> None:
    """Fail for complaints without an entry, and for entries without a complaint."""
    entries = [each for each in DIFFERENCES if re.fullmatch(each.names, name)]
    unused, new = set(entries), []
    for complaint in found:
        meant = {each for each in entries if re.search(each.words, complaint)}
        unused -= meant
        if not meant:
            new.append(complaint)
    assert not new, "\n".join(new[:10])
    assert not unused, f"no sample needs {unused}"


@pytest.mark.parametrize("row", sorted({each.row for each in [*DIFFERENCES, *OF_OTHER_NAMES]}))
def test_row(row: str) -> None:
    assert row in ROWS


def test_entries_have_operations() -> None:
    names = [*OPERATIONS, *MODULES, *OPTIMIZERS]
    for each in DIFFERENCES:
        assert any(re.fullmatch(each.names, name) for name in names), each


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name: str) -> None:
    check(name, complaints(OPERATIONS[name]))


@pytest.mark.parametrize("name", VARIANTS)
def test_other_name(name: str) -> None:
    variant = VARIANTS[name]
    known = [*DIFFERENCES, *OF_OTHER_NAMES]
    entries = [each for each in known if re.fullmatch(each.names, variant.entry.name)]
    found = variant_complaints(variant)
    new = [text for text in found if not any(re.search(each.words, text) for each in entries)]
    assert not new, "\n".join(new)


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    info = MODULES[name]
    found = [
        module_complaint(info, sample, training)
        for training in (True, False)
        for sample in module_samples(info, training)
    ]
    check(name, [each for each in found if each is not None])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name: str) -> None:
    info = OPTIMIZERS[name]
    found = [optimizer_complaint(info, sample) for sample in optimizer_samples(info)]
    check(name, [each for each in found if each is not None])
