# SPDX-License-Identifier: Apache-2.0
"""Metrics over a stream of batches, and the same as functions of one batch."""

from gradsmith.metrics.base import Mean as Mean
from gradsmith.metrics.base import Metric as Metric
from gradsmith.metrics.classification import Accuracy as Accuracy
from gradsmith.metrics.classification import BinaryAccuracy as BinaryAccuracy
from gradsmith.metrics.classification import ConfusionMatrix as ConfusionMatrix
from gradsmith.metrics.classification import TopKAccuracy as TopKAccuracy
from gradsmith.metrics.classification import accuracy as accuracy
from gradsmith.metrics.classification import binary_accuracy as binary_accuracy
from gradsmith.metrics.classification import confusion_matrix as confusion_matrix
from gradsmith.metrics.classification import top_k_accuracy as top_k_accuracy
from gradsmith.metrics.regression import MeanAbsoluteError as MeanAbsoluteError
from gradsmith.metrics.regression import MeanSquaredError as MeanSquaredError
from gradsmith.metrics.regression import mean_absolute_error as mean_absolute_error
from gradsmith.metrics.regression import mean_squared_error as mean_squared_error
