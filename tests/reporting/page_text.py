"""What a reader sees of a page: its text by the browser's own rules, near enough, without a browser."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "path", "use", "image", "stop"}
HIDDEN = {"style", "script", "svg", "pre", "head"}


class PageText(HTMLParser):
    """Collects the text outside of styles, figures and code; every tag in order; and tags left open."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.words, self.tags, self.open, self.faults = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.faults.append((tag, self.open[-3:]))
        else:
            self.open.pop()

    def handle_data(self, data):
        if not HIDDEN.intersection(self.open):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())
