import pytest
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ebbtide.detect.catalogue import shipped
from ebbtide.document import Refused, read, translate


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = 1


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner = Inner()
    name: str


def test_a_mistake_is_told_with_its_line_and_the_nearest_key():
    document = read("e.yaml", "part:\n  inner:\n    siez: 3\n", largest_bytes=1000)
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(document.value["part"])

    told = [str(one) for one in translate(caught.value, Model, document, ("part",), ("part",))]

    assert told == [
        "e.yaml:3: unknown key `part.inner.siez` (did you mean `size`?)",
        "e.yaml:1: `part.name` is missing (add `name:`)",
    ]


def test_an_empty_text_says_nothing_and_twins_are_told():
    assert read("e.yaml", "", largest_bytes=10).value is None
    assert [str(one) for one in read("e.yaml", "a: 1\na: 2\n", largest_bytes=10).twins] == [
        "e.yaml:2: `a` stands here twice"
    ]


def test_with_and_without_the_parser_in_c_values_lines_and_mistakes_are_the_same(monkeypatch):
    texts = {file.name: file.text for file in shipped()} | {
        "bad": "a: 1\n  b: [1,\nc: 2024-02-31\n",
        "twins": "a: 1\na: 2",
    }
    said = []
    for loader in (yaml.CSafeLoader, yaml.SafeLoader):
        monkeypatch.setattr("ebbtide.document._Loader", loader)
        said.append([])
        for name, text in texts.items():
            try:
                one = read(name, text, largest_bytes=1 << 20)
                said[-1].append((one.value, one.lines, one.twins))
            except Refused as refused:
                said[-1].append(refused.problem.where)

    assert said[0] == said[1]
    assert "bad:2" in said[0] or "bad:3" in said[0]


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x", "a: !!set {}", "[" * 50, "a: 2024-02-31", "x" * 5000, "a: {"])
def test_traps_and_what_is_not_yaml_are_refused(text):
    with pytest.raises(Refused):
        read("e.yaml", text, largest_bytes=4096)
