# SPDX-License-Identifier: Apache-2.0
"""The training functions as methods of `nn.Module`.

`nn` stands below `train` and does not import it, so the methods are set when `train` is imported.
`TrainMethods` tells type checkers of them: `Module` names it as a base while types are checked.
"""

from __future__ import annotations

from gradsmith.nn import Module
from gradsmith.train import batches, compiling, loop, summaries


class TrainMethods:
    """What `gradsmith.train` adds to every `nn.Module`; see its functions of the same names."""

    compile = compiling.compile
    fit = loop.fit
    evaluate = loop.evaluate
    predict = loop.predict
    train_on_batch = batches.train_on_batch
    test_on_batch = batches.test_on_batch
    predict_on_batch = batches.predict_on_batch
    summary = summaries.summary


def attach() -> None:
    """Set the methods on `nn.Module`."""
    for name, function in vars(TrainMethods).items():
        if not name.startswith("_"):
            setattr(Module, name, function)
