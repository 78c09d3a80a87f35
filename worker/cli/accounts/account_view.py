"""How an account is shown: its pace, its window, its wallet, and why it is paused."""

from typing import TYPE_CHECKING, Any

from worker.cli import output

if TYPE_CHECKING:
    from worker.accounts.queries.account_limits import AccountView
    from worker.accounts.queries.model_pauses import PausedModel


def answer(found: "AccountView", *, as_json: bool) -> None:
    """Print it, for people or for scripts."""
    if as_json:
        output.print_json(_as_json(found))
    else:
        _print(found)


def _as_json(found: "AccountView") -> dict[str, Any]:
    paused = None
    if found.pause_reason is not None:
        paused = {
            "reason": found.pause_reason,
            "message": found.pause_message,
            "since": _instant(found.paused_at),
            "next_look_at": _instant(found.probe_at),
        }
    return {
        "account": found.name,
        "provider": found.base_url,
        "rate": round(found.rate, 3),
        "is_rate_learned": found.is_rate_learned,
        "read_rate": found.read_rate,
        "max_in_flight": found.max_in_flight,
        "in_flight": found.in_flight,
        "blocked_until": _instant(found.blocked_until),
        "wallet": {"left": found.wallet_left, "read_at": _instant(found.wallet_read_at)},
        "paused": paused,
        "paused_models": [_model_as_json(each) for each in found.paused_models],
        "settings": {
            "rate": found.rate_setting,
            "read_rate": found.read_rate_setting,
            "max_in_flight": found.max_in_flight_setting,
        },
    }


def _print(found: "AccountView") -> None:
    from rich.text import Text

    lines = _lines(found)
    output.answers().print(output.grid({**lines, "paused": Text(lines["paused"], style="yellow")}))


def _lines(found: "AccountView") -> dict[str, str]:
    how = "learned" if found.is_rate_learned else "set"
    reads = "share it" if found.read_rate is None else f"{found.read_rate:.3g} a second of their own"
    lines = {
        "account": found.name,
        "provider": found.base_url or "none yet",
        "pace": f"{found.rate:.3g} requests a second ({how})",
        "reads": reads,
        "window": f"{found.in_flight:,} of {found.max_in_flight:,} in flight",
        "wallet": "not read yet",
        "paused": "no",
    }
    if found.wallet_left is not None and found.wallet_read_at is not None:
        lines["wallet"] = (
            f"{output.plural(found.wallet_left, 'credit')} left, read {found.wallet_read_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    if found.blocked_until is not None:
        until = f"{found.blocked_until:%Y-%m-%d %H:%M:%S} UTC"
        lines["closed until"] = f"{until}: the provider answered 429; `darkroom account resume` opens it"
    if found.pause_reason is not None:
        words = f" ({found.pause_message})" if found.pause_message else ""
        lines["paused"] = f"{found.pause_reason}{words} since {found.paused_at:%Y-%m-%d %H:%M:%S} UTC"
        lines["goes on"] = _end_of(found)
    if found.paused_models:
        lines["models"] = "; ".join(map(str, found.paused_models))
    return lines


def _model_as_json(found: "PausedModel") -> dict[str, Any]:
    return {
        "model": found.model,
        "status": found.status,
        "since": _instant(found.since),
        "next_look_at": _instant(found.probe_at),
    }


def _end_of(found: "AccountView") -> str:
    if found.pause_reason == "results_unreachable":
        return "with the first image that comes, or with `darkroom account resume`"
    if found.pause_reason in {"provider_failing", "outcomes_unknown"}:
        return "by itself when a canary succeeds, or with `darkroom account resume`"
    return "by itself" if found.probe_at else "with `darkroom account resume`"


def _instant(value: Any) -> str | None:
    return None if value is None else value.isoformat()
