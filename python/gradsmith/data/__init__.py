# SPDX-License-Identifier: Apache-2.0
"""Datasets, samplers and the DataLoader."""

from gradsmith.data import datasets as datasets
from gradsmith.data import transforms as transforms
from gradsmith.data.collate import default_collate as default_collate
from gradsmith.data.collate import default_convert as default_convert
from gradsmith.data.dataset import ConcatDataset as ConcatDataset
from gradsmith.data.dataset import Dataset as Dataset
from gradsmith.data.dataset import ImageDataset as ImageDataset
from gradsmith.data.dataset import IterableDataset as IterableDataset
from gradsmith.data.dataset import Subset as Subset
from gradsmith.data.dataset import TensorDataset as TensorDataset
from gradsmith.data.dataset import random_split as random_split
from gradsmith.data.download import cache_dir as cache_dir
from gradsmith.data.idx import read_idx as read_idx
from gradsmith.data.idx import write_idx as write_idx
from gradsmith.data.keyed_random import sample_generator as sample_generator
from gradsmith.data.loader import DataLoader as DataLoader
from gradsmith.data.sampler import BatchSampler as BatchSampler
from gradsmith.data.sampler import RandomSampler as RandomSampler
from gradsmith.data.sampler import Sampler as Sampler
from gradsmith.data.sampler import SequentialSampler as SequentialSampler
from gradsmith.data.sampler import SubsetRandomSampler as SubsetRandomSampler
from gradsmith.data.sampler import WeightedRandomSampler as WeightedRandomSampler
from gradsmith.data.workers import WorkerInfo as WorkerInfo
from gradsmith.data.workers import get_worker_info as get_worker_info
