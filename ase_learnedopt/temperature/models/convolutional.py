"""Plain convolutional networks. Layer 2."""

from collections.abc import Sequence

from .base import Model
from .flax_modules import from_class, linen
from .image_layers import convolution, images_of, logits_of_images, normalised
from .options import norm_of, shape_of, whole


class ConvNet(linen.Module):
    """Convolves, halving the image and doubling channels from layer to layer, and takes the mean over the image."""

    n_classes: int
    width: int
    depth: int
    norm: str | None
    input_shape: tuple[int, int, int] | None

    @linen.compact
    def __call__(self, x, train: bool = False):
        """Returns logits `[n, n_classes]` of images."""
        x = images_of(x, self.input_shape)
        for i in range(self.depth):
            x = convolution(x, self.width * 2**i, 3, stride=1 if i == 0 else 2, bias=self.norm is None)
            x = linen.relu(normalised(x, self.norm, train))
        return logits_of_images(x, self.n_classes)


def cnn(width: int = 32, depth: int = 3, norm: str | None = None, input_shape: Sequence[int] | None = None) -> Model:
    """Builds a plain convolutional network: rectified 3 x 3 convolutions, a mean over the image, a linear layer.

    Weights begin normal with variance 2 / n_inputs (He et al., arXiv:1502.01852), 1 / n_inputs in the last layer. It is
    of the kind that Agarwala et al., arXiv:2010.07344, study beside residual ones; not layer by layer theirs.

    Args:
      width: channels of the first layer; every further one has twice as many and half the height and width.
      depth: number of convolutions.
      norm: what normalises before rectifiers, "batch" or "layer"; None: nothing does.
      input_shape: `(height, width, channels)` where examples come as rows; None: they come as images.

    Raises:
      ValueError: an impossible option; by the model, examples that are no images.
    """
    return from_class(
        ConvNet,
        width=whole("width", width),
        depth=whole("depth", depth),
        norm=norm_of(norm),
        input_shape=shape_of(input_shape),
    )
