"""Wide residual networks. Layer 2."""

from collections.abc import Sequence

from .base import Model
from .flax_modules import from_class, linen
from .image_layers import convolution, images_of, logits_of_images, normalised
from .options import norm_of, shape_of, whole

WIDTHS = (16, 32, 64)
"""Channels of the three groups, before they are widened; those of the first layer are not."""


class WideResNet(linen.Module):
    """Adds to the signal what pairs of convolutions make of it, normalised and rectified before each."""

    n_classes: int
    depth: int
    width: int
    norm: str | None
    input_shape: tuple[int, int, int] | None

    @linen.compact
    def __call__(self, x, train: bool = False):
        """Returns logits `[n, n_classes]` of images."""
        n_blocks, bias = (self.depth - 4) // 6, self.norm is None
        # With nothing to normalise them, all branches together begin as large as the signal that they are added to.
        last_gain = 2.0 / (3 * n_blocks) if self.norm is None else 2.0

        x = convolution(images_of(x, self.input_shape), WIDTHS[0], 3, bias=bias)
        for group, channels in enumerate(self.width * base for base in WIDTHS):
            for block in range(n_blocks):
                stride = 2 if group > 0 and block == 0 else 1
                ready = linen.relu(normalised(x, self.norm, train))
                if x.shape[-1] != channels or stride > 1:
                    x = convolution(ready, channels, 1, stride)
                y = convolution(ready, channels, 3, stride, bias=bias)
                y = linen.relu(normalised(y, self.norm, train))
                x = x + convolution(y, channels, 3, bias=bias, gain=last_gain)
        return logits_of_images(linen.relu(normalised(x, self.norm, train)), self.n_classes)


def wide_resnet(
    depth: int = 16, width: int = 4, norm: str | None = "batch", input_shape: Sequence[int] | None = None
) -> Model:
    """Builds a wide residual network, WRN-depth-width of Zagoruyko & Komodakis, arXiv:1605.07146, without dropout.

    WRN-28-10, with `depth=28, width=10`, has 36.5 million parameters for images of CIFAR-10.

    Args:
      depth: number of layers, 6 n + 4 for n blocks in each of three groups: 10, 16, 22, 28, 40.
      width: factor of the channels 16, 32 and 64 of the groups.
      norm: what normalises before rectifiers, "batch" or "layer"; None: nothing does, convolutions have biases, and
        branches begin smaller by the root of their number (Hayou et al., arXiv:2010.12859).
      input_shape: `(height, width, channels)` where examples come as rows; None: they come as images.

    Raises:
      ValueError: an impossible option; by the model, examples that are no images.
    """
    if whole("depth", depth) < 10 or depth % 6 != 4:
        raise ValueError(f"depth is {depth}; a wide residual network has 6 n + 4 layers: 10, 16, 22, 28 and so on")
    return from_class(
        WideResNet,
        depth=int(depth),
        width=whole("width", width),
        norm=norm_of(norm),
        input_shape=shape_of(input_shape),
    )
