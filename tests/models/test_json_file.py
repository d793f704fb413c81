import pytest

from vaelens.errors import VaelensError
from vaelens.models.json_file import read_json


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 10**5 + b"]" * 10**5, "is nested too deeply"),
        (b'{"a":' * 10**5, "is nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b'{"a": "' + b"a" * 2**20 + b'"}', r"cannot be read as JSON \(it is longer than 1,048,576 bytes\)"),
        (b"3", "holds no JSON object"),
    ],
)
def test_what_is_no_config_is_one_sentence(content, message, tmp_path):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(VaelensError, match=message) as raised:
        read_json(tmp_path / "config.json")
    assert len(str(raised.value)) < 600
