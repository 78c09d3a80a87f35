"""How a generation will end, when, and for how many credits: decided when it is created."""

import hashlib
from dataclasses import dataclass

from ops.sandbox.choices import Fault, NoCredits
from ops.sandbox.settings import Settings
from ops.sandbox.tasks import GENERATION_FAILED, MODERATED, NO_CREDITS
from ops.sandbox.web.errors import ApiError
from ops.sandbox.world import World


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Credits reserved, held and finally charged; how it fails, if so; seconds until it starts and ends."""

    reserved: int
    held: int
    final: int
    error: str | None = None
    failed_at_create: bool = False
    queued_s: float = 0.0
    ends_s: float | None = 0.0


def terms(world: World, listed_price: int, account: str, prompt: str, scripted: Fault | None) -> Terms:
    """The terms of a generation that is being created; raises ApiError(`insufficient_credits`)."""
    settings = world.settings
    fate = scripted or world.faults.outcome(settings.faults)
    price = max(0, listed_price + settings.price_delta)
    wanted = _wanted(settings, price, prompt, fate)
    latency_s = world.latency_s()
    world.refill(account)
    if not world.wallets[account].can_reserve(wanted.held):
        return _unfunded(world, price)
    ends_s = None if fate is Fault.NEVER_ENDS else latency_s
    return Terms(**{**vars(wanted), "queued_s": latency_s * settings.queued_share, "ends_s": ends_s})


def _wanted(settings: Settings, price: int, prompt: str, fate: Fault | None) -> Terms:
    if settings.failing_prompts and settings.failing_prompts in prompt:
        return _failing(price, settings.failing_prompts_charge)
    if not _is_moderated(settings, prompt):
        return _funded(price, fate)
    if settings.moderation_status:
        raise ApiError(settings.moderation_status, settings.moderation_code, MODERATED)
    return Terms(reserved=price, held=price, final=0, error=settings.moderation_code)


def _is_moderated(settings: Settings, prompt: str) -> bool:
    if settings.moderated_prompts and settings.moderated_prompts in prompt:
        return True
    chosen = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:4], "big") / 2**32
    return chosen < settings.moderated_share


def _funded(price: int, fate: Fault | None) -> Terms:
    match fate:
        case Fault.FAIL_GENERATION:
            return Terms(reserved=price, held=price, final=0, error=GENERATION_FAILED)
        case Fault.CHARGE_FAILED:
            return Terms(reserved=price, held=price, final=price, error=GENERATION_FAILED)
        case Fault.OVERCHARGE:
            return Terms(reserved=price, held=price + 1, final=price + 1)
        case _:
            return Terms(reserved=price, held=price, final=price)


def _failing(price: int, charge: int) -> Terms:
    return Terms(reserved=price, held=price, final=min(charge, price), error=GENERATION_FAILED)


def _unfunded(world: World, price: int) -> Terms:
    settings = world.settings
    if settings.no_credits is NoCredits.HTTP_ERROR:
        raise ApiError(
            settings.no_credits_status,
            NO_CREDITS,
            f"The account needs {price} credits for this request: `darkroom sandbox top-up` adds some.",
        )
    reserved = price if settings.no_credits_reserved else 0
    at_once = settings.no_credits is NoCredits.FAILED_AT_CREATE
    return Terms(reserved=reserved, held=0, final=0, error=NO_CREDITS, failed_at_create=at_once)
