# SPDX-License-Identifier: Apache-2.0
"""Training with a few words: compile, fit, evaluate, predict, summary, and callbacks.

Importing this package makes the functions methods of every `nn.Module`.
"""

from gradsmith.train.adversarial import AdversarialTrainer as AdversarialTrainer
from gradsmith.train.adversarial import contrastive_divergence as contrastive_divergence
from gradsmith.train.callbacks import Callback as Callback
from gradsmith.train.callbacks import EarlyStopping as EarlyStopping
from gradsmith.train.callbacks import History as History
from gradsmith.train.callbacks import LambdaCallback as LambdaCallback
from gradsmith.train.callbacks import TerminateOnNaN as TerminateOnNaN
from gradsmith.train.checkpoint import CSVLogger as CSVLogger
from gradsmith.train.checkpoint import ModelCheckpoint as ModelCheckpoint
from gradsmith.train.compiling import compile as compile
from gradsmith.train.doctor import doctor as doctor
from gradsmith.train.findings import Diagnosis as Diagnosis
from gradsmith.train.findings import Finding as Finding
from gradsmith.train.gradient_report import GradientReport as GradientReport
from gradsmith.train.gradient_report import gradient_report as gradient_report
from gradsmith.train.loop import evaluate as evaluate
from gradsmith.train.loop import fit as fit
from gradsmith.train.loop import predict as predict
from gradsmith.train.lr_finder import LRFinder as LRFinder
from gradsmith.train.methods import attach as _attach
from gradsmith.train.progress import ProgressBar as ProgressBar
from gradsmith.train.rates import LearningRateScheduler as LearningRateScheduler
from gradsmith.train.rates import ReduceLROnPlateau as ReduceLROnPlateau
from gradsmith.train.reports import GradientStatistics as GradientStatistics
from gradsmith.train.reports import PlotHistory as PlotHistory
from gradsmith.train.reports import TensorBoard as TensorBoard
from gradsmith.train.resume import Checkpointer as Checkpointer
from gradsmith.train.search import Range as Range
from gradsmith.train.search import SearchResult as SearchResult
from gradsmith.train.search import bayesian_search as bayesian_search
from gradsmith.train.search import cross_validate as cross_validate
from gradsmith.train.search import grid_search as grid_search
from gradsmith.train.search import random_search as random_search
from gradsmith.train.sequences import teacher_forcing as teacher_forcing
from gradsmith.train.sequences import teacher_forcing_probability as teacher_forcing_probability
from gradsmith.train.sequences import truncated_bptt as truncated_bptt
from gradsmith.train.summaries import summary as summary
from gradsmith.train.transfer import greedy_pretrain as greedy_pretrain
from gradsmith.train.transfer import set_trainable as set_trainable

_attach()
