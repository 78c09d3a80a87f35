"""``darkroom web`` and the groups ``darkroom user``, ``darkroom token`` and ``darkroom hook``."""

from worker.cli.lazy import Command, Group

PANEL = "Web and API"

WEB = Command(
    name="web",
    target="web.serve:web",
    panel=PANEL,
    summary="Serve the HTTP API and the pages until Ctrl-C; prints a link that signs you in once.",
    examples=("darkroom web", "darkroom web --listen 127.0.0.1:9000"),
)

USER = Group(
    name="user",
    summary="Manage the users of the web process and their roles.",
    panel=PANEL,
    commands=(
        Command(
            name="add",
            target="web.users:add",
            summary="Add a user with one or more roles.",
            examples=(
                "darkroom user add mia --role operator",
                "darkroom user add ann@example.com --role finance --role reviewer",
            ),
        ),
        Command(
            name="list",
            target="web.users:list_",
            summary="List the users with their roles.",
            examples=("darkroom user list", "darkroom user list --json"),
        ),
        Command(
            name="set",
            target="web.users:set_",
            summary="Change a user's roles, disable or enable it; its sessions end at once.",
            examples=("darkroom user set mia --role viewer", "darkroom user set mia --disable"),
        ),
        Command(
            name="link",
            target="web.users:link",
            summary="Print a link that signs a user in once, within 15 minutes.",
            examples=("darkroom user link", "darkroom user link mia"),
        ),
    ),
)

TOKEN = Group(
    name="token",
    summary="Manage the tokens with which programs use the HTTP API.",
    panel=PANEL,
    commands=(
        Command(
            name="create",
            target="web.users:create_token",
            summary="Create a token and print its secret, which is shown this once.",
            examples=(
                "darkroom token create shop --right submit --right read --owner shop",
                "darkroom token create reports --right read --right finance --all-owners --expires 90d",
            ),
        ),
        Command(
            name="list",
            target="web.users:list_tokens",
            summary="List the tokens: whose they are, what they may do, and when they were last used.",
            examples=("darkroom token list", "darkroom token list --json"),
        ),
        Command(
            name="revoke",
            target="web.users:revoke_token",
            summary="Make a token worthless at once.",
            examples=("darkroom token revoke shop", "darkroom token revoke shop --reason 'it was in a log'"),
        ),
    ),
)


HOOK = Group(
    name="hook",
    summary="Notify other systems of events: signed webhooks and commands, with retries over days.",
    panel="Webhooks",
    commands=(
        Command(
            name="add",
            target="hooks:add",
            summary="Add a hook: a URL or command that receives events. Prints the secret of a URL, this once.",
            examples=(
                "darkroom hook add https://shop.example/darkroom --event batch.done --event budget.80",
                "darkroom hook add publish --event image.live --catalog shop --by rita",
            ),
        ),
        Command(
            name="list",
            target="hooks:list_",
            summary="List the hooks, with their events and pending deliveries.",
            examples=("darkroom hook list", "darkroom hook list --json"),
        ),
        Command(
            name="test",
            target="hooks:send_test",
            summary="Have a node send the event hook.test to a hook, and show how it went; exit status 1 if it was not"
            " taken.",
            examples=("darkroom hook test HOOK", "darkroom hook test HOOK --wait 60 --json"),
        ),
        Command(
            name="rotate",
            target="hooks:rotate",
            summary="Make a hook a new secret and print it, this once; the old one signs too for 24 hours.",
            examples=("darkroom hook rotate HOOK", "darkroom hook rotate HOOK --by mia --reason leaked"),
        ),
        Command(
            name="deliveries",
            target="hooks:list_deliveries",
            summary="List deliveries, newest event first: state, tries, the last answer and error.",
            examples=("darkroom hook deliveries --failed", "darkroom hook deliveries --hook HOOK --json"),
        ),
        Command(
            name="replay",
            target="hooks:replay",
            summary="Send deliveries again, with a fresh schedule of retries; each event keeps its id.",
            examples=("darkroom hook replay DELIVERY", "darkroom hook replay --failed --since 2026-11-30"),
        ),
        Command(
            name="enable",
            target="hooks:enable",
            summary="Switch a hook on again that was disabled; what it missed can be replayed.",
            examples=("darkroom hook enable HOOK", "darkroom hook enable HOOK --json"),
        ),
        Command(
            name="remove",
            target="hooks:remove",
            summary="Remove a hook and drop its pending deliveries.",
            examples=("darkroom hook remove HOOK", "darkroom hook remove HOOK --json"),
        ),
    ),
)
