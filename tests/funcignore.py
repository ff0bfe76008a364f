"""Which files `func azure functionapp publish` leaves behind, by Core Tools' own reading of .funcignore.

Source: github.com/Azure/azure-functions-core-tools, src/Cli/func/Common/GitIgnoreParser.cs. It is not git's
reading: a pattern holds from the start of the path to the end of a word; * is one character or more, and **
crosses folders. A path that a pattern with ! matches is taken, whatever else matches it.
"""

import re


class Ignored:
    """.funcignore, as Core Tools reads it."""

    def __init__(self, text: str) -> None:
        lines = [line.strip() for line in text.split("\n")]
        patterns = [line for line in lines if line and not line.startswith("#")]
        self._left = _regex([each for each in patterns if not each.startswith("!")])
        self._taken = _regex([each[1:] for each in patterns if each.startswith("!")])

    def denies(self, path: str) -> bool:
        """Is this file left behind? path: relative to the project, with slashes."""
        return not (self._taken.match(path) or not self._left.match(path))


def _regex(patterns: list[str]) -> re.Pattern[str]:
    if not patterns:
        return re.compile("$^")
    prepared = [_prepared(each.removeprefix("/")) for each in sorted(patterns)]
    return re.compile(f"^(({')|('.join(prepared)}))\\b", re.ASCII)


def _prepared(pattern: str) -> str:
    escaped = re.sub(r"[\-\[\]/{}()+?.\\^$|]", r"\\\g<0>", pattern)
    return escaped.replace("**", "(.+)").replace("*", r"([^\/]+)")
