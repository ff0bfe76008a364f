"""The usual sample of Azure Functions with Twilio: one file, everything it may need imported at the top."""

import json
import logging
import os
from datetime import UTC, datetime

import azure.functions as func
import phonenumbers
import requests
from azure.data.tables import TableServiceClient
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient
from dotenv import load_dotenv
from pydantic import BaseModel
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

load_dotenv()

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


class CallRequest(BaseModel):
    to: str
    say: str


def twilio() -> Client:
    return Client(os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"])


@app.route("voice", methods=["GET", "POST"], auth_level=func.AuthLevel.ANONYMOUS)
def voice(req: func.HttpRequest) -> func.HttpResponse:
    validator = RequestValidator(os.environ["TWILIO_AUTH_TOKEN"])
    url = os.environ["PUBLIC_BASE_URL"] + "/api/voice"
    if not validator.validate(url, dict(req.form), req.headers.get("X-Twilio-Signature", "")):
        return func.HttpResponse(status_code=403)
    response = VoiceResponse()
    response.say("Hello World")
    return func.HttpResponse(str(response), mimetype="text/xml")


@app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
def send_scheduled(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger needs it
    service = TableServiceClient(os.environ["TABLES_URL"], credential=DefaultAzureCredential())
    table = service.get_table_client("messages")
    for row in table.query_entities(f"due le datetime'{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}'"):
        twilio().messages.create(to=row["to"], from_=os.environ["TWILIO_FROM_NUMBER"], body=row["body"])
        table.delete_entity(row)


@app.queue_trigger(arg_name="message", queue_name="outbound-calls", connection="AzureWebJobsStorage")
def place_call(message: func.QueueMessage) -> None:
    request = CallRequest.model_validate_json(message.get_body())
    number = phonenumbers.parse(request.to)
    if not phonenumbers.is_valid_number(number):
        logging.error("not a phone number")
        return
    response = VoiceResponse()
    response.say(request.say)
    twilio().calls.create(to=request.to, from_=os.environ["TWILIO_FROM_NUMBER"], twiml=str(response))


@app.route("calls", methods=["POST"])
def enqueue(req: func.HttpRequest) -> func.HttpResponse:
    queue = QueueClient.from_connection_string(os.environ["STORAGE_CONNECTION"], "outbound-calls")
    queue.send_message(json.dumps(req.get_json()))
    return func.HttpResponse(status_code=202)


@app.route("recordings", methods=["POST"])
def keep_recording(req: func.HttpRequest) -> func.HttpResponse:
    audio = requests.get(req.form["RecordingUrl"], timeout=10).content
    blobs = BlobServiceClient(os.environ["BLOBS_URL"], credential=DefaultAzureCredential())
    blobs.get_blob_client("recordings", req.form["RecordingSid"]).upload_blob(audio)
    return func.HttpResponse(status_code=204)
