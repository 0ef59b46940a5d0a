# SPDX-License-Identifier: Apache-2.0
"""Augmentation: images changed at random, anew for each sample and epoch.

A transform takes an image as `ImageDataset` and `ImageFolder` hand it out, channels first: an
array or tensor of shape (C, H, W), (H, W), or for what treats all channels alike (..., H, W). It is
uint8, float32 or float64 with black at 0 and white at 255 or 1, and comes back as the kind and
dtype it was. Within a `DataLoader` the randomness of a sample depends on (seed, epoch, index)
alone, that of a batch on its first sample. The pixels are computed by `gradsmith.images`.
"""

from gradsmith.data.transforms.base import Transform as Transform
from gradsmith.data.transforms.colour import ColorJitter as ColorJitter
from gradsmith.data.transforms.colour import Grayscale as Grayscale
from gradsmith.data.transforms.colour import RandomBrightness as RandomBrightness
from gradsmith.data.transforms.colour import RandomContrast as RandomContrast
from gradsmith.data.transforms.colour import RandomGrayscale as RandomGrayscale
from gradsmith.data.transforms.colour import RandomHue as RandomHue
from gradsmith.data.transforms.colour import RandomSaturation as RandomSaturation
from gradsmith.data.transforms.containers import Compose as Compose
from gradsmith.data.transforms.containers import RandomApply as RandomApply
from gradsmith.data.transforms.containers import RandomChoice as RandomChoice
from gradsmith.data.transforms.containers import RandomOrder as RandomOrder
from gradsmith.data.transforms.crops import CenterCrop as CenterCrop
from gradsmith.data.transforms.crops import Pad as Pad
from gradsmith.data.transforms.crops import RandomCrop as RandomCrop
from gradsmith.data.transforms.crops import RandomResizedCrop as RandomResizedCrop
from gradsmith.data.transforms.crops import RandomShift as RandomShift
from gradsmith.data.transforms.erasing import Cutout as Cutout
from gradsmith.data.transforms.erasing import RandomErasing as RandomErasing
from gradsmith.data.transforms.filters import GaussianBlur as GaussianBlur
from gradsmith.data.transforms.filters import GaussianNoise as GaussianNoise
from gradsmith.data.transforms.filters import Laplacian as Laplacian
from gradsmith.data.transforms.filters import Sharpen as Sharpen
from gradsmith.data.transforms.filters import Sobel as Sobel
from gradsmith.data.transforms.geometry import RandomAffine as RandomAffine
from gradsmith.data.transforms.geometry import RandomHorizontalFlip as RandomHorizontalFlip
from gradsmith.data.transforms.geometry import RandomRotation as RandomRotation
from gradsmith.data.transforms.geometry import RandomShear as RandomShear
from gradsmith.data.transforms.geometry import RandomVerticalFlip as RandomVerticalFlip
from gradsmith.data.transforms.geometry import RandomZoom as RandomZoom
from gradsmith.data.transforms.geometry import Resize as Resize
from gradsmith.data.transforms.mixing import CutMix as CutMix
from gradsmith.data.transforms.mixing import MixUp as MixUp
from gradsmith.data.transforms.values import Normalize as Normalize
from gradsmith.data.transforms.values import ToTensor as ToTensor
