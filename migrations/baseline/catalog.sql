-- Catalogs: items, plans, images, what is live, hooks and schedules.

CREATE TABLE catalog (
    id uuid NOT NULL,
    name text NOT NULL,
    recipe jsonb NOT NULL,
    recipe_hash text NOT NULL,
    review text NOT NULL,
    credit_cap bigint,
    approve_above_credits bigint,
    approve_above_share float8,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    removed_at timestamptz,
    removed_by text,
    CONSTRAINT pk_catalog PRIMARY KEY (id),
    CONSTRAINT uq_catalog_name UNIQUE (name),
    CONSTRAINT ck_catalog_cap_not_negative CHECK (credit_cap >= 0),
    CONSTRAINT ck_catalog_credits_not_negative CHECK (approve_above_credits >= 0),
    CONSTRAINT ck_catalog_removal_whole CHECK ((removed_at IS NULL) = (removed_by IS NULL)),
    CONSTRAINT ck_catalog_review_known CHECK (review IN ('none', 'required')),
    CONSTRAINT ck_catalog_share_is_one CHECK ((approve_above_share >= (0)::float8)
        AND (approve_above_share <= (1)::float8))
);
COMMENT ON COLUMN catalog.id IS 'UUIDv7';
COMMENT ON COLUMN catalog.name IS 'What people call it';
COMMENT ON COLUMN catalog.recipe IS 'Template, model, params and the rest, as it was parsed';
COMMENT ON COLUMN catalog.recipe_hash IS 'SHA-256 over the recipe';
COMMENT ON COLUMN catalog.review IS 'none or required: whether new images wait for a person';
COMMENT ON COLUMN catalog.credit_cap IS 'Credits that one plan may commit; NULL: no cap';
COMMENT ON COLUMN catalog.approve_above_credits IS 'A plan of a higher price needs an approval; NULL: none does';
COMMENT ON COLUMN catalog.approve_above_share IS 'A plan that renders a larger share of the items needs an approval; NULL: none does';
COMMENT ON COLUMN catalog.created_at IS 'When it was first imported';
COMMENT ON COLUMN catalog.updated_at IS 'When it was last imported';
COMMENT ON COLUMN catalog.removed_at IS 'When it was removed; NULL again once imported';
COMMENT ON COLUMN catalog.removed_by IS 'Who removed it';

CREATE TABLE catalog_item (
    id uuid NOT NULL,
    catalog_id uuid NOT NULL,
    sku text NOT NULL,
    fields jsonb NOT NULL,
    reference_hash text,
    position bigint NOT NULL,
    edited_prompt text,
    edited_from text,
    rejected_at timestamptz,
    kept_fingerprint text,
    live_render_id uuid,
    added_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    removed_at timestamptz,
    further_references text[],
    CONSTRAINT pk_catalog_item PRIMARY KEY (id),
    CONSTRAINT fk_catalog_item_catalog_id FOREIGN KEY (catalog_id) REFERENCES catalog(id),
    CONSTRAINT fk_catalog_item_reference_hash FOREIGN KEY (reference_hash) REFERENCES reference(sha256)
);
CREATE UNIQUE INDEX uq_catalog_item_catalog_sku ON catalog_item (catalog_id, sku);
COMMENT ON COLUMN catalog_item.position IS 'Its place in the last import, from 1';
COMMENT ON COLUMN catalog_item.id IS 'UUIDv7';
COMMENT ON COLUMN catalog_item.catalog_id IS 'Where it belongs';
COMMENT ON COLUMN catalog_item.sku IS 'The caller''s own name for it, unique in the catalog';
COMMENT ON COLUMN catalog_item.fields IS 'The columns that the template may name';
COMMENT ON COLUMN catalog_item.reference_hash IS 'SHA-256 of its reference image, if any';
COMMENT ON COLUMN catalog_item.edited_prompt IS 'A reviewer''s own prompt instead of the recipe''s';
COMMENT ON COLUMN catalog_item.edited_from IS 'The recipe''s prompt that it replaces, for as long as the recipe gives that one';
COMMENT ON COLUMN catalog_item.rejected_at IS 'When its last image was rejected; NULL again once a plan renders it';
COMMENT ON COLUMN catalog_item.kept_fingerprint IS 'Content for which a person brought an older image back: it is not rendered again for that';
COMMENT ON COLUMN catalog_item.live_render_id IS 'The image that is live, if any';
COMMENT ON COLUMN catalog_item.added_at IS 'When it was first imported';
COMMENT ON COLUMN catalog_item.changed_at IS 'When an import last changed it';
COMMENT ON COLUMN catalog_item.removed_at IS 'When an import no longer had it';
COMMENT ON COLUMN catalog_item.further_references IS 'SHA-256 of those after the first, in their order; NULL: there are none';

CREATE TABLE catalog_plan (
    id uuid NOT NULL,
    catalog_id uuid NOT NULL,
    content_hash text NOT NULL,
    document jsonb NOT NULL,
    price bigint NOT NULL,
    counts jsonb NOT NULL,
    needs_approval boolean NOT NULL,
    sample bigint,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    approved_by text,
    approved_at timestamptz,
    sampled_at timestamptz,
    sample_batch_id uuid,
    applied_at timestamptz,
    batch_id uuid,
    refused_by text,
    refused_at timestamptz,
    refused_reason text,
    CONSTRAINT pk_catalog_plan PRIMARY KEY (id),
    CONSTRAINT fk_catalog_plan_batch_id FOREIGN KEY (batch_id) REFERENCES batch(id),
    CONSTRAINT fk_catalog_plan_catalog_id FOREIGN KEY (catalog_id) REFERENCES catalog(id),
    CONSTRAINT fk_catalog_plan_sample_batch_id FOREIGN KEY (sample_batch_id) REFERENCES batch(id),
    CONSTRAINT ck_catalog_plan_approval_whole CHECK ((approved_by IS NULL) = (approved_at IS NULL)),
    CONSTRAINT ck_catalog_plan_approved_by_another CHECK ((NOT needs_approval) OR (approved_by <> made_by)),
    CONSTRAINT ck_catalog_plan_price_not_negative CHECK (price >= 0),
    CONSTRAINT ck_catalog_plan_refusal_whole CHECK (num_nulls(refused_by, refused_at, refused_reason) IN (0, 3)),
    CONSTRAINT ck_catalog_plan_sample_positive CHECK (sample > 0)
);
CREATE INDEX ix_catalog_plan_catalog ON catalog_plan (catalog_id, made_at);
COMMENT ON COLUMN catalog_plan.id IS 'UUIDv7; the token of its batch';
COMMENT ON COLUMN catalog_plan.catalog_id IS 'Whose items';
COMMENT ON COLUMN catalog_plan.content_hash IS 'SHA-256 over every item''s content and what is to happen to it';
COMMENT ON COLUMN catalog_plan.document IS 'Its options, and each item to render with the reasons';
COMMENT ON COLUMN catalog_plan.price IS 'Credits for one generation of each item to render';
COMMENT ON COLUMN catalog_plan.counts IS 'How many items for each reason';
COMMENT ON COLUMN catalog_plan.needs_approval IS 'Whether it was above a threshold of its catalog';
COMMENT ON COLUMN catalog_plan.sample IS 'So many items are rendered first; NULL: all at once';
COMMENT ON COLUMN catalog_plan.made_by IS 'Who made it';
COMMENT ON COLUMN catalog_plan.made_at IS 'When; ages are counted up to here';
COMMENT ON COLUMN catalog_plan.approved_by IS 'Who agreed';
COMMENT ON COLUMN catalog_plan.approved_at IS 'When';
COMMENT ON COLUMN catalog_plan.sampled_at IS 'When its sample became a batch';
COMMENT ON COLUMN catalog_plan.sample_batch_id IS 'The batch of its sample';
COMMENT ON COLUMN catalog_plan.applied_at IS 'When it became a batch, or had nothing to render';
COMMENT ON COLUMN catalog_plan.batch_id IS 'The batch that it became; NULL also when there was nothing to render';
COMMENT ON COLUMN catalog_plan.refused_by IS 'Who said no';
COMMENT ON COLUMN catalog_plan.refused_at IS 'When';
COMMENT ON COLUMN catalog_plan.refused_reason IS 'Why';

CREATE TABLE catalog_render (
    id uuid NOT NULL,
    item_id uuid NOT NULL,
    plan_id uuid NOT NULL,
    job_id uuid NOT NULL,
    fingerprint text NOT NULL,
    parts jsonb NOT NULL,
    needs_review boolean NOT NULL,
    state text NOT NULL,
    created_at timestamptz NOT NULL,
    rendered_at timestamptz,
    decided_at timestamptz,
    decided_by text,
    CONSTRAINT pk_catalog_render PRIMARY KEY (id),
    CONSTRAINT uq_catalog_render_job_id UNIQUE (job_id),
    CONSTRAINT fk_catalog_render_item_id FOREIGN KEY (item_id) REFERENCES catalog_item(id),
    CONSTRAINT fk_catalog_render_job_id FOREIGN KEY (job_id) REFERENCES job(id),
    CONSTRAINT fk_catalog_render_plan_id FOREIGN KEY (plan_id) REFERENCES catalog_plan(id),
    CONSTRAINT ck_catalog_render_state_known CHECK (state IN ('planned', 'candidate', 'live', 'rejected', 'superseded',
        'failed'))
);
CREATE INDEX ix_catalog_render_item ON catalog_render (item_id, created_at);
CREATE INDEX ix_catalog_render_plan ON catalog_render (plan_id);
CREATE INDEX ix_catalog_render_unsettled ON catalog_render (job_id) WHERE (state IN ('planned', 'failed'));
CREATE UNIQUE INDEX uq_catalog_render_open ON catalog_render (item_id) WHERE (state IN ('planned', 'candidate',
        'failed'));
COMMENT ON COLUMN catalog_render.id IS 'UUIDv7';
COMMENT ON COLUMN catalog_render.item_id IS 'What it shows';
COMMENT ON COLUMN catalog_render.plan_id IS 'Which plan asked for it';
COMMENT ON COLUMN catalog_render.job_id IS 'The job that makes it';
COMMENT ON COLUMN catalog_render.fingerprint IS 'SHA-256 over all that decides the image, as the job has it';
COMMENT ON COLUMN catalog_render.parts IS 'What was hashed: prompt, params, model, reference';
COMMENT ON COLUMN catalog_render.needs_review IS 'Whether it waits for a person before it goes live';
COMMENT ON COLUMN catalog_render.state IS 'planned, candidate, live, rejected, superseded or failed';
COMMENT ON COLUMN catalog_render.created_at IS 'When its plan was applied';
COMMENT ON COLUMN catalog_render.rendered_at IS 'When its job ended';
COMMENT ON COLUMN catalog_render.decided_at IS 'When it went live or was rejected';
COMMENT ON COLUMN catalog_render.decided_by IS 'Who decided that';

CREATE TABLE catalog_live (
    id uuid NOT NULL,
    item_id uuid NOT NULL,
    render_id uuid NOT NULL,
    from_at timestamptz NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    CONSTRAINT pk_catalog_live PRIMARY KEY (id),
    CONSTRAINT fk_catalog_live_item_id FOREIGN KEY (item_id) REFERENCES catalog_item(id),
    CONSTRAINT fk_catalog_live_render_id FOREIGN KEY (render_id) REFERENCES catalog_render(id)
);
CREATE INDEX ix_catalog_live_item ON catalog_live (item_id, from_at);
COMMENT ON COLUMN catalog_live.id IS 'UUIDv7';
COMMENT ON COLUMN catalog_live.item_id IS 'Of which item';
COMMENT ON COLUMN catalog_live.render_id IS 'Which image';
COMMENT ON COLUMN catalog_live.from_at IS 'Since when; until the next row of the item';
COMMENT ON COLUMN catalog_live.actor IS 'Who decided it';
COMMENT ON COLUMN catalog_live.reason IS 'accepted, no review, or why an older one was brought back';

CREATE TABLE catalog_rejection (
    id uuid NOT NULL,
    item_id uuid NOT NULL,
    render_id uuid NOT NULL,
    at timestamptz NOT NULL,
    said_at timestamptz NOT NULL,
    actor text NOT NULL,
    reason text,
    prompt text,
    CONSTRAINT pk_catalog_rejection PRIMARY KEY (id),
    CONSTRAINT fk_catalog_rejection_item_id FOREIGN KEY (item_id) REFERENCES catalog_item(id),
    CONSTRAINT fk_catalog_rejection_render_id FOREIGN KEY (render_id) REFERENCES catalog_render(id),
    CONSTRAINT ck_catalog_rejection_reason_bounded CHECK ((char_length(reason) >= 1)
        AND (char_length(reason) <= 1000))
);
CREATE INDEX ix_catalog_rejection_item ON catalog_rejection (item_id, at);
CREATE INDEX ix_catalog_rejection_render ON catalog_rejection (render_id);
COMMENT ON COLUMN catalog_rejection.id IS 'UUIDv7';
COMMENT ON COLUMN catalog_rejection.item_id IS 'Of which item';
COMMENT ON COLUMN catalog_rejection.render_id IS 'Which image';
COMMENT ON COLUMN catalog_rejection.at IS 'When it took effect';
COMMENT ON COLUMN catalog_rejection.said_at IS 'When its file of decisions was saved; only what was said later takes it back';
COMMENT ON COLUMN catalog_rejection.actor IS 'Who rejected it';
COMMENT ON COLUMN catalog_rejection.reason IS 'Why; NULL: no reason was given';
COMMENT ON COLUMN catalog_rejection.prompt IS 'The reviewer''s own prompt for the next try, if any';

CREATE TABLE hook (
    id uuid NOT NULL,
    catalog_id uuid NOT NULL,
    kind text NOT NULL,
    target text NOT NULL,
    secret text,
    created_at timestamptz NOT NULL,
    removed_at timestamptz,
    CONSTRAINT pk_hook PRIMARY KEY (id),
    CONSTRAINT fk_hook_catalog_id FOREIGN KEY (catalog_id) REFERENCES catalog(id),
    CONSTRAINT ck_hook_kind_known CHECK (kind IN ('command', 'post')),
    CONSTRAINT ck_hook_post_is_signed CHECK ((kind = 'post') = (secret IS NOT NULL))
);
CREATE INDEX ix_hook_catalog ON hook (catalog_id) WHERE (removed_at IS NULL);
COMMENT ON COLUMN hook.id IS 'UUIDv7';
COMMENT ON COLUMN hook.catalog_id IS 'The catalog whose images it tells of';
COMMENT ON COLUMN hook.kind IS 'command or post';
COMMENT ON COLUMN hook.target IS 'The command line, or the address';
COMMENT ON COLUMN hook.secret IS 'What a POST is signed with; never shown';
COMMENT ON COLUMN hook.created_at IS 'When it was added';
COMMENT ON COLUMN hook.removed_at IS 'When it was removed; its deliveries stay';

CREATE TABLE hook_delivery (
    id uuid NOT NULL,
    hook_id uuid NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts bigint DEFAULT 0 NOT NULL,
    delivered_at timestamptz,
    given_up_at timestamptz,
    last_error text,
    CONSTRAINT pk_hook_delivery PRIMARY KEY (id),
    CONSTRAINT fk_hook_delivery_hook_id FOREIGN KEY (hook_id) REFERENCES hook(id)
);
CREATE INDEX ix_hook_delivery_due ON hook_delivery (due_at) WHERE ((delivered_at IS NULL) AND (given_up_at IS NULL));
COMMENT ON COLUMN hook_delivery.id IS 'UUIDv7; the receiver may tell copies apart by it';
COMMENT ON COLUMN hook_delivery.hook_id IS 'To whom';
COMMENT ON COLUMN hook_delivery.payload IS 'What is sent';
COMMENT ON COLUMN hook_delivery.created_at IS 'When it happened';
COMMENT ON COLUMN hook_delivery.due_at IS 'When it is sent next; a sender moves it on before it sends';
COMMENT ON COLUMN hook_delivery.attempts IS 'How often it was begun to be sent';
COMMENT ON COLUMN hook_delivery.delivered_at IS 'When the receiver took it';
COMMENT ON COLUMN hook_delivery.given_up_at IS 'When it was no longer tried';
COMMENT ON COLUMN hook_delivery.last_error IS 'What went wrong the last time';

CREATE TABLE schedule (
    id uuid NOT NULL,
    name text NOT NULL,
    catalog_id uuid NOT NULL,
    cron text NOT NULL,
    tz text NOT NULL,
    credit_cap bigint,
    overlap text NOT NULL,
    missed text NOT NULL,
    counts_from timestamptz NOT NULL,
    paused_at timestamptz,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    removed_at timestamptz,
    account_id uuid,
    CONSTRAINT pk_schedule PRIMARY KEY (id),
    CONSTRAINT fk_schedule_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT fk_schedule_catalog_id FOREIGN KEY (catalog_id) REFERENCES catalog(id),
    CONSTRAINT ck_schedule_cap_not_negative CHECK (credit_cap >= 0),
    CONSTRAINT ck_schedule_missed_known CHECK (missed IN ('run_once', 'skip')),
    CONSTRAINT ck_schedule_overlap_known CHECK (overlap IN ('skip', 'queue'))
);
CREATE UNIQUE INDEX uq_schedule_name ON schedule (name) WHERE (removed_at IS NULL);
COMMENT ON COLUMN schedule.id IS 'UUIDv7';
COMMENT ON COLUMN schedule.name IS 'What people call it, unique among those that are not removed';
COMMENT ON COLUMN schedule.catalog_id IS 'What it refreshes';
COMMENT ON COLUMN schedule.cron IS 'Minute, hour, day of month, month, day of week';
COMMENT ON COLUMN schedule.tz IS 'Time zone of the cron line, such as Europe/Paris';
COMMENT ON COLUMN schedule.credit_cap IS 'Credits that one run may commit; NULL: the catalog''s cap';
COMMENT ON COLUMN schedule.overlap IS 'skip or queue: what a run does while the one before it is not done';
COMMENT ON COLUMN schedule.missed IS 'run_once or skip: what becomes of fire times with no node alive';
COMMENT ON COLUMN schedule.counts_from IS 'Fire times after this count: its making, or the end of its last pause';
COMMENT ON COLUMN schedule.paused_at IS 'Since when it rests';
COMMENT ON COLUMN schedule.created_at IS 'When it was made';
COMMENT ON COLUMN schedule.created_by IS 'Who made it; the planner of its plans';
COMMENT ON COLUMN schedule.removed_at IS 'When it was removed; its runs stay';
COMMENT ON COLUMN schedule.account_id IS 'Whose nodes keep it, and who pays; NULL: whichever node looks first';

CREATE TABLE schedule_run (
    id uuid NOT NULL,
    schedule_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    state text NOT NULL,
    requested_by text,
    plan_id uuid,
    batch_id uuid,
    spent bigint,
    outcome text,
    lease_until timestamptz,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    stale_plans integer DEFAULT 0 NOT NULL,
    checked_at timestamptz,
    CONSTRAINT pk_schedule_run PRIMARY KEY (id),
    CONSTRAINT fk_schedule_run_batch_id FOREIGN KEY (batch_id) REFERENCES batch(id),
    CONSTRAINT fk_schedule_run_plan_id FOREIGN KEY (plan_id) REFERENCES catalog_plan(id),
    CONSTRAINT fk_schedule_run_schedule_id FOREIGN KEY (schedule_id) REFERENCES schedule(id),
    CONSTRAINT ck_schedule_run_state_known CHECK (state IN ('queued', 'planning', 'approval', 'rendering', 'done',
        'skipped', 'failed'))
);
CREATE INDEX ix_schedule_run_open ON schedule_run (schedule_id) WHERE (state IN ('queued', 'planning', 'approval',
        'rendering'));
CREATE UNIQUE INDEX uq_schedule_run_due ON schedule_run (schedule_id, due_at);
COMMENT ON COLUMN schedule_run.id IS 'UUIDv7';
COMMENT ON COLUMN schedule_run.schedule_id IS 'Whose fire time';
COMMENT ON COLUMN schedule_run.due_at IS 'The fire time, or when a person asked for the run';
COMMENT ON COLUMN schedule_run.state IS 'queued, planning, approval, rendering, done, skipped or failed';
COMMENT ON COLUMN schedule_run.requested_by IS 'Who asked for it; NULL: it was its time';
COMMENT ON COLUMN schedule_run.plan_id IS 'The plan that it made';
COMMENT ON COLUMN schedule_run.batch_id IS 'The batch that the plan became';
COMMENT ON COLUMN schedule_run.spent IS 'Credits that its batch spent, once it is done';
COMMENT ON COLUMN schedule_run.outcome IS 'What came of it, or why it was skipped, in words';
COMMENT ON COLUMN schedule_run.lease_until IS 'Until when one node has it to itself';
COMMENT ON COLUMN schedule_run.started_at IS 'When it was claimed';
COMMENT ON COLUMN schedule_run.ended_at IS 'When it was over';
COMMENT ON COLUMN schedule_run.stale_plans IS 'How many of its plans in a row the catalog has overtaken';
COMMENT ON COLUMN schedule_run.checked_at IS 'When its waiting plan was last found to be true still';

ALTER TABLE catalog_item
    ADD CONSTRAINT fk_catalog_item_live_render_id FOREIGN KEY (live_render_id) REFERENCES catalog_render(id);
