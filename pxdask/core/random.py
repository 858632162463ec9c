"""Random streams that depend on what is computed, never on where or when."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(run_seed: int, *parts: str | int) -> np.random.Generator:
    """Return the generator of one piece of work.

    Parameters
    ----------
    run_seed : int
        Seed of the run.
    *parts : str or int
        What the numbers are for, such as galaxy, stage and bin. Equal parts give
        equal streams; different parts give independent ones.

    Returns
    -------
    generator : numpy.random.Generator
    """
    text = "\x1f".join([str(run_seed), *(f"{type(part).__name__}:{part}" for part in parts)])
    digest = hashlib.blake2b(text.encode(), digest_size=32).digest()
    return np.random.default_rng(np.random.SeedSequence(np.frombuffer(digest, np.uint32).tolist()))
