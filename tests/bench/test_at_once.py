"""bench/at_once.py: every webhook is asked for, and one that is not answered with 200 counts as an error."""

import pytest

from bench import at_once, webhook_request
from bench.at_once import Turn
from bench.results import Findings
from tests.listener import Answer, Listener


@pytest.mark.parametrize("callers", [1, 3, 8])
async def test_all_webhooks_are_sent_signed_whatever_the_number_of_callers(callers: int) -> None:
    with Listener() as listener:
        listener.answers["/api/voice"] = Answer("<Response/>")

        turn = await at_once._turn(f"{listener.url}/api/voice", count=20, callers=callers)

        signatures = {
            {name.lower(): value for name, value in each.headers.items()}["x-twilio-signature"]
            for each in listener.requests
        }
        assert len(listener.requests) == len(turn.times) == 20
    assert turn.errors == 0
    assert signatures == {webhook_request.headers()["x-twilio-signature"]}


async def test_what_is_refused_is_counted_as_an_error() -> None:
    with Listener() as listener:
        listener.answers["/api/voice"] = Answer("", 403)

        turn = await at_once._turn(f"{listener.url}/api/voice", count=6, callers=2)

    assert turn.errors == 6


def test_the_row_of_what_an_instance_is_allowed_has_the_goal() -> None:
    findings = Findings()
    for callers in at_once.AT_ONCE:
        findings.add(at_once._row(callers, [Turn([0.01] * 98 + [0.1] * 2, 1.0, 0)] * 3, 100))

    assert findings.values == {"webhooks_at_once": pytest.approx(0.1)}
    judged = [row for row in findings.rows if row.goal]
    assert [row.what for row in judged] == ["16 signed webhooks at once on one worker, p99"]
    assert judged[0].met
    assert judged[0].note == "p50 10 ms, 100 a second, no errors"
