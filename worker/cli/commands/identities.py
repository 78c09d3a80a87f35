"""``darkroom web`` and the groups ``darkroom user`` and ``darkroom token``."""

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
            target="web.tokens:create",
            summary="Create a token and print its secret, which is shown this once.",
            examples=(
                "darkroom token create shop --right submit --right read --owner shop",
                "darkroom token create reports --right read --right finance --all-owners --expires 90d",
            ),
        ),
        Command(
            name="list",
            target="web.tokens:list_",
            summary="List the tokens: whose they are, what they may do, and when they were last used.",
            examples=("darkroom token list", "darkroom token list --json"),
        ),
        Command(
            name="revoke",
            target="web.tokens:revoke",
            summary="Make a token worthless at once.",
            examples=("darkroom token revoke shop", "darkroom token revoke shop --reason 'it was in a log'"),
        ),
    ),
)
