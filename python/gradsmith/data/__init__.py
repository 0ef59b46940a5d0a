# SPDX-License-Identifier: Apache-2.0
"""Data sets, readers, generators, splits, preparation, samplers and the DataLoader."""

import importlib as _importlib
from typing import TYPE_CHECKING, Any

from gradsmith.data import datasets as datasets
from gradsmith.data import generators as generators
from gradsmith.data.balance import oversample as oversample
from gradsmith.data.balance import undersample as undersample
from gradsmith.data.cache import cache_dir as cache_dir
from gradsmith.data.cache import download as download
from gradsmith.data.cifar import read_cifar as read_cifar
from gradsmith.data.collate import default_collate as default_collate
from gradsmith.data.collate import default_convert as default_convert
from gradsmith.data.dataset import ChainDataset as ChainDataset
from gradsmith.data.dataset import ConcatDataset as ConcatDataset
from gradsmith.data.dataset import Dataset as Dataset
from gradsmith.data.dataset import ImageDataset as ImageDataset
from gradsmith.data.dataset import IterableDataset as IterableDataset
from gradsmith.data.dataset import StackDataset as StackDataset
from gradsmith.data.dataset import Subset as Subset
from gradsmith.data.dataset import TensorDataset as TensorDataset
from gradsmith.data.dataset import random_split as random_split
from gradsmith.data.encoders import LabelEncoder as LabelEncoder
from gradsmith.data.encoders import OneHotEncoder as OneHotEncoder
from gradsmith.data.folder import ImageFolder as ImageFolder
from gradsmith.data.idx import read_idx as read_idx
from gradsmith.data.idx import write_idx as write_idx
from gradsmith.data.keyed_random import sample_generator as sample_generator
from gradsmith.data.loader import DataLoader as DataLoader
from gradsmith.data.replay import PrioritizedReplayBuffer as PrioritizedReplayBuffer
from gradsmith.data.replay import ReplayBuffer as ReplayBuffer
from gradsmith.data.sampler import BatchSampler as BatchSampler
from gradsmith.data.sampler import RandomSampler as RandomSampler
from gradsmith.data.sampler import Sampler as Sampler
from gradsmith.data.sampler import SequentialSampler as SequentialSampler
from gradsmith.data.sampler import SubsetRandomSampler as SubsetRandomSampler
from gradsmith.data.sampler import WeightedRandomSampler as WeightedRandomSampler
from gradsmith.data.scalers import MinMaxScaler as MinMaxScaler
from gradsmith.data.scalers import SimpleImputer as SimpleImputer
from gradsmith.data.scalers import StandardScaler as StandardScaler
from gradsmith.data.splits import KFold as KFold
from gradsmith.data.splits import StratifiedKFold as StratifiedKFold
from gradsmith.data.splits import train_test_split as train_test_split
from gradsmith.data.tables import CSVDataset as CSVDataset
from gradsmith.data.tables import TableDataset as TableDataset
from gradsmith.data.texts import TextDataset as TextDataset
from gradsmith.data.texts import WindowDataset as WindowDataset
from gradsmith.data.texts import text_lines as text_lines
from gradsmith.data.workers import WorkerInfo as WorkerInfo
from gradsmith.data.workers import get_worker_info as get_worker_info

if TYPE_CHECKING:
    from gradsmith.data import transforms as transforms


def __getattr__(name: str) -> Any:
    if name == "transforms":  # imported when first used, with gradsmith.images
        return _importlib.import_module("gradsmith.data.transforms")
    raise AttributeError(f"module 'gradsmith.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "transforms"})
