"""Residual networks with bottlenecks, as for ImageNet. Layer 2."""

from collections.abc import Sequence

from .base import Model
from .flax_modules import from_class, linen
from .image_layers import convolution, images_of, logits_of_images, normalised
from .options import norm_of, shape_of, whole

EXPANSION = 4
"""Channels that a block gives, per channel inside it."""


class ResNet(linen.Module):
    """Adds to the signal what bottlenecks make of it: convolutions of sizes 1, 3 and 1."""

    n_classes: int
    blocks: tuple[int, ...]
    width: int
    norm: str | None
    input_shape: tuple[int, int, int] | None

    @linen.compact
    def __call__(self, x, train: bool = False):
        """Returns logits `[n, n_classes]` of images."""
        bias = self.norm is None
        # With nothing to normalise them, all branches together begin as large as the signal that they are added to.
        last_gain = 2.0 / sum(self.blocks) if self.norm is None else 2.0

        def layer(x, channels: int, size: int, stride: int = 1, gain: float = 2.0):
            return normalised(convolution(x, channels, size, stride, bias=bias, gain=gain), self.norm, train)

        x = linen.relu(layer(images_of(x, self.input_shape), self.width, 7, 2))
        x = linen.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for group, n_blocks in enumerate(self.blocks):
            channels = self.width * 2**group
            for block in range(n_blocks):
                stride = 2 if group > 0 and block == 0 else 1
                y = linen.relu(layer(x, channels, 1))
                y = linen.relu(layer(y, channels, 3, stride))
                y = layer(y, EXPANSION * channels, 1, gain=last_gain)
                x = linen.relu(y + (x if block else layer(x, EXPANSION * channels, 1, stride)))
        return logits_of_images(x, self.n_classes)


def resnet50(
    width: int = 64,
    blocks: Sequence[int] = (3, 4, 6, 3),
    norm: str | None = "batch",
    input_shape: Sequence[int] | None = None,
) -> Model:
    """Builds the residual network ResNet-50 of He et al., arXiv:1512.03385, or a smaller or larger one of its kind.

    Blocks halve the image in their 3 x 3 convolution, not the first, as most later code has it. There are 25.6 million
    parameters for the 1000 classes of ImageNet.

    Args:
      width: channels of the first layer, and inside the blocks of the first group; every group doubles them.
      blocks: their number in every group; (3, 4, 23, 3) is ResNet-101.
      norm: what normalises after convolutions, "batch" or "layer"; None: nothing does, convolutions have biases, and
        branches begin smaller by the root of their number (Hayou et al., arXiv:2010.12859).
      input_shape: `(height, width, channels)` where examples come as rows; None: they come as images.

    Raises:
      ValueError: an impossible option; by the model, examples that are no images.
    """
    numbers = tuple(whole("a number of blocks", number) for number in blocks)
    if not numbers:
        raise ValueError("blocks is empty; give their number in every group, such as (3, 4, 6, 3)")
    return from_class(
        ResNet, blocks=numbers, width=whole("width", width), norm=norm_of(norm), input_shape=shape_of(input_shape)
    )
