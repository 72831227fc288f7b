"""ImageNet, or anything else that comes as folders of images. Needs Pillow. Layer 2."""

from pathlib import Path
from typing import Any

import numpy as np

from .dataset import Dataset, Split
from .files import subfolders

SUFFIXES = (".jpeg", ".jpg", ".png")
MARGIN = 256 / 224
"""Shorter side to which an image is brought before its middle is cut out, per side of that."""
HOLDS = "one folder of JPEG images for every class, such as n01440764"


def imagenet(path: str | Path, size: int = 224, most: int | None = None) -> Dataset:
    """Reads images from `train/<class>/*.JPEG` and `val/<class>/*.JPEG`, in colour, cut to squares.

    Images are `[n, size, size, 3]` uint8, all in memory: 150 kB each at the size 224, so that of ImageNet's 1.28
    million one takes `most` of a class. The folders are those of ILSVRC2012 (Russakovsky et al., arXiv:1409.0575) named
    by synset; its validation images come in one folder and are to be sorted in such first. Classes are numbered in the
    order of their names. Images are not varied at random.

    Args:
      path: the folder that holds `train` and `val`.
      size: height and width; the shorter side is brought to 256 / 224 of it, and the middle cut out.
      most: images of a class in each part, the first by name; None: all.

    Raises:
      ValueError: folders are missing or empty, a class to test on that is not among those to train on, or a file that
        is no image.
      ImportError: Pillow is not installed.
    """
    folders = subfolders(Path(path) / "train", HOLDS)
    names = tuple(folder.name for folder in folders)
    tests = subfolders(Path(path) / "val", f"{HOLDS}, the validation images sorted in them")
    strange = sorted({folder.name for folder in tests} - set(names))
    if strange:
        raise ValueError(f"{Path(path) / 'val'} has the classes {strange[:5]}, which {Path(path) / 'train'} has not")
    train, test = (_part(part, names, size, most) for part in (folders, tests))
    return Dataset(train, test, names)


def _part(folders: list[Path], names: tuple[str, ...], size: int, most: int | None) -> Split:
    files, labels = [], []
    for folder in folders:
        found = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)[:most]
        if not found:
            raise ValueError(f"there are no images in {folder}; expected are files that end in {', '.join(SUFFIXES)}")
        files += found
        labels += [names.index(folder.name)] * len(found)
    images = np.empty((len(files), size, size, 3), np.uint8)
    for image, file in zip(images, files, strict=True):
        image[...] = _middle(file, size)
    return Split(images, np.array(labels, np.int32))


def _middle(file: Path, size: int) -> np.ndarray:
    pillow = _pillow()
    try:
        with pillow.open(file) as opened:
            image = opened.convert("RGB")
    except (OSError, SyntaxError) as error:  # the latter from broken files of some formats
        raise ValueError(f"{file} is no image that can be read ({error})") from error
    factor = max(size, round(size * MARGIN)) / min(image.size)
    width, height = (max(size, round(side * factor)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    whole = image.resize((width, height), pillow.Resampling.BILINEAR)
    return np.asarray(whole.crop((left, top, left + size, top + size)))


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f"images in JPEG need Pillow ({error}): pip install pillow") from error
    return Image
