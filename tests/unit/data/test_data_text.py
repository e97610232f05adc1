"""Encodings and quotation marks: nothing is garbled, joined or shifted without a word."""

import csv
import io
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cfmf.data.formats import read
from cfmf.data.text import BLOCK_BYTES, Dialect, detect_encoding, records, sniff
from cfmf.data.titles import TitleLayout, read_titles, split_title

# Titles in the language of each encoding.
WRITTEN = {
    "gb18030": "教父 肖申克的救赎 霸王别姬 这个杀手不太冷 泰坦尼克号 千与千寻 盗梦空间",
    "big5": "教父 霸王別姬 終極追殺令 鐵達尼號 神隱少女 辛德勒的名單 星際效應",
    "cp932": "千と千尋の神隠し となりのトトロ 七人の侍 東京物語 もののけ姫 生きる",
    "euc_jp": "千と千尋の神隠し となりのトトロ 七人の侍 東京物語 もののけ姫 生きる",
    "cp949": "올드보이 기생충 살인의추억 괴물 밀양 아가씨 버닝 시",
    "cp1251": "Брат Солярис Андрей Рублёв Сталкер Зеркало",
    "koi8_r": "Брат Солярис Андрей Рублёв Сталкер Зеркало",
    "cp1253": "Ζορμπάς Ευριδίκη Το λιβάδι που δακρύζει",
    "cp1250": "Człowiek z żelaza Nóż w wodzie Życie Łódź Ostře sledované vlaky",
    "latin_1": "Amélie À_bout_de_souffle Les_Misérables Das_Leben_der_Anderen Die_Blechtrommel"
    " Pépé_le_Moko La_Grande_Bouffe L'Été_meurtrier Der_Himmel_über_Berlin Élève_libre Fräulein"
    " Müller Où_est_la_maison Ça_commence Hôtel_du_Nord Garçon",
    "cp1252": "Amélie – À_bout_de_souffle “Les_Misérables” Pépé_le_Moko L’Été_meurtrier Élève Où",
}


def numbered(words, end="\n"):
    return "".join(f"{number},{word},1995{end}" for number, word in enumerate(words))


@pytest.mark.parametrize("encoding", WRITTEN)
def test_text_of_a_language_is_decoded_as_it_was_written(tmp_path, caplog, encoding):
    caplog.set_level("INFO")
    words = WRITTEN[encoding].split()
    path = tmp_path / "titles.csv"
    path.write_bytes(numbered(words).encode(encoding))
    titles = read_titles(path, TitleLayout(Dialect(), year=2, columns=3))
    assert titles.table["title"].tolist() == words
    certain = encoding not in ("cp1250", "cp1252", "latin_1")  # these differ in few letters
    assert ("charset-normalizer, certain (" in caplog.text) == certain
    assert ("charset-normalizer, uncertain (" in caplog.text) == (not certain)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=1, max_size=200))
def test_no_text_is_garbled_in_silence(caplog, data):
    """Bytes are decoded as UTF-8 or UTF-16, or a warning names the key to set."""
    caplog.clear()
    found = detect_encoding([data], "t.csv", key="table.encoding")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        assert found.startswith("utf_") or "set `table.encoding`" in caplog.text
    else:
        assert found.startswith("utf_")


def test_one_accent_behind_a_megabyte_decides(tmp_path, caplog):
    words = ["plain"] * (BLOCK_BYTES // 8) + ["Café"]
    path = tmp_path / "titles.csv"
    for encoding, found in (("utf-8", "utf_8"), ("iso-8859-1", "latin_1")):
        caplog.clear()
        path.write_bytes(numbered(words).encode(encoding))
        titles = read_titles(path, TitleLayout(Dialect(), year=2))
        assert (titles.encoding, titles.table["title"].iloc[-1]) == (found, "Café")
        warned = "uncertain" in caplog.text and "set `table.titles.encoding`" in caplog.text
        assert warned == (found == "latin_1")


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=30), st.integers(1, 7))
def test_utf_8_is_known_wherever_blocks_end(text, size):
    data = text.replace("\0", "").encode("utf-8", "replace")
    blocks = [data[at : at + size] for at in range(0, len(data), size)]
    expected = {"utf_8", "utf_8_sig"} if data.startswith(b"\xef\xbb\xbf") else {"utf_8"}
    assert detect_encoding(blocks, "t.csv") in expected


def test_utf_8_with_a_damaged_byte_stays_utf_8_and_its_row_is_refused(tmp_path, dataset, drop_all):
    rows = [f"ü{number},é,3" for number in range(50)]
    content = "\n".join(["user,item,rating", *rows]).encode().replace(b"\xbc7,", b"7,")
    (tmp_path / "ratings.csv").write_bytes(content)
    block = dataset(source="table", table={"ids": "text"}, audit=drop_all)
    parsed = read(tmp_path, block)
    assert parsed.audit["files"]["ratings.csv"]["encoding"] == "utf_8"
    assert [place[1:] for place, _ in parsed.refused] == [(9, b"\xc37,\xc3\xa9,3")]
    assert "ü6" in set(parsed.users["user_id"])


def test_the_source_s_own_encoding_comes_before_a_guess(tmp_path, caplog):
    path = tmp_path / "t.dat"
    path.write_bytes("1::Брат::2\n".encode("cp1251"))
    assert sniff(path, own="latin_1", key="x") == "latin_1"
    assert not caplog.records


def test_a_declared_encoding_of_a_file_in_utf_8_gives_a_warning(tmp_path, caplog):
    path = tmp_path / "t.csv"
    path.write_text("1,Café\n", "utf-8")
    sniff(path, "utf-8", key="table.encoding")
    path.write_text("1,Cafe\n")
    sniff(path, "latin-1", key="table.encoding")
    path.write_text("1,Café\n", "latin-1")
    sniff(path, "latin-1", key="table.encoding")
    assert not caplog.records
    path.write_text("1,Café\n", "utf-8")
    assert sniff(path, "latin-1", key="table.encoding") == "iso8859_1"
    assert "latin-1 is declared, but all its bytes are valid UTF-8" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("declared", [True, False])
def test_wide_encodings_of_any_script(tmp_path, encoding, declared):
    for words in WRITTEN.values():
        path = tmp_path / "t.csv"
        path.write_bytes(numbered(words.split()).encode(encoding))
        found = sniff(path, encoding if declared else "")
        assert path.read_bytes().decode(found) == numbered(words.split())


@pytest.mark.parametrize(
    ("declared", "mark", "found"),
    [
        ("utf-8", b"\xef\xbb\xbf", "utf_8_sig"),
        ("utf-16-le", b"\xff\xfe", "utf_16"),
        ("UTF-16BE", b"\xfe\xff", "utf_16"),
        ("latin-1", b"\xef\xbb\xbf", "iso8859_1"),
        ("utf-8", b"", "utf_8"),
    ],
)
def test_a_byte_order_mark_is_skipped_where_the_encoding_is_declared(
    tmp_path, declared, mark, found
):
    (tmp_path / "t.csv").write_bytes(mark + b"1,2\n")
    assert sniff(tmp_path / "t.csv", declared) == found


FIELDS = st.lists(st.text(st.sampled_from('ab",;\\\n\r\t '), max_size=8), min_size=3, max_size=3)


@settings(deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=6), st.sampled_from(["", "\\"]))
def test_rows_written_by_python_are_read_back_or_refused(rows, escape):
    """Backslash or doubled: what the other side wrote in quotes is the same field here."""
    text = io.StringIO()
    csv.writer(
        text,
        quoting=csv.QUOTE_ALL,
        doublequote=not escape,
        escapechar=escape or None,
        lineterminator="\n",
    ).writerows(rows)
    lines = io.StringIO(text.getvalue(), newline="\n")
    found = list(records(lines, Dialect(",", True, escape), "t.csv"))
    assert [one.fields for one in found if not one.reason] == [
        row for row, one in zip(rows, found, strict=True) if not one.reason
    ]
    assert sum(one.lines for one in found) == text.getvalue().count("\n")
    for one in found:
        if one.reason:
            assert all(line.count(",") == 2 for line in one.text.removesuffix("\n").split("\n"))


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from('ab"\\ '), max_size=8), min_size=2, max_size=2))
def test_a_line_without_declared_quotes_is_one_row(fields):
    line = ",".join(fields) + "\n"
    assert [one.fields for one in records([line, line], Dialect(), "t.csv")] == [fields] * 2


IDS = st.text(st.sampled_from('ab"\r\t\0\x0b\x1c\x1f\x85\u2028 é'), max_size=4)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=8), st.sampled_from([",", "::"]))
def test_no_sign_in_a_text_id_shifts_a_row_or_merges_two_ids(
    tmp_path, dataset, drop_all, pairs, separator
):
    """Unquoted: an id is read as it is, or its row is refused with its line."""
    rows = ["user", "item", "rating"], *[(*pair, "3") for pair in pairs], ("z", "z", "3")
    content = "".join(separator.join(row) + "\n" for row in rows)
    (tmp_path / "ratings.csv").write_bytes(content.encode())
    block = dataset(
        source="table",
        table={"ids": "text", "separator": separator},
        audit=drop_all | {"duplicates": "drop"},
    )
    parsed = read(tmp_path, block)
    good = [pair for pair in pairs if all(pair) and not set("\r\0") & set("".join(pair))]
    good = [pair for pair in good if good.count(pair) == 1]
    users, items = parsed.users["user_id"], parsed.items["item_id"]
    found = zip(users[parsed.ratings["user"]], items[parsed.ratings["item"]], strict=True)
    assert list(found) == [*good, ("z", "z")]
    assert [place[1] for place, _ in parsed.refused] == [
        line for line, pair in enumerate(pairs, 2) if pair not in good
    ]


BOOKS = (
    b'"ISBN";"Book-Title";"Year-Of-Publication"\r\n'
    b'"0195153448";"Classical Mythology";"2002"\r\n'
    b'"078946697X";"The Real \\"J. Peterman\\" &amp; Co.; a Life";"1999"\r\n'
    b'"3404921038";"Wie Barney es sieht. Dr. Seltsam\xb4s Erz\xe4hlung";"0"\r\n'
)


def test_book_crossing_s_kind_of_quotes(tmp_path, dataset):
    ratings = b'"User-ID";"ISBN";"Book-Rating"\r\n"276725";"078946697X";"7"\r\n'
    ratings += b'"276726";"3404921038";"5"\r\n"276727";"0195153448";"9"\r\n'
    (tmp_path / "ratings.csv").write_bytes(ratings)
    (tmp_path / "books.csv").write_bytes(BOOKS)
    quoted = {"separator": ";", "quoted": True, "escape": "\\"}
    titles = {"item": "ISBN", "title": "Book-Title", "year": "Year-Of-Publication"}
    block = dataset(
        source="table",
        scale={"minimum": 1, "maximum": 10},
        table=quoted
        | {"ids": "text", "encoding": "iso-8859-1"}
        | {"columns": {"user": "User-ID", "item": "ISBN", "rating": "Book-Rating"}}
        | {"titles": quoted | titles | {"file": "books.csv"}},
    )
    parsed = read(tmp_path, block)
    assert parsed.items["title"].tolist() == [
        "Classical Mythology",
        'The Real "J. Peterman" &amp; Co.; a Life',
        "Wie Barney es sieht. Dr. Seltsam´s Erzählung",
    ]
    assert parsed.items["item_id"].tolist() == ["0195153448", "078946697X", "3404921038"]
    assert parsed.audit["files"]["books.csv"]["odd_years"] == 1


def test_titles_of_the_last_column_keep_their_separators(tmp_path, dataset):
    (tmp_path / "ratings.csv").write_text("user,item,rating\n1,1,3\n1,2,4\n1,3,4\n")
    titles = {"file": "t.csv", "header": False, "item": 0, "year": 1, "title": 2}
    for first in ("1,1975,Among Strangers, Own", "1,1975,Alone"):
        (tmp_path / "t.csv").write_text(f'{first}\n2,NULL,"So," he said\n3,V,Up (2009)\n')
        parsed = read(tmp_path, dataset(source="table", table={"titles": titles}))
        expected = [first.split(",", 2)[2], '"So," he said', "Up"]
        assert parsed.items["title"].tolist() == expected
        assert parsed.audit["files"]["t.csv"]["odd_years"] == 1


def test_titles_over_several_lines_need_declared_quotes(tmp_path, dataset, drop_all):
    (tmp_path / "ratings.csv").write_text("user,item,rating\n1,1,3\n1,2,4\n")
    (tmp_path / "t.csv").write_text(
        'item,title,year\n1,"Part one\r\npart ""two""",1999\n2,Up,2009\n'
    )
    for quoted, expected in ((True, 'Part one\r\npart "two"'), (False, None)):
        block = dataset(
            source="table",
            table={"titles": {"file": "t.csv", "year": "year", "quoted": quoted}},
            audit=drop_all,
        )
        parsed = read(tmp_path, block)
        title = parsed.items["title"].iloc[0]
        assert title == expected if expected else not isinstance(title, str)
        assert parsed.items["title"].iloc[1] == "Up"
        facts = parsed.audit["files"]["t.csv"]
        assert (facts["rows_kept"], facts["rows_refused"]) == ((2, 0) if quoted else (1, 2))


@pytest.mark.parametrize(
    "text", [" " * 200_000 + "x", "(1999)" * 50_000, "(1999)" + " " * 200_000 + "x", "(" * 200_000]
)
def test_no_title_takes_long(tmp_path, text):
    start = time.process_time()
    split_title(text)
    (tmp_path / "t.csv").write_text(f"1,{text},1999\n")
    titles = read_titles(tmp_path / "t.csv", TitleLayout(Dialect(), year=2))
    assert [reason for _, reason, _ in titles.bad] == ["the title is longer than 1000 characters"]
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("text", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Bourne (2002) (TV)", "Bourne", 2002),
        ("Aida (1953/I)", "Aida", 1953),
        ("Friends (1994–2004)", "Friends", 1994),
        ("Lost (2004- ) ", "Lost (2004- )", None),
        ("2012 (2009)  ", "2012", 2009),
        ("Part one\npart two (1999)", "Part one\npart two", 1999),
        ("(1941)", "", 1941),
        ("1941", "1941", None),
    ],
)
def test_years_at_the_end_of_titles(text, title, year):
    assert split_title(text) == (title, year)
