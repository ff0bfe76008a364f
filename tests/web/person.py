"""A person at a page: finds things by role and name, as a screen reader does, and uses mouse and keys."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.browser import Page
from tests.host.process import ROOT
from tests.waiting import PATIENCE

AXE = ROOT / "node_modules/axe-core/axe.min.js"
_KEYS = {
    "Enter": (13, "\r"),
    "Tab": (9, ""),
    "Escape": (27, ""),
    "ArrowDown": (40, ""),
    "ArrowRight": (39, ""),
    " ": (32, " "),
}
SHIFT, CONTROL = 8, 2


class NotThere(AssertionError):
    """What a person looks for is not on the page."""


@dataclass
class Person:
    """page: what they look at. requests: all that it has asked for. dialogs: of the browser, by kind."""

    page: Page
    requests: list[dict[str, Any]] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    _leaving: asyncio.Future[Any] | None = None

    @classmethod
    async def at(cls, page: Page) -> "Person":
        for domain in ("DOM", "Accessibility", "Network"):
            await page.send(f"{domain}.enable")
        person = cls(page)
        page.heard.append(person._hear)
        return person

    def _hear(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"])
        elif method == "Page.javascriptDialogOpening":  # leave the page, even in the middle of a call
            self.dialogs.append(params["type"])
            self._leaving = asyncio.ensure_future(self.page.send("Page.handleJavaScriptDialog", accept=True))

    async def find(self, role: str, name: str, *, within: float = PATIENCE) -> int:
        """The one thing of that role and name. Raises NotThere with all that is there of that role."""
        found: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(within):
                while True:
                    found = await self._nodes(role, name)
                    if len(found) == 1:
                        break
                    await asyncio.sleep(0.03)
        except TimeoutError:
            others = [each["name"]["value"] for each in await self._nodes(role)]
            raise NotThere(f"{len(found)} of {role} {name!r}; there are {others}") from None
        return int(found[0]["backendDOMNodeId"])

    async def _nodes(self, role: str, name: str | None = None) -> list[dict[str, Any]]:
        document = await self.page.send("DOM.getDocument", depth=0)
        named = {} if name is None else {"accessibleName": name}
        try:
            answer = await self.page.send(
                "Accessibility.queryAXTree", nodeId=document["root"]["nodeId"], role=role, **named
            )
        except RuntimeError:
            return []  # the document has just been replaced
        return [each for each in answer["nodes"] if not each["ignored"]]

    async def names(self, role: str) -> list[str]:
        """The names of everything of that role."""
        return [each["name"]["value"] for each in await self._nodes(role)]

    async def click(self, role: str, name: str) -> None:
        node = await self.find(role, name)
        await self.page.send("DOM.scrollIntoViewIfNeeded", backendNodeId=node)
        quads = await self.page.send("DOM.getContentQuads", backendNodeId=node)
        quad = quads["quads"][0]
        x, y = sum(quad[0::2]) / 4, sum(quad[1::2]) / 4
        for kind in ("mousePressed", "mouseReleased"):
            await self.page.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def focus(self, role: str, name: str) -> None:
        await self.page.send("DOM.focus", backendNodeId=await self.find(role, name))

    async def fill(self, role: str, name: str, text: str) -> None:
        """Replace what stands in a text field."""
        await self.focus(role, name)
        await self.press("a", modifiers=CONTROL)
        await self.type(text)

    async def type(self, text: str) -> None:
        """Put in a text where the focus is."""
        await self.page.send("Input.insertText", text=text)

    async def press(self, *keys: str, modifiers: int = 0) -> None:
        """Press keys: a character, or one of Enter, Tab, Escape, ArrowDown, ArrowRight."""
        for key in keys:
            code, text = _KEYS[key] if key in _KEYS else (ord(key.upper()), key)
            event: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
            if modifiers & CONTROL:
                event["commands"] = ["selectAll"] if key == "a" else []
            elif text:
                event["text"] = text
            await self.page.send("Input.dispatchKeyEvent", type="keyDown", **event)
            await self.page.send("Input.dispatchKeyEvent", type="keyUp", **event)

    async def tab_to(self, *wanted: str, modifiers: int = 0) -> None:
        """Press Tab until each of these has had the focus, in order. Raises NotThere with the way taken."""
        way: list[str] = []
        for each in wanted:
            while not way or way[-1] != each:
                await self.press("Tab", modifiers=modifiers)
                way.append(await self.focused())
                if len(way) > 120:
                    raise NotThere(f"Tab does not lead to {each!r}; it leads to {way}")

    async def tab_back_to(self, wanted: str) -> None:
        await self.tab_to(wanted, modifiers=SHIFT)

    async def choose_file(self, name: str, path: Path) -> None:
        """Give a file to the field of that name, as its dialog would."""
        node = await self.page.evaluate(f"!!document.getElementById({name!r})")
        assert node, f"no field {name}"
        handle = await self.page.send("Runtime.evaluate", expression=f"document.getElementById({name!r})")
        await self.page.send(
            "DOM.setFileInputFiles", files=[str(path)], objectId=handle["result"]["objectId"]
        )

    async def sees(self, text: str, *, within: float = PATIENCE) -> None:
        """Wait until that text is to be seen. Raises NotThere with all that is to be seen."""
        try:
            await self.page.until(f"document.body?.innerText.includes({json.dumps(text)})", within)
        except TimeoutError:
            raise NotThere(f"{text!r} is not in:\n{await self.text()}") from None

    async def text(self) -> str:
        return str(await self.page.evaluate("document.body.innerText"))

    async def focused(self) -> str:
        """The role and name of what has the focus."""
        handle = await self.page.send("Runtime.evaluate", expression="document.activeElement")
        answer = await self.page.send(
            "Accessibility.getPartialAXTree", objectId=handle["result"]["objectId"], fetchRelatives=False
        )
        node = answer["nodes"][0]
        return f"{node['role']['value']} {node.get('name', {}).get('value', '')}".strip()

    async def violations(self) -> list[str]:
        """What axe-core finds that is serious or critical, in words."""
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(f"{AXE.read_text()}; true")
        found = await self.page.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then(result => result.violations.map(each => "
            "({id: each.id, impact: each.impact, nodes: each.nodes.map(node => node.html + ': ' + "
            "node.failureSummary)})))"
        )
        return [
            f"{each['id']}: {node}"
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]
