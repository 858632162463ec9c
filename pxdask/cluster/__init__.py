"""Where the work is done: each kind of cluster gives a Dask client."""

from pxdask.cluster.clients import connect, read_cluster_file

__all__ = ["connect", "read_cluster_file"]
