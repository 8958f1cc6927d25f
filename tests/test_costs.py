"""What a game costs: multiplications and additions, counted by hand where the networks are small."""

from dataclasses import replace

from games.paper_a import noise_images

from bridgekit import data
from bridgekit.games import baselines, bridge, setups
from bridgekit.measure import costs
from bridgekit.theory import adversarial

BATCH, HIDDEN = 16, 8
LAYER = 2 * BATCH * HIDDEN * 2  # operations from two numbers to the hidden layer, or back to two


def test_a_round_of_a_gan_is_counted_layer_by_layer():
    """D's layer to one logit is left out: it is no matrix product (one column is a sum there)."""
    setup = setups.plane(data.mixture("gaussians25"), batch=BATCH, hidden=HIDDEN, depth=1)
    game = baselines.gan(setup, adversarial.non_saturating)
    # G twice a layer forward, D on data and on fakes, and its weights' gradients for both.
    of_d = 2 * LAYER + 2 * LAYER + 2 * LAYER
    # G and D forward, back through D to the image and G to its hidden layer, gradients of G.
    of_g = 2 * LAYER + LAYER + LAYER + LAYER + 2 * LAYER
    assert costs.operations(game, "train") == of_d + of_g


def test_the_later_steps_of_the_bridge_cost_more_and_a_twice_as_large_batch_twice_as_much():
    images = noise_images(64, 16)
    images = replace(images, x=images.x.float())
    one, two = (bridge.alpha_bridge(setups.images(images, batch=n, width=4)) for n in (8, 16))
    first, second, third = (costs.operations(one, phase) for phase in ("I", "II", "III"))
    assert first < third < second
    assert costs.operations(two, "II") == 2 * second
