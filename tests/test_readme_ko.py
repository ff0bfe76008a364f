"""README.ko.md says what README.md says: the same commands, settings and routes."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What README.ko.md covers, in its order.
TITLES = {
    "Switchboard": "Switchboard",
    "준비물": "Prerequisites",
    "명령어 두 개": "Two commands",
    "직접 해 보기": "Try it by hand",
    "큐에 메시지를 넣어 전화 걸기": "Calls from a queue",
    "내 번호로 쓰기": "With your own number",
    "Azure에 배포하기": "Into Azure",
    "정리하기": "Clean up",
    "속도": "How fast",
    "설정": "Settings",
    "경로": "Routes",
    "문제 해결": "Troubleshooting",
}
NEEDED = {"예": "yes", "": ""}
WHO = {"Twilio": "Twilio", "키": "key", "누구나": "anyone"}


@dataclass(slots=True)
class Section:
    """A heading and what stands under it, down to the next heading of any level."""

    level: int
    title: str
    prose: list[str] = field(default_factory=list)
    blocks: list[tuple[str, list[str]]] = field(default_factory=list)

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Each code block's language and lines; comments are prose and may be translated."""
        return [
            (language, [line for line in lines if line and not line.startswith("#")])
            for language, lines in self.blocks
            if language in ("sh", "python", "json")
        ]

    @property
    def rows(self) -> list[list[str]]:
        """The cells of its tables, without heads and rules."""
        table = [line for line in self.prose if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]

    @property
    def code(self) -> set[str]:
        """What stands between backticks."""
        return set(re.findall(r"`([^`]+)`", "\n".join(self.prose)))


def read(name: str) -> list[Section]:
    found: list[Section] = []
    fenced = False
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            if not fenced:
                found[-1].blocks.append((line.removeprefix("```"), []))
            fenced = not fenced
        elif fenced:
            found[-1].blocks[-1][1].append(line)
        elif heading := re.fullmatch(r"(#+) (.+)", line):
            found.append(Section(len(heading[1]), heading[2]))
        else:
            found[-1].prose.append(line)
    return found


ENGLISH = read("README.md")
KOREAN = read("README.ko.md")


def english(title: str) -> Section:
    (found,) = (section for section in ENGLISH if section.title == title)
    return found


def korean(title: str) -> Section:
    (found,) = (section for section in KOREAN if TITLES.get(section.title) == title)
    return found


def links(sections: list[Section]) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", "\n".join(line for section in sections for line in section.prose))


def anchor(title: str) -> str:
    """GitHub's name for a heading: lower case, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


covered = pytest.mark.parametrize("title", TITLES.values())


def test_the_korean_page_has_each_section_that_it_covers() -> None:
    assert [section.title for section in KOREAN] == list(TITLES)


def test_sections_have_the_order_and_levels_of_the_english_page() -> None:
    assert [(section.level, TITLES[section.title]) for section in KOREAN] == [
        (section.level, section.title) for section in ENGLISH if section.title in TITLES.values()
    ]


@covered
def test_a_section_has_the_commands_of_the_english_one(title: str) -> None:
    assert korean(title).commands == english(title).commands


def test_there_are_commands_to_compare() -> None:
    languages = {language for section in KOREAN for language, lines in section.commands if lines}
    assert languages == {"sh", "python", "json"}


@covered
def test_a_section_leaves_out_no_name_or_value(title: str) -> None:
    assert english(title).code <= korean(title).code


@covered
def test_a_section_has_no_name_or_value_unknown_to_the_english_page(title: str) -> None:
    assert korean(title).code <= {name for section in ENGLISH for name in section.code}


def test_settings_are_the_same_and_needed_alike() -> None:
    rows = [(name, NEEDED[needed]) for name, needed, _ in korean("Settings").rows]
    assert rows == [(name, needed) for name, needed, _ in english("Settings").rows]
    assert ("`TWILIO_ACCOUNT_SID`", "yes") in rows


def test_a_settings_row_has_the_values_of_the_english_one() -> None:
    pairs = zip(korean("Settings").rows, english("Settings").rows, strict=True)
    for (name, _, here), (_, _, there) in pairs:
        missing = set(re.findall(r"`[^`]+`|\d{2,}", there)) - set(re.findall(r"`[^`]+`|\d{2,}", here))
        assert not missing, f"{name} lacks {missing}"


def test_routes_are_the_same_and_open_to_the_same() -> None:
    rows = [(route, WHO[who]) for route, who, _ in korean("Routes").rows]
    assert rows == [(route, who) for route, who, _ in english("Routes").rows]
    assert ("`messages`", "key") in rows


def test_a_routes_row_has_the_methods_of_the_english_one() -> None:
    methods = re.compile(r"GET|POST|PATCH|DELETE")
    for (route, _, here), (_, _, there) in zip(korean("Routes").rows, english("Routes").rows, strict=True):
        assert set(methods.findall(here)) == set(methods.findall(there)), route


def test_options_are_the_same() -> None:
    rows = [row[:2] for row in korean("Try it by hand").rows]
    assert rows == [row[:2] for row in english("Try it by hand").rows]
    assert ["`--port`", "`SWITCHBOARD_PORT`"] in rows


def test_a_troubleshooting_row_has_the_names_of_the_english_one() -> None:
    for here, there in zip(korean("Troubleshooting").rows, english("Troubleshooting").rows, strict=True):
        for mine, original in zip(here, there, strict=True):
            assert re.findall(r"`[^`]+`", mine) == re.findall(r"`[^`]+`", original), mine


def test_each_page_links_to_the_other_at_its_top() -> None:
    assert ENGLISH[0].prose[:2] == ["", "English | [한국어](README.ko.md)"]
    assert KOREAN[0].prose[:2] == ["", "[English](README.md) | 한국어"]


@pytest.mark.parametrize("link", [link for link in links(KOREAN) if "://" not in link])
def test_a_link_leads_to_a_file_and_its_heading(link: str) -> None:
    path, _, heading = link.partition("#")
    target = ROOT / (path or "README.ko.md")
    assert target.is_file()
    if heading:
        assert heading in {anchor(section.title) for section in read(str(target))}


def test_links_elsewhere_are_those_of_the_english_page() -> None:
    assert {link for link in links(KOREAN) if "://" in link} <= set(links(ENGLISH))
