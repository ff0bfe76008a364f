"""The one error that the commands raise."""


class OpsError(Exception):
    """A command cannot be done; the text says why and what to do."""
