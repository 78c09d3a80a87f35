"""Whether the provider at an address is Darkroom's sandbox, as it answers itself."""

from worker.provider.session import is_loopback_url

SIGN = "darkroom.sandbox"
_TIMEOUT_S = 2.0


def is_sandbox(base_url: str) -> bool | None:
    """Ask the address; None when nothing answers there.

    Only an address on this machine is asked: a sandbox listens nowhere else, and no key is sent.
    """
    if not is_loopback_url(base_url):
        return False
    import requests

    session = requests.Session()
    session.trust_env = False
    try:
        with session.get(
            f"{base_url.rstrip('/')}/sandbox", timeout=_TIMEOUT_S, allow_redirects=False, stream=True
        ) as response:
            content = response.raw.read(1024, decode_content=False)
    except (requests.RequestException, OSError, ValueError):
        return None
    return f'"object": "{SIGN}"'.encode() in content or f'"object":"{SIGN}"'.encode() in content
