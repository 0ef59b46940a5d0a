# SPDX-License-Identifier: Apache-2.0
"""A training program that can be killed at any step and called again, for test_train_resume.

``python -m tests.resume_program KIND WORKERS FOLDER KILL_AT`` kills itself with SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

import gradsmith as gs
from gradsmith import data, nn, optim, train
from gradsmith.data.transforms import RandomShift

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
IMAGES = RNG.normal(size=(24, 1, 6, 6)).astype(np.float32)
SERIES = RNG.normal(size=(30, 5, 2)).astype(np.float32)
EPOCHS = 3


class Shifted(data.Dataset[Any]):
    """Images moved anew in each epoch."""

    def __init__(self) -> None:
        self.move = RandomShift(1)

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: int) -> Any:
        return self.move(IMAGES[index]), int(IMAGES[index].mean() > 0)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 4, num_layers=2, dropout=0.3, batch_first=True)
        self.head = nn.Linear(4, 2)
        self.register_buffer("calls", gs.zeros(1), persistent=False)

    def forward(self, x: Any) -> Any:
        self.calls.add_(1.0)
        return self.head(self.lstm(x)[0][:, -1])


def _mlp(workers: int, folder: Path) -> tuple[Any, dict[str, Any]]:
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = gs.amp.GradScaler(growth_interval=3)
    model.compile(optimizer, "cross_entropy", ["accuracy"], autocast=True, scaler=scaler)
    labels = (X[:, 0] > 0).astype(np.int64)
    callbacks = [
        train.GradientStatistics(),
        train.EarlyStopping(patience=2, restore_best_weights=True),
        train.ReduceLROnPlateau(factor=0.5, patience=1),
        train.CSVLogger(folder / "log.csv"),
    ]
    if not workers:
        return model, {
            "x": X,
            "y": labels,
            "batch_size": 4,
            "validation_split": 0.2,
            "accumulate_grad_batches": 3,
            "class_weight": {0: 2.0},
            "callbacks": callbacks,
        }
    loader = data.DataLoader(data.TensorDataset(X, labels), 4, shuffle=True, num_workers=workers)
    held_out = data.DataLoader(data.TensorDataset(X, labels), 16)
    return model, {"x": loader, "validation_data": held_out, "callbacks": callbacks}


def _cnn(workers: int, folder: Path) -> tuple[Any, dict[str, Any]]:
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout2d(0.2), nn.Flatten(),
        nn.Linear(48, 2),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    model.compile(optimizer, "cross_entropy", ["accuracy"])
    steps = optim.lr_scheduler.MultiStepLR(optimizer, [3, 8, 15])
    loader = data.DataLoader(Shifted(), 3, shuffle=True, num_workers=workers)
    return model, {
        "x": loader,
        "validation_data": Shifted(),
        "callbacks": [train.LearningRateScheduler(steps, interval="batch")],
    }


def _lstm(workers: int, folder: Path) -> tuple[Any, dict[str, Any]]:
    model = Recurrent()
    model.compile(optim.RMSprop(model.parameters(), lr=0.01), "cross_entropy")
    pairs = data.TensorDataset(SERIES, (SERIES.sum((1, 2)) > 0).astype(np.int64))
    sampler = data.RandomSampler(pairs)  # a seed of its own, drawn from the library's generator
    halving = train.LearningRateScheduler(lambda epoch, rate: rate / 2)
    best = train.ModelCheckpoint(folder / "best.gs", "loss", save_best_only=True)
    loader = data.DataLoader(pairs, 4, sampler=sampler, num_workers=workers)
    return model, {"x": loader, "callbacks": [halving, best]}


_KINDS = {"mlp": _mlp, "cnn": _cnn, "lstm": _lstm}


def scaler_state(model: Any) -> Any:
    scaler = model._compiled.scaler
    return None if scaler is None else scaler.state_dict()


def run(kind: str, workers: int, folder: Path, kill_at: int = 0, every: Any = 2) -> dict[str, Any]:
    """Train, going on from what is in the folder; return everything that has to be equal."""
    folder.mkdir(exist_ok=True)
    gs.manual_seed(5)
    model, options = _KINDS[kind](workers, folder)
    batches = 0

    def kill(batch: int, logs: Any) -> None:
        nonlocal batches
        batches += 1
        if batches == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    path = folder / "run.gs"
    checkpointer = train.Checkpointer(path, every=every)
    options["callbacks"] += [checkpointer, train.LambdaCallback(on_train_batch_end=kill)]
    history = model.fit(epochs=EPOCHS, verbose=0, resume=path, **options)
    files = {each.name: each.read_text() for each in folder.glob("*.csv")}
    state = model.optimizer.state_dict()
    return {
        "batches": batches,
        "model": {name: value.numpy().copy() for name, value in model.named_buffers()}
        | {name: value.numpy().copy() for name, value in model.state_dict().items()},
        "optimizer": [
            {key: value.numpy().copy() for key, value in each.items() if value is not None}
            for each in state["state"].values()
        ],
        "scaler": scaler_state(model),
        "rates": [group["lr"] for group in state["param_groups"]],
        "history": history.history,
        "epochs": history.epoch,
        "random": gs.get_rng_state().tolist(),
        "files": files,
    }


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
