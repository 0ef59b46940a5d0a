# SPDX-License-Identifier: Apache-2.0
"""Training with a few words: compile, fit, evaluate, predict, summary, and callbacks.

Importing this package makes the functions methods of every `nn.Module`.
"""

from gradsmith.train.callbacks import Callback as Callback
from gradsmith.train.callbacks import EarlyStopping as EarlyStopping
from gradsmith.train.callbacks import History as History
from gradsmith.train.callbacks import LambdaCallback as LambdaCallback
from gradsmith.train.callbacks import LearningRateScheduler as LearningRateScheduler
from gradsmith.train.callbacks import TerminateOnNaN as TerminateOnNaN
from gradsmith.train.checkpoint import CSVLogger as CSVLogger
from gradsmith.train.checkpoint import ModelCheckpoint as ModelCheckpoint
from gradsmith.train.compiling import compile as compile
from gradsmith.train.loop import evaluate as evaluate
from gradsmith.train.loop import fit as fit
from gradsmith.train.loop import predict as predict
from gradsmith.train.methods import attach as _attach
from gradsmith.train.summaries import summary as summary

_attach()
