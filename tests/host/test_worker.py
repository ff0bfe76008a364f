"""The real app in the worker library, and before the host's rules."""

from local.host import settings as host_json
from local.host.triggers import describe
from local.host.worker import Worker
from tests.host.process import ROOT
from tests.settings import ENVIRON


def test_the_app_breaks_none_of_the_host_s_rules(worker: Worker) -> None:
    prefix = host_json.read(ROOT, {}).http.route_prefix
    app = describe(worker.functions, prefix, ENVIRON)
    assert app.errors == ()
    assert len(app.functions) == len(worker.functions)


def test_host_json_says_what_the_code_relies_on() -> None:
    settings = host_json.read(ROOT, {})
    assert settings.http.route_prefix == "api"
    # With base64 the host would poison plain text before the app sees it.
    assert settings.queues.message_encoding == "none"
    # At 0, five tries are over in seconds.
    assert settings.queues.visibility_timeout.total_seconds() >= 60
    assert settings.queues.max_dequeue_count == 5
