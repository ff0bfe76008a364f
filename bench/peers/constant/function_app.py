"""The floor: a function that returns a constant, as Microsoft's samples are (`def`, so in a thread)."""

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("voice", methods=["GET", "POST"])
def voice(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    return func.HttpResponse("<Response/>", mimetype="text/xml")
