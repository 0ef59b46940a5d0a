# SPDX-License-Identifier: Apache-2.0
"""Programs with networks and optimisers, to be run with either library.

They are written as those of `tests.torch_programs`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.torch_programs import known, network, numbers

# ---- functions and modules -----------------------------------------------------------------------


def functions_without_samples(t: Any, data: Any) -> Any:
    f, x, image = t.nn.functional, numbers(t, 2, 4, 6), numbers(t, 2, 4, 6, 6).requires_grad_()
    y = [
        *(
            f.lp_pool1d(x, 2, 3),
            f.lp_pool2d(image, 2, 2, ceil_mode=True),
            t.channel_shuffle(image, 2),
        ),
        *(
            f.lp_pool3d(image[None].abs(), 3, 2),
            t.pixel_shuffle(image, 2),
            t.pixel_unshuffle(image, 3),
        ),
        *(f.upsample(image, scale_factor=2), f.upsample(image, (3, 9), mode="bilinear")),
        *(f.fold(f.unfold(image, 3, padding=1), (6, 6), 3, padding=1), t.celu(x), t.relu(x)),
        *(
            f.affine_grid(
                image[:, :2, :3, 0].sum(-1).reshape(2, 2, 1).expand(2, 2, 3), (2, 1, 4, 5)
            ),
        ),
        *(
            t.cosine_similarity(x, x.flip(0)),
            t.pairwise_distance(x, x + 1),
            t.pdist(x[0]),
            t.selu(x),
        ),
        *(
            t.threshold(x, 0.1, 5),
            t.prelu(x, x[0, 0, :4].abs()),
            x.hardshrink(0.3),
            x.prelu(x[0, 0, :1]),
        ),
    ]
    sum((each * each).sum() for each in y if each.requires_grad).backward()
    soft = f.gumbel_softmax(x, hard=True, dim=1)
    dropped = f.dropout1d(t.ones(4, 50, 3), 0.5), f.dropout1d(x, 0.5, training=False)
    return [*y, image.grad, soft.sum(1), dropped[0].amax(2) - dropped[0].amin(2), dropped[1]]


def dropouts(t: Any, data: Any) -> Any:
    nn, x = t.nn, t.ones(4, 8, 3, 3, 3)
    plain = {
        "AlphaDropout": 2,
        "FeatureAlphaDropout": 3,
        "Dropout1d": 3,
        "Dropout2d": 4,
        "Dropout3d": 5,
    }
    made = [
        *(nn.AlphaDropout(0.3), nn.FeatureAlphaDropout(0.3), nn.Dropout1d(0.3), nn.Dropout2d(0.3)),
        *(nn.Dropout3d(0.3), nn.Dropout(0.3), nn.RReLU()),
    ]
    inputs = [x.flatten(1), x.flatten(2), x.flatten(2), x.flatten(3), x, x, x]
    trained = [layer(each) for layer, each in zip(made, inputs, strict=True)]
    even = [layer.eval()(-each) for layer, each in zip(made, inputs, strict=True)]
    return [[each.shape for each in trained], even, [repr(layer) for layer in made], len(plain)]


def modules_without_samples(t: Any, data: Any) -> Any:
    nn, x = t.nn, numbers(t, 2, 4, 6, 6).requires_grad_()
    pooled, places = nn.MaxPool2d(2, return_indices=True)(x)
    line, line_places = nn.MaxPool1d(2, return_indices=True)(x[0])
    volume, volume_places = nn.MaxPool3d(2, return_indices=True)(x[None])
    ids = t.tensor([[0, 2], [1, 1]])
    bag = known(t, nn.EmbeddingBag(4, 3, mode="max", padding_idx=1))
    lazy = nn.LazyLinear(2)
    shape = lazy(x.float()).shape, list(lazy.state_dict()), isinstance(lazy.weight, nn.Parameter)
    layer = known(t, nn.TransformerDecoderLayer(6, 2, 5, 0.0, batch_first=True))
    decoder = known(t, nn.TransformerDecoder(layer, 2))
    y = [
        *(nn.MaxUnpool2d(2)(pooled, places), nn.MaxUnpool1d(2)(line, line_places), bag(ids)),
        *(nn.MaxUnpool3d(2)(volume, volume_places), nn.ChannelShuffle(2)(x), nn.PixelShuffle(2)(x)),
        *(
            nn.PixelUnshuffle(2)(x),
            nn.CosineSimilarity()(x, x + 1),
            nn.PairwiseDistance()(x, x * 2),
        ),
        *(
            nn.Upsample(scale_factor=2)(x),
            nn.UpsamplingBilinear2d(9)(x),
            nn.UpsamplingNearest2d(9)(x),
        ),
        *(
            nn.Fold(6, 2)(nn.Unfold(2)(x)),
            nn.Identity()(x),
            nn.Flatten(0, 1)(x),
            decoder(x[0], x[1]),
        ),
        *(
            nn.Unflatten(1, (2, 2))(x),
            nn.TripletMarginLoss()(x[0, 0], x[0, 1], x[1, 0]),
            nn.Hardsigmoid()(x),
        ),
    ]
    sum((each * each).sum() for each in y).backward()
    return [*y, x.grad, shape, lazy.in_features]


def containers(t: Any, data: Any) -> Any:
    nn = t.nn

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])
            self.by_name = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(3, 1)})
            self.scales = nn.ParameterList([nn.Parameter(t.ones(3)), nn.Parameter(t.zeros(1))])
            self.more = nn.ParameterDict({"w": nn.Parameter(t.ones(2))})
            self.register_buffer("count", t.tensor(0))
            self.register_buffer("hidden", t.ones(1), persistent=False)
            self.register_parameter("none", None)

        def forward(self, x: Any) -> Any:
            for layer in self.layers:
                x = self.by_name["a"](layer(x)) * self.scales[0]
            self.count += 1
            return self.by_name["b"](x) + self.scales[1]

    net = known(t, Net())
    seen: list[Any] = []
    handle = net.layers[0].register_forward_hook(
        lambda _, __, out: seen.append(out.detach()) or out * 2
    )
    net.register_forward_pre_hook(lambda _, args: (args[0] + 1,))
    net.by_name["b"].register_full_backward_hook(lambda _, __, out: seen.append(out[0]))
    y = net(numbers(t, 2, 3))
    y.sum().backward()
    handle.remove()
    other = Net().double()
    missing = other.load_state_dict(net.state_dict())
    weight = t.nn.Parameter(t.ones(1, 3).double())
    other.load_state_dict({**net.state_dict(), "by_name.b.weight": weight}, assign=True)
    assert other.by_name["b"].weight is weight
    net.layers.append(nn.Linear(3, 3).double())
    net.apply(lambda module: module.requires_grad_(False) if isinstance(module, nn.ReLU) else None)
    return [
        *(y, seen, list(net.state_dict()), [n for n, _ in net.named_modules()], len(net.layers)),
        *(
            [n for n, _ in net.named_parameters()],
            [n for n, _ in net.named_buffers()],
            str(missing),
        ),
        *(other.state_dict()["layers.1.weight"], [p.grad for p in net.parameters()], net.count),
        *(sorted(net.by_name), "w" in net.more, net.training, net.eval().by_name["b"].training),
        _strict(other),
    ]


def _strict(module: Any) -> bool:
    try:
        module.load_state_dict({"count": module.count})
    except (RuntimeError, ValueError):
        return str(module.load_state_dict({"x": module.count}, strict=False)).count("x") > 0
    return False


def initialisers(t: Any, data: Any) -> Any:
    init, x = t.nn.init, t.zeros(4, 4, 3, 3)
    filled = [
        *(init.constant_(x.clone(), 0.5), init.ones_(x.clone()), init.zeros_(x + 1)),
        *(init.dirac_(x.clone()), init.dirac_(x.clone(), groups=2), init.eye_(t.zeros(3, 4))),
    ]
    drawn = [
        *(
            init.normal_(x.clone(), 1.0, 0.1),
            init.uniform_(x.clone()),
            init.kaiming_normal_(x.clone()),
        ),
        *(init.trunc_normal_(x.clone(), a=-0.5, b=0.5), init.kaiming_uniform_(x.clone(), a=1)),
        *(init.xavier_normal_(x.clone()), init.xavier_uniform_(x.clone(), gain=2)),
        init.sparse_(t.zeros(10, 4), 0.3),
    ]
    q = init.orthogonal_(t.zeros(3, 5).double(), gain=2)
    gains = [
        init.calculate_gain(n) for n in ("relu", "tanh", "linear", "selu", "sigmoid", "conv2d")
    ]
    bounds = [drawn[4].abs().max() < (3 / 36 * 1.0) ** 0.5 * 1.001, drawn[3].abs().max() <= 0.5]
    return [filled, [each.shape for each in drawn], q @ q.T, gains, bounds, (drawn[7] == 0).sum(0)]


# ---- training ------------------------------------------------------------------------------------


def training_loop(t: Any, data: Any) -> Any:
    net = network(t)
    x, y = numbers(t, 24, 3), t.from_numpy(np.random.default_rng(0).integers(0, 2, 24))
    optimizer = t.optim.AdamW(
        [{"params": net[0].parameters()}, {"params": net[2].parameters(), "lr": 0.02}], lr=0.01
    )
    warm = t.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3)
    cool = t.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
    scheduler = t.optim.lr_scheduler.SequentialLR(optimizer, [warm, cool], [3])
    scaler = t.amp.GradScaler("cpu", init_scale=64.0)
    averaged = t.optim.swa_utils.AveragedModel(net)
    loader = data.DataLoader(data.TensorDataset(x, y), 8, num_workers=0)
    losses, norms = [], []
    for _ in range(3):
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = t.nn.functional.cross_entropy(net(inputs), labels, label_smoothing=0.1)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            norms.append(t.nn.utils.clip_grad_norm_(net.parameters(), 0.5))
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()
            averaged.update_parameters(net)
            losses.append(loss.item())
    state = optimizer.state_dict()
    return [
        *(
            losses,
            norms,
            scheduler.get_last_lr(),
            list(net.state_dict().values()),
            scaler.get_scale(),
        ),
        *([each for each in averaged.parameters()], averaged.n_averaged, sorted(state)),
        [group["lr"] for group in state["param_groups"]],
    ]


def plateaus(t: Any, data: Any) -> Any:
    optimizer = t.optim.SGD(network(t).parameters(), 1.0)
    schedule = t.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", 0.5, 1, cooldown=1)
    rates = []
    for value in (1, 2, 2, 1, 0, 3, 1, 1, 1, float("nan"), 1):
        schedule.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    loss = t.nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().sum(-1))
    x = numbers(t, 3, 4).requires_grad_()
    loss(x, x + 1, x.flip(0)).backward()
    return [rates, schedule.get_last_lr(), x.grad]


def averages(t: Any, data: Any) -> Any:
    swa, net = t.optim.swa_utils, network(t)
    model = t.nn.Sequential(net, t.nn.BatchNorm1d(2).double())
    optimizer = t.optim.SGD(net.parameters(), 0.1)
    schedule = swa.SWALR(optimizer, 0.05, anneal_epochs=3)
    ema = swa.AveragedModel(net, multi_avg_fn=swa.get_ema_multi_avg_fn(0.9))
    one = swa.AveragedModel(net, avg_fn=swa.get_ema_avg_fn(0.5))
    two = swa.AveragedModel(net, avg_fn=swa.get_swa_avg_fn())
    three = swa.AveragedModel(net, multi_avg_fn=swa.get_swa_multi_avg_fn())
    for step in range(4):
        net(numbers(t, 2, 3, seed=step)).sum().backward()
        optimizer.step()
        schedule.step()
        for each in (ema, one, two, three):
            each.update_parameters(net)
    swa.update_bn([numbers(t, 5, 3, seed=s) for s in range(3)], model)
    kept = [list(each.parameters()) for each in (ema, one, two, three)]
    return [kept, optimizer.param_groups[0]["lr"], model[1].running_mean, model[1].running_var]


def gradients_of_parameters(t: Any, data: Any) -> Any:
    utils, net = t.nn.utils, network(t)
    vector = utils.parameters_to_vector(net.parameters())
    utils.vector_to_parameters(vector * 2, net.parameters())
    net(numbers(t, 2, 3)).sum().backward()
    grads = [p.grad for p in net.parameters()]
    total = utils.get_total_norm(grads, 3.0)
    utils.clip_grads_with_norm_(net.parameters(), 1.0, total)
    clipped = [g.clone() for g in grads]
    utils.clip_grad_value_(net.parameters(), 0.1)
    plain = network(t)[0]
    weighted = utils.weight_norm(plain, dim=0)
    y = weighted(numbers(t, 2, 3))
    names = sorted(weighted.state_dict())
    utils.remove_weight_norm(weighted)
    spectral = utils.spectral_norm(network(t)[0]).eval()
    utils.remove_spectral_norm(utils.spectral_norm(network(t)[2]))
    return [vector, total, clipped, grads, y, names, plain.weight, sorted(spectral.state_dict())]


def packed_sequences(t: Any, data: Any) -> Any:
    rnn, parts = t.nn.utils.rnn, [numbers(t, n, 3) for n in (2, 4, 1)]
    padded = rnn.pad_sequence(parts, batch_first=True, padding_value=-1.0)
    lengths = t.tensor([2, 4, 1])
    packed = rnn.pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
    layer = known(t, t.nn.LSTM(3, 2, 2, batch_first=True, bidirectional=True))
    out, (h, c) = layer(packed)
    y, sizes = rnn.pad_packed_sequence(out, batch_first=True, total_length=5)
    again = rnn.pack_sequence(parts, enforce_sorted=False)
    loose = rnn.unpack_sequence(again), rnn.unpad_sequence(padded, lengths, batch_first=True)
    (y.sum() + h.sum() + c.sum()).backward()
    grads = [p.grad for p in layer.parameters()]
    kind = isinstance(packed, rnn.PackedSequence), packed.float().double().data
    return [padded, packed.data, packed.batch_sizes, y, sizes, h, c, loose, grads, kind, again.data]


def mixed_precision(t: Any, data: Any) -> Any:
    net, x = network(t).float(), numbers(t, 4, 3).float()
    with t.autocast("cpu", dtype=t.bfloat16):
        y = net(x)
        wide = (y * y).float().sum()
    with t.amp.autocast("cpu", dtype=t.bfloat16, enabled=False):
        plain = net(x)
    wide.backward()
    kinds = [
        str(each.dtype).removeprefix("torch.") for each in (y, wide, plain, net[0].weight.grad)
    ]
    return [kinds, plain]


def lazy_norms(t: Any, data: Any) -> Any:
    nn, signal, image, volume = t.nn, (2, 3, 5), (2, 3, 4, 4), (2, 3, 2, 3, 2)
    found = []
    for kind, shape in (
        *((nn.LazyBatchNorm1d, (4, 3)), (nn.LazyBatchNorm2d, image), (nn.LazyBatchNorm3d, volume)),
        *((nn.LazyInstanceNorm1d, signal), (nn.LazyInstanceNorm2d, image)),
        (nn.LazyInstanceNorm3d, volume),
    ):
        norm = kind(affine=True, track_running_stats=True, dtype=t.float64)
        y = norm(numbers(t, *shape))
        found.append([y, type(norm).__name__, norm.num_features, norm.state_dict()])
    return found


def adaptive_softmax(t: Any, data: Any) -> Any:
    layer = known(t, t.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], 2.0, True))
    x = numbers(t, 5, 8).requires_grad_()
    output, loss = layer(x, t.tensor([0, 3, 4, 19, 10]))
    loss.backward()
    grads = [p.grad for p in layer.parameters()]
    return [output, loss, x.grad, grads, layer.log_prob(x), layer.predict(x)]


def norms_as_part_of_layers(t: Any, data: Any) -> Any:
    nn, utils = t.nn, t.nn.utils
    found = []
    for layer, norm, shape in (
        (nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), (2, 3, 4, 4)),
        (nn.ConvTranspose1d(3, 4, 2, bias=False), nn.BatchNorm1d(4), (2, 3, 5)),
        (nn.Linear(3, 4), nn.BatchNorm1d(4), (5, 3)),
    ):
        layer, norm = known(t, layer), known(t, norm)
        norm(layer(numbers(t, *shape)))
        pair = layer.eval(), norm.eval()
        transposed = isinstance(layer, nn.ConvTranspose1d)
        is_linear = isinstance(layer, nn.Linear)
        fused = (
            utils.fuse_linear_bn_eval(*pair)
            if is_linear
            else utils.fuse_conv_bn_eval(*pair, transposed)
        )
        statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        parts = (
            utils.fuse_linear_bn_weights(layer.weight, layer.bias, *statistics)
            if is_linear
            else utils.fuse_conv_bn_weights(layer.weight, layer.bias, *statistics, transposed)
        )
        kinds = [isinstance(each, nn.Parameter) and each.is_leaf for each in parts]
        found.append([fused(numbers(t, *shape)), fused.state_dict(), parts, kinds])
    return found
