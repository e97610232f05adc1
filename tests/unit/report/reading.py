"""Reads the tables and headings of a report for its tests."""

import re
from html.parser import HTMLParser

import pandas as pd


class Reader(HTMLParser):
    """Tables by name as lists of rows of raw values, ids, and addresses that would be fetched."""

    def __init__(self):
        super().__init__()
        self.tables, self.ids, self.fetched, self.headings = {}, [], [], []
        self.current, self.reading = None, False

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        if "id" in known:
            self.ids.append(known["id"])
        if tag == "table":
            self.current = self.tables.setdefault(known["data-name"], {"keys": [], "rows": []})
        if tag == "th" and "data-key" in known:
            self.current["keys"].append(known["data-key"])
        elif tag == "tr" and self.current is not None:
            self.current["rows"].append([])
        elif tag in {"td", "th"} and self.current is not None:
            self.current["rows"][-1].append(known.get("data-value", ""))
            self.reading = "data-value" not in known
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag in {"link", "iframe", "object", "embed"} or (
            tag in {"script", "img"} and "src" in known
        ):
            self.fetched.append((tag, known))

    def handle_endtag(self, tag):
        if tag in {"td", "th", "tbody"}:
            self.reading = False

    def handle_data(self, text):
        if self.reading and self.current and self.current["rows"]:
            self.current["rows"][-1][-1] += text.strip()

    def table(self, name):
        found = self.tables[name]
        found["rows"] = [[c.replace("–", "nan") for c in row] for row in found["rows"]]
        rows = [row for row in found["rows"] if len(row) == len(found["keys"])]
        return pd.DataFrame([row for row in rows if row], columns=found["keys"])


def read(html):
    reader = Reader()
    reader.feed(html)
    return reader
