"""Proofs beside balances: entries against batches, kinds and keys; hooks and caps against the log of changes."""

from worker.core.db.proofs import Proof
from worker.core.rules.states import GenerationState
from worker.ledger.rules.entries import ROUTES, EntryKind

_PROMISED = (EntryKind.HOLD,)
_RESERVED = (*_PROMISED, EntryKind.RESERVE, EntryKind.TOP_UP, EntryKind.TRIM)
_CHARGED = (*_RESERVED, EntryKind.SETTLE, EntryKind.RELEASE, EntryKind.OVERRUN, EntryKind.CORRECT)
_TAKEN_BACK = (*_RESERVED, EntryKind.VOID, EntryKind.CORRECT)
KINDS: dict[GenerationState, tuple[EntryKind, ...]] = {
    GenerationState.HELD: _PROMISED,
    GenerationState.SENDING: _PROMISED,
    GenerationState.ACCEPTED: _RESERVED,
    GenerationState.IN_DOUBT: _RESERVED,
    GenerationState.SUCCEEDED: _CHARGED,
    GenerationState.FAILED: _CHARGED,
    GenerationState.REFUSED: _TAKEN_BACK,
    GenerationState.VOID: _TAKEN_BACK,
}
"""Which entries a generation can have: one that a person voided may have been accepted before."""
_ALLOWED = ", ".join(f"('{state}', '{kind}')" for state, kinds in KINDS.items() for kind in kinds)
_ROUTED = ", ".join(f"('{kind}', '{source}', '{target}')" for kind, (source, target) in ROUTES.items())
PROOFS: tuple[Proof, ...] = (
    Proof(
        name="keys",
        rule="every generation was sent under the key that its own id gives",
        query="""
            SELECT id, idempotency_key FROM generation WHERE idempotency_key <> 'darkroom-' || id""",
    ),
    Proof(
        name="one_batch",
        rule="an entry, its generation and its job are of one batch, and the generation of an account of its batch",
        query="""
            SELECT g.id, j.batch_id AS batch_of_job, g.batch_id AS batch_of_generation,
                b.account_id AS account_of_batch, g.account_id AS account_of_generation, NULL::bigint AS entry
            FROM generation g JOIN job j ON j.id = g.job_id JOIN batch b ON b.id = g.batch_id
            WHERE j.batch_id <> g.batch_id OR (b.account_id <> g.account_id AND NOT EXISTS (
                SELECT FROM batch_account m WHERE m.batch_id = b.id AND m.account_id = g.account_id))
            UNION ALL
            SELECT g.id, NULL, g.batch_id, e.batch_id, NULL, e.id
            FROM credit_entry e JOIN generation g ON g.id = e.generation_id WHERE e.batch_id <> g.batch_id""",
    ),
    Proof(
        name="one_account",
        rule="all attempts at a job are of one account, which a job of a batch over a pool names",
        query="""
            SELECT g.id, g.job_id, g.account_id AS account_of_generation, j.account_id AS account_of_job
            FROM generation g JOIN job j ON j.id = g.job_id JOIN batch b ON b.id = j.batch_id
            WHERE g.account_id <> coalesce(j.account_id, b.account_id)
                OR (j.account_id IS NULL) <> (b.pool IS NULL)
            UNION ALL
            SELECT NULL, j.id, NULL, j.account_id FROM job j
            WHERE j.account_id IS NOT NULL AND j.generations = 0""",
    ),
    Proof(
        name="pools",
        rule="a batch over a pool, and no other, has accounts that are written with it; its own is one of them",
        query="""
            SELECT b.id, b.pool, b.account_id, m.accounts FROM batch b LEFT JOIN (
                SELECT batch_id, array_agg(account_id) AS accounts FROM batch_account GROUP BY batch_id) m
                ON m.batch_id = b.id
            WHERE (b.pool IS NULL) <> (m.accounts IS NULL) OR b.account_id <> ALL(m.accounts)""",
    ),
    Proof(
        name="kinds",
        rule="an entry is of a kind that the state of its generation permits, and moves as its kind says",
        query=f"""
            SELECT e.id AS entry, e.kind, e.source, e.target, g.id AS generation, g.state
            FROM credit_entry e JOIN generation g ON g.id = e.generation_id
            LEFT JOIN (VALUES {_ALLOWED}) a (state, kind) ON a.state = g.state AND a.kind = e.kind
            LEFT JOIN (VALUES {_ROUTED}) r (kind, source, target)
                ON r.kind = e.kind AND r.source = e.source AND r.target = e.target
            WHERE a.kind IS NULL OR (r.kind IS NULL AND e.kind <> 'correct')""",
    ),
    Proof(
        name="provider_ids",
        rule="the provider answered with every id that a generation has, or a person adopted it by name",
        query="""
            SELECT g.id, g.provider_id FROM generation g
            LEFT JOIN call c ON c.generation_id = g.id AND c.kind = 'create' AND c.outcome = 'ok'
                AND c.provider_id = g.provider_id
            WHERE g.provider_id IS NOT NULL AND c.id IS NULL AND NOT EXISTS (
                SELECT FROM change h WHERE h.subject = 'generation:' || g.id
                    AND h.after = 'accepted as ' || g.provider_id)""",
    ),
    Proof(
        name="corrections_signed",
        rule="each correction is one that a person made, and recorded with the same name and reason",
        query="""
            SELECT e.id AS entry, e.generation_id, e.credits, e.actor, e.reason FROM credit_entry e
            WHERE e.kind = 'correct' AND NOT EXISTS (
                SELECT FROM change h WHERE h.subject = 'generation:' || e.generation_id
                    AND h.actor = e.actor AND h.reason = e.reason)""",
    ),
)
_NOW = """
    SELECT 'hook:' || h.id AS subject, f.field, f.value, true AS is_always_recorded FROM hook h
    CROSS JOIN LATERAL (VALUES ('catalog_id', h.catalog_id::text), ('kind', h.kind), ('target', h.target),
        ('events', to_jsonb(h.events) #>> '{}'), ('disabled_at', to_jsonb(h.disabled_at) #>> '{}'),
        ('removed_at', to_jsonb(h.removed_at) #>> '{}')) f (field, value)
    UNION ALL
    SELECT 'owner:' || owner, 'monthly_cap', monthly_cap::text, true FROM owner_cap
    UNION ALL
    SELECT 'batch:' || id, 'credit_cap', credit_cap::text, false FROM batch"""
"""A batch may have the cap that it was submitted with; the others are recorded from the beginning."""
SETTINGS_PROOFS: tuple[Proof, ...] = (
    Proof(
        name="settings_recorded",
        rule="every hook and cap is as the log of changes says that it was last set",
        query=f"""
            SELECT n.subject, n.field, n.value AS found, l.after AS recorded FROM ({_NOW}) n
            LEFT JOIN LATERAL (
                SELECT h.after, h.changed_at FROM change h WHERE h.subject = n.subject AND h.field = n.field
                ORDER BY h.changed_at DESC, (h.after IS NOT DISTINCT FROM n.value) DESC LIMIT 1) l ON true
            WHERE l.after IS DISTINCT FROM n.value AND (l.changed_at IS NOT NULL OR
                (n.is_always_recorded AND n.value IS NOT NULL))
            UNION ALL
            SELECT l.subject, l.field, NULL, l.after FROM (
                SELECT DISTINCT ON (subject) subject, field, after FROM change
                WHERE subject LIKE 'owner:%' AND field = 'monthly_cap'
                ORDER BY subject, changed_at DESC, (after IS NULL) DESC) l
            WHERE l.after IS NOT NULL AND NOT EXISTS (
                SELECT FROM owner_cap c WHERE 'owner:' || c.owner = l.subject)
            UNION ALL
            SELECT l.subject, l.field, NULL, l.after FROM (
                SELECT DISTINCT subject, field, after FROM change WHERE subject LIKE 'hook:%' AND field = 'target') l
            WHERE l.after IS NOT NULL AND NOT EXISTS (SELECT FROM hook h WHERE 'hook:' || h.id = l.subject)
                AND NOT EXISTS (SELECT FROM change d WHERE d.subject = l.subject AND d.field = l.field
                    AND d.after IS NULL)""",
    ),
)
