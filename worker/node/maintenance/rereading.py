"""Ask again about generations whose end is not known, and go on with those that the provider says have ended."""

from datetime import timedelta

from worker.audit import resolve
from worker.core.rules.errors import ProviderError, Throttled
from worker.engine.queries import maintenance
from worker.engine.queries.maintenance import Unended
from worker.engine.rules.maintenance import MaintenanceName
from worker.engine.services import Services
from worker.engine.steps import calling
from worker.engine.steps.calling import Calls
from worker.node.maintenance.job import MaintenanceJob, note_failed_call, schedule_now
from worker.provider.wire import GenerationView

OLD = timedelta(hours=1)
"""An accepted generation that has not ended after this is asked about beside its polls, and the answer kept."""

MOST_REREAD = 20
"""Generations that are asked about in one go; when there are more, the next go follows soon."""


def _run(services: Services) -> None:
    now = services.clock()
    with services.database.transaction() as tx:
        asked_about = maintenance.unended(
            tx, services.account_id, accepted_before=now - OLD, limit=MOST_REREAD, now=now
        )
    for generation in asked_about:
        answer = _ask_about(services, generation)
        if answer is None:
            return
        if isinstance(answer, GenerationView):
            resolve.adopt_answer(services, generation.generation_id, answer)
    if len(asked_about) == MOST_REREAD:
        schedule_now(services, MaintenanceName.REREAD)


def _ask_about(services: Services, generation: Unended) -> GenerationView | ProviderError | None:
    """Keep what the provider says, and give it; None when it cannot be asked now."""
    if calling.acquire_permit(services) is None:
        return None
    calls = Calls(services, generation.generation_id)
    try:
        answer: GenerationView | ProviderError = calls.get(generation.provider_id)
    except Throttled as error:
        note_failed_call(services, calls, error, name=MaintenanceName.REREAD)
        return None
    except ProviderError as error:
        answer = error
    with services.database.transaction() as tx:
        maintenance.add_reading(
            tx,
            reading_id=services.new_id(),
            generation_id=generation.generation_id,
            now=services.clock(),
            said=_said(answer),
        )
        calls.write(tx)
    return answer


def _said(answer: GenerationView | ProviderError) -> dict[str, object]:
    if isinstance(answer, ProviderError):
        words = {"code": answer.code, "message": answer.message}
        return {"status": None, "reserved": None, "final": None, **words}
    return {
        "status": answer.status.value,
        "reserved": answer.reserved_credits,
        "final": answer.final_credits,
        "code": answer.error_code,
        "message": answer.error_message,
    }


JOB = MaintenanceJob(name=MaintenanceName.REREAD, every=lambda settings: settings.reread_every, run=_run)
