"""How documents are requested, what is accepted as a document, and what happens without one."""

import pytest

from local.twilio.carrier.exchange.exchange import IncomingCall
from local.twilio.carrier.exchange.web_requests import NoResponse, Target, WebResponse
from tests.phone.app import AGENT, CALLER, HOST, OURS, App, xml

SORRY = "application error"


def test_a_request_carries_twilios_standard_parameters() -> None:
    app = App()
    call = app.phone().dial(OURS, forwarded_from="+12025550150")
    form = app.form("voice")
    assert form["CallSid"] == call.call.sid
    assert form["AccountSid"] == "AC" + "0" * 32
    assert (form["From"], form["To"], form["Caller"], form["Called"]) == (CALLER, OURS, CALLER, OURS)
    assert form["CallStatus"] == "ringing"
    assert form["ApiVersion"] == "2010-04-01"
    assert form["Direction"] == "inbound"
    assert form["ForwardedFrom"] == "+12025550150"
    assert form["FromCountry"] == form["ToCountry"] == form["CallerCountry"] == form["CalledCountry"] == "US"
    assert "ParentCallSid" not in form


def test_a_callers_country_follows_the_number() -> None:
    app = App()
    app.phone().dial(OURS, from_="+821012345678")
    assert app.form("voice")["FromCountry"] == "KR"
    app.phone().dial(OURS, from_="anonymous")
    assert "FromCountry" not in app.form("voice")


def test_every_request_is_signed_as_twilio_signs() -> None:
    from twilio.request_validator import RequestValidator

    app = App(voice='<Gather numDigits="1" method="GET" action="/menu?a=b c&amp;d=é"/>')
    phone = app.phone()
    phone.dial(OURS).press("1")
    validator = RequestValidator(phone.auth_token)
    assert len(app.asked) == 2
    for request, headers in app.asked:
        signature = headers["X-Twilio-Signature"]
        assert validator.validate(request.url, dict(request.form), signature)
        assert not validator.validate(request.url + "x", dict(request.form), signature)


def test_the_parameters_of_an_answered_call_say_in_progress() -> None:
    app = App(voice="<Say>Hi</Say><Redirect>/next</Redirect>")
    app.phone().dial(OURS)
    assert app.form("next")["CallStatus"] == "in-progress"


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("/b", f"{HOST}/b"),
        ("b", f"{HOST}/menus/b"),
        ("../b?c=d", f"{HOST}/b?c=d"),
        ("?c=d", f"{HOST}/menus/first?c=d"),
        ("http://127.0.0.1:9000/b", "http://127.0.0.1:9000/b"),
        ("", f"{HOST}/menus/first?x=y"),
    ],
)
def test_urls_are_relative_to_their_document(reference: str, url: str) -> None:
    pages = iter([f"<Redirect>{reference}</Redirect>", "<Hangup/>"])
    app = App(voice="<Redirect>/menus/first?x=y</Redirect>")
    app.documents["menus/first"] = lambda _form: next(pages)
    phone = app.phone()
    phone.dial(OURS)
    assert phone.requests[-1].url == url


@pytest.mark.parametrize("url", ["ftp://example.com/", "javascript:alert(1)", "http://", "http://[::1"])
def test_a_url_that_is_none_is_an_error(url: str) -> None:
    app = App(voice=f"<Redirect>{url}</Redirect>")
    phone = app.phone()
    phone.dial(OURS).hears(SORRY).is_over()
    assert [each.code for each in phone.notices] == [11100]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (xml("<Response/>", status=404), 11200),
        (xml("<Response/>", status=500), 11200),
        (NoResponse(11200, "no answer in 15 s"), 11200),
        (NoResponse(11205, "connection refused"), 11205),
        (NoResponse(11210, "no such host"), 11210),
        (NoResponse(11215, "more than 10 redirects"), 11215),
        (xml("<Response><Say>unclosed</Response>"), 12100),
        (xml(""), 12100),
        (xml("<html><body>It works</body></html>", content_type="text/html"), 12102),
        (xml('{"say": "hello"}', content_type="application/json"), 12300),
        (WebResponse(200, "", b"<Response/>"), 12300),
        (xml(f"<Response><Say>{'x' * 66_000}</Say></Response>"), 11750),
        (xml('<!DOCTYPE Response [<!ENTITY a "b">]><Response><Say>&a;</Say></Response>'), 12100),
        (WebResponse(200, "text/xml", b"\xff\xfe\xfd<Response/>"), 12100),
        (WebResponse(200, "text/xml", b'<?xml version="1.0" encoding="nonsense"?><Response/>'), 12100),
        (xml("<a>" * 1000), 12100),
    ],
)
def test_what_is_no_document_has_twilios_code_and_an_apology(answer: WebResponse, code: int) -> None:
    app = App(voice=answer)
    phone = app.phone()
    phone.dial(OURS).hears(SORRY).is_over()
    assert [each.code for each in phone.notices] == [code]


def test_the_fallback_url_is_asked_instead_and_told_why() -> None:
    app = App(voice=xml("oops", status=500), backup="<Say>We have a problem, call later</Say>")
    app.phone(fallback="backup").dial(OURS).hears("call later").does_not_hear(SORRY)
    form = app.form("backup")
    assert form["ErrorCode"] == "11200"
    assert form["ErrorUrl"] == f"{HOST}/voice"


def test_the_fallback_url_serves_later_documents_too() -> None:
    app = App(
        voice='<Gather numDigits="1" action="/menu"/>', menu=xml("", status=503), backup="<Say>Hm</Say>"
    )
    app.phone(fallback="backup").dial(OURS).press("1").hears("Hm")
    assert app.form("backup")["ErrorUrl"] == f"{HOST}/menu"


def test_a_fallback_that_fails_too_is_the_end() -> None:
    app = App(voice=xml("", status=500), backup=xml("", status=500))
    app.phone(fallback="backup").dial(OURS).hears(SORRY).is_over()
    assert app.paths() == ["voice", "backup"]


@pytest.mark.parametrize("content_type", ["text/xml", "application/xml", "text/html", "TEXT/XML; charset=x"])
def test_three_content_types_are_twiml(content_type: str) -> None:
    app = App(voice=xml("<Response><Say>Hello</Say></Response>", content_type=content_type))
    app.phone().dial(OURS).hears("Hello")


def test_plain_text_is_read_out_and_ends_the_call() -> None:
    app = App(voice=xml("We are closed today.", content_type="text/plain"))
    app.phone().dial(OURS).hears("We are closed today.").is_over()


def test_plain_text_that_is_twiml_is_carried_out() -> None:
    app = App(voice=xml("<Response><Say>Hello</Say></Response>", content_type="text/plain"))
    app.phone().dial(OURS).hears("Hello")


def test_audio_is_played_and_ends_the_call() -> None:
    app = App(voice=WebResponse(200, "audio/mpeg", b"ID3"))
    app.phone().dial(OURS).hears(f"{HOST}/voice").is_over()


def test_comments_and_white_space_mean_nothing() -> None:
    app = App(voice=xml("\n <!-- hello --> <Response>\n <!-- a -->\n<Say> Good \n day </Say></Response>"))
    phone = app.phone()
    assert phone.dial(OURS).said == ["Good day"]
    assert phone.notices == []


def test_a_redirect_without_end_is_stopped() -> None:
    app = App(voice="<Redirect/>")
    phone = app.phone()
    phone.dial(OURS).hears(SORRY).is_over()
    assert [each.code for each in phone.notices] == [14106]
    assert len(app.asked) <= 51


def test_a_menu_without_end_is_stopped_even_when_it_talks() -> None:
    app = App(voice="<Say>Again</Say><Redirect/>")
    phone = app.phone()
    phone.dial(OURS).is_over()
    assert [each.code for each in phone.notices] == [14106]
    assert len(app.asked) <= 1001


def test_no_call_lasts_more_than_four_hours() -> None:
    app = App(voice=f"<Dial>{AGENT}</Dial>")
    phone = app.phone()
    call = phone.dial(OURS)
    phone.rings(AGENT).answer()
    phone.wait(14401)
    call.is_over()


def test_twiml_given_with_a_call_needs_absolute_urls() -> None:
    app = App()
    phone = app.phone()
    phone.place(AGENT, twiml="<Response><Gather action='/menu'/></Response>").answer().press("1#")
    assert [each.code for each in phone.notices] == [15004]
    phone = app.phone()
    phone.place(AGENT, twiml=f"<Response><Gather action='{HOST}/menu'/></Response>").answer().press("1#")
    assert app.form("menu")["Digits"] == "1"


def test_the_end_of_the_call_is_reported() -> None:
    app = App(voice='<Pause length="61"/>')
    app.phone(status="status").dial(OURS)
    form = app.form("status")
    assert form["CallStatus"] == "completed"
    assert form["CallbackSource"] == "call-progress-events"
    assert form["Timestamp"].endswith("+0000")


def test_a_callback_that_is_refused_is_warned_of_and_the_call_goes_on() -> None:
    app = App(voice='<Record action="/done" recordingStatusCallback="/rec"/>', rec=xml("", status=403))
    phone = app.phone()
    phone.dial(OURS).press("#").is_over()
    assert [each.code for each in phone.notices] == [15003]


def test_a_verb_whose_value_is_an_error_ends_the_document() -> None:
    phone = App(voice='<Gather actionOnEmptyResult="perhaps"/>').phone()
    phone.dial(OURS).hears(SORRY)
    assert [each.code for each in phone.notices] == [13338]


def test_an_application_can_be_called_by_its_url() -> None:
    app = App(app="<Say>Hello</Say>")
    phone = app.phone()
    phone.dial_application(f"{HOST}/app", from_="client:kate", To="+12025550199").hears("Hello")
    assert app.form("app")["From"] == "client:kate"
    assert app.form("app")["To"] == "+12025550199"


def test_an_unanswered_document_is_forgotten_when_the_caller_hangs_up() -> None:
    phone = App(voice="<Say>Too late</Say>").phone()
    call = phone.exchange.call_in(IncomingCall(from_=CALLER, to=OURS, application=Target(f"{HOST}/voice")))
    phone.exchange.hang_up(call)
    phone._line(call).is_over("no-answer").does_not_hear("Too late")
