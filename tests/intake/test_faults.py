"""Faults wait on disk: none is cut, and they keep their order."""

from worker.core.rules.fault import Fault
from worker.intake.request_spool import FaultSpool
from worker.storage.spool import SpoolFolder


def test_no_fault_is_cut_and_all_keep_their_order() -> None:
    spool = FaultSpool(SpoolFolder())
    faults = [Fault(line=n // 2, key=f"k{n}", field="prompt", reason="is bad", permitted=("x",)) for n in range(40_000)]

    for fault in faults:
        spool.add(fault)

    assert list(spool) == faults
    assert (len(spool), spool.lines) == (40_000, 20_000)
