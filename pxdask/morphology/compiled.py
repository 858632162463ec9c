"""JAX as morphology uses it: loaded late, in double precision, with programs kept on disk."""

from __future__ import annotations

import platform
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pxdask.core.config import cache_folder
from pxdask.core.errors import ConfigError
from pxdask.core.provenance import content_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pxdask.morphology.parameters import Layout

_LEAST_SECONDS = 0.3
"""Compilation time from which a program is kept on disk [s]."""


@contextmanager
def double_precision() -> Iterator[None]:
    """Have all JAX of this thread in float64, within a ``with`` block.

    Raises
    ------
    ConfigError
        Where JAX is not installed.
    """
    jax = load_jax()
    with jax.enable_x64(True):  # noqa: FBT003  JAX's own form
        yield


@lru_cache(maxsize=1)
def load_jax() -> Any:  # noqa: ANN401  a module
    """Return JAX, told to keep its programs in the cache folder unless it keeps them elsewhere.

    Raises
    ------
    ConfigError
        Where it is not installed.
    """
    try:
        import jax  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigError("morphology needs JAX: pip install 'pxdask[morphology]'") from error
    settings: Any = jax.config
    if not settings.jax_compilation_cache_dir:
        settings.update("jax_compilation_cache_dir", str(program_folder()))
        settings.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
    return jax


def program_folder() -> Path:
    """Return where programs are kept: one folder for each kind of processor.

    A program holds instructions of the processor that it was compiled on; on nodes that share a
    cache but lack some of them it would crash.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    kind = content_key([platform.machine(), platform.processor(), flags])
    return cache_folder() / "jax" / kind[:12]


def one_threaded() -> dict[str, bool]:
    """Return options of `jax.jit` by which a program keeps to the thread that calls it."""
    on_cpu = load_jax().default_backend() == "cpu"
    return {"xla_cpu_multi_thread_eigen": False} if on_cpu else {}


@lru_cache(maxsize=256)
def fit_program(layout: Layout) -> Callable[..., Any]:
    """Return `levenberg.best_fit` of many scenes of one form, compiled at its first call.

    It takes starts (n_scene, n_dim) and arrays with a leading axis of scenes.
    """
    jax = load_jax()
    from pxdask.morphology.levenberg import best_fit  # noqa: PLC0415  needs JAX

    one = partial(best_fit, layout=layout)
    options = one_threaded()

    def all_of(starts: Any, arrays: Any) -> Any:  # noqa: ANN401  arrays and trees of them
        if options:
            return jax.lax.map(lambda each: one(*each), (starts, arrays))
        return jax.vmap(one)(starts, arrays)

    compiled: Callable[..., Any] = jax.jit(all_of, compiler_options=options)
    return compiled
