"""The floor under the floor: the same constant from an `async def`, which needs no thread."""

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("voice", methods=["GET", "POST"])
async def voice(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    return func.HttpResponse("<Response/>", mimetype="text/xml")
