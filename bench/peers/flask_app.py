"""The Flask app that Twilio's guides lead to: it validates the signature and answers with TwiML.

What it says is what Switchboard's greeting says, so that both build the same document.
"""

import os

from flask import Flask, Response, abort, request
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Gather, VoiceResponse

app = Flask(__name__)
ENGLISH = {"voice": "Polly.Joanna-Neural", "language": "en-US"}
KOREAN = {"voice": "Polly.Seoyeon-Neural", "language": "ko-KR"}


@app.route("/api/voice", methods=["GET", "POST"])
def voice() -> Response:
    validator = RequestValidator(os.environ["TWILIO_AUTH_TOKEN"])
    url = os.environ["PUBLIC_BASE_URL"] + request.path
    if not validator.validate(url, request.form, request.headers.get("X-Twilio-Signature", "")):
        abort(403)
    base = os.environ["PUBLIC_BASE_URL"]
    response = VoiceResponse()
    response.say("Thank you for calling us.", **ENGLISH)
    gather = Gather(
        input="dtmf speech",
        num_digits=1,
        timeout=5,
        speech_timeout="auto",
        language="en-US",
        hints="한국어, 한국말, korean, message, voicemail, voice mail, again, repeat, what",
        action=f"{base}/api/voice/step/menu?lang=en-US&tries=0&heard=1",
    )
    gather.say("한국어는 8번을 누르세요.", **KOREAN)
    gather.pause(length=1)
    gather.say("To leave a message, press 3.", **ENGLISH)
    gather.say("To hear this again, press 0.", **ENGLISH)
    response.append(gather)
    response.redirect(f"{base}/api/voice/step/menu?lang=en-US&tries=1&heard=1")
    return Response(str(response), mimetype="text/xml")
