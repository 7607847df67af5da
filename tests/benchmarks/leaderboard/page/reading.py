"""A page as its parser sees it: elements, attributes, texts. For tests."""

from html.parser import HTMLParser
from typing import NamedTuple

__all__ = ["Element", "Parsed", "parsed"]

VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})


class Element(NamedTuple):
    """An element that was opened, with all the text inside it."""

    tag: str
    attributes: dict[str, str | None]
    texts: list[str]
    within: tuple["Element", ...]

    @property
    def text(self) -> str:
        """The text inside, elements inside it too."""
        return "".join(self.texts)


class Parsed(HTMLParser):
    """Elements in their order; comments and declarations apart."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.others: list[str] = []
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element opens."""
        element = Element(tag, dict(attrs), [], tuple(self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of SVG that is closed at once."""
        self.elements.append(Element(tag, dict(attrs), [], tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        """It closes, and nothing else may."""
        assert (
            self._open and self._open[-1].tag == tag
        ), f"</{tag}> closes <{self._open[-1].tag if self._open else '-'}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """Text belongs to every element around it."""
        for element in self._open:
            element.texts.append(data)

    def handle_comment(self, data: str) -> None:
        """A comment."""
        self.others.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...], int]]:
        """What the page is made of, whatever its texts say."""
        return [(each.tag, tuple(each.attributes), len(each.within)) for each in self.elements]

    def named(self, tag: str) -> list[Element]:
        """All elements of one kind."""
        return [each for each in self.elements if each.tag == tag]


def parsed(html: str) -> Parsed:
    """The page, read to its end."""
    parser = Parsed()
    parser.feed(html)
    parser.close()
    assert not parser._open, f"<{parser._open[-1].tag}> is never closed"
    return parser
