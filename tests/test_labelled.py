"""Networks of pairs: each trial's own, all labels at once, what a body sees, and slopes by autograd."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bridgekit.games import processes
from bridgekit.models import labelled


def generators(n=2):
    return [torch.Generator().manual_seed(i) for i in range(n)]


def test_a_convolutional_network_of_pairs_is_its_trials_networks():
    build = labelled.convolutions(256, 3, 259, 5, 2)
    sizes = {"G": (8, 256), "E": (259, 10), "D": (259, 1), "C": (256, 3)}
    for name, (inputs, outputs) in sizes.items():
        net = build[name](generators()).double()
        assert (net.trials, net.inputs, net.outputs) == (2, inputs, outputs), name
        x = torch.rand(2, 4, inputs, dtype=torch.float64)
        answers = net(x)
        assert answers.shape == (2, 4, outputs)
        for trial in range(2):
            assert torch.equal(answers[trial], net.nets[trial](x[trial]))
        with pytest.raises(ValueError):  # as many trials as networks
            net(x[:1])
    d = labelled.convolutions(256, 3, 256, 5, 2)["D"](generators())
    assert d.inputs == 256 and d(torch.rand(2, 4, 256)).shape == (2, 4, 1)


def test_a_convolutional_decoder_answers_in_logits():
    decoder = labelled.convolutions(256, 3, 259, 5, 2)["G"](generators())
    *_, last, flat = [m for m in decoder.nets[0].modules() if not list(m.children())]
    assert isinstance(last, nn.ConvTranspose2d) and isinstance(flat, nn.Flatten)
    last.bias.data.fill_(7.0)
    assert (decoder(torch.randn(2, 4, 8))[0] > 5).all()


@pytest.mark.parametrize("kind", ["perceptrons", "convolutions"])
def test_every_label_in_turn_is_asked(kind):
    build = getattr(labelled, kind)(256, 3, 259, 5, 2)
    for name, n in (("G", 5), ("E", 256)):
        net = build[name](generators()).double().eval()
        x = torch.rand(2, 4, 3, n, dtype=torch.float64)
        for given in (x, x[:, :, :1]):
            got = net.each(given)
            for k, label in enumerate(torch.eye(3, dtype=torch.float64)):
                rows = torch.cat([given.expand(-1, -1, 3, -1)[:, :, k], label.expand(2, 4, -1)], -1)
                torch.testing.assert_close(got[:, :, k], net(rows), rtol=1e-9, atol=1e-12)


def test_a_perceptron_of_pairs_knows_its_sizes():
    net = labelled.perceptrons(16, 3, 19, 5, 7)["E"](generators())
    assert (net.trials, net.inputs, net.outputs) == (2, 19, 10)
    h = torch.rand(2, 4, 19)
    want = h
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        want = (want.relu() if i else want) @ w + b
    torch.testing.assert_close(net(h), want)


def test_the_slope_of_a_map_near_the_identity():
    """Summed over its outputs, by autograd."""
    net = processes.Residual([3, 8, 3], generators()).double()
    x = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    (want,) = torch.autograd.grad(net(x).sum(), x)
    torch.testing.assert_close(net.slope(x), want)
    plain = net(x) - x
    torch.testing.assert_close(plain, super(processes.Residual, net).forward(x))
