"""`python -m bench.flask_child`: our function and the Flask app, called in turns in one process.

Each is given the request as its framework gets it: a func.HttpRequest, as the worker library makes it, and a
WSGI environment. Each parses the form, checks the signature and renders the TwiML.
"""

import asyncio
import importlib
import io
import time
from typing import Any

import azure.functions as func

import function_app
from bench import child, webhook_request

TURNS = 10


async def main() -> None:
    flask = importlib.import_module("bench.peers.flask_app").app
    headers = webhook_request.headers()
    # The function as written: the decorators make a builder of it.
    ours = function_app.voice_incoming._function.get_user_function()
    wsgi = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/voice",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "7071",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "CONTENT_TYPE": headers["content-type"],
        "CONTENT_LENGTH": str(len(webhook_request.BODY)),
        "HTTP_X_TWILIO_SIGNATURE": headers["x-twilio-signature"],
    }

    async def call_ours() -> bytes:
        request = func.HttpRequest(
            "POST", webhook_request.URL, headers=headers, params={}, body=webhook_request.BODY
        )
        answer: func.HttpResponse = await ours(request)
        assert answer.status_code == 200
        return answer.get_body()

    def call_flask() -> bytes:
        statuses: list[str] = []
        body = flask.wsgi_app(
            {**wsgi, "wsgi.input": io.BytesIO(webhook_request.BODY), "wsgi.errors": io.StringIO()},
            lambda status, _headers, _exc=None: statuses.append(status),
        )
        answer = b"".join(body)
        assert statuses == ["200 OK"], statuses
        return answer

    async def both(count: int) -> dict[str, Any]:
        """CPU seconds a call."""
        used = {"ours": 0.0, "flask": 0.0}
        for _ in range(TURNS):
            start = time.process_time()
            for _ in range(count // TURNS):
                await call_ours()
            middle = time.process_time()
            for _ in range(count // TURNS):
                call_flask()
            used["ours"] += middle - start
            used["flask"] += time.process_time() - middle
        return {name: seconds / (count // TURNS * TURNS) for name, seconds in used.items()}

    async def answers() -> dict[str, Any]:
        return {"ours": (await call_ours()).decode(), "flask": call_flask().decode()}

    await child.serve({"both": both, "answers": answers})


if __name__ == "__main__":
    asyncio.run(main())
