"""The group ``darkroom hook``."""

from worker.cli.lazy import Command, Group

HOOK = Group(
    name="hook",
    summary="Notify other systems of events: signed webhooks and commands, with retries over days.",
    panel="Webhooks",
    commands=(
        Command(
            name="add",
            target="hooks.hook:add",
            summary="Add a hook: a URL or command that receives events. Prints the secret of a URL, this once.",
            examples=(
                "darkroom hook add https://shop.example/darkroom --event batch.done --event budget.80",
                "darkroom hook add publish --event image.live --catalog shop --by rita",
            ),
        ),
        Command(
            name="list",
            target="hooks.hook:list_",
            summary="List the hooks, with their events and pending deliveries.",
            examples=("darkroom hook list", "darkroom hook list --json"),
        ),
        Command(
            name="test",
            target="hooks.hook:send_test",
            summary="Have a node send the event hook.test to a hook, and show how it went; exit status 1 if it was not"
            " taken.",
            examples=("darkroom hook test HOOK", "darkroom hook test HOOK --wait 60 --json"),
        ),
        Command(
            name="rotate",
            target="hooks.hook:rotate",
            summary="Make a hook a new secret and print it, this once; the old one signs too for 24 hours.",
            examples=("darkroom hook rotate HOOK", "darkroom hook rotate HOOK --by mia --reason leaked"),
        ),
        Command(
            name="deliveries",
            target="hooks.deliveries:list_",
            summary="List deliveries, newest event first: state, tries, the last answer and error.",
            examples=("darkroom hook deliveries --failed", "darkroom hook deliveries --hook HOOK --json"),
        ),
        Command(
            name="replay",
            target="hooks.deliveries:replay",
            summary="Send deliveries again, with a fresh schedule of retries; each event keeps its id.",
            examples=("darkroom hook replay DELIVERY", "darkroom hook replay --failed --since 2026-11-30"),
        ),
        Command(
            name="enable",
            target="hooks.hook:enable",
            summary="Switch a hook on again that was disabled; what it missed can be replayed.",
            examples=("darkroom hook enable HOOK", "darkroom hook enable HOOK --json"),
        ),
        Command(
            name="remove",
            target="hooks.hook:remove",
            summary="Remove a hook and drop its pending deliveries.",
            examples=("darkroom hook remove HOOK", "darkroom hook remove HOOK --json"),
        ),
    ),
)
