"""How many requests a client may send in a window of time."""

from worker.web.rules.rate_limit import RatePolicy, spend

POLICY = RatePolicy(quota=3, window_s=30)


def test_a_quota_may_be_spent_at_once_and_comes_back_as_time_passes() -> None:
    busy_s, verdicts = 0.0, []
    for now_s in (0.0, 0.0, 0.0, 0.0, 10.0, 10.0):
        busy_s, verdict = spend(POLICY, busy_s, now_s=now_s)
        verdicts.append((verdict.is_permitted, verdict.remaining))

    assert verdicts == [(True, 2), (True, 1), (True, 0), (False, 0), (True, 0), (False, 0)]


def test_a_refused_request_costs_nothing_and_names_when_one_is_permitted() -> None:
    busy_s = 30.0  # the whole quota is spent
    until_s, verdict = spend(POLICY, busy_s, now_s=4.0)

    assert until_s == busy_s
    assert verdict.reset_s == 6


def test_the_policy_and_the_state_are_headers_of_the_draft() -> None:
    _, verdict = spend(POLICY, 0.0, now_s=0.0)

    assert POLICY.header == '"default";q=3;w=30'
    assert verdict.header == '"default";r=2;t=10'
