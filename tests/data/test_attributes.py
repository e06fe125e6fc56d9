import unicodedata

import pytest

from foresight_cli.data.dataset import Sample
from foresight_cli.data.imagefolder import ImageFolder
from tests.refusal import refusal


def with_csv(folder, text):
    (folder / "attributes.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_attributes(folder, bom, newline):
    lines = ["x, label ,id,group,size", "1.5,,a/1.png,g,-2e3", "", " 7 , dog ,b.png,,", ",,,,"]
    assert ImageFolder(with_csv(folder, bom + newline.join(lines))).samples == [
        Sample("a/1.png", "a", "g", {"x": 1.5, "size": -2000.0}),
        Sample("a/2.png", "a", "a/2.png", {}),
        Sample("b.png", "dog", "b.png", {"x": 7.0}),
    ]


def test_attributes_of_ids_that_need_quotes(tmp_path):
    names = ['a,"b".png', "two\nlines.png", " lead.png", "é.png"]
    for name in names:
        (tmp_path / name).touch()
    spelled = unicodedata.normalize("NFD", "é.png")
    with_csv(tmp_path, f'id,x\n"a,""b"".png",1\n"two\nlines.png",2\n lead.png,3\n{spelled},4\n')
    assert {sample.id: sample.attributes["x"] for sample in ImageFolder(tmp_path).samples} == dict(
        zip(names, (1, 2, 3, 4), strict=True)
    )


def test_plural_headers_are_no_numbers(folder):
    samples = ImageFolder(with_csv(folder, "ids,groups,labels,x\na/1.png,7,dog,1\n")).samples
    assert samples[0] == Sample("a/1.png", "dog", "7", {"x": 1.0})
    assert (
        refusal(ImageFolder, with_csv(folder, "id,group,groups\n"))
        == f"{folder}/attributes.csv: duplicate column 'group'"
    )


def test_labels_and_groups_that_are_not_a_number_are_blank(folder):
    samples = ImageFolder(with_csv(folder, "id,label,group\na/1.png,nan,NaN\nb.png,  ,nan\na/2.png,None,0\n")).samples
    assert [(sample.label, sample.group) for sample in samples] == [("a", "a/1.png"), ("None", "0"), (None, "b.png")]


def test_short_rows_and_spare_commas(folder):
    samples = ImageFolder(with_csv(folder, "id,x,y,\na/1.png,1\na/2.png,1,2,,\n")).samples
    assert [sample.attributes for sample in samples] == [{"x": 1.0}, {"x": 1.0, "y": 2.0}, {}]


def test_only_the_top_attributes_file_counts(folder):
    (folder / "a/attributes.csv").write_text("not,read")
    assert ImageFolder(folder).samples[0].attributes == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": no column 'id' among []"),
        ("name,x\n", ": no column 'id' among ['name', 'x']"),
        ("id;x\na/1.png;1\n", ": no column 'id' among ['id;x']"),
        ("id,x,y,x\n", ": duplicate column 'x'"),
        ("id,x\n\na/1.png,1\nc.png,2\n", ", line 4: no image 'c.png'; ids are paths such as 'a/1.png'"),
        ("id,x\n,2\n", ", line 2: no image ''; ids are paths such as 'a/1.png'"),
        ('id,x\n"c\nd.png",2\n', r", line 2: no image 'c\nd.png'; ids are paths such as 'a/1.png'"),
        (
            "id,x\nb.png,1\na/1.png,1\nb.png,2\n",
            ", line 4: duplicate id 'b.png', see {file}, line 2",
        ),
        ("id,x,y\nb.png,,red\n", ", line 2: column 'y' must be a finite number, got 'red'"),
        ("id,x\nb.png,nan\n", ", line 2: column 'x' must be a finite number, got 'nan'"),
        ("id,x\nb.png,-inf\n", ", line 2: column 'x' must be a finite number, got '-inf'"),
        ("id,x\nb.png,1e999\n", ", line 2: column 'x' must be a finite number, got '1e999'"),
        ("id,x\nb.png,1_0\n", ", line 2: column 'x' must be a finite number, got '1_0'"),
        ('id,x\nb.png,"1,5"\n', ", line 2: column 'x' must be a finite number, got '1,5'"),
        ("id,x\nb.png,1,2\n", ", line 2: '2' has no column name"),
        (",id,x\n0,b.png,1\n", ", line 2: '0' has no column name"),
        ('id,x\nb.png,1\n"b"c,1\n', ", line 3: ',' expected after '\"'"),
        ('id,x\nb.png,1\n"b.png', ", line 3: unexpected end of data"),
        (b"id,x\nb.png,1\ncaf\xe9.png,2\n", ", line 3: not UTF-8 (invalid continuation byte); save the file as UTF-8"),
        ("id\n".encode("utf-16"), ", line 1: not UTF-8 (invalid start byte); save the file as UTF-8"),
    ],
)
def test_faults_in_attributes(folder, text, message):
    file = folder / "attributes.csv"
    assert refusal(ImageFolder, with_csv(folder, text)) == f"{file}{message.replace('{file}', str(file))}"


def test_an_attributes_file_that_cannot_be_read(folder):
    (folder / "attributes.csv").symlink_to("gone.csv")
    assert refusal(ImageFolder, folder) == f"cannot read {folder}/attributes.csv: No such file or directory"
    (folder / "attributes.csv").unlink()
    (folder / "attributes.csv").mkdir()
    assert refusal(ImageFolder, folder) == f"cannot read {folder}/attributes.csv: Is a directory"
