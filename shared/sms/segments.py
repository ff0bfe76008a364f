"""How many segments a message is billed as (3GPP TS 23.038; Twilio docs: SMS character limits)."""

_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")


def segments(body: str) -> tuple[int, str]:
    """The number of segments, and the encoding: GSM-7 (160, or 153 each) or UCS-2 (70, or 67 each).

    A character of the extension table takes two places, and so does one outside the basic plane in UCS-2.
    """
    if not body:
        return 0, "GSM-7"
    if all(character in _GSM7 or character in _EXTENDED for character in body):
        widths = [2 if character in _EXTENDED else 1 for character in body]
        return _count(widths, 160, 153), "GSM-7"
    return _count([2 if ord(character) > 0xFFFF else 1 for character in body], 70, 67), "UCS-2"


def _count(widths: list[int], alone: int, each: int) -> int:
    if sum(widths) <= alone:
        return 1
    count, room = 1, each
    for width in widths:
        if width > room:  # a two-place character is not split over segments
            count, room = count + 1, each
        room -= width
    return count
