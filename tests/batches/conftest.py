"""Nodes that work at once in threads of their own, on one database, one clock and one sandbox."""

from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox"]
