"""Batch normalisation whose running averages move in the owner's turn alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional as F


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose running averages move only while ``tracking`` is set.

    Training always uses the batch's own statistics; the loop sets ``tracking`` for the owner's turn alone, so
    neither another player's turn nor a probe touches a buffer.
    """

    tracking = True

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self.tracking:
            return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
        return super().forward(x)


@contextlib.contextmanager
def untracked(*nets: nn.Module) -> Iterator[None]:
    """Inside, batch normalisation in ``nets`` leaves its running averages as they are."""
    norms = [module for net in nets for module in net.modules() if isinstance(module, BatchNorm)]
    before = [norm.tracking for norm in norms]
    for norm in norms:
        norm.tracking = False
    try:
        yield
    finally:
        for norm, tracking in zip(norms, before, strict=True):
            norm.tracking = tracking
