"""Reading the hidden states of an image encoder in a forward pass, and finding which positions are the picture.

The blocks are the network's first ``ModuleList`` of the length that its config gives as the depth. :class:`Encoder`
checks that against transformers when it is made: one pass with ``output_hidden_states=True`` must give, for every
layer, the same tensor that was read at the block. A network built otherwise is refused, not read in some other way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch

from foresight_cli.models.vision_shape import VisionShape

Inputs = Mapping[str, torch.Tensor]
Read = Callable[[str, torch.Tensor], None]


class _LastLayerRead(Exception):
    """Raised inside a forward pass once every wanted layer is read: the blocks above it need not run."""


class Encoder:
    """A loaded network whose layers are read as they are computed, so that no list of hidden states is kept.

    Attributes:
        network: the transformers class.
        before: positions in front of the picture's: the class token, registers.
        after: positions after the picture's.
    """

    def __init__(self, network: Any, shape: VisionShape, noise: Inputs) -> None:
        """Find the blocks and the picture's positions, with ``noise``: the inputs of two noise pictures of one size.

        Raises:
            ForesightError: the layers cannot be read in this network.
        """
        self.network = network
        depth = shape.depth
        lists = (module for module in network.modules() if isinstance(module, torch.nn.ModuleList))
        self._blocks: Any = next((blocks for blocks in lists if len(blocks) == depth), ())
        first = self._check_against_transformers(shape, noise)
        self.before, self.after = self._around_the_picture(shape, noise, first)

    def run(self, inputs: Inputs, layers: Collection[str], read: Read) -> None:
        """Run one forward pass, as far as the last of ``layers``; call ``read(layer, tokens)`` as each is computed.

        ``tokens`` are ``[b, positions, d]``. A feature map ``[b, C, H, W]`` comes as ``[b, H * W, C]``, row by row.
        """
        left = set(layers)

        def appeared(layer: str, hidden: torch.Tensor) -> None:
            read(layer, _tokens(hidden))
            left.discard(layer)
            if not left:
                raise _LastLayerRead

        with self._hooks(left - {"final"}, appeared), suppress(_LastLayerRead):
            appeared("final", self.network(**inputs, output_hidden_states=False, return_dict=True).last_hidden_state)

    @contextmanager
    def _hooks(self, layers: Collection[str], appeared: Read) -> Iterator[None]:
        """Read layer 0 where it enters the first block, layer k where it leaves block k - 1: ``hidden_states[k]``."""
        handles = []
        for layer in layers:
            if layer == "0":
                entered = self._blocks[0].register_forward_pre_hook(
                    lambda _m, inputs, named: appeared("0", (*inputs, *named.values())[0]), with_kwargs=True
                )
                handles.append(entered)
            else:
                handles.append(
                    self._blocks[int(layer) - 1].register_forward_hook(
                        lambda _m, _i, out, at=layer: appeared(at, out[0] if isinstance(out, tuple) else out)
                    )
                )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _check_against_transformers(self, shape: VisionShape, noise: Inputs) -> torch.Tensor:
        """Return layer 0; refuse a network whose ``hidden_states`` are not what was read at its blocks."""
        depth = len(self._blocks)
        read: dict[str, torch.Tensor] = {}
        with self._hooks([str(k) for k in range(depth + 1)] if depth else [], read.__setitem__):
            out = self.network(**noise, output_hidden_states=True, return_dict=True)
        reported, final = out.get("hidden_states") or (), out.get("last_hidden_state")
        # The last entry is left out: some classes put the final norm's output there, and layer=final is that anyway.
        same = len(reported) == depth + 1 == len(read) and all(_equal(reported[k], read[str(k)]) for k in range(depth))
        if not depth or not same or final is None or final.shape != read[str(depth)].shape or len(final) != 2:
            raise shape.refusal("its hidden_states are not what enters and leaves its blocks")
        return read["0"]

    def _around_the_picture(self, shape: VisionShape, noise: Inputs, first: torch.Tensor) -> tuple[int, int]:
        """Count the positions before and after those that the picture changes, where it enters the first block.

        Class and register tokens are the same for every picture there, whatever the config calls them.
        """
        again: list[torch.Tensor] = []
        self.run(noise, ["0"], lambda _, tokens: again.append(tokens))
        tokens = again[0]
        rounding = 0.05 * float(tokens.abs().max())  # some GPU kernels sum in no fixed order
        if not torch.allclose(_tokens(first), tokens, rtol=0, atol=rounding):
            raise shape.refusal("two passes over one picture differ, as if it hid a part at random")
        picture = (tokens[0] != tokens[1]).any(dim=-1).nonzero().flatten()
        before, last = (int(picture[0]), int(picture[-1])) if len(picture) else (0, -1)
        if last - before + 1 != len(picture) or not len(picture):
            raise shape.refusal("the positions of the picture are not contiguous")
        return before, tokens.shape[1] - 1 - last


def _tokens(hidden: torch.Tensor) -> torch.Tensor:
    """Return ``[b, positions, d]`` as it is; a map ``[b, C, H, W]`` as ``[b, H * W, C]``, row by row."""
    return hidden if hidden.ndim == 3 else hidden.flatten(2).transpose(1, 2)


def _equal(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Check whether the numbers are the same; a value that overflowed in half precision equals itself."""
    return first.shape == second.shape and torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)
