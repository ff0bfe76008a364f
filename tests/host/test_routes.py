"""local/host/routes.py: which path a template matches, and when two of them match one path."""

import pytest

from local.host.errors import NotIndexed
from local.host.routes import Template


@pytest.mark.parametrize(
    ("template", "path", "parameters"),
    [
        ("api/voice", "/api/voice", {}),
        ("api/voice", "/API/Voice/", {}),
        ("api/voice", "/api/voice/x", None),
        ("api/voice", "/api//voice", None),
        ("api/voice/step/{step}", "/api/voice/step/menu", {"step": "menu"}),
        ("api/voice/step/{step}", "/api/voice/step/", None),
        ("api/voice/step/{step?}", "/api/voice/step", {}),
        ("api/x/{name}", "/api/x/a b%2Fc", {"name": "a b%2Fc"}),
        ("api/x/{name}", "/api/x/é", {"name": "é"}),
        ("api/x/{id:int}", "/api/x/-12", {"id": "-12"}),
        ("api/x/{id:int}", "/api/x/1a", None),
        ("api/x/{id:int:min(5)}", "/api/x/4", None),
        ("api/x/{id:alpha:length(2)}", "/api/x/ab", {"id": "ab"}),
        (
            "api/x/{id:guid}",
            "/api/x/6f9619ff-8b86-d011-b42d-00c04fc964ff",
            {"id": "6f9619ff-8b86-d011-b42d-00c04fc964ff"},
        ),
        ("api/files/{*path}", "/api/files/a/b/c", {"path": "a/b/c"}),
        ("api/files/{*path}", "/api/files", {}),
        ("{id}", "/", None),
    ],
)
def test_a_template_matches(template: str, path: str, parameters: dict[str, str] | None) -> None:
    assert Template.parse(template).match(path) == parameters


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("messages", "Messages", True),
        ("messages", "messages/{id}", False),
        ("messages", "messages/{id?}", True),
        ("messages/{id}", "messages/bulk", True),
        ("messages/{id:int}", "messages/bulk", False),
        ("messages/{id:int}", "messages/{name:alpha}", False),
        ("messages/{id:int}", "messages/{name}", True),
        ("messages/{id:int}", "messages/{name:min(3)}", True),
        ("deadletters/{id}/replay", "deadletters/{id}/discard", False),
        ("deadletters/{id}/replay", "deadletters/{id}", False),
        ("files/{*path}", "files/a/b", True),
        ("files/{*path}", "file/a", False),
    ],
)
def test_two_templates_that_can_match_one_path_are_found(one: str, other: str, expected: bool) -> None:
    assert Template.parse(one).overlaps(Template.parse(other)) is expected
    assert Template.parse(other).overlaps(Template.parse(one)) is expected


@pytest.mark.parametrize("template", ["x/{a}-{b}", "x/{a", "{a?}/x", "{*a}/x", "x/{a:regex(.)}", "x/{}"])
def test_what_this_host_does_not_understand_is_refused(template: str) -> None:
    with pytest.raises(NotIndexed, match="route"):
        Template.parse(template)
