"""A node on a fresh database, with an account at a sandbox that all these tests share."""

from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox, unknown

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox", "unknown"]
