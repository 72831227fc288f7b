"""Labels that are constants of a traced function are looked at like any others."""

import jax
import jax.numpy as jnp
import pytest

from ase_learnedopt.temperature import softmax_xent


@pytest.mark.parametrize("labels", [jnp.array([0, 2]), jnp.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])])
def test_constants_within_jit(labels):
    logits = jnp.ones((2, 3))
    assert jax.jit(lambda z: softmax_xent(z, labels))(logits) == pytest.approx(softmax_xent(logits, labels))


def test_constants_that_are_no_classes():
    labels = jnp.array([0, 3])
    with pytest.raises(ValueError, match="labels range from 0 to 3"):
        jax.jit(lambda z: softmax_xent(z, labels))(jnp.ones((2, 3)))
