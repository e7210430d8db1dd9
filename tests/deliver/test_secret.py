import pytest
from pydantic import BaseModel, ValidationError

from ebbtide.deliver.secret import Filled, Secret, fill, read_secret


class Settings(BaseModel):
    token: Secret


def test_references_are_filled_from_environment_and_files(tmp_path):
    (tmp_path / "t").write_text("abc\n")
    assert fill(f"${{file:{tmp_path}/t}}-${{env:X}}", {"X": "1"}, read_secret) == "abc-1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${env:GONE}", "no 'GONE'"),
        ("${file:/nonexistent}", "cannot read the secret in /nonexistent"),
        ("${vault:x}", "neither"),
    ],
)
def test_what_cannot_be_filled_is_named(text, said):
    with pytest.raises(ValueError, match=said):
        fill(text, {}, read_secret)


def test_a_huge_file_is_no_secret(tmp_path):
    (tmp_path / "t").write_bytes(b"x" * 100_000)
    with pytest.raises(ValueError, match="larger than 64 KiB"):
        fill(f"${{file:{tmp_path}/t}}", {}, read_secret)


@pytest.mark.parametrize("value", ["literal", Filled(""), Filled("a\r\nX: y")])
def test_secrets_come_from_references_on_one_line(value):
    with pytest.raises(ValidationError):
        Settings(token=value)


def test_a_secret_is_not_shown():
    settings = Settings(token=Filled("very-secret"))
    assert "very-secret" not in repr(settings) + str(settings)
    assert settings.token.get_secret_value() == "very-secret"
