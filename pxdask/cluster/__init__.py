"""Where the work is done: each kind of cluster gives a Dask client."""

from pxdask.cluster.clients import connect
from pxdask.cluster.files import cluster_options, read_cluster_file

__all__ = ["cluster_options", "connect", "read_cluster_file"]
