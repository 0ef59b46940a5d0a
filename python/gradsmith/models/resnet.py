# SPDX-License-Identifier: Apache-2.0
"""Residual networks (He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2016).

ResNet-18 to 152 for large images, those of 6n + 2 layers for CIFAR-10 (section 4.2), and the plain
networks without shortcuts that the paper compares with. Shortcuts where shapes change are of three
kinds: ``A`` takes every second position and pads channels with zeros, ``B`` projects by a 1x1
convolution, ``C`` projects everywhere, also where shapes agree.
"""

from __future__ import annotations

from gradsmith import nn
from gradsmith.models.sizes import check_classes, init_he
from gradsmith.nn import functional as F
from gradsmith.tensor import Tensor

# Depth: whether blocks are bottlenecks, and blocks per stage.
_STAGES = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
    152: (True, (3, 8, 36, 3)),
}


class ZeroPadShortcut(nn.Module):
    """Shortcut A: every ``stride``-th position, new channels zero; no parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Keep the sizes."""
        super().__init__()
        self.added, self.stride = outputs - inputs, stride

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))


def _shortcut(kind: str, inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """Return what carries x past a block; None is x itself."""
    changes = stride != 1 or inputs != outputs
    if kind == "A" and changes:
        return ZeroPadShortcut(inputs, outputs, stride)
    if kind == "C" or (kind == "B" and changes):
        projection = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
        return nn.Sequential(projection, nn.BatchNorm2d(outputs))
    return None


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around which the input is carried: (N, inputs, H, W)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, shortcut: str) -> None:
        """Make the layers; ``shortcut`` is A, B, C, or none for a plain network."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.residual = shortcut != "none"
        if self.residual:
            self.downsample = _shortcut(shortcut, inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, width, H / stride, W / stride)."""
        y = self.conv2(_norm_relu(self.bn1, self.conv1(x)))
        return _joined(self, self.bn2, y, x)


class Bottleneck(nn.Module):
    """A 3x3 convolution between 1x1 ones that narrow and widen: (N, inputs, H, W)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, shortcut: str) -> None:
        """Make the layers; the stride is the 3x3 convolution's, as torchvision has it."""
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.residual = shortcut != "none"
        if self.residual:
            self.downsample = _shortcut(shortcut, inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 4 width, H / stride, W / stride)."""
        y = _norm_relu(self.bn1, self.conv1(x))
        y = self.conv3(_norm_relu(self.bn2, self.conv2(y)))
        return _joined(self, self.bn3, y, x)


def _norm_relu(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    return F.relu(norm(x))


def _joined(block: BasicBlock | Bottleneck, norm: nn.BatchNorm2d, y: Tensor, x: Tensor) -> Tensor:
    if not block.residual:
        return _norm_relu(norm, y)
    carried = x if block.downsample is None else block.downsample(x)
    return F.relu(norm(y) + carried)


def _stage(
    block: type[BasicBlock | Bottleneck],
    inputs: int,
    width: int,
    count: int,
    stride: int,
    shortcut: str,
) -> nn.Sequential:
    blocks: list[nn.Module] = [block(inputs, width, stride, shortcut)]
    inputs = width * block.expansion
    blocks += [block(inputs, width, 1, shortcut) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


def _check_shortcut(model: str, shortcut: str) -> None:
    if shortcut not in ("A", "B", "C", "none"):
        raise ValueError(f"{model}: shortcut is {shortcut!r}, expected 'A', 'B', 'C' or 'none'")


class ResNet(nn.Module):
    """Images (N, 3, H, W) -> scores (N, num_classes).

    With shortcut ``B`` the ``state_dict`` keys and shapes are torchvision's.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 1000,
        shortcut: str = "B",
        zero_init_residual: bool = False,
    ) -> None:
        """Make the layers.

        Args:
            depth: 18, 34, 50, 101 or 152.
            num_classes: scores per image.
            shortcut: A, B, C, or none for the plain network.
            zero_init_residual: start every block as the identity (Goyal et al., 2017).

        Raises:
            ValueError: the depth or kind of shortcut is unknown, or there is no class.
        """
        super().__init__()
        check_classes("ResNet", num_classes)
        _check_shortcut("ResNet", shortcut)
        if depth not in _STAGES:
            raise ValueError(f"ResNet: depth is {depth}, expected one of {sorted(_STAGES)}")
        bottleneck, counts = _STAGES[depth]
        block: type[BasicBlock | Bottleneck] = Bottleneck if bottleneck else BasicBlock
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        wide = 64 * block.expansion
        self.layer1 = _stage(block, 64, 64, counts[0], 1, shortcut)
        self.layer2 = _stage(block, wide, 128, counts[1], 2, shortcut)
        self.layer3 = _stage(block, 2 * wide, 256, counts[2], 2, shortcut)
        self.layer4 = _stage(block, 4 * wide, 512, counts[3], 2, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * wide, num_classes)
        init_he(self)
        if zero_init_residual:
            _start_as_identity(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before softmax."""
        x = self.maxpool(_norm_relu(self.bn1, self.conv1(images)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        scores: Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores


def _start_as_identity(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, (BasicBlock, Bottleneck)):
            last = module.bn2 if isinstance(module, BasicBlock) else module.bn3
            assert last.weight is not None
            nn.init.zeros_(last.weight)


class CifarResNet(nn.Module):
    """Images (N, channels, H, W), 32 x 32 in the paper, -> scores (N, num_classes).

    Three stages of n blocks with 16, 32 and 64 channels: 6n + 2 layers.
    """

    def __init__(
        self, depth: int, num_classes: int = 10, shortcut: str = "A", channels: int = 3
    ) -> None:
        """Make the layers; ValueError unless the depth is 6n + 2 and there is a class."""
        super().__init__()
        check_classes("CifarResNet", num_classes)
        _check_shortcut("CifarResNet", shortcut)
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"CifarResNet: depth is {depth}, expected 6n + 2, as 20, 32, 44 or 56")
        count = depth // 6
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(BasicBlock, 16, 16, count, 1, shortcut)
        self.layer2 = _stage(BasicBlock, 16, 32, count, 2, shortcut)
        self.layer3 = _stage(BasicBlock, 32, 64, count, 2, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)
        init_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores before softmax."""
        x = _norm_relu(self.bn1, self.conv1(images))
        x = self.layer3(self.layer2(self.layer1(x)))
        scores: Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores


def resnet18(num_classes: int = 1000, *, shortcut: str = "B") -> ResNet:
    """Return a ResNet-18: 11,689,512 parameters for 1000 classes."""
    return ResNet(18, num_classes, shortcut)


def resnet34(num_classes: int = 1000, *, shortcut: str = "B") -> ResNet:
    """Return a ResNet-34: 21,797,672 parameters for 1000 classes."""
    return ResNet(34, num_classes, shortcut)


def resnet50(num_classes: int = 1000, *, shortcut: str = "B") -> ResNet:
    """Return a ResNet-50: 25,557,032 parameters for 1000 classes."""
    return ResNet(50, num_classes, shortcut)


def resnet101(num_classes: int = 1000, *, shortcut: str = "B") -> ResNet:
    """Return a ResNet-101: 44,549,160 parameters for 1000 classes."""
    return ResNet(101, num_classes, shortcut)


def resnet152(num_classes: int = 1000, *, shortcut: str = "B") -> ResNet:
    """Return a ResNet-152: 60,192,808 parameters for 1000 classes."""
    return ResNet(152, num_classes, shortcut)


def plain18(num_classes: int = 1000) -> ResNet:
    """Return ResNet-18 without shortcuts, the control of the paper."""
    return ResNet(18, num_classes, "none")


def plain34(num_classes: int = 1000) -> ResNet:
    """Return ResNet-34 without shortcuts, the control of the paper."""
    return ResNet(34, num_classes, "none")


def resnet20(num_classes: int = 10, *, shortcut: str = "A") -> CifarResNet:
    """Return a ResNet-20 for CIFAR-10: 269,722 parameters (0.27 million in the paper)."""
    return CifarResNet(20, num_classes, shortcut)


def resnet32(num_classes: int = 10, *, shortcut: str = "A") -> CifarResNet:
    """Return a ResNet-32 for CIFAR-10: 464,154 parameters (0.46 million in the paper)."""
    return CifarResNet(32, num_classes, shortcut)


def resnet44(num_classes: int = 10, *, shortcut: str = "A") -> CifarResNet:
    """Return a ResNet-44 for CIFAR-10: 658,586 parameters (0.66 million in the paper)."""
    return CifarResNet(44, num_classes, shortcut)


def resnet56(num_classes: int = 10, *, shortcut: str = "A") -> CifarResNet:
    """Return a ResNet-56 for CIFAR-10: 853,018 parameters (0.85 million in the paper)."""
    return CifarResNet(56, num_classes, shortcut)


def plain20(num_classes: int = 10) -> CifarResNet:
    """Return ResNet-20 without shortcuts, the control of the paper."""
    return CifarResNet(20, num_classes, "none")


def plain56(num_classes: int = 10) -> CifarResNet:
    """Return ResNet-56 without shortcuts, the control of the paper."""
    return CifarResNet(56, num_classes, "none")
