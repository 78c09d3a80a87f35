"""Whether the books can be believed, and what they say."""

from worker.audit.verify import Check, Verification, verify

__all__ = ["Check", "Verification", "verify"]
